//! Counts requests by operation and status, and measures how long they take.
//!
//! All counters exist from the start, so that a request costs two clock reads, one hash look-up and
//! three atomic operations.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use poem::Response;
use poem_openapi::OperationId;

/// The upper bounds of the histograms in seconds: from a read that the cache answers to the longest
/// wait that users accept.
pub const BOUNDS: [f64; 14] =
    [0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];
/// Everything that is not an operation: pages, Swagger UI, unknown paths, and requests that the
/// outer endpoint refuses.
const OTHER: &str = "other";
const STATUSES: std::ops::Range<u16> = 100..600;

/// The requests of this process since its start.
#[derive(Debug)]
pub struct Requests {
    operations: HashMap<&'static str, Tally>,
    other: Tally,
}

#[derive(Debug)]
struct Tally {
    /// A counter for each status.
    statuses: Vec<AtomicU64>,
    /// A counter for each bound, and one for longer requests.
    took: [AtomicU64; BOUNDS.len() + 1],
    nanos: AtomicU64,
}

/// The counts of one operation.
#[derive(Debug)]
pub struct Counted {
    pub operation: &'static str,
    pub statuses: BTreeMap<u16, u64>,
    /// The number of requests for each bound: up to it, and longer than the previous one. The last
    /// number is that of longer requests.
    pub took: Vec<u64>,
    /// The sum of all durations.
    pub seconds: f64,
}

impl Requests {
    /// Creates counters for operations with these ids.
    pub(super) fn for_operations(ids: impl Iterator<Item = &'static str>) -> Self {
        Self { operations: ids.map(|id| (id, Tally::new())).collect(), other: Tally::new() }
    }

    pub(super) fn count(&self, response: &Response, took: Duration) {
        let id = response.data::<OperationId>();
        let tally = id.and_then(|id| self.operations.get(id.0)).unwrap_or(&self.other);
        tally.count(response.status().as_u16(), took);
    }

    /// The counts of all operations that were requested, by name.
    pub fn counted(&self) -> Vec<Counted> {
        let all = self.operations.iter().map(|(id, tally)| (*id, tally));
        let all = all.chain([(OTHER, &self.other)]).map(|(id, tally)| tally.counted(id));
        let mut asked: Vec<_> = all.filter(|counted| !counted.statuses.is_empty()).collect();
        asked.sort_by_key(|counted| counted.operation);
        asked
    }
}

impl Tally {
    fn new() -> Self {
        Self {
            statuses: STATUSES.map(|_| AtomicU64::new(0)).collect(),
            took: [const { AtomicU64::new(0) }; BOUNDS.len() + 1],
            nanos: AtomicU64::new(0),
        }
    }

    fn count(&self, status: u16, took: Duration) {
        if let Some(tally) = self.statuses.get(usize::from(status.wrapping_sub(STATUSES.start))) {
            tally.fetch_add(1, Ordering::Relaxed);
        }
        let seconds = took.as_secs_f64();
        let at = BOUNDS.iter().position(|bound| seconds <= *bound).unwrap_or(BOUNDS.len());
        self.took[at].fetch_add(1, Ordering::Relaxed);
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    fn counted(&self, operation: &'static str) -> Counted {
        let load = |tally: &AtomicU64| tally.load(Ordering::Relaxed);
        let statuses = STATUSES.zip(self.statuses.iter().map(load));
        Counted {
            operation,
            statuses: statuses.filter(|(_, count)| *count > 0).collect(),
            took: self.took.iter().map(load).collect(),
            seconds: Duration::from_nanos(load(&self.nanos)).as_secs_f64(),
        }
    }
}
