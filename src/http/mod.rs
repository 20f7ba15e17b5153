//! JSON, cookies and statuses. Only this layer, `embed`, `app`, `server` and `metrics` name poem.

mod api;
mod api_token_check;
mod caller;
mod conflict_log;
mod date_time;
mod docs;
mod edge;
mod external_login;
mod extra_cookie;
mod guard;
mod login_context;
mod mount;
mod openapi;
mod pages;
mod problem;
mod request;
mod request_metrics;
mod required_role;
mod response_headers;
mod router;
mod security_scheme;
mod session_check;
mod session_cookies;
mod session_data;
mod set_cookie;
mod setup_warnings;
mod state;

use std::sync::Arc;

use poem::Response;
use poem::endpoint::BoxEndpoint;
use poem_openapi::OpenApi;

use self::api::operations;
pub use self::api::private::PrivateApi;
pub use self::caller::Caller;
pub use self::conflict_log::ConflictLog;
use self::edge::OuterEndpoint;
pub use self::external_login::{SessionCookies, SignIn, WithSessionCookies, sign_in};
pub use self::guard::{Confirmed, MaybeSignedIn, Public, SignedIn};
pub use self::mount::EmbeddedApi;
pub use self::mount::error::MountError;
pub use self::openapi::about::DocumentInfo;
pub use self::openapi::document::{document, in_version_3_1, yaml};
use self::openapi::served::build_served;
pub use self::pages::{Branding, Color, Logo, RedirectTargets};
pub use self::problem::{Code, FieldCode, Problem};
pub use self::request::cross_origin::Origins;
pub use self::request::host::Hosts;
pub use self::request::trace::RequestLog;
pub use self::request_metrics::RequestCounters;
pub use self::required_role::{Anyone, RequiredRole, check_role_names};
use self::router::RouteTable;
pub use self::session_data::{Session, SessionDataError};
pub use self::set_cookie::{DeviceCookie, SessionCookie};
pub use self::state::AppState;

/// Functions for the fuzz targets in `fuzz/`. No other build contains them.
#[cfg(fuzzing)]
pub mod fuzzing {
    pub use super::api::login::CredentialsView;
    pub use super::problem::ApiError;
    pub use super::request::body::FromFields;
    pub use super::request::client_address::{client_address, counted_address};
    pub use super::request::cookie::CookieLookup;
    pub use super::request::fields::Fields;

    /// The problem of an error as JSON.
    pub fn problem(failure: &ApiError) -> serde_json::Value {
        use poem_openapi::types::ToJSON;

        failure.problem.to_json().expect("a problem is an object")
    }
}

/// The complete service as one endpoint that never fails, and its document.
pub fn route<T: OpenApi + 'static>(
    state: Arc<AppState>,
    guest: EmbeddedApi<T>,
) -> Result<(BoxEndpoint<'static, Response>, String), MountError> {
    let EmbeddedApi { api, about, body_limit, pages } = guest;
    mount::check::check::<T>(&about.scheme)?;
    let title = about.title.clone();
    let document = build_served::<T>(&state, about, body_limit);
    let mut table = RouteTable::new();
    operations(&state).add_routes(&mut table);
    pages::add(&state, &mut table);
    docs::add(&state, &title, &document, &mut table);
    mount::add(api, body_limit, pages, &mut table)?;
    let endpoint = OuterEndpoint::new::<T>(state, table)?;
    Ok((Box::new(endpoint), document))
}
