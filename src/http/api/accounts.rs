//! The operations `getMe`, `updateMe`, `changePassword` and `closeAccount`.

use std::sync::Arc;

use poem::Request;
use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object, OpenApi};

use super::field_errors::about_password;
use super::profile::{AccountView, ProfileUpdate, UpdateMeAnswer};
use super::tags::Tag;
use crate::core::secret::Password;
use crate::domain::credentials::ChangeError;
use crate::domain::login::LogInError;
use crate::domain::passwords::rules::{
    DEFAULT_MIN_PASSWORD_LENGTH, MAX_PASSWORD_INPUT, MAX_PASSWORD_LENGTH,
};
use crate::domain::sessions::{RefusedToken, Remember};
use crate::http::caller::Caller;
use crate::http::extra_cookie::WithExtraCookie;
use crate::http::guard::{Confirmed, SignedIn};
use crate::http::problem::{ApiError, Code, Problem};
use crate::http::request::body::{Body, FromFields};
use crate::http::request::context::request_context;
use crate::http::request::fields::Fields;
use crate::http::request::password_text::PasswordText;
use crate::http::state::AppState;

pub struct AccountsApi(pub Arc<AppState>);

/// The current password, which authenticates the request, and the new one.
#[derive(Object)]
#[oai(deny_unknown_fields, example)]
pub struct PasswordChange {
    /// The current password of the account.
    pub current_password: PasswordText<1, MAX_PASSWORD_INPUT>,
    /// All characters are allowed, including spaces, except control characters. A few unrelated
    /// words make a good password. Passwords that are easy to guess are refused: common passwords,
    /// repetitions, sequences, and variations of the user name.
    pub new_password: PasswordText<DEFAULT_MIN_PASSWORD_LENGTH, MAX_PASSWORD_LENGTH>,
}

impl Example for PasswordChange {
    fn example() -> Self {
        let text = |text: &str| Password::new(text.to_owned());
        Self {
            current_password: PasswordText(text("correct horse battery staple")),
            new_password: PasswordText(text("a long walk by the river")),
        }
    }
}

impl FromFields for PasswordChange {
    fn from_fields(fields: &mut Fields) -> Self {
        Self {
            current_password: PasswordText(fields.password("current_password")),
            new_password: PasswordText(fields.password("new_password")),
        }
    }
}

#[derive(ApiResponse)]
enum MeAnswer {
    /// The account of the session or of the API token.
    #[oai(status = 200, content_type = "application/json")]
    Me(Json<AccountView>),
}

#[derive(ApiResponse)]
enum ChangeAnswer {
    /// The password was changed. All sessions of the account were revoked, and the cookie contains
    /// a new session.
    #[oai(status = 204)]
    Changed(
        /// The session cookie, as `login` sets it.
        #[oai(header = "Set-Cookie")]
        String,
    ),
    /// `invalid_credentials`: the current password is wrong. The password was not changed.
    #[oai(status = 403, content_type = "application/problem+json")]
    WrongPassword(Json<Problem>),
    /// `policy_violation`: the new password violates a rule. `errors` names the rule and says what
    /// to do.
    #[oai(status = 422, content_type = "application/problem+json")]
    Invalid(Json<Problem>),
    /// `too_many_attempts`: this session sent a wrong current password too often, or the account
    /// made too many changes. An account can make 30 changes at once, then one every two seconds.
    /// The password was not changed.
    #[oai(status = 429, content_type = "application/problem+json")]
    TooManyAttempts(
        Json<Problem>,
        /// The number of seconds to wait before the next attempt.
        #[oai(header = "Retry-After")]
        u64,
    ),
    /// `overloaded`: too many passwords are being verified at the moment. The account was not
    /// changed.
    #[oai(status = 503, content_type = "application/problem+json")]
    Overloaded(
        Json<Problem>,
        /// The number of seconds to wait before the next attempt.
        #[oai(header = "Retry-After")]
        u64,
    ),
}

#[derive(ApiResponse)]
enum CloseAnswer {
    /// The account and all its sessions were deleted.
    #[oai(status = 204)]
    Closed(
        /// Deletes the session cookie.
        #[oai(header = "Set-Cookie")]
        String,
    ),
}

