//! Builds the endpoint from the settings, with the operations of the program or of an embedder.

use std::sync::Arc;

use poem::Response;
use poem::endpoint::BoxEndpoint;
use poem_openapi::OpenApi;

use super::open::watch;
use crate::config::{self, Config};
use crate::core::net::TrustedProxies;
use crate::domain::AuthService;
use crate::http::{
    AppState, Branding, Color, ConflictLog, DeviceCookie, EmbeddedApi, Hosts, Logo, MountError,
    Origins, RedirectTargets, RequestCounters, RequestLog, SessionCookie, route,
};

/// The program's own service as one endpoint, which counts its requests. Also starts the background
/// jobs, which run until the endpoint is dropped.
pub fn start_endpoint(
    config: &Config,
    domain: Arc<AuthService>,
    is_demo: bool,
    requests: Arc<RequestCounters>,
) -> BoxEndpoint<'static, Response> {
    watch(&domain);
    build_endpoint(config, domain, is_demo, requests)
}

/// The same without the background jobs of [`watch`], for measurements of single requests.
pub fn build_endpoint(
    config: &Config,
    domain: Arc<AuthService>,
    is_demo: bool,
    requests: Arc<RequestCounters>,
) -> BoxEndpoint<'static, Response> {
    let built = build_endpoint_with(config, domain, is_demo, requests, EmbeddedApi::cloakroom());
    built.expect("the program's own operations fit").0
}

/// A service with an embedder's operations as one endpoint, and its document.
pub fn build_endpoint_with<T: OpenApi + 'static>(
    config: &Config,
    domain: Arc<AuthService>,
    is_demo: bool,
    requests: Arc<RequestCounters>,
    guest: EmbeddedApi<T>,
) -> Result<(BoxEndpoint<'static, Response>, String), MountError> {
    let front = AppState {
        domain,
        cookie: SessionCookie::new(
            &config.cookie.name,
            config.cookie.domain.as_deref(),
            config.public_url.is_secure(),
        ),
        device: DeviceCookie::new(config.public_url.is_secure()),
        hosts: Hosts::new(config.public_url.authority(), known_hosts(config)),
        origins: Origins {
            own: config.public_url.origins(),
            allowed: config.allowed_origins.clone(),
        },
        apps: RedirectTargets::new(&config.public_url.origin(), config.apps.clone()),
        site: branding(config),
        proxies: TrustedProxies::new(config.trusted_proxies.clone()),
        is_secure: config.public_url.is_secure(),
        has_docs: config.docs,
        is_demo,
        request_log: match config.log.requests {
            Some(true) => RequestLog::On,
            Some(false) | None => RequestLog::Off,
        },
        requests,
        conflict_log: ConflictLog::default(),
    };
    route(Arc::new(front), guest)
}

/// The branding of the pages.
fn branding(config: &Config) -> Branding {
    let config::Site { name, color, logo } = config.site.clone();
    let logo = logo.map(|logo| Logo { kind: logo.kind, bytes: logo.bytes });
    Branding { name, color: Color(color.0), logo }
}

/// The host of `public_url`, and the names that the operator added.
fn known_hosts(config: &Config) -> Vec<String> {
    let own = config.public_url.host().to_ascii_lowercase();
    config.allowed_hosts.iter().cloned().chain([own]).collect()
}

/// The hosts that the metrics listener accepts.
pub fn metrics_hosts(config: &Config) -> Hosts {
    Hosts::new("localhost".to_owned(), config.allowed_hosts.clone())
}
