//! The warning about a browser that sends two different session cookies.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Limits the warning to one an hour, because any client can cause it with every request.
#[derive(Debug, Default)]
pub struct ConflictLog(Mutex<Option<Instant>>);

/// The minimum time between two warnings.
const REPEATED_AFTER: Duration = Duration::from_hours(1);

impl ConflictLog {
    /// Warns about two different cookies of this name.
    pub fn warn(&self, name: &str) {
        if self.is_due(Instant::now()) {
            tracing::warn!(
                "a browser sends two different cookies named {name}, so its user cannot sign in: \
                 another application on this host (on any port) or on a parent domain sets a \
                 cookie with the same name; set another name for this service with cookie.name"
            );
        }
    }

    fn is_due(&self, now: Instant) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = last.is_none_or(|last| now.saturating_duration_since(last) >= REPEATED_AFTER);
        if is_due {
            *last = Some(now);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_warning_is_repeated_once_an_hour() {
        let (log, start) = (ConflictLog::default(), Instant::now());
        let due = (0..=150).filter(|minute| log.is_due(start + Duration::from_mins(*minute)));
        assert_eq!(due.collect::<Vec<_>>(), [0, 60, 120]);
    }
}
