//! Whether the clock is behind what was written before, as after a power cut on a machine whose clock has no
//! battery.

use std::time::Duration;

use crate::core::clock::{Timestamp, mins};

/// An instant of the database may be this far ahead of the clock, when several nodes write it.
const MAX_AHEAD: Duration = mins(1);

/// Is the clock behind the newest instant of the database? Sessions that began more than a minute ahead of
/// it are refused then.
pub fn is_behind(now: Timestamp, newest: Timestamp) -> bool {
    newest.since(now) > MAX_AHEAD
}

/// What an operator is told when the clock is behind.
pub fn describe_lag(now: Timestamp, newest: Timestamp) -> String {
    format!(
        "it is {} here, but the database has something from {}: this clock went back, or one was ahead; \
         let a time server set it",
        now.to_rfc3339(),
        newest.to_rfc3339()
    )
}
