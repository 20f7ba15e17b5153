//! The operation `confirmWithPassword`.

use std::sync::Arc;

use poem::Request;
use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object, OpenApi};

use super::sessions::SessionView;
use super::tags::Tag;
use crate::core::secret::Password;
use crate::domain::credentials::ConfirmError;
use crate::domain::login::LogInError;
use crate::domain::passwords::rules::MAX_PASSWORD_INPUT;
use crate::domain::sessions::RefusedToken;
use crate::http::guard::SignedIn;
use crate::http::problem::{ApiError, Code, Problem};
use crate::http::request::body::{Body, FromFields};
use crate::http::request::fields::Fields;
use crate::http::request::password_text::PasswordText;
use crate::http::state::AppState;

pub struct ConfirmationApi(pub Arc<AppState>);

/// The current password, which confirms the session.
#[derive(Object)]
#[oai(deny_unknown_fields, example)]
pub struct PasswordConfirmation {
    /// The current password of the account.
    pub current_password: PasswordText<1, MAX_PASSWORD_INPUT>,
}

impl Example for PasswordConfirmation {
    fn example() -> Self {
        let password = Password::new("correct horse battery staple".to_owned());
        Self { current_password: PasswordText(password) }
    }
}

impl FromFields for PasswordConfirmation {
    fn from_fields(fields: &mut Fields) -> Self {
        Self { current_password: PasswordText(fields.password("current_password")) }
    }
}

#[derive(ApiResponse)]
enum ConfirmAnswer {
    /// The session is confirmed.
    #[oai(status = 200, content_type = "application/json")]
    Confirmed(
        Json<SessionView>,
        /// The session cookie with a new value. It has the same attributes as the one that `login`
        /// sets.
        #[oai(header = "Set-Cookie")]
        String,
    ),
    /// `invalid_credentials`: the current password is wrong. The session was not confirmed.
    #[oai(status = 403, content_type = "application/problem+json")]
    WrongPassword(Json<Problem>),
    /// `too_many_attempts`: this session sent a wrong current password too often, or the account
    /// made too many changes. An account can make 30 changes at once, then one every two seconds.
    /// The session was not confirmed.
    #[oai(status = 429, content_type = "application/problem+json")]
    TooManyAttempts(
        Json<Problem>,
        /// The number of seconds to wait before the next attempt.
        #[oai(header = "Retry-After")]
        u64,
    ),
    /// `overloaded`: too many passwords are being verified at the moment. The session was not
    /// confirmed.
    #[oai(status = 503, content_type = "application/problem+json")]
    Overloaded(
        Json<Problem>,
        /// The number of seconds to wait before the next attempt.
        #[oai(header = "Retry-After")]
        u64,
    ),
}

#[OpenApi]
impl ConfirmationApi {
    /// Confirm the session with the password
    ///
    /// Confirms that the user of the session knows the current password. For 15 minutes after a
    /// sign-in or a confirmation, the session may call the operations that otherwise answer 403
    /// `confirmation_required`. Send this request when an operation gives that answer, then repeat
    /// the operation.
    ///
    /// The session remains the same, and its cookie gets a new value. Requests that were on their
    /// way with the former value still succeed for ten seconds, but are not confirmed. If the
    /// response was lost, repeat the request within this time.
    #[oai(
        path = "/session/confirm/password",
        method = "post",
        operation_id = "confirmWithPassword",
        tag = "Tag::Sessions"
    )]
    async fn confirm_with_password(
        &self,
        who: SignedIn,
        request: &Request,
        body: Body<PasswordConfirmation>,
    ) -> Result<ConfirmAnswer, ApiError> {
        let state = &self.0;
        let requester = state.requester(request);
        let current = body.0.current_password.0;
        match state.domain.confirm_with_password(&who.0, current, &requester).await {
            Ok(issued) => {
                let session = &issued.session;
                let view = SessionView::of(session, &session.id, state.domain.clock.now());
                Ok(ConfirmAnswer::Confirmed(Json(view), state.session_cookie(&issued)))
            }
            Err(ConfirmError::Ended) => Err(state.session_refused(RefusedToken::Recent)),
            Err(ConfirmError::NotVerified(LogInError::WrongCredentials)) => {
                Ok(ConfirmAnswer::WrongPassword(Json(Problem::of(Code::InvalidCredentials))))
            }
            Err(ConfirmError::NotVerified(LogInError::TooManyAttempts { wait })) => {
                Ok(Problem::rate_limited(ConfirmAnswer::TooManyAttempts, wait))
            }
            Err(ConfirmError::NotVerified(LogInError::Overloaded)) => {
                Ok(Problem::respond_overloaded(ConfirmAnswer::Overloaded))
            }
            Err(ConfirmError::NotVerified(LogInError::Internal(fault))) => Err(fault.into()),
        }
    }
}
