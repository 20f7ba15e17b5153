//! Detects a clock that is behind the database, for example after a power cut on a machine without
//! a clock battery.

use std::time::Duration;

use crate::core::clock::{Timestamp, mins};

/// How far a time in the database may be ahead of the clock, because several nodes write to it.
const MAX_AHEAD: Duration = mins(1);

/// Whether the clock is behind the newest time in the database. Sessions that began more than a
/// minute in its future are refused then.
pub fn is_behind(now: Timestamp, newest: Timestamp) -> bool {
    newest.since(now) > MAX_AHEAD
}

/// Describes a clock that is behind, for the operator.
pub fn describe_lag(now: Timestamp, newest: Timestamp) -> String {
    format!(
        "the clock shows {}, but the database contains data from {}: this clock was set back, or \
         the clock of another node is ahead; synchronize the clocks with a time server",
        now.to_rfc3339(),
        newest.to_rfc3339()
    )
}
