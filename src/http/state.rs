//! The state that the endpoints share: the domain, and the settings about HTTP.

use std::sync::Arc;

use super::conflict_log::ConflictLog;
use super::pages::{Branding, RedirectTargets};
use super::request::cross_origin::Origins;
use super::request::host::Hosts;
use super::request::trace::RequestLog;
use super::request_metrics::RequestCounters;
use super::set_cookie::{DeviceCookie, SessionCookie};
use crate::core::net::TrustedProxies;
use crate::domain::AuthService;

/// The state that all operations share.
#[derive(Debug)]
pub struct AppState {
    pub domain: Arc<AuthService>,
    pub cookie: SessionCookie,
    pub device: DeviceCookie,
    pub hosts: Hosts,
    pub origins: Origins,
    pub apps: RedirectTargets,
    pub site: Branding,
    pub proxies: TrustedProxies,
    /// Whether `public_url` is https.
    pub is_secure: bool,
    /// Whether Swagger UI is served.
    pub has_docs: bool,
    /// Whether the demo users exist.
    pub is_demo: bool,
    pub request_log: RequestLog,
    pub requests: Arc<RequestCounters>,
    /// Warns about browsers that send two different session cookies.
    pub conflict_log: ConflictLog,
}
