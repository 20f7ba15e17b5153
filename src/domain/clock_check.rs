//! Whether the clock is behind what was written before, as after a power cut on a machine whose clock has no
//! battery.

use std::sync::Weak;
use std::time::Duration;

use crate::core::clock::{Timestamp, mins};
use crate::domain::Domain;

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

impl Domain {
    /// Warns if the clock is behind the database. A service looks at its start.
    pub async fn warn_of_clock(domain: Weak<Self>) {
        let Some(domain) = domain.upgrade() else { return };
        let now = domain.clock.now();
        match domain.store.newest_instant().await {
            Ok(Some(newest)) if is_behind(now, Timestamp::from_millis(newest)) => {
                let lag = describe_lag(now, Timestamp::from_millis(newest));
                tracing::warn!(
                    "the clock is behind: {lag}; until then sessions from later are refused"
                );
            }
            Ok(_) => {}
            Err(fault) => tracing::debug!("{fault}"), // listening says it aloud
        }
    }
}
