//! `login` and `logout`.

use std::sync::Arc;

use poem::Request;
use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object, OpenApi};

use super::sessions::SessionView;
use super::tags::Tag;
use crate::core::error::Fault;
use crate::core::secret::Password;
use crate::domain::login::{BadCredentials, BadLength, Credentials, LogInError};
use crate::domain::passwords::rules::MOST_TYPED;
use crate::http::extra_cookie::{ExtraCookie, WithExtraCookie};
use crate::http::problem::{ApiError, Code, FieldCode, FieldError, Problem, RETRY_AFTER};
use crate::http::request::body::{Body, FromFields, OptionalBody};
use crate::http::request::context::request_context;
use crate::http::request::fields::Fields;
use crate::http::request::password_text::PasswordText;
use crate::http::state::AppState;

pub struct LoginApi(pub Arc<AppState>);

/// A user name and its password.
#[derive(Object)]
#[oai(rename = "Credentials", deny_unknown_fields, example)]
pub struct CredentialsView {
    /// The user name; capitals do not matter, nor does white space around it.
    #[oai(validator(min_length = 1, max_length = 256))]
    pub username: String,
    /// The password, exactly as it was chosen.
    pub password: PasswordText<1, MOST_TYPED>,
    /// Stay signed in: 30 days instead of 24 hours, and the cookie outlives the browser.
    #[oai(default)]
    pub remember: bool,
}

impl Example for CredentialsView {
    fn example() -> Self {
        Self {
            username: "tiangolo".into(),
            password: PasswordText(Password::new("secret2".into())),
            remember: false,
        }
    }
}

impl FromFields for CredentialsView {
    fn from_fields(fields: &mut Fields) -> Self {
        Self {
            username: fields.text("username"),
            password: PasswordText(fields.password("password")),
            remember: fields.flag("remember"),
        }
    }
}

impl CredentialsView {
    /// Within the documented sizes, or 400.
    pub fn parsed(self) -> Result<Credentials, ApiError> {
        match Credentials::parse(&self.username, self.password.0) {
            Ok(credentials) => Ok(credentials),
            Err(bad) => Err(Problem::of(Code::InvalidRequest).with_errors(errors(bad)).into()),
        }
    }
}

fn errors(bad: BadCredentials) -> Vec<FieldError> {
    let error = |field, bad: Option<BadLength>| {
        bad.map(|length| match length {
            BadLength::Empty => {
                FieldError::new(field, FieldCode::TooShort, "This field is required.")
            }
            BadLength::LongerThan(most) => FieldError::new(
                field,
                FieldCode::TooLong,
                format!("Use at most {most} characters."),
            ),
        })
    };
    let fields = [error("username", bad.username), error("password", bad.password)];
    fields.into_iter().flatten().collect()
}

/// What else signing out does.
#[derive(Debug, Default, Object)]
#[oai(deny_unknown_fields, example)]
pub struct LogoutOptions {
    /// Forget this client, too, as on a shared computer: the cookie `device` is deleted, and no copy of
    /// it is accepted any more.
    #[oai(default)]
    pub forget_device: bool,
}

impl Example for LogoutOptions {
    fn example() -> Self {
        Self { forget_device: false }
    }
}

impl FromFields for LogoutOptions {
    fn from_fields(fields: &mut Fields) -> Self {
        Self { forget_device: fields.flag("forget_device") }
    }
}

/// What a good login answers.
#[derive(Object)]
pub struct LoggedIn {
    /// Always true; the seed of this service answered so.
    pub ok: bool,
    pub session: SessionView,
}

#[derive(ApiResponse)]
enum LoginAnswer {
    /// Signed in. The cookie carries the session from now on.
    #[oai(status = 200, content_type = "application/json")]
    SignedIn(
        Json<LoggedIn>,
        /// The session cookie: `HttpOnly`, `SameSite=Lax`, and without `remember` deleted when the
        /// browser closes.
        #[oai(header = "Set-Cookie")]
        String,
    ),
    /// `invalid_credentials`: the password is wrong, or there is no such user, or the account is
    /// disabled. Which of these is not said.
    #[oai(status = 403, content_type = "application/problem+json")]
    WrongCredentials(Json<Problem>),
    /// `too_many_attempts`: this user name, or this address, failed too often lately. Until the time is
    /// over even the right password is refused.
    #[oai(status = 429, content_type = "application/problem+json")]
    TooManyAttempts(
        Json<Problem>,
        /// Seconds after which to try again.
        #[oai(header = "Retry-After")]
        u64,
    ),
    /// `overloaded`: too many sign-ins at once; nothing was checked.
    #[oai(status = 503, content_type = "application/problem+json")]
    Overloaded(
        Json<Problem>,
        /// Seconds after which to try again.
        #[oai(header = "Retry-After")]
        u64,
    ),
}

