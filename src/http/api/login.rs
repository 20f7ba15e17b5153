//! The operations `login` and `logout`.

use std::sync::Arc;

use poem::Request;
use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object, OpenApi};

use super::field_errors::about_length;
use super::sessions::SessionView;
use super::tags::Tag;
use crate::core::error::InternalError;
use crate::core::secret::Password;
use crate::domain::login::{Credentials, InvalidCredentials, LogInError};
use crate::domain::passwords::rules::MAX_PASSWORD_INPUT;
use crate::http::extra_cookie::{ExtraCookie, WithExtraCookie};
use crate::http::problem::{ApiError, Code, FieldError, Problem};
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
    /// The user name, or the e-mail address that the user has confirmed. Upper and lower case are
    /// equivalent, and white space around the name is removed.
    #[oai(validator(min_length = 1, max_length = 256))]
    pub username: String,
    /// The password, including any spaces around it.
    pub password: PasswordText<1, MAX_PASSWORD_INPUT>,
    /// Whether the session lasts longer. The browser then also keeps the cookie when it closes. The
    /// operator can disable this; then `remember` is ignored.
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
    /// Checks the documented lengths. The error is a 400.
    pub fn parse(self) -> Result<Credentials, ApiError> {
        match Credentials::parse(&self.username, self.password.0) {
            Ok(credentials) => Ok(credentials),
            Err(bad) => Err(Problem::of(Code::InvalidRequest).with_errors(errors(bad)).into()),
        }
    }
}

fn errors(bad: InvalidCredentials) -> Vec<FieldError> {
    let fields = [("username", bad.username), ("password", bad.password)];
    fields.into_iter().filter_map(|(field, bad)| Some(about_length(field, bad?))).collect()
}

/// Options of the sign-out.
#[derive(Debug, Default, Object)]
#[oai(deny_unknown_fields, example)]
pub struct LogoutOptions {
    /// Whether to forget the device, too. Use it on shared computers: the `device` cookie is
    /// deleted, and copies of it are no longer accepted.
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

/// The result of a successful sign-in.
#[derive(Object)]
pub struct LoggedIn {
    /// Always `true`.
    pub ok: bool,
    pub session: SessionView,
}

#[derive(ApiResponse)]
enum LoginAnswer {
    /// The user is signed in, and the cookie contains the new session.
    #[oai(status = 200, content_type = "application/json")]
    SignedIn(
        Json<LoggedIn>,
        /// The session cookie. It is `HttpOnly` and `SameSite=Lax`. Without `remember`, the browser
        /// deletes it when it closes.
        #[oai(header = "Set-Cookie")]
        String,
    ),
    /// `invalid_credentials`: the user does not exist, the password is wrong, or the account is
    /// disabled. The response does not reveal which of these is the reason.
    #[oai(status = 403, content_type = "application/problem+json")]
    WrongCredentials(Json<Problem>),
    /// `too_many_attempts`: too many attempts failed for this user name or from this IP address.
    /// Until the time in `Retry-After` has passed, the correct password is refused, too.
    #[oai(status = 429, content_type = "application/problem+json")]
    TooManyAttempts(
        Json<Problem>,
        /// The number of seconds to wait before the next attempt.
        #[oai(header = "Retry-After")]
        u64,
    ),
    /// `overloaded`: too many passwords are being verified at the moment. The credentials were not
    /// checked.
    #[oai(status = 503, content_type = "application/problem+json")]
    Overloaded(
        Json<Problem>,
        /// The number of seconds to wait before the next attempt.
        #[oai(header = "Retry-After")]
        u64,
    ),
}

#[derive(ApiResponse)]
enum LogoutAnswer {
    /// The session was revoked. All copies of its cookie are refused from now on.
    #[oai(status = 204)]
    SignedOut(
        /// Deletes the session cookie. With `forget_device`, a second `Set-Cookie` header deletes
        /// the `device` cookie.
        #[oai(header = "Set-Cookie")]
        String,
    ),
}

#[OpenApi]
impl LoginApi {
    /// Sign in
    ///
    /// Verifies a user name or an e-mail address and a password, and sets the cookie of a new session. A browser then
    /// sends the cookie automatically with every operation that has a padlock. If the request
    /// already contains a session cookie, a successful sign-in revokes that session.
    ///
    /// The operation also accepts a form (`application/x-www-form-urlencoded`) with the same
    /// fields. If a browser submits the form, the response is 303. If the form redirects to one of
    /// the origins in the setting `apps`, the response is 200 with a page that leads there.
    ///
    /// Failed attempts are limited. After five failures in a row for one user name or address, the response to
    /// the next attempts is 429: for 1 to 16 seconds, after ten failures for 15 minutes, and after
    /// 50 failures for 24 hours. An IP address can fail ten times, then once a minute.
    ///
    /// A successful sign-in also sets the cookie `device` (`__Host-device` with https), which is
    /// valid for 90 days and does not authenticate the user. A client that sends this cookie is not
    /// locked out when other clients fail to sign in to the same account.
    #[oai(path = "/login", method = "post", operation_id = "login", tag = "Tag::Login")]
    async fn login(
        &self,
        request: &Request,
        body: Body<CredentialsView>,
    ) -> Result<WithExtraCookie<LoginAnswer>, ApiError> {
        let login_context = self.0.login_context(request, body.0.remember);
        let credentials = body.0.parse()?;
        let refused = match self.0.domain.log_in(credentials, login_context).await {
            Ok(issued) => {
                self.0.revoke_presented_sessions(request).await?;
                let set = self.0.session_cookie(&issued);
                let session =
                    SessionView::of(&issued.session, &issued.session.id, self.0.domain.clock.now());
                let body = Json(LoggedIn { ok: true, session });
                return Ok(WithExtraCookie(
                    LoginAnswer::SignedIn(body, set),
                    self.0.device_cookie(&issued),
                ));
            }
            Err(LogInError::WrongCredentials) => {
                LoginAnswer::WrongCredentials(Json(Problem::of(Code::InvalidCredentials)))
            }
            Err(LogInError::TooManyAttempts { wait }) => {
                Problem::rate_limited(LoginAnswer::TooManyAttempts, wait)
            }
            Err(LogInError::Overloaded) => Problem::respond_overloaded(LoginAnswer::Overloaded),
            Err(LogInError::Internal(fault)) => return Err(fault.into()),
        };
        Ok(WithExtraCookie(refused, None))
    }

    /// Sign out
    ///
    /// Revokes the session on the server and deletes the session cookie. The response is the same
    /// if the request has no session.
    ///
    /// The body is optional; `null` counts as no body. With `forget_device`, the `device` cookie is
    /// deleted, too, and the next sign-in from this browser is treated like one from an unknown
    /// device. The operation also accepts a form (`application/x-www-form-urlencoded`) with the
    /// same field. If a browser submits the form, the response is 303.
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
    /// Ends the sessions whose cookies came with the request, and distrusts its devices if the
    /// options say so. In that case it returns the header that deletes the device cookie.
    pub async fn log_out(
        &self,
        request: &Request,
        options: LogoutOptions,
    ) -> Result<Option<ExtraCookie>, InternalError> {
        self.revoke_presented_sessions(request).await?;
        if !options.forget_device {
            return Ok(None);
        }
        let devices = self.device.all(request);
        self.domain.distrust_devices(&devices, &request_context(request)).await?;
        Ok(Some(ExtraCookie(self.device.clearing())))
    }
}
