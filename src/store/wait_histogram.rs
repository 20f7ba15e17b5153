//! How long writes waited for the database before they started.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds in seconds: from a free writer to the longest wait that requests accept.
const BOUNDS: [f64; 10] = [0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0];

/// A histogram of the waits since startup.
#[derive(Debug, Default)]
pub struct WaitHistogram {
    /// A bucket for each bound, and one for longer waits.
    took: [AtomicU64; BOUNDS.len() + 1],
    nanos: AtomicU64,
}

/// A snapshot of the histogram.
#[derive(Debug)]
pub struct Waited {
    /// For each bound, the number of waits up to it that are longer than the previous bound. The
    /// last bound is infinite.
    pub took: Vec<(f64, u64)>,
    /// The sum of all waits.
    pub seconds: f64,
}

impl WaitHistogram {
    pub(super) fn record(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        let at = BOUNDS.iter().position(|bound| seconds <= *bound).unwrap_or(BOUNDS.len());
        self.took[at].fetch_add(1, Ordering::Relaxed);
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    pub(super) fn snapshot(&self) -> Waited {
        let bounds = BOUNDS.into_iter().chain([f64::INFINITY]);
        let took = self.took.iter().map(|count| count.load(Ordering::Relaxed));
        let nanos = self.nanos.load(Ordering::Relaxed);
        Waited {
            took: bounds.zip(took).collect(),
            seconds: Duration::from_nanos(nanos).as_secs_f64(),
        }
    }
}
