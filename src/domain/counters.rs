//! What is counted for the metrics. Nothing is decided by it.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// What came of a sign-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginOutcome {
    Succeeded,
    Refused,
    Throttled,
    Overloaded,
    Failed,
}

/// Counts since the start; each is one atomic.
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

    /// What is wrong with the files of keys that the service follows, by kind.
    pub fn key_errors(&self) -> [(&'static str, i64); 3] {
        let [keys, peppers, secrets] =
            self.key_errors.each_ref().map(|counter| counter.load(Ordering::Relaxed));
        [("signing_key", keys), ("pepper", peppers), ("server_secret", secrets)]
    }

    /// Sign-ins by what came of them.
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

    /// Requests whose token was known from memory, that looked its signature and row up, and that shared the
    /// look-up of another request.
    pub fn recognitions(&self) -> [(&'static str, u64); 3] {
        let counters =
            [("hit", &self.recognised), ("miss", &self.looked_up), ("shared", &self.shared)];
        counters.map(|(result, counter)| (result, counter.load(Ordering::Relaxed)))
    }

    /// Sessions in force, half a minute ago at the most.
    pub fn sessions(&self) -> i64 {
        self.sessions.load(Ordering::Relaxed)
    }
}