#[derive(ApiResponse)]
enum LogoutAnswer {
    /// The session has ended; every copy of its cookie is refused from now on.
    #[oai(status = 204)]
    SignedOut(
        /// Makes the browser forget the cookie. With `forget_device` a second one deletes `device`.
        #[oai(header = "Set-Cookie")]
        String,
    ),
}

#[OpenApi]
impl LoginApi {
    /// Sign in
    ///
    /// Checks a user name and its password, and sets the cookie of a new session. From then on every
    /// operation with a padlock works: the browser sends the cookie by itself. If the request carries a
    /// session cookie already, that session ends.
    ///
    /// A form (`application/x-www-form-urlencoded`) with the same fields is accepted, too; a
    /// browser's form post is answered 303, or, when it leads on to an app in `apps`, 200 with a
    /// page that goes there.
    ///
    /// After five failures of a user name in a row, or ten from one address, to which each minute adds
    /// one, further attempts are answered 429. The failures of other clients do not lock out a client that
    /// has signed in to the account before: it sends a second cookie, `device` (`__Host-device` behind
    /// https), which lasts 90 days and does not sign anyone in.
    #[oai(path = "/login", method = "post", operation_id = "login", tag = "Tag::Login")]
    async fn login(
        &self,
        request: &Request,
        body: Body<CredentialsView>,
    ) -> Result<WithExtraCookie<LoginAnswer>, ApiError> {
        let login_context = self.0.login_context(request, body.0.remember);
        let credentials = body.0.parsed()?;
        let refused = match self.0.domain.log_in(credentials, login_context).await {
            Ok(ticket) => {
                self.0.revoke_presented_sessions(request).await?;
                let set = self.0.session_cookie(&ticket);
                let session = SessionView::of(&ticket.session, &ticket.session.id);
                let body = Json(LoggedIn { ok: true, session });
                return Ok(WithExtraCookie(
                    LoginAnswer::SignedIn(body, set),
                    self.0.device_cookie(&ticket),
                ));
            }
            Err(LogInError::WrongCredentials) => {
                LoginAnswer::WrongCredentials(Json(Problem::of(Code::InvalidCredentials)))
            }
            Err(LogInError::TooManyAttempts { wait }) => {
                let (problem, seconds) = Problem::too_many_attempts(wait);
                LoginAnswer::TooManyAttempts(Json(problem), seconds)
            }
            Err(LogInError::Busy) => {
                LoginAnswer::Overloaded(Json(Problem::of(Code::Overloaded)), RETRY_AFTER)
            }
            Err(LogInError::Fault(fault)) => return Err(fault.into()),
        };
        Ok(WithExtraCookie(refused, None))
    }

    /// Sign out
    ///
    /// Ends the session of the request's cookie on the server and deletes the cookie. Without a session
    /// the answer is the same.
    ///
    /// The body may be left out, and `null`, which some clients send for none, counts as none. With
    /// `forget_device` the cookie `device` is deleted, too: the next sign-in in this browser counts as one
    /// from an unknown client. A form with the same field is accepted, too; a browser's form post is
    /// answered 303.
    #[oai(path = "/logout", method = "post", operation_id = "logout", tag = "Tag::Sessions")]
    async fn logout(
        &self,
        request: &Request,
        body: OptionalBody<LogoutOptions>,
    ) -> Result<WithExtraCookie<LogoutAnswer>, ApiError> {
        let forgotten = self.0.log_out(request, body.0.unwrap_or_default()).await?;
        Ok(WithExtraCookie(LogoutAnswer::SignedOut(self.0.cookie.clear()), forgotten))
    }
}

impl AppState {
    /// Ends the sessions that came with the request, and distrusts its devices if that is asked for. Then
    /// the answer is to delete the cookie of the device.
    pub async fn log_out(
        &self,
        request: &Request,
        options: LogoutOptions,
    ) -> Result<Option<ExtraCookie>, Fault> {
        self.revoke_presented_sessions(request).await?;
        if !options.forget_device {
            return Ok(None);
        }
        let devices = self.device.all(request);
        self.domain.distrust_devices(&devices, &request_context(request)).await?;
        Ok(Some(ExtraCookie(self.device.clearing())))
    }
}
