//! Counters for the metrics. No decision depends on them.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// The outcome of a login, for the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginOutcome {
    Succeeded,
    Refused,
    Throttled,
    Overloaded,
    Failed,
}

/// Counters since startup, each a single atomic.
#[derive(Debug, Default)]
pub struct Counters {
    succeeded: AtomicU64,
    refused: AtomicU64,
    throttled: AtomicU64,
    overloaded: AtomicU64,
    failed: AtomicU64,
    recognised: AtomicU64,
    looked_up: AtomicU64,
    shared: AtomicU64,
    sessions: AtomicI64,
    key_errors: [AtomicI64; 3],
}

impl Counters {
    pub(crate) fn count_login(&self, outcome: LoginOutcome) {
        let counter = match outcome {
            LoginOutcome::Succeeded => &self.succeeded,
            LoginOutcome::Refused => &self.refused,
            LoginOutcome::Throttled => &self.throttled,
            LoginOutcome::Overloaded => &self.overloaded,
            LoginOutcome::Failed => &self.failed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_recognised(&self) {
        self.recognised.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_looked_up(&self) {
        self.looked_up.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_shared(&self) {
        self.shared.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn note_sessions(&self, live: i64) {
        self.sessions.store(live, Ordering::Relaxed);
    }

    pub(crate) fn note_key_errors(&self, errors: [usize; 3]) {
        for (counter, errors) in self.key_errors.iter().zip(errors) {
            counter.store(i64::try_from(errors).unwrap_or(i64::MAX), Ordering::Relaxed);
        }
    }

    /// The number of problems with key files, by kind.
    pub fn key_errors(&self) -> [(&'static str, i64); 3] {
        let [keys, peppers, secrets] =
            self.key_errors.each_ref().map(|counter| counter.load(Ordering::Relaxed));
        [("signing_key", keys), ("pepper", peppers), ("server_secret", secrets)]
    }

    /// The number of logins by outcome.
    pub fn logins(&self) -> [(&'static str, u64); 5] {
        let counters = [
            ("succeeded", &self.succeeded),
            ("refused", &self.refused),
            ("throttled", &self.throttled),
            ("overloaded", &self.overloaded),
            ("failed", &self.failed),
        ];
        counters.map(|(outcome, counter)| (outcome, counter.load(Ordering::Relaxed)))
    }

    /// The number of session checks: answered from the cache, looked up in the database, or
    /// answered by the look-up of a concurrent request.
    pub fn recognitions(&self) -> [(&'static str, u64); 3] {
        let counters =
            [("hit", &self.recognised), ("miss", &self.looked_up), ("shared", &self.shared)];
        counters.map(|(result, counter)| (result, counter.load(Ordering::Relaxed)))
    }

    /// The number of active sessions, at most half a minute old.
    pub fn sessions(&self) -> i64 {
        self.sessions.load(Ordering::Relaxed)
    }
}
