//! What goes on in the background, until the service ends.

pub mod cleanup;
pub mod hashes;
pub mod keys;
pub mod revocations;
mod rounds;

use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::core::clock::Timestamp;
use crate::core::interval::Periodic;
use crate::domain::Domain;
use crate::domain::clock_check::{describe_lag, is_behind};
use crate::domain::jobs::rounds::next_until_closing;

/// How often it is looked whether hashes of another price have come or gone.
const CALIBRATION_INTERVAL: Duration = Duration::from_secs(1);
/// How often the sessions in force are counted: some milliseconds of one reader.
const COUNT_INTERVAL: Duration = Duration::from_secs(30);
/// How often what has ended is cleared away.
const CLEANUP_INTERVAL: Duration = Duration::from_secs(30);
/// How often events are written: a query shows what happened a second ago.
const WRITE_INTERVAL: Duration = Duration::from_millis(500);

/// Starts what goes on in the background until the domain is dropped.
pub fn start(domain: &Arc<Domain>) {
    tokio::spawn(keys::watch_keys(Arc::downgrade(domain)));
    tokio::spawn(warn_of_clock(Arc::downgrade(domain)));
    tokio::spawn(count_sessions(Arc::downgrade(domain)));
    tokio::spawn(cleanup::clear_away(Arc::downgrade(domain), CLEANUP_INTERVAL));
    tokio::spawn(revocations::listen(Arc::downgrade(domain)));
    tokio::spawn(hashes::watch_hashes(Arc::downgrade(domain), CALIBRATION_INTERVAL));
    tokio::spawn(record(Arc::downgrade(domain)));
}

/// Counts the active sessions for the metrics, until the domain is gone.
pub async fn count_sessions(domain: Weak<Domain>) {
    let mut rounds = Periodic::every(COUNT_INTERVAL, domain);
    while let Some(domain) = next_until_closing(&mut rounds).await {
        let now = domain.clock.now();
        match domain.store.count_sessions(now.millis(), domain.sessions.idle_since(now)).await {
            Ok(live) => domain.counters.note_sessions(live),
            Err(fault) => tracing::debug!("{fault}"), // listening says it aloud
        }
    }
}

/// Warns if the clock is behind the database. A service looks at its start.
pub async fn warn_of_clock(domain: Weak<Domain>) {
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

/// Writes events down until the domain is gone.
pub async fn record(domain: Weak<Domain>) {
    let mut rounds = Periodic::every(WRITE_INTERVAL, domain);
    while let Some(domain) = next_until_closing(&mut rounds).await {
        // what could not be written was logged, and waits
        let _ = domain.audit.write(&domain.store, domain.clock.now()).await;
    }
}