#[OpenApi]
impl AccountsApi {
    /// Get the current account
    ///
    /// Returns the account of the session or of the API token of the request. With an API token,
    /// `roles` contains only those roles that the token has, too.
    #[oai(path = "/me", method = "get", operation_id = "getMe", tag = "Tag::Accounts")]
    async fn get_me(&self, who: Caller) -> Result<MeAnswer, ApiError> {
        Ok(MeAnswer::Me(Json(AccountView::from(who.0.account()))))
    }

    /// Change the current account
    ///
    /// Changes the fields that the body contains, and returns the account. Existing sessions stay
    /// active and show the change at once, on other nodes within a second. `null` is refused: to
    /// remove the display name, send the empty string.
    #[oai(path = "/me", method = "patch", operation_id = "updateMe", tag = "Tag::Accounts")]
    async fn update_me(
        &self,
        who: SignedIn,
        request: &Request,
        body: Body<ProfileUpdate>,
    ) -> Result<UpdateMeAnswer, ApiError> {
        let display_name = match body.0.parse() {
            None => return UpdateMeAnswer::of(Ok(who.0.account.clone())),
            Some(Err(bad)) => return Ok(UpdateMeAnswer::invalid(bad)),
            Some(Ok(display_name)) => display_name,
        };
        let context = request_context(request);
        UpdateMeAnswer::of(
            self.0.domain.profiles.set_display_name(&who.0, display_name, &context).await,
        )
    }

    /// Change the password
    ///
    /// Replaces the current password with a new one. This revokes all sessions of the account,
    /// including the session of this request. The response sets the cookie of a new session.
    #[oai(
        path = "/me/password",
        method = "put",
        operation_id = "changePassword",
        tag = "Tag::Accounts"
    )]
    async fn change_password(
        &self,
        who: SignedIn,
        request: &Request,
        body: Body<PasswordChange>,
    ) -> Result<WithExtraCookie<ChangeAnswer>, ApiError> {
        let problem = |code| Json(Problem::of(code));
        let PasswordChange { current_password, new_password } = body.0;
        let login_context = self.0.login_context(request, who.0.session.remember == Remember::Yes);
        let current = current_password.0;
        let refused = match self
            .0
            .domain
            .change_password(&who.0, current, new_password.0, login_context)
            .await
        {
            Ok(issued) => {
                let set = self.0.session_cookie(&issued);
                return Ok(WithExtraCookie(
                    ChangeAnswer::Changed(set),
                    self.0.device_cookie(&issued),
                ));
            }
            Err(ChangeError::Invalid(bad)) => {
                let errors = vec![about_password("new_password", bad)];
                let problem = Problem::of(Code::PolicyViolation).with_errors(errors);
                ChangeAnswer::Invalid(Json(problem))
            }
            Err(ChangeError::NotVerified(LogInError::WrongCredentials)) => {
                ChangeAnswer::WrongPassword(problem(Code::InvalidCredentials))
            }
            Err(ChangeError::NotVerified(LogInError::TooManyAttempts { wait })) => {
                Problem::rate_limited(ChangeAnswer::TooManyAttempts, wait)
            }
            Err(ChangeError::NotVerified(LogInError::Overloaded)) => {
                Problem::respond_overloaded(ChangeAnswer::Overloaded)
            }
            Err(ChangeError::NotVerified(LogInError::Internal(fault))) => return Err(fault.into()),
        };
        Ok(WithExtraCookie(refused, None))
    }

    /// Close the account
    ///
    /// Deletes the account and all its sessions. This cannot be undone. The user name is then on
    /// hold for a period that the operator sets, by default 365 days. Until this period ends, no
    /// new account can have this user name.
    #[oai(path = "/me", method = "delete", operation_id = "closeAccount", tag = "Tag::Accounts")]
    async fn close_account(
        &self,
        who: Confirmed,
        request: &Request,
    ) -> Result<CloseAnswer, ApiError> {
        if self.0.domain.close(&who.0, &self.0.requester(request)).await? {
            Ok(CloseAnswer::Closed(self.0.cookie.clear()))
        } else {
            Err(self.0.session_refused(RefusedToken::Recent))
        }
    }
}
