//! The operations of the API, one file for each resource.

pub mod accounts;
pub mod api_tokens;
pub mod confirmation;
mod cursor;
pub mod email;
pub mod field_errors;
pub mod forward_auth;
pub mod health;
pub mod login;
pub mod password_reset;
pub mod private;
pub mod profile;
pub mod registration;
pub mod sessions;
pub mod tags;
pub mod tokens;

use std::sync::Arc;

use self::accounts::AccountsApi;
use self::api_tokens::ApiTokensApi;
use self::confirmation::ConfirmationApi;
use self::email::EmailApi;
use self::forward_auth::ForwardAuthApi;
use self::health::HealthApi;
use self::login::LoginApi;
use self::password_reset::PasswordResetApi;
use self::registration::RegistrationApi;
use self::sessions::SessionsApi;
use self::tokens::TokensApi;
use super::state::AppState;

/// All operations. `T` contains those of the embedding service. The document sorts them by tag.
pub type Operations<T> = (
    LoginApi,
    RegistrationApi,
    PasswordResetApi,
    AccountsApi,
    EmailApi,
    SessionsApi,
    ConfirmationApi,
    ApiTokensApi,
    T,
    TokensApi,
    ForwardAuthApi,
    HealthApi,
);

/// The operations that every service has.
pub fn operations(state: &Arc<AppState>) -> Operations<()> {
    (
        LoginApi(Arc::clone(state)),
        RegistrationApi(Arc::clone(state)),
        PasswordResetApi(Arc::clone(state)),
        AccountsApi(Arc::clone(state)),
        EmailApi(Arc::clone(state)),
        SessionsApi(Arc::clone(state)),
        ConfirmationApi(Arc::clone(state)),
        ApiTokensApi(Arc::clone(state)),
        (),
        TokensApi(Arc::clone(state)),
        ForwardAuthApi,
        HealthApi(Arc::clone(state)),
    )
}
