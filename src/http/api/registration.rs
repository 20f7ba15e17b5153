//! The operation `register`.

use std::sync::Arc;

use poem::Request;
use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object, OpenApi};

use super::field_errors::field_errors;
use super::profile::AccountView;
use super::tags::Tag;
use crate::core::display_names::DisplayName;
use crate::core::email_address::EmailAddress;
use crate::core::secret::{InviteCode, Password};
use crate::core::usernames::{InvalidUsername, USERNAME_CHARS, Username};
use crate::domain::passwords::rules::{DEFAULT_MIN_PASSWORD_LENGTH, MAX_PASSWORD_LENGTH};
use crate::domain::registration::{RegisterError, RegistrationRequest};
use crate::http::extra_cookie::WithExtraCookie;
use crate::http::problem::{ApiError, Code, Problem};
use crate::http::request::body::{Body, FromFields};
use crate::http::request::fields::Fields;
use crate::http::request::password_text::PasswordText;
use crate::http::state::AppState;

pub struct RegistrationApi(pub Arc<AppState>);

/// The data of a new account.
#[derive(Object)]
#[oai(rename = "Registration", deny_unknown_fields, example)]
pub struct NewAccountView {
    /// Letters (a to z), digits, `.`, `_` and `-`. The first and the last character must be a
    /// letter or a digit. The service converts upper-case and full-width letters to plain lower
    /// case, and removes white space around the name. Names that suggest the service or its
    /// operator, such as `admin`, `root` and `support`, are reserved.
    #[oai(validator(
        min_length = 1,
        max_length = 64,
        pattern = "^\\s*[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?\\s*$"
    ))]
    pub username: String,
    /// The name to show for the user, in any script. White space around it is removed. Control
    /// characters, and characters that nothing shows or that change the direction of text, are not
    /// allowed. The empty string counts as absent.
    #[oai(skip_serializing_if_is_none, validator(max_length = 64))]
    pub display_name: Option<String>,
    /// An e-mail address, to which a code is sent. It counts for nothing until the user confirms it
    /// with `confirmEmail`. The response does not reveal whether another account has the address.
    #[oai(skip_serializing_if_is_none, validator(max_length = 254))]
    pub email: Option<String>,
    /// All characters are allowed, including spaces, except control characters. A few unrelated
    /// words make a good password. Passwords that are easy to guess are refused: common passwords,
    /// repetitions, sequences, and variations of the user name.
    pub password: PasswordText<DEFAULT_MIN_PASSWORD_LENGTH, MAX_PASSWORD_LENGTH>,
    /// Whether the session lasts longer. The browser then also keeps the cookie when it closes. The
    /// operator can disable this; then `remember` is ignored.
    #[oai(default)]
    pub remember: bool,
    /// The invite code, if registration requires one. Each code creates one account. If
    /// registration does not require an invite, the code is ignored.
    #[oai(skip_serializing_if_is_none, validator(max_length = 64))]
    pub invite: Option<String>,
}

/// The maximum length of an invite code in a request. A valid code has half of it.
const MAX_INVITE_LENGTH: usize = 64;

impl Example for NewAccountView {
    fn example() -> Self {
        Self {
            username: "alice".into(),
            display_name: Some("Alice Liddell".into()),
            email: None,
            password: PasswordText(Password::new("correct horse battery staple".into())),
            remember: false,
            invite: None,
        }
    }
}

impl FromFields for NewAccountView {
    fn from_fields(fields: &mut Fields) -> Self {
        Self {
            username: fields.text("username"),
            display_name: fields.unchecked_text("display_name"),
            email: fields.unchecked_text("email"),
            password: PasswordText(fields.password("password")),
            remember: fields.flag("remember"),
            invite: fields.optional_text("invite", MAX_INVITE_LENGTH),
        }
    }
}

impl NewAccountView {
    pub fn parse(self) -> RegistrationRequest {
        // Phone keyboards append a space. The documented limit applies to the text before it is
        // trimmed.
        let username = if self.username.chars().count() > *USERNAME_CHARS.end() {
            Err(InvalidUsername::TooLong)
        } else {
            Username::parse(self.username.trim())
        };
        let invite = self.invite.as_deref().map(InviteCode::from_input);
        let display_name = DisplayName::parse(self.display_name.as_deref().unwrap_or_default());
        // An optional field of a form that the user left empty.
        let email = self.email.filter(|email| !email.trim().is_empty());
        let email = email.map(|email| EmailAddress::parse(&email));
        RegistrationRequest { username, display_name, email, password: self.password.0, invite }
    }
}

