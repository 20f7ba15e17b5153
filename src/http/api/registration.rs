//! `register`.

use std::sync::Arc;

use poem::Request;
use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object, OpenApi};

use super::accounts::AccountView;
use super::field_errors::unfit;
use super::tags::Tag;
use crate::core::secret::{InviteCode, Password};
use crate::core::usernames::{BadUsername, USERNAME_CHARS, Username};
use crate::domain::passwords::rules::{FEWEST_CHARS, MOST_CHARS};
use crate::domain::registration::{Application, RegisterError};
use crate::http::extra_cookie::WithExtraCookie;
use crate::http::problem::{ApiError, Code, Problem, RETRY_AFTER};
use crate::http::request::body::{Body, FromFields};
use crate::http::request::fields::Fields;
use crate::http::request::password_text::PasswordText;
use crate::http::state::AppState;

pub struct RegistrationApi(pub Arc<AppState>);

/// What a new account needs.
#[derive(Object)]
#[oai(rename = "Registration", deny_unknown_fields, example)]
pub struct NewAccountView {
    /// Letters, digits, `.`, `_` and `-`; the first and the last one a letter or digit. Capitals
    /// and wide letters become small ones, and white space around the name is removed. Names that suggest
    /// the service or its operator (`admin`, `root`, `support`) are reserved.
    #[oai(validator(
        min_length = 1,
        max_length = 64,
        pattern = "^\\s*[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?\\s*$"
    ))]
    pub username: String,
    /// Characters of any kind, spaces included: a few words are a good password. What is guessed
    /// first is refused: common passwords, patterns, and little but the user name.
    pub password: PasswordText<FEWEST_CHARS, MOST_CHARS>,
    /// Stay signed in: 30 days instead of 24 hours, and the cookie outlives the browser.
    #[oai(default)]
    pub remember: bool,
    /// The code of an invite, where registration needs one. It creates one account. Elsewhere it is
    /// ignored.
    #[oai(skip_serializing_if_is_none, validator(max_length = 64))]
    pub invite: Option<String>,
}

/// The most characters that are read of an invite's code, which has half as many.
const MAX_INVITE_LENGTH: usize = 64;

impl Example for NewAccountView {
    fn example() -> Self {
        Self {
            username: "alice".into(),
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
            password: PasswordText(fields.password("password")),
            remember: fields.flag("remember"),
            invite: fields.optional_text("invite", MAX_INVITE_LENGTH),
        }
    }
}

impl NewAccountView {
    pub fn parsed(self) -> Application {
        // keyboards of phones add a space; the documented length is that of what is sent
        let username = if self.username.chars().count() > *USERNAME_CHARS.end() {
            Err(BadUsername::TooLong)
        } else {
            Username::parse(self.username.trim())
        };
        let invite = self.invite.as_deref().map(InviteCode::typed);
        Application { username, password: self.password.0, invite }
    }
}

#[derive(ApiResponse)]
enum RegisterAnswer {
    /// The account is created and signed in.
    #[oai(status = 201, content_type = "application/json")]
    Registered(
        Json<AccountView>,
        /// The session cookie, as `login` sets it.
        #[oai(header = "Set-Cookie")]
        String,
    ),
    /// `registration_closed`: only the operator creates accounts of this service.
    ///
    /// `invite_refused`: registration needs an invite, and this one is missing, unknown, used or expired.
    /// Which of these is not said.
    #[oai(status = 403, content_type = "application/problem+json")]
    Refused(Json<Problem>),
    /// `username_taken`: a user has this name, or had it and closed the account not long ago.
    #[oai(status = 409, content_type = "application/problem+json")]
    Taken(Json<Problem>),
    /// `policy_violation`: the name or the password breaks a rule; `errors` says which, and what
    /// to do.
    #[oai(status = 422, content_type = "application/problem+json")]
    Unfit(Json<Problem>),
    /// `too_many_attempts`: too many accounts were created from this address, or in all.
    #[oai(status = 429, content_type = "application/problem+json")]
    TooManyAttempts(
        Json<Problem>,
        /// Seconds after which to try again.
        #[oai(header = "Retry-After")]
        u64,
    ),
    /// `overloaded`: too many sign-ins at once; no account was created.
    #[oai(status = 503, content_type = "application/problem+json")]
    Overloaded(
        Json<Problem>,
        /// Seconds after which to try again.
        #[oai(header = "Retry-After")]
        u64,
    ),
}

#[OpenApi]
impl RegistrationApi {
    /// Create an account
    ///
    /// Creates an account and signs it in. A setting of the service says whether registration is open,
    /// needs an `invite`, or is closed. If the request carries a session cookie, that session ends.
    ///
    /// A form (`application/x-www-form-urlencoded`) with the same fields is taken, too; a
    /// browser's form post is answered 303, or, when it leads on to an app in `apps`, 200 with a page
    /// that goes there.
    #[oai(path = "/register", method = "post", operation_id = "register", tag = "Tag::Login")]
    async fn register(
        &self,
        request: &Request,
        body: Body<NewAccountView>,
    ) -> Result<WithExtraCookie<RegisterAnswer>, ApiError> {
        let problem = |code| Json(Problem::of(code));
        let login_context = self.0.login_context(request, body.0.remember);
        let application = body.0.parsed();
        let refused = match self.0.domain.register(application, login_context).await {
            Ok((account, ticket)) => {
                self.0.revoke_presented_sessions(request).await?;
                let set = self.0.session_cookie(&ticket);
                let body = Json(AccountView::from(&account));
                let answer = RegisterAnswer::Registered(body, set);
                return Ok(WithExtraCookie(answer, self.0.device_cookie(&ticket)));
            }
            Err(RegisterError::Closed) => {
                RegisterAnswer::Refused(problem(Code::RegistrationClosed))
            }
            Err(RegisterError::NotInvited) => RegisterAnswer::Refused(problem(Code::InviteRefused)),
            Err(RegisterError::UsernameTaken) => {
                RegisterAnswer::Taken(problem(Code::UsernameTaken))
            }
            Err(RegisterError::Unfit { username, password }) => {
                let errors = unfit(username, password);
                let problem = Problem::of(Code::PolicyViolation).with_errors(errors);
                RegisterAnswer::Unfit(Json(problem))
            }
            Err(RegisterError::TooManyAttempts { wait }) => {
                let (problem, seconds) = Problem::too_many_attempts(wait);
                RegisterAnswer::TooManyAttempts(Json(problem), seconds)
            }
            Err(RegisterError::Busy) => {
                RegisterAnswer::Overloaded(problem(Code::Overloaded), RETRY_AFTER)
            }
            Err(RegisterError::Fault(fault)) => return Err(fault.into()),
        };
        Ok(WithExtraCookie(refused, None))
    }
}
