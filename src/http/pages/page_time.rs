//! Times on a page: in words, with the exact time as a tooltip.

use time::OffsetDateTime;

use crate::core::clock::Timestamp;
use crate::http::date_time::date_time;

/// A time in several formats.
pub struct PageTime {
    /// The value of HTML's attribute `datetime`.
    pub machine: String,
    pub words: String,
    /// To the minute, in UTC.
    pub exact: String,
}

impl PageTime {
    /// The age of the time: "3 hours ago".
    pub fn ago(at: Timestamp, now: Timestamp) -> Self {
        Self::new(at, age_in_words(now.since(at).as_secs()))
    }

    /// The day: "January 1, 2026".
    pub fn day(at: Timestamp) -> Self {
        Self::new(at, day_in_words(date_time(at)))
    }

    fn new(at: Timestamp, words: String) -> Self {
        let at = date_time(at);
        let (date, hour, minute) = (at.date(), at.hour(), at.minute());
        Self {
            machine: format!("{date}T{hour:02}:{minute:02}Z"),
            words,
            exact: format!("{} at {hour:02}:{minute:02} UTC", day_in_words(at)),
        }
    }
}

fn day_in_words(at: OffsetDateTime) -> String {
    format!("{} {}, {}", at.month(), at.day(), at.year())
}

fn age_in_words(seconds: u64) -> String {
    let (count, unit) = match seconds {
        0..60 => return "just now".to_owned(),
        60..3600 => (seconds / 60, "minute"),
        3600..86_400 => (seconds / 3600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural} ago")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_said_in_the_largest_unit_that_fits() {
        for (seconds, words) in [
            (0, "just now"),
            (59, "just now"),
            (60, "1 minute ago"),
            (3599, "59 minutes ago"),
            (3600, "1 hour ago"),
            (3 * 3600, "3 hours ago"),
            (86_399, "23 hours ago"),
            (86_400, "1 day ago"),
            (30 * 86_400, "30 days ago"),
        ] {
            assert_eq!(age_in_words(seconds), words, "{seconds}");
        }
    }

    #[test]
    fn the_exact_time_stands_behind_the_words() {
        let at = Timestamp::from_millis(1_767_229_500_000);
        let moment = PageTime::ago(at, Timestamp::from_millis(0));
        assert_eq!(moment.machine, "2026-01-01T01:05Z");
        assert_eq!(moment.exact, "January 1, 2026 at 01:05 UTC");
        assert_eq!(moment.words, "just now", "a clock that is behind makes no negative age");
        assert_eq!(PageTime::day(at).words, "January 1, 2026");
    }
}