#[derive(ApiResponse)]
enum RegisterAnswer {
    /// The account was created, and the user is signed in.
    #[oai(status = 201, content_type = "application/json")]
    Registered(
        Json<AccountView>,
        /// The session cookie, with the same attributes as in `login`.
        #[oai(header = "Set-Cookie")]
        String,
    ),
    /// `registration_closed`: only the operator can create accounts.
    ///
    /// `invite_refused`: registration requires an invite, and the invite code is missing, unknown,
    /// already used or expired. The response does not reveal which of these is the reason.
    ///
    /// `mail_off`: the request contains an e-mail address, but the service sends no mail. No account
    /// was created.
    #[oai(status = 403, content_type = "application/problem+json")]
    Refused(Json<Problem>),
    /// `username_taken`: an account has this user name, or an account with this name was closed or
    /// deleted, and the name is still on hold.
    #[oai(status = 409, content_type = "application/problem+json")]
    Taken(Json<Problem>),
    /// `policy_violation`: the user name, the display name, the e-mail address or the password
    /// violates a rule. `errors` names the rule and says what to do.
    #[oai(status = 422, content_type = "application/problem+json")]
    Invalid(Json<Problem>),
    /// `too_many_attempts`: too many accounts were created from this IP address or in total. An IP
    /// address can create ten accounts at once, then one a minute. No account was created.
    #[oai(status = 429, content_type = "application/problem+json")]
    TooManyAttempts(
        Json<Problem>,
        /// The number of seconds to wait before the next attempt.
        #[oai(header = "Retry-After")]
        u64,
    ),
    /// `overloaded`: too many passwords are being hashed at the moment. No account was created.
    #[oai(status = 503, content_type = "application/problem+json")]
    Overloaded(
        Json<Problem>,
        /// The number of seconds to wait before the next attempt.
        #[oai(header = "Retry-After")]
        u64,
    ),
}

#[OpenApi]
impl RegistrationApi {
    /// Create an account
    ///
    /// Creates an account and signs the user in. The operator decides whether registration is open,
    /// requires an invite, or is closed. If the request already contains a session cookie, a
    /// successful registration revokes that session.
    ///
    /// The operation also accepts a form (`application/x-www-form-urlencoded`) with the same
    /// fields. If a browser submits the form, the response is 303. If the form redirects to one of
    /// the origins in the setting `apps`, the response is 200 with a page that leads there.
    #[oai(path = "/register", method = "post", operation_id = "register", tag = "Tag::Login")]
    async fn register(
        &self,
        request: &Request,
        body: Body<NewAccountView>,
    ) -> Result<WithExtraCookie<RegisterAnswer>, ApiError> {
        let problem = |code| Json(Problem::of(code));
        let login_context = self.0.login_context(request, body.0.remember);
        let application = body.0.parse();
        let refused = match self.0.domain.register(application, login_context).await {
            Ok((account, issued)) => {
                self.0.revoke_presented_sessions(request).await?;
                let set = self.0.session_cookie(&issued);
                let body = Json(AccountView::from(&account));
                let answer = RegisterAnswer::Registered(body, set);
                return Ok(WithExtraCookie(answer, self.0.device_cookie(&issued)));
            }
            Err(RegisterError::Closed) => {
                RegisterAnswer::Refused(problem(Code::RegistrationClosed))
            }
            Err(RegisterError::NotInvited) => RegisterAnswer::Refused(problem(Code::InviteRefused)),
            Err(RegisterError::MailOff) => RegisterAnswer::Refused(problem(Code::MailOff)),
            Err(RegisterError::UsernameTaken) => {
                RegisterAnswer::Taken(problem(Code::UsernameTaken))
            }
            Err(RegisterError::Invalid(bad)) => {
                let problem = Problem::of(Code::PolicyViolation).with_errors(field_errors(bad));
                RegisterAnswer::Invalid(Json(problem))
            }
            Err(RegisterError::TooManyAttempts { wait }) => {
                Problem::rate_limited(RegisterAnswer::TooManyAttempts, wait)
            }
            Err(RegisterError::Overloaded) => {
                Problem::respond_overloaded(RegisterAnswer::Overloaded)
            }
            Err(RegisterError::Internal(fault)) => return Err(fault.into()),
        };
        Ok(WithExtraCookie(refused, None))
    }
}
