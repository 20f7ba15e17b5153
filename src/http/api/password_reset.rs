//! The operations `requestPasswordReset` and `resetPassword`.

use std::sync::Arc;

use poem::Request;
use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object, OpenApi};

use super::field_errors::{about_length, about_password};
use super::tags::Tag;
use crate::core::login_name::MAX_LOGIN_NAME_LENGTH;
use crate::core::mailed_secret::ResetToken;
use crate::core::secret::Password;
use crate::domain::login::InvalidLength;
use crate::domain::passwords::rules::{DEFAULT_MIN_PASSWORD_LENGTH, MAX_PASSWORD_LENGTH};
use crate::domain::recovery::RecoverError;
use crate::domain::reset_links::RequestResetError;
use crate::http::problem::{ApiError, Code, Problem};
use crate::http::request::body::{Body, FromFields};
use crate::http::request::fields::Fields;
use crate::http::request::password_text::PasswordText;
use crate::http::state::AppState;

pub struct PasswordResetApi(pub Arc<AppState>);

/// The account that needs a new password.
#[derive(Object)]
#[oai(deny_unknown_fields, example)]
pub struct PasswordResetRequest {
    /// The user name of the account, or its confirmed e-mail address. Upper and lower case are
    /// equivalent, and white space around the name is removed.
    #[oai(validator(min_length = 1, max_length = 256))]
    pub username: String,
}

impl Example for PasswordResetRequest {
    fn example() -> Self {
        Self { username: "alice@example.org".into() }
    }
}

impl FromFields for PasswordResetRequest {
    fn from_fields(fields: &mut Fields) -> Self {
        Self { username: fields.text("username") }
    }
}

impl PasswordResetRequest {
    /// Checks the documented lengths. The error is a 400.
    pub fn check(self) -> Result<String, ApiError> {
        match InvalidLength::of(&self.username, MAX_LOGIN_NAME_LENGTH) {
            None => Ok(self.username),
            Some(bad) => {
                let errors = vec![about_length("username", bad)];
                Err(Problem::of(Code::InvalidRequest).with_errors(errors).into())
            }
        }
    }
}

/// The token of a link, and the new password.
#[derive(Object)]
#[oai(deny_unknown_fields, example)]
pub struct PasswordReset {
    /// The token at the end of the link.
    #[oai(validator(min_length = 43, max_length = 43, pattern = "^[A-Za-z0-9_-]{43}$"))]
    pub token: String,
    /// All characters are allowed, including spaces, except control characters. A few unrelated
    /// words make a good password. Passwords that are easy to guess are refused: common passwords,
    /// repetitions, sequences, and variations of the user name.
    pub new_password: PasswordText<DEFAULT_MIN_PASSWORD_LENGTH, MAX_PASSWORD_LENGTH>,
}

impl Example for PasswordReset {
    fn example() -> Self {
        Self {
            token: "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8".into(),
            new_password: PasswordText(Password::new("a long walk by the river".into())),
        }
    }
}

impl FromFields for PasswordReset {
    fn from_fields(fields: &mut Fields) -> Self {
        Self {
            token: fields.text("token"),
            new_password: PasswordText(fields.password("new_password")),
        }
    }
}

#[derive(ApiResponse)]
enum RequestAnswer {
    /// If there is an account with this name and a confirmed address that is not disabled, a link is
    /// on its way to the address, unless too many links were sent to it lately. The response does not
    /// reveal any of this.
    #[oai(status = 202)]
    Accepted,
    /// `mail_off`: the service sends no mail.
    #[oai(status = 403, content_type = "application/problem+json")]
    MailOff(Json<Problem>),
    /// `too_many_attempts`: too many links were requested from this IP address, or altogether. An IP
    /// address can request ten at once, then one a minute. Nothing was done.
    #[oai(status = 429, content_type = "application/problem+json")]
    TooManyAttempts(
        Json<Problem>,
        /// The number of seconds to wait before the next attempt.
        #[oai(header = "Retry-After")]
        u64,
    ),
}

