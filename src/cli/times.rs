//! Formats times for people and for programs.

use std::time::Duration;

use crate::core::clock::Timestamp;

/// The format of `--json`: 2026-11-28T00:41:24Z.
pub(super) fn rfc3339(at: Timestamp) -> String {
    at.to_rfc3339()
}

/// The format of tables: `3 hours ago`, `in 23 hours`.
pub(super) fn relative(at: Timestamp, now: Timestamp) -> String {
    const MOMENT: Duration = Duration::from_secs(1);
    let (past, future) = (now.since(at), at.since(now));
    if past >= MOMENT {
        format!("{} ago", describe(past))
    } else if future >= MOMENT {
        format!("in {}", describe(future))
    } else {
        "now".to_owned()
    }
}

/// A duration, rounded to one unit: the largest of which it is at least one and a half, so that
/// 89 minutes are not an hour.
pub(super) fn describe(time: Duration) -> String {
    const UNITS: [(u64, &str); 6] = [
        (365 * 24 * 60 * 60, "year"),
        (7 * 24 * 60 * 60, "week"),
        (24 * 60 * 60, "day"),
        (60 * 60, "hour"),
        (60, "minute"),
        (1, "second"),
    ];
    let seconds = time.saturating_add(Duration::from_millis(500)).as_secs();
    let unit = UNITS.iter().find(|(unit, _)| seconds.saturating_mul(2) >= 3 * unit);
    let (unit, name) = unit.unwrap_or(&(1, "second"));
    match seconds.saturating_add(unit / 2) / unit {
        1 => format!("1 {name}"),
        count => format!("{count} {name}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::clock::{days, hours, mins};

    #[test]
    fn a_time_is_told_from_now_rounded_to_one_unit() {
        let now = Timestamp::from_millis(1_795_000_000_000);
        let ago = |time| relative(now.minus(time), now);
        assert_eq!(relative(now, now), "now");
        assert_eq!(ago(Duration::from_millis(1400)), "1 second ago");
        assert_eq!(ago(mins(12)), "12 minutes ago");
        assert_eq!(ago(hours(3)), "3 hours ago");
        assert_eq!(ago(days(400)), "57 weeks ago");
        let until = |time| relative(now.plus(time), now);
        assert_eq!(until(hours(23)), "in 23 hours");
        assert_eq!(until(days(7).saturating_sub(Duration::from_millis(3))), "in 7 days");
        assert_eq!(until(days(365 * 2)), "in 2 years");
    }
}
