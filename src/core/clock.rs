//! The clock: that of the system, or one that tests set.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A wall-clock instant, in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(i64);

impl Timestamp {
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Whole seconds, rounded down: the `NumericDate` of a JWT.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// The time in the format of RFC 3339, to the second.
    pub fn to_rfc3339(self) -> String {
        let at = OffsetDateTime::from_unix_timestamp(self.seconds());
        at.unwrap_or(OffsetDateTime::UNIX_EPOCH).format(&Rfc3339).unwrap_or_default()
    }

    /// The same instant for libraries that use the system's type. It is not before 1970.
    pub fn to_system_time(self) -> SystemTime {
        UNIX_EPOCH + self.since(Self(0))
    }

    #[must_use]
    pub fn plus(self, time: Duration) -> Self {
        let millis = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(millis))
    }

    #[must_use]
    pub fn minus(self, time: Duration) -> Self {
        let millis = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(millis))
    }

    /// The time from `earlier` to this instant, or zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// The clocks of nodes may differ by this much, and each node uses the attempts that the others
/// record. A row whose time is further in the future was written with a wrong clock, and does not
/// delay any client.
pub const MAX_CLOCK_DIFFERENCE: Duration = mins(5);

/// Measures how long something takes, by a monotonic clock.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    pub fn start() -> Self {
        Self(Instant::now())
    }

    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// The source of wall-clock time for the domain.
#[derive(Debug, Clone)]
pub enum Clock {
    System,
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that stays at `start` until a test changes it.
    pub fn at(start: Timestamp) -> Self {
        Self::Manual(Arc::new(AtomicI64::new(start.millis())))
    }

    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
            }
            Self::Manual(millis) => Timestamp(millis.load(Ordering::SeqCst)),
        }
    }

    /// Advances a test clock; does nothing to the system clock.
    pub fn advance(&self, by: Duration) {
        self.set(self.now().plus(by));
    }

    /// Sets a test clock forward or back; does nothing to the system clock.
    pub fn set(&self, to: Timestamp) {
        match self {
            Self::System => {}
            Self::Manual(millis) => millis.store(to.millis(), Ordering::SeqCst),
        }
    }
}

/// Minutes as a duration, for readable constants.
pub const fn mins(n: u64) -> Duration {
    Duration::from_secs(n * 60)
}

/// Hours as a duration.
pub const fn hours(n: u64) -> Duration {
    Duration::from_secs(n * 60 * 60)
}

/// Days as a duration.
pub const fn days(n: u64) -> Duration {
    hours(n * 24)
}
