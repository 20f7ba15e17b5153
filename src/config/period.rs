//! Durations such as `30m` or `365d`.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::core::clock::days;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "PeriodText")]
pub struct Period(Duration);

/// The input of a [`Period`]. A number is valid only if it is 0, because any other needs a unit.
#[derive(Deserialize)]
#[serde(untagged)]
enum PeriodText {
    Text(String),
    Number(i64),
}

impl Period {
    /// Longer than the life of any account, and safe to add to any instant.
    const MAX: Duration = days(36_500);

    pub const fn of(period: Duration) -> Self {
        Self(period)
    }

    pub fn duration(self) -> Duration {
        self.0
    }

    fn parse(text: &str) -> Option<Self> {
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let number: u32 = digits.parse().ok().filter(|_| !digits.starts_with('+'))?;
        let seconds = match (&text[digits.len()..], number) {
            ("m", number) => 60 * u64::from(number),
            ("h", number) => 3600 * u64::from(number),
            ("d", number) => 24 * 3600 * u64::from(number),
            ("", 0) => 0,
            _ => return None,
        };
        let period = Duration::from_secs(seconds);
        (period <= Self::MAX).then_some(Self(period))
    }
}

impl TryFrom<PeriodText> for Period {
    type Error = String;

    fn try_from(text: PeriodText) -> Result<Self, String> {
        let text = match text {
            PeriodText::Text(text) => text,
            PeriodText::Number(number) => number.to_string(),
        };
        Self::parse(&text).ok_or_else(|| {
            format!("{text:?} must be 0, or a number and m, h or d, such as 30m, 12h or 365d; at most 36500d")
        })
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_secs() {
            0 => f.write_str("0"),
            secs if secs % 86_400 == 0 => write!(f, "{}d", secs / 86_400),
            secs if secs % 3600 == 0 => write!(f, "{}h", secs / 3600),
            secs => write!(f, "{}m", secs / 60),
        }
    }
}

impl Serialize for Period {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
