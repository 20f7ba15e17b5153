//! Periodic work, and log lines that are repeated at most once in an interval.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tokio::time::{Interval, MissedTickBehavior, interval};

/// The minimum time between two log lines about the same error.
const LOG_INTERVAL: Duration = Duration::from_secs(30);

/// Repeats work at an interval, until the value that the work belongs to is dropped.
#[derive(Debug)]
pub struct Periodic<T> {
    held: Weak<T>,
    ticks: Interval,
}

impl<T> Periodic<T> {
    /// The first tick is immediate.
    pub fn every(time: Duration, held: Weak<T>) -> Self {
        let mut ticks = interval(time);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { held, ticks }
    }

    /// Delays the first tick by the interval.
    pub fn skip_first(&mut self) {
        self.ticks.reset();
    }

    /// Waits for the next tick. Returns `None` when the value has been dropped.
    pub async fn next(&mut self) -> Option<Arc<T>> {
        self.ticks.tick().await;
        self.held.upgrade()
    }
}

/// Logs a lasting error immediately, and then at most every half minute.
#[derive(Debug, Default)]
pub struct LogLimiter {
    logged_at: Option<Instant>,
}

impl LogLimiter {
    pub fn log(&mut self, now: Instant, log: impl FnOnce()) {
        let is_due = |at: Instant| now.saturating_duration_since(at) >= LOG_INTERVAL;
        if self.logged_at.is_none_or(is_due) {
            log();
            self.logged_at = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn periodic_work_goes_on_until_what_it_is_done_for_is_gone() {
        let held = Arc::new(());
        let mut rounds = Periodic::every(Duration::from_millis(1), Arc::downgrade(&held));
        for _ in 0..3 {
            assert!(rounds.next().await.is_some());
        }
        drop(held);
        assert!(rounds.next().await.is_none());
    }

    #[test]
    fn an_error_that_lasts_is_logged_every_half_minute() {
        let (mut limiter, start) = (LogLimiter::default(), Instant::now());
        let mut logged = Vec::new();
        for second in 0..=90 {
            limiter.log(start + Duration::from_secs(second), || logged.push(second));
        }
        assert_eq!(logged, [0, 30, 60, 90]);
    }
}
