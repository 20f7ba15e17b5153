//! The background jobs of the service.

pub mod cleanup;
pub mod hashes;
pub mod keys;
pub mod mails;
mod periodic;
pub mod revocations;

use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::core::clock::Timestamp;
use crate::core::interval::Periodic;
use crate::domain::AuthService;
use crate::domain::clock_check::{describe_lag, is_behind};
use crate::domain::jobs::periodic::next_until_closing;

/// The interval between checks for hashes with another cost.
const CALIBRATION_INTERVAL: Duration = Duration::from_secs(1);
/// The interval between counts of active sessions. A count takes a few milliseconds of one reader.
const COUNT_INTERVAL: Duration = Duration::from_secs(30);
/// The interval of the cleanup.
const CLEANUP_INTERVAL: Duration = Duration::from_secs(30);
/// The interval at which events are written: a query shows what happened a second ago.
const WRITE_INTERVAL: Duration = Duration::from_millis(500);

/// Starts the background jobs, which run until the domain is dropped.
pub fn start(domain: &Arc<AuthService>) {
    tokio::spawn(keys::follow_keys(Arc::downgrade(domain)));
    tokio::spawn(warn_of_clock(Arc::downgrade(domain)));
    tokio::spawn(count_sessions(Arc::downgrade(domain)));
    tokio::spawn(cleanup::run_cleanup(Arc::downgrade(domain), CLEANUP_INTERVAL));
    tokio::spawn(revocations::follow_revocations(Arc::downgrade(domain)));
    tokio::spawn(hashes::calibrate_min_verify_time(Arc::downgrade(domain), CALIBRATION_INTERVAL));
    tokio::spawn(mails::send_mails(Arc::downgrade(domain)));
    tokio::spawn(write_audit_log(Arc::downgrade(domain)));
}

/// Counts the active sessions and the mails for the metrics, until the domain is dropped.
pub async fn count_sessions(domain: Weak<AuthService>) {
    let mut rounds = Periodic::every(COUNT_INTERVAL, domain);
    while let Some(domain) = next_until_closing(&mut rounds).await {
        let cutoffs = domain.sessions.cutoffs(domain.clock.now());
        match domain.store.count_sessions(cutoffs).await {
            Ok(live) => {
                domain.counters.sessions.set(live);
            }
            Err(fault) => tracing::debug!("{fault}"), // the revocation feed logs database errors
        }
        match domain.outbox.count_mails().await {
            Ok(counts) => domain.counters.record_mails(counts.waiting, counts.failed),
            Err(fault) => tracing::debug!("{fault}"), // see above
        }
    }
}

/// Warns at startup if the clock is behind the database.
pub async fn warn_of_clock(domain: Weak<AuthService>) {
    let Some(domain) = domain.upgrade() else { return };
    let now = domain.clock.now();
    match domain.store.newest_instant().await {
        Ok(Some(newest)) if is_behind(now, Timestamp::from_millis(newest)) => {
            let lag = describe_lag(now, Timestamp::from_millis(newest));
            tracing::warn!(
                "the clock is behind: {lag}; until then, the service refuses sessions with a later time"
            );
        }
        Ok(_) => {}
        Err(fault) => tracing::debug!("{fault}"), // the revocation feed logs database errors
    }
}

/// Writes buffered events at an interval, until the domain is dropped.
pub async fn write_audit_log(domain: Weak<AuthService>) {
    let mut rounds = Periodic::every(WRITE_INTERVAL, domain);
    while let Some(domain) = next_until_closing(&mut rounds).await {
        // Events that could not be written were logged, and stay in the buffer.
        let _ = domain.audit.write(&domain.store, domain.clock.now()).await;
    }
}
