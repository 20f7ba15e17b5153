//! What this floor counts for whoever watches. Nothing is decided by it.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use crate::domain::sessions::{LogInError, Ticket};

/// Counts since the start; each is one atomic.
#[derive(Debug, Default)]
pub struct Tallies {
    succeeded: AtomicU64,
    refused: AtomicU64,
    throttled: AtomicU64,
    overloaded: AtomicU64,
    failed: AtomicU64,
    recognised: AtomicU64,
    looked_up: AtomicU64,
    sessions: AtomicI64,
    key_errors: [AtomicI64; 3],
}

impl Tallies {
    pub(crate) fn count_login(&self, outcome: &Result<Ticket, LogInError>) {
        let tally = match outcome {
            Ok(_) => &self.succeeded,
            Err(LogInError::WrongCredentials) => &self.refused,
            Err(LogInError::TooManyAttempts { .. }) => &self.throttled,
            Err(LogInError::Busy) => &self.overloaded,
            Err(LogInError::Fault(_)) => &self.failed,
        };
        tally.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_recognised(&self) {
        self.recognised.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_looked_up(&self) {
        self.looked_up.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn note_sessions(&self, live: i64) {
        self.sessions.store(live, Ordering::Relaxed);
    }

    pub(crate) fn note_key_errors(&self, errors: [usize; 3]) {
        for (tally, errors) in self.key_errors.iter().zip(errors) {
            tally.store(i64::try_from(errors).unwrap_or(i64::MAX), Ordering::Relaxed);
        }
    }

    /// What is wrong with the files of keys that the service follows, by kind.
    pub fn key_errors(&self) -> [(&'static str, i64); 3] {
        let [keys, peppers, secrets] =
            self.key_errors.each_ref().map(|tally| tally.load(Ordering::Relaxed));
        [("signing_key", keys), ("pepper", peppers), ("server_secret", secrets)]
    }

    /// Sign-ins by what came of them.
    pub fn logins(&self) -> [(&'static str, u64); 5] {
        let tallies = [
            ("succeeded", &self.succeeded),
            ("refused", &self.refused),
            ("throttled", &self.throttled),
            ("overloaded", &self.overloaded),
            ("failed", &self.failed),
        ];
        tallies.map(|(outcome, tally)| (outcome, tally.load(Ordering::Relaxed)))
    }

    /// Tokens that were known from memory, and those whose signature and row were looked at.
    pub fn recognitions(&self) -> [(&'static str, u64); 2] {
        let tallies = [("hit", &self.recognised), ("miss", &self.looked_up)];
        tallies.map(|(result, tally)| (result, tally.load(Ordering::Relaxed)))
    }

    /// Sessions in force, half a minute ago at the most.
    pub fn sessions(&self) -> i64 {
        self.sessions.load(Ordering::Relaxed)
    }
}
