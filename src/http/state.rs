//! What the endpoints share: the domain, and what settings say of HTTP.

use std::sync::Arc;

use super::conflict_log::ConflictLog;
use super::pages::{RedirectTargets, Site};
use super::request::cross_origin::Origins;
use super::request::host::Hosts;
use super::request::trace::RequestLog;
use super::request_metrics::Requests;
use super::set_cookie::{DeviceCookie, SessionCookie};
use crate::core::net::TrustedProxies;
use crate::domain::Domain;

/// What the operations stand on.
#[derive(Debug)]
pub struct AppState {
    pub domain: Arc<Domain>,
    pub cookie: SessionCookie,
    pub device: DeviceCookie,
    pub hosts: Hosts,
    pub origins: Origins,
    pub apps: RedirectTargets,
    pub site: Site,
    pub proxies: TrustedProxies,
    /// Is the public address https?
    pub is_secure: bool,
    /// Is Swagger UI there?
    pub has_docs: bool,
    /// Are the demo users there?
    pub is_demo: bool,
    pub request_log: RequestLog,
    pub requests: Arc<Requests>,
    /// Warns of browsers that send two session cookies.
    pub conflict_log: ConflictLog,
}
