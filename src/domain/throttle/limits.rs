//! How often may be tried, and how what was counted before decides.

use std::time::Duration;

use crate::core::clock::{MAX_CLOCK_DIFFERENCE, Timestamp, days, hours, mins};
use crate::store::{AttemptKey, AttemptRow, GcraRow, NodeTime};

/// How often who may try.
#[derive(Debug, Clone)]
pub struct Limits {
    /// A name, for clients that nobody knows.
    pub name: Staircase,
    /// A device that has signed in to this account before.
    pub device: Staircase,
    /// All devices that have signed in to an account before.
    pub devices: Staircase,
    /// The current password, typed in a session.
    pub session: Staircase,
    /// What an account changes that is written down in the audit.
    pub account: Steady,
    /// Failed sign-ins from an address.
    pub address: Steady,
    /// Registrations from an address.
    pub registrations: Steady,
    /// All registrations.
    pub all_registrations: Steady,
    /// As many names, addresses and devices are remembered; the oldest that hold nobody up go first.
    pub keys: i64,
}

/// Waits that grow with the failures in a row: from so many failures on, so long.
#[derive(Debug, Clone)]
pub struct Staircase(pub Vec<(i64, Duration)>);

/// A number of turns at once, and then one at a time.
#[derive(Debug, Clone, Copy)]
pub struct Steady {
    pub burst: i64,
    pub every: Duration,
}

/// What is not used for this long is forgotten, and so are the failures that made a client wait for
/// as long, once it has waited.
pub(super) const FORGOTTEN_AFTER: Duration = hours(24);
/// Numbers of failures for each millisecond, so that a key that is counted for the first time again
/// has greater ones than before.
const NUMBERS_PER_MILLI: i64 = 1024;
/// A device is known for this long after its last good sign-in; browsers keep no cookie for longer
/// than 400 days.
pub const DEVICE: Duration = days(90);
impl Limits {
    pub fn production() -> Self {
        let second = Duration::from_secs;
        // five typing errors are free; ten tries in a quarter of an hour; a hundred failures in a
        // row (NIST SP 800-63B-4, section 3.2.2) close the name to clients that nobody knows
        let name = vec![
            (5, second(1)),
            (6, second(2)),
            (7, second(4)),
            (8, second(8)),
            (9, second(16)),
            (10, mins(15)),
            (100, hours(24)),
        ];
        Self {
            session: Staircase(name.clone()),
            name: Staircase(name),
            device: Staircase(vec![(10, DEVICE)]), // it is like any other client from then on
            devices: Staircase(vec![(20, mins(15)), (100, hours(24))]), // whoever collects them
            account: Steady { burst: 30, every: second(2) },
            // at most twenty failures in any ten minutes
            address: Steady { burst: 10, every: mins(1) },
            registrations: Steady { burst: 10, every: mins(1) },
            all_registrations: Steady { burst: 1000, every: second(1) },
            keys: 1_000_000, // some 100 MB on disk
        }
    }

    /// For a bench that measures something else.
    pub fn none() -> Self {
        let free = Staircase(Vec::new());
        let steady = Steady { burst: 1, every: Duration::ZERO };
        Self {
            name: free.clone(),
            device: free.clone(),
            devices: free.clone(),
            session: free,
            account: steady,
            address: steady,
            registrations: steady,
            all_registrations: steady,
            keys: 1_000_000,
        }
    }
}

impl Steady {
    /// The row of one more turn.
    pub(super) fn turn(self, key: AttemptKey) -> GcraRow {
        let every = i64::try_from(self.every.as_millis()).unwrap_or(i64::MAX);
        GcraRow { key, burst: every.saturating_mul(self.burst - 1), every }
    }
}

impl Staircase {
    /// One failure more.
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

    /// Do its failures count no more? After a day without one, and after the longest wait: else one
    /// attempt a day would close a name for good.
    fn is_forgotten(&self, row: AttemptRow, now: Timestamp) -> bool {
        let at = row.present(now);
        let is_unused = row.last_at < at.before(FORGOTTEN_AFTER).millis();
        let has_waited = row.is_trusted(now) && row.free_at <= at.millis();
        is_unused || (has_waited && self.wait_after(row.failures) >= FORGOTTEN_AFTER)
    }

    fn wait_after(&self, failures: i64) -> Duration {
        let step = self.0.iter().rev().find(|(from, _)| failures >= *from);
        step.map_or(Duration::ZERO, |(_, wait)| *wait)
    }
}

/// The time of this node, for what is counted within a statement.
pub(crate) fn node_time(now: Timestamp) -> NodeTime {
    NodeTime { now: now.millis(), trusted_until: now.plus(MAX_CLOCK_DIFFERENCE).millis() }
}

impl AttemptRow {
    /// Was it written by a clock that this one can agree with?
    fn is_trusted(&self, now: Timestamp) -> bool {
        self.last_at <= now.plus(MAX_CLOCK_DIFFERENCE).millis()
    }

    /// The present as far as the row knows: its time never goes back, whichever node counts.
    fn present(&self, now: Timestamp) -> Timestamp {
        if self.is_trusted(now) { now.max(Timestamp::from_millis(self.last_at)) } else { now }
    }

    /// How long until the next try. A row that a wrong clock has written says how many failures there
    /// were, and not how long to wait.
    pub(super) fn wait(&self, now: Timestamp) -> Duration {
        let is_free = self.free_at <= self.present(now).millis();
        if is_free || !self.is_trusted(now) {
            return Duration::ZERO;
        }
        Timestamp::from_millis(self.free_at).since(now)
    }
}
