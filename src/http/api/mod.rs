//! The operations of the API, one file for each resource.

pub mod accounts;
pub mod field_errors;
pub mod forward_auth;
pub mod health;
pub mod login;
pub mod private;
pub mod registration;
pub mod sessions;
pub mod tags;
pub mod tokens;

use std::sync::Arc;

use poem_openapi::OpenApi;

use self::accounts::AccountsApi;
use self::forward_auth::ForwardAuthApi;
use self::health::HealthApi;
use self::login::LoginApi;
use self::private::PrivateApi;
use self::registration::RegistrationApi;
use self::sessions::SessionsApi;
use self::tokens::TokensApi;
use super::request_metrics::Requests;
use super::state::AppState;

/// All operations. `T` contains those of the embedding service. The document sorts them by tag.
pub type Operations<T> =
    (LoginApi, RegistrationApi, AccountsApi, SessionsApi, T, TokensApi, ForwardAuthApi, HealthApi);

/// The operations that every service has.
pub fn operations(state: &Arc<AppState>) -> Operations<()> {
    (
        LoginApi(Arc::clone(state)),
        RegistrationApi(Arc::clone(state)),
        AccountsApi(Arc::clone(state)),
        SessionsApi(Arc::clone(state)),
        (),
        TokensApi(Arc::clone(state)),
        ForwardAuthApi,
        HealthApi(Arc::clone(state)),
    )
}

impl Requests {
    /// Counters for the operations of the program's own service.
    pub fn new() -> Self {
        Self::of::<PrivateApi>()
    }

    /// Counters for Cloakroom's operations and for those of `T`.
    pub fn of<T: OpenApi>() -> Self {
        let apis = Operations::<T>::meta();
        let paths = apis.iter().flat_map(|api| &api.paths);
        let operations = paths.flat_map(|path| &path.operations);
        Self::for_operations(operations.filter_map(|operation| operation.operation_id))
    }
}

impl Default for Requests {
    fn default() -> Self {
        Self::new()
    }
}
