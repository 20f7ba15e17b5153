//! Counts the open connections for the metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// The number of open connections.
#[derive(Debug, Default)]
pub struct ConnectionGauge(AtomicI64);

/// A connection that is counted until this is dropped.
#[derive(Debug)]
pub struct CountedConnection(Arc<ConnectionGauge>);

impl ConnectionGauge {
    pub fn count_one(self: &Arc<Self>) -> CountedConnection {
        self.0.fetch_add(1, Ordering::Relaxed);
        CountedConnection(Arc::clone(self))
    }

    pub fn open(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for CountedConnection {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}
