//! The metrics endpoint for Prometheus, which reads the counters of other layers at each scrape.
//!
//! The official client library writes the text format. It stores no counters itself, so that
//! requests cost nothing here. Labels contain only names of ours: no user, no address, no path.

use std::fmt;
use std::fs;
use std::sync::Arc;

use poem::endpoint::BoxEndpoint;
use poem::error::ResponseError;
use poem::http::{StatusCode, header};
use poem::{Endpoint, EndpointExt, Request, Response, Route, get};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use crate::core::clock::Timestamp;
use crate::domain::Domain;
use crate::http::{BOUNDS, Hosts, Requests};
use crate::server::ConnectionGauge;
use crate::store::Waited;

/// The sources of the metrics.
#[derive(Debug)]
pub struct Watched {
    pub domain: Arc<Domain>,
    pub requests: Arc<Requests>,
    pub connections: Arc<ConnectionGauge>,
    pub started_at: Timestamp,
}

/// `GET /metrics`, for a separate listener that accepts these hosts. Without the check, a web page
/// could read the metrics by DNS rebinding.
pub fn route(watched: Watched, hosts: Hosts) -> BoxEndpoint<'static, Response> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(watched));
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
    let words = "Metrics are answered under addresses, localhost and the names in allowed_hosts.\n";
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

impl Collector for Watched {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let page = &mut Page(&mut encoder);
        self.write_requests(page)?;
        let Domain { counters, hasher, store, .. } = &*self.domain;
        page.counters("cloakroom_logins", "Sign-ins by outcome", "outcome", &counters.logins())?;
        page.counters(
            "cloakroom_recognitions",
            "Session tokens known from memory (hit), looked up (miss), or by another request (shared)",
            "result",
            &counters.recognitions(),
        )?;
        page.gauge("cloakroom_sessions", "Sessions in force", counters.sessions())?;
        let waiting = i64::try_from(hasher.waiting()).unwrap_or(i64::MAX);
        page.gauge("cloakroom_hash_queue", "Passwords that wait for a hashing thread", waiting)?;
        let mut refused = page.family("cloakroom_hash_refusals", HASH_REFUSALS, COUNTER)?;
        counter(&mut refused, hasher.refusals())?;
        let mut errors = page.family("cloakroom_key_errors", KEY_ERRORS, GAUGE)?;
        for (kind, count) in counters.key_errors() {
            errors.encode_family(&[("kind", kind)])?.encode_gauge(&count)?;
        }
        let mut connections = page.family("cloakroom_database_connections", DATABASE, GAUGE)?;
        for (pool, in_use, idle) in store.connections() {
            for (state, count) in [("in_use", in_use), ("idle", idle)] {
                let labels = [("pool", pool), ("state", state)];
                connections.encode_family(&labels)?.encode_gauge(&count)?;
            }
        }
        if let Some(Waited { took, seconds }) = store.waited() {
            let mut waited = page.family("cloakroom_database_wait_seconds", WAITED, HISTOGRAM)?;
            let count = took.iter().map(|(_, count)| count).sum();
            waited.encode_histogram::<NoLabelSet>(seconds, count, &took, None)?;
        }
        let open = self.connections.open();
        page.gauge("cloakroom_connections", "Connections that clients have open", open)?;
        let started_at = self.started_at.seconds();
        page.gauge("process_start_time_seconds", "When the process started", started_at)?;
        match resident_bytes() {
            Some(bytes) => page.gauge("process_resident_memory_bytes", "Resident memory", bytes),
            None => Ok(()), // only Linux provides it
        }
    }
}

impl Watched {
    fn write_requests(&self, page: &mut Page<'_, '_>) -> fmt::Result {
        let counted = self.requests.counted();
        let mut requests = page.family("cloakroom_requests", REQUESTS, COUNTER)?;
        for one in &counted {
            for (status, count) in &one.statuses {
                let status = status.to_string();
                let labels = [("operation", one.operation), ("status", status.as_str())];
                counter(&mut requests.encode_family(&labels)?, *count)?;
            }
        }
        let mut took = page.family("cloakroom_request_seconds", TOOK, HISTOGRAM)?;
        for one in &counted {
            let bounds = BOUNDS.into_iter().chain([f64::INFINITY]);
            let buckets: Vec<(f64, u64)> = bounds.zip(one.took.iter().copied()).collect();
            let count = one.took.iter().sum();
            let labels = [("operation", one.operation)];
            let mut took = took.encode_family(&labels)?;
            took.encode_histogram::<NoLabelSet>(one.seconds, count, &buckets, None)?;
        }
        Ok(())
    }
}

const REQUESTS: &str = "Answers by operation and status";
const TOOK: &str = "How long answering took, in seconds";
const HASH_REFUSALS: &str =
    "Requests refused because of the hash queue: full, displaced or overdue";
const KEY_ERRORS: &str =
    "Files of keys that are missing or refused while the service runs, by kind";
const DATABASE: &str = "Connections to the database by pool and state";
const WAITED: &str = "How long writes waited for their turn at the database, in seconds";
const HISTOGRAM: MetricType = MetricType::Histogram;
const COUNTER: MetricType = MetricType::Counter;
const GAUGE: MetricType = MetricType::Gauge;

/// The page that is being written.
struct Page<'a, 'e>(&'a mut DescriptorEncoder<'e>);

impl Page<'_, '_> {
    fn family<'s>(
        &'s mut self,
        name: &'s str,
        help: &str,
        kind: MetricType,
    ) -> Result<MetricEncoder<'s>, fmt::Error> {
        self.0.encode_descriptor(name, help, None, kind)
    }

    fn gauge(&mut self, name: &str, help: &str, value: i64) -> fmt::Result {
        self.family(name, help, GAUGE)?.encode_gauge(&value)
    }

    fn counters(
        &mut self,
        name: &str,
        help: &str,
        label: &'static str,
        counts: &[(&'static str, u64)],
    ) -> fmt::Result {
        let mut family = self.family(name, help, COUNTER)?;
        for (value, count) in counts {
            counter(&mut family.encode_family(&[(label, *value)])?, *count)?;
        }
        Ok(())
    }
}

fn counter(encoder: &mut MetricEncoder<'_>, count: u64) -> fmt::Result {
    encoder.encode_counter::<NoLabelSet, _, u64>(&count, None)
}

fn resident_bytes() -> Option<i64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: i64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes * 1024)
}
