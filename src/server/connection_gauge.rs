//! Counts the open connections for the metrics.

use prometheus_client::metrics::gauge::Gauge;

/// A connection that is counted until this is dropped.
#[derive(Debug)]
pub struct CountedConnection(Gauge);

impl CountedConnection {
    pub fn new(open: &Gauge) -> Self {
        open.inc();
        Self(open.clone())
    }
}

impl Drop for CountedConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}