#[derive(ApiResponse)]
enum ResetAnswer {
    /// The account has the new password. All its sessions, API tokens and other links have ended.
    #[oai(status = 204)]
    Set,
    /// `reset_refused`: the token is malformed, was used or has expired, or the password or the
    /// address of the account has changed since. The response does not reveal which of these is the
    /// reason.
    #[oai(status = 403, content_type = "application/problem+json")]
    Refused(Json<Problem>),
    /// `policy_violation`: the new password violates a rule. `errors` names the rule and says what
    /// to do. The token is still valid.
    #[oai(status = 422, content_type = "application/problem+json")]
    Invalid(Json<Problem>),
    /// `too_many_attempts`: too many passwords were tried with links for this account. An account
    /// can try 30 at once, then one every two seconds. The token is still valid.
    #[oai(status = 429, content_type = "application/problem+json")]
    TooManyAttempts(
        Json<Problem>,
        /// The number of seconds to wait before the next attempt.
        #[oai(header = "Retry-After")]
        u64,
    ),
    /// `overloaded`: too many passwords are being verified at the moment. The token was not checked,
    /// or is still valid.
    #[oai(status = 503, content_type = "application/problem+json")]
    Overloaded(
        Json<Problem>,
        /// The number of seconds to wait before the next attempt.
        #[oai(header = "Retry-After")]
        u64,
    ),
}

#[OpenApi]
impl PasswordResetApi {
    /// Request a link for a new password
    ///
    /// Sends a mail with a link to the confirmed address of the account, from which the user sets a
    /// new password with `resetPassword`. The link is valid for 30 minutes.
    ///
    /// The response and its time are the same for every name. The mail follows within seconds. A
    /// mailbox gets at most three links in a row, then one an hour; further requests have the same
    /// response. The operation also accepts a form (`application/x-www-form-urlencoded`) with the
    /// same field. If a browser submits the form, the response is 303.
    #[oai(
        path = "/password-reset",
        method = "post",
        operation_id = "requestPasswordReset",
        tag = "Tag::Login"
    )]
    async fn request_password_reset(
        &self,
        request: &Request,
        body: Body<PasswordResetRequest>,
    ) -> Result<RequestAnswer, ApiError> {
        let state = &self.0;
        let (typed, requester) = (body.0.check()?, state.requester(request));
        match state.domain.reset_links.request(&typed, &requester).await {
            Ok(()) => Ok(RequestAnswer::Accepted),
            Err(RequestResetError::MailOff) => {
                Ok(RequestAnswer::MailOff(Json(Problem::of(Code::MailOff))))
            }
            Err(RequestResetError::TooManyAttempts { wait }) => {
                Ok(Problem::rate_limited(RequestAnswer::TooManyAttempts, wait))
            }
            Err(RequestResetError::Internal(fault)) => Err(fault.into()),
        }
    }

    /// Set a new password with a link
    ///
    /// Sets a new password with the token of a link from a mail or from the operator. A token works
    /// once, and until the password or the address of the account changes. A password that violates
    /// a rule does not use it up.
    ///
    /// All sessions and API tokens of the account are revoked, and so are its other links. The user
    /// gets a notice by mail. No session begins: the user signs in with `login`. The operation also
    /// accepts a form (`application/x-www-form-urlencoded`) with the same fields. If a browser
    /// submits the form, the response is 303.
    #[oai(
        path = "/password-reset/confirm",
        method = "post",
        operation_id = "resetPassword",
        tag = "Tag::Login"
    )]
    async fn reset_password(
        &self,
        request: &Request,
        body: Body<PasswordReset>,
    ) -> Result<ResetAnswer, ApiError> {
        let (state, PasswordReset { token, new_password }) = (&self.0, body.0);
        let (token, requester) = (ResetToken::parse(&token), state.requester(request));
        match state.domain.recover_password(token, new_password.0, &requester).await {
            Ok(()) => Ok(ResetAnswer::Set),
            Err(RecoverError::Refused) => {
                Ok(ResetAnswer::Refused(Json(Problem::of(Code::ResetRefused))))
            }
            Err(RecoverError::Invalid(bad)) => {
                let errors = vec![about_password("new_password", bad)];
                let problem = Problem::of(Code::PolicyViolation).with_errors(errors);
                Ok(ResetAnswer::Invalid(Json(problem)))
            }
            Err(RecoverError::TooManyAttempts { wait }) => {
                Ok(Problem::rate_limited(ResetAnswer::TooManyAttempts, wait))
            }
            Err(RecoverError::Overloaded) => {
                Ok(Problem::respond_overloaded(ResetAnswer::Overloaded))
            }
            Err(RecoverError::Internal(fault)) => Err(fault.into()),
        }
    }
}
