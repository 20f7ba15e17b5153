//! The limits of attempts, and how earlier attempts decide.

use std::time::Duration;

use crate::core::clock::{MAX_CLOCK_DIFFERENCE, Timestamp, days, hours, mins};
use crate::store::{AttemptKey, AttemptRow, GcraRow, NodeTime};

/// The limits of all kinds of attempts.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Failed logins with a user name, by unknown clients.
    pub name: BackoffSchedule,
    /// Failed logins of a device that has signed in to this account before.
    pub device: BackoffSchedule,
    /// Failed logins of all devices that have signed in to an account before.
    pub devices: BackoffSchedule,
    /// Failed confirmations of the current password in a session.
    pub session: BackoffSchedule,
    /// Wrong codes that a user typed to confirm an address.
    pub codes: BackoffSchedule,
    /// Mails of one kind with a secret to a mailbox.
    pub mailbox: BackoffSchedule,
    /// Changes to an account that are recorded in the audit log.
    pub account: Gcra,
    /// Failed logins from an address.
    pub address: Gcra,
    /// Registrations from an address.
    pub registrations: Gcra,
    /// All registrations.
    pub all_registrations: Gcra,
    /// Requests of a link for a new password from an address.
    pub resets: Gcra,
    /// All requests of such a link. Each is a row of the outbox until the worker has looked its name
    /// up, or for half an hour while the mail server cannot be reached.
    pub all_resets: Gcra,
    /// The maximum number of keys. The oldest that delay no client are removed first.
    pub keys: i64,
}

/// A backoff schedule: from this many consecutive failures on, the client waits this long.
#[derive(Debug, Clone)]
pub struct BackoffSchedule(pub Vec<(i64, Duration)>);

/// A rate limit by GCRA: a burst of requests, and then one in each interval.
#[derive(Debug, Clone, Copy)]
pub struct Gcra {
    pub burst: i64,
    pub every: Duration,
}

/// Keys that were not used for this long are removed. A lockout of this length also resets its
/// failures.
pub(super) const FORGOTTEN_AFTER: Duration = hours(24);
/// The number of failure numbers for each millisecond, so that a key that is counted again after
/// its removal gets greater numbers than before.
const NUMBERS_PER_MILLI: i64 = 1024;
/// How long a device is known after its last successful login. Browsers keep no cookie for longer
/// than 400 days.
pub const DEVICE: Duration = days(90);
impl Limits {
    pub fn production() -> Self {
        let second = Duration::from_secs;
        // Five typing errors are free; ten attempts in 15 minutes are allowed. NIST SP 800-63B-4,
        // section 3.2.2, allows a hundred consecutive failures. An account has two names, its user
        // name and its address, so fifty failures lock each for unknown clients.
        let backoff = |locked_from| {
            BackoffSchedule(vec![
                (5, second(1)),
                (6, second(2)),
                (7, second(4)),
                (8, second(8)),
                (9, second(16)),
                (10, mins(15)),
                (locked_from, hours(24)),
            ])
        };
        Self {
            session: backoff(100),
            codes: backoff(100),
            name: backoff(50),
            mailbox: BackoffSchedule(vec![(3, hours(1))]),
            device: BackoffSchedule(vec![(10, DEVICE)]), // then it counts as an unknown client
            devices: BackoffSchedule(vec![(20, mins(15)), (100, hours(24))]), // against stolen device cookies
            account: Gcra { burst: 30, every: second(2) },
            // At most twenty failures in any ten minutes.
            address: Gcra { burst: 10, every: mins(1) },
            registrations: Gcra { burst: 10, every: mins(1) },
            all_registrations: Gcra { burst: 1000, every: second(1) },
            resets: Gcra { burst: 10, every: mins(1) },
            // At most 19,000 rows in half an hour, about 5 MB.
            all_resets: Gcra { burst: 1000, every: Duration::from_millis(100) },
            keys: 1_000_000, // about 100 MB on disk
        }
    }

    /// No limits, for benchmarks of something else.
    pub fn none() -> Self {
        let free = BackoffSchedule(Vec::new());
        let unlimited = Gcra { burst: 1, every: Duration::ZERO };
        Self {
            name: free.clone(),
            device: free.clone(),
            devices: free.clone(),
            codes: free.clone(),
            mailbox: free.clone(),
            session: free,
            account: unlimited,
            address: unlimited,
            registrations: unlimited,
            all_registrations: unlimited,
            resets: unlimited,
            all_resets: unlimited,
            keys: 1_000_000,
        }
    }
}

impl Gcra {
    /// The row of one more request.
    pub(super) fn turn(self, key: AttemptKey) -> GcraRow {
        let every = i64::try_from(self.every.as_millis()).unwrap_or(i64::MAX);
        GcraRow { key, burst: every.saturating_mul(self.burst - 1), every }
    }
}

impl BackoffSchedule {
    /// The counts after one more failure.
    pub(super) fn step(&self, row: AttemptRow, now: Timestamp) -> AttemptRow {
        let at = row.present(now);
        let (before, forgiven) = if self.is_forgotten(row, now) {
            (0, row.counted)
        } else {
            (row.failures, row.forgiven)
        };
        let numbered = match row.counted {
            0 => at.millis().saturating_mul(NUMBERS_PER_MILLI),
            counted => counted,
        };
        let failures = before + 1;
        let free_at = at.plus(self.wait_after(failures)).millis();
        let counted = numbered + 1;
        AttemptRow { failures, free_at, last_at: at.millis(), counted, forgiven }
    }

    /// Whether its failures no longer count: after a day without one, or after the longest lockout.
    /// Otherwise one attempt a day would lock a user name forever.
    fn is_forgotten(&self, row: AttemptRow, now: Timestamp) -> bool {
        let at = row.present(now);
        let is_unused = row.last_at < at.minus(FORGOTTEN_AFTER).millis();
        let has_waited = row.is_trusted(now) && row.free_at <= at.millis();
        is_unused || (has_waited && self.wait_after(row.failures) >= FORGOTTEN_AFTER)
    }

    fn wait_after(&self, failures: i64) -> Duration {
        let step = self.0.iter().rev().find(|(from, _)| failures >= *from);
        step.map_or(Duration::ZERO, |(_, wait)| *wait)
    }
}

/// The time of this node, for counts that a statement computes.
pub(crate) fn node_time(now: Timestamp) -> NodeTime {
    NodeTime { now: now.millis(), trusted_until: now.plus(MAX_CLOCK_DIFFERENCE).millis() }
}

impl AttemptRow {
    /// Whether the row was written with a plausible clock.
    fn is_trusted(&self, now: Timestamp) -> bool {
        self.last_at <= now.plus(MAX_CLOCK_DIFFERENCE).millis()
    }

    /// The present time for this row. It never goes back, whichever node counts.
    fn present(&self, now: Timestamp) -> Timestamp {
        if self.is_trusted(now) { now.max(Timestamp::from_millis(self.last_at)) } else { now }
    }

    /// How long until the next attempt is allowed. A row that was written with a wrong clock keeps
    /// its failures, but causes no wait.
    pub(super) fn wait(&self, now: Timestamp) -> Duration {
        let is_free = self.free_at <= self.present(now).millis();
        if is_free || !self.is_trusted(now) {
            return Duration::ZERO;
        }
        Timestamp::from_millis(self.free_at).since(now)
    }
}
