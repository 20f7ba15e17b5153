//! The metrics endpoint for Prometheus: registers the counters of other layers under their names. Labels
//! contain only names from the code: no user, no address, no path.

use std::fmt;
use std::fs;
use std::sync::Arc;

use poem::endpoint::BoxEndpoint;
use poem::error::ResponseError;
use poem::http::{StatusCode, header};
use poem::{Endpoint, EndpointExt, Request, Response, Route, get};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::Registry;

use crate::core::clock::Timestamp;
use crate::domain::AuthService;
use crate::http::{Hosts, RequestCounters};

/// The sources of the metrics.
#[derive(Debug)]
pub struct MetricSources {
    pub domain: Arc<AuthService>,
    pub requests: Arc<RequestCounters>,
    pub connections: Gauge,
    pub started_at: Timestamp,
}

/// `GET /metrics`, for a separate listener that accepts these hosts. Without the check, a web page
/// could read the metrics by DNS rebinding.
pub fn route(sources: MetricSources, hosts: Hosts) -> BoxEndpoint<'static, Response> {
    let registry = registry(sources);
    let metrics = get(poem::endpoint::make_sync(move |_| answer(&registry)));
    let metrics = Arc::new(Route::new().at("/metrics", metrics).map_to_response());
    let hosts = Arc::new(hosts);
    let checked = poem::endpoint::make(move |request: Request| {
        let (metrics, hosts) = (Arc::clone(&metrics), Arc::clone(&hosts));
        async move {
            match hosts.refusal(&request) {
                Some(refusal) => Ok(refuse_host(refusal.status())),
                None => metrics.call(request).await,
            }
        }
    });
    checked.map_to_response().boxed()
}

fn refuse_host(status: StatusCode) -> Response {
    let words = "Metrics are available only under IP addresses, localhost and the names in allowed_hosts.\n";
    Response::builder().status(status).content_type("text/plain; charset=utf-8").body(words)
}

fn answer(registry: &Registry) -> Response {
    let mut text = String::new();
    if encode(&mut text, registry).is_err() {
        return StatusCode::INTERNAL_SERVER_ERROR.into();
    }
    let media_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Response::builder()
        .header(header::CONTENT_TYPE, media_type)
        .header(header::CACHE_CONTROL, "no-store")
        .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
        .body(text)
}

/// All metrics under their names.
fn registry(sources: MetricSources) -> Registry {
    let mut registry = Registry::default();
    let MetricSources { domain, requests, connections, started_at } = sources;
    let AuthService { counters, hasher, store, .. } = &*domain;
    registry.register("cloakroom_requests", REQUESTS, requests.answers.clone());
    registry.register("cloakroom_request_seconds", TOOK, requests.seconds.clone());
    registry.register("cloakroom_logins", LOGINS, counters.logins.clone());
    registry.register("cloakroom_confirmations", CONFIRMATIONS, counters.confirmations.clone());
    registry.register("cloakroom_password_recoveries", RECOVERIES, counters.recoveries.clone());
    registry.register("cloakroom_recognitions", RECOGNITIONS, counters.session_lookups.clone());
    registry.register("cloakroom_api_token_checks", TOKENS, counters.token_lookups.clone());
    registry.register("cloakroom_sessions", SESSIONS, counters.sessions.clone());
    registry.register("cloakroom_mails", MAILS, counters.mails.clone());
    registry.register("cloakroom_mails_waiting", MAILS_WAITING, counters.mails_waiting.clone());
    registry.register("cloakroom_mails_failed", MAILS_FAILED, counters.mails_failed.clone());
    registry.register("cloakroom_hash_refusals", HASH_REFUSALS, hasher.refusals().clone());
    registry.register("cloakroom_key_errors", KEY_ERRORS, counters.key_errors.clone());
    if let Some(waits) = store.write_waits() {
        registry.register("cloakroom_database_wait_seconds", WAITED, waits.clone());
    }
    registry.register("cloakroom_connections", CONNECTIONS, connections);
    let started_at = ConstGauge::new(started_at.seconds());
    registry.register(
        "process_start_time_seconds",
        "Start time of the process, in seconds since the Unix epoch",
        started_at,
    );
    registry.register_collector(Box::new(ReadAtScrape(domain)));
    registry
}

/// Metrics whose values are read at each scrape.
#[derive(Debug)]
struct ReadAtScrape(Arc<AuthService>);

impl Collector for ReadAtScrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let AuthService { hasher, store, .. } = &*self.0;
        let mut gauge = |name, help, value: i64| {
            encoder.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&value)
        };
        let waiting = i64::try_from(hasher.waiting()).unwrap_or(i64::MAX);
        gauge("cloakroom_hash_queue", HASH_QUEUE, waiting)?;
        if let Some(bytes) = resident_bytes() {
            gauge("process_resident_memory_bytes", "Resident memory.", bytes)?; // only Linux provides it
        }
        let name = "cloakroom_database_connections";
        let mut connections = encoder.encode_descriptor(name, DATABASE, None, MetricType::Gauge)?;
        for (pool, in_use, idle) in store.connections() {
            for (state, count) in [("in_use", in_use), ("idle", idle)] {
                let labels = [("pool", pool), ("state", state)];
                connections.encode_family(&labels)?.encode_gauge(&count)?;
            }
        }
        Ok(())
    }
}

const REQUESTS: &str = "Responses by operation and status; pages, unknown paths and requests that were \
                        refused before routing are the operation other";
const TOOK: &str = "Time to respond by operation, in seconds";
const LOGINS: &str =
    "Sign-ins by outcome; overloaded: the hash queue was full; failed: an internal error";
const CONFIRMATIONS: &str =
    "Confirmations of a session with the password by outcome, as for sign-ins";
const RECOVERIES: &str = "New passwords set with a link, by outcome: refused counts wrong, used and expired links, \
                          and passwords that violate a rule";
const RECOGNITIONS: &str = "Guarded requests by how the session was found: in the session cache (hit), by \
                            signature and row (miss), or by the look-up of a simultaneous request with the \
                            same token (shared)";
const TOKENS: &str = "Checks of API tokens by result: answered from the cache (hit), by the row (miss), or \
                      by the look-up of a simultaneous request with the same token (shared); and \
                      tokens that were refused (refused)";
const SESSIONS: &str = "Sessions that are valid, counted every 30 seconds";
const MAILS: &str = "Tries to send a mail by kind and outcome: sent; postponed, to be tried again; or failed, \
                     which was given up";
const MAILS_WAITING: &str = "Mails that wait to be sent, counted every 30 seconds";
const MAILS_FAILED: &str =
    "Mails that were given up in the last seven days, counted every 30 seconds";
const HASH_QUEUE: &str = "Passwords that wait to be hashed or verified, at most 64.";
const HASH_REFUSALS: &str =
    "Requests refused by the password hash queue, by reason: full, displaced or overdue";
const KEY_ERRORS: &str = "Key files that are missing or invalid while the service runs, by kind";
const WAITED: &str = "Time that writes waited for the database writer (SQLite only), in seconds";
const CONNECTIONS: &str = "Open client connections";
const DATABASE: &str =
    "Connections to the database by pool and state; requests wait when none is idle.";

fn resident_bytes() -> Option<i64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: i64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes * 1024)
}
