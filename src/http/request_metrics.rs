//! Counts requests by operation and status, and measures how long they take.

use std::sync::OnceLock;
use std::time::Duration;

use poem::Response;
use poem_openapi::OperationId;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;

/// The upper bounds of the histogram in seconds: from a read that the cache answers to the longest wait that
/// users accept.
const BOUNDS: [f64; 14] =
    [0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];
/// Everything that is not an operation: pages, Swagger UI, unknown paths, and requests that the
/// outer endpoint refuses.
const OTHER: &str = "other";
/// The slots for the metrics of operations: several times as many as a service with many operations needs. An
/// operation without a slot is looked up in the families at each request.
const SLOTS: usize = 256;
/// An operation looks for its slot at this many places.
const MAX_PROBES: usize = 8;

/// The requests of this process since it started.
#[derive(Debug)]
pub struct RequestCounters {
    pub answers: Family<AnswerLabels, Counter>,
    pub seconds: Family<OperationLabel, Histogram>,
    slots: Box<[OnceLock<OperationMetrics>]>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct AnswerLabels {
    operation: &'static str,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OperationLabel {
    operation: &'static str,
}

/// The metrics of one operation, which the families contain, too. A family takes a lock and hashes the labels;
/// here, each request of a known operation only compares addresses.
#[derive(Debug)]
struct OperationMetrics {
    operation: &'static str,
    seconds: Histogram,
    /// The metrics of the first statuses of this operation.
    answers: [OnceLock<(u16, Counter)>; MAX_PROBES],
}

impl Default for RequestCounters {
    fn default() -> Self {
        let seconds = Family::new_with_constructor((|| Histogram::new(BOUNDS)) as fn() -> _);
        let slots = (0..SLOTS).map(|_| OnceLock::new()).collect();
        Self { answers: Family::default(), seconds, slots }
    }
}

impl RequestCounters {
    pub(super) fn count(&self, response: &Response, took: Duration) {
        let operation = response.data::<OperationId>().map_or(OTHER, |id| id.0);
        let (status, took) = (response.status().as_u16(), took.as_secs_f64());
        let Some(metrics) = self.metrics_of(operation) else {
            self.answers.get_or_create(&AnswerLabels { operation, status }).inc();
            self.seconds.get_or_create(&OperationLabel { operation }).observe(took);
            return;
        };
        metrics.seconds.observe(took);
        let counter = metrics.answers.iter().find_map(|slot| {
            let (of, counter) = slot.get_or_init(|| (status, self.counter(operation, status)));
            (*of == status).then_some(counter)
        });
        match counter {
            Some(counter) => counter.inc(),
            None => self.counter(operation, status).inc(),
        };
    }

    /// The metrics of an operation, unless other operations have the slots. The address of its name
    /// identifies it: two names at different addresses lead to the same metrics of the families.
    fn metrics_of(&self, operation: &'static str) -> Option<&OperationMetrics> {
        let address = operation.as_ptr().addr();
        (0..MAX_PROBES).find_map(|probe| {
            let slot = &self.slots[(address.wrapping_add(address >> 8) + probe) % SLOTS];
            let metrics = slot.get_or_init(|| self.new_metrics(operation));
            let is_same = std::ptr::eq(metrics.operation, operation);
            is_same.then_some(metrics)
        })
    }

    fn new_metrics(&self, operation: &'static str) -> OperationMetrics {
        let seconds = self.seconds.get_or_create(&OperationLabel { operation }).clone();
        OperationMetrics { operation, seconds, answers: Default::default() }
    }

    fn counter(&self, operation: &'static str, status: u16) -> Counter {
        self.answers.get_or_create(&AnswerLabels { operation, status }).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(operation: &'static str, status: u16) -> Response {
        let mut response = Response::builder().status(status.try_into().unwrap()).finish();
        response.set_data(OperationId(operation));
        response
    }

    /// More operations and statuses than there are slots for.
    #[test]
    fn each_response_is_counted_under_its_operation_and_status() {
        let counters = RequestCounters::default();
        let operations: Vec<&'static str> =
            (0..2 * SLOTS).map(|n| &*format!("operation{n}").leak()).collect();
        let statuses = 400..=420;
        for operation in &operations {
            for status in statuses.clone() {
                counters.count(&response(operation, status), Duration::from_millis(1));
            }
            counters.count(&response(operation, 400), Duration::from_millis(1));
        }
        counters.count(&Response::default(), Duration::from_millis(1));
        for operation in operations {
            for status in statuses.clone() {
                let counted = counters.counter(operation, status).get();
                assert_eq!(counted, if status == 400 { 2 } else { 1 }, "{operation} {status}");
            }
        }
        assert_eq!(counters.counter(OTHER, 200).get(), 1);
    }
}
