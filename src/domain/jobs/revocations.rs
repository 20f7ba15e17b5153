//! Follows the revocation feed, so that sessions that other processes end disappear from the cache.

use std::sync::Weak;
use std::time::{Duration, Instant};

use crate::core::interval::LogLimiter;
use crate::domain::AuthService;
use crate::domain::jobs::periodic::FOLLOW_INTERVAL;
use crate::store::Update;

/// Follows the revocation feed until the domain is dropped.
pub async fn follow_revocations(domain: Weak<AuthService>) {
    let Some(mut feed) = domain.upgrade().map(|domain| domain.store.feed()) else { return };
    let mut limiter = LogLimiter::default();
    loop {
        let began = Instant::now();
        let update = feed.read_next().await;
        let domain = domain.upgrade().filter(|domain| !domain.shutdown.is_closing());
        let Some(domain) = domain else { return };
        let silence = match update {
            Ok(update) => {
                limiter = LogLimiter::default();
                apply_revocations(&domain, update, began)
            }
            // Meanwhile the cache becomes stale, and every request reads the database.
            Err(fault) => {
                limiter.log(Instant::now(), || tracing::warn!("{fault}"));
                FOLLOW_INTERVAL
            }
        };
        drop(domain);
        feed.wait(silence).await;
    }
}

/// Invalidates the accounts that the feed names. Returns how long to wait before the next reading.
fn apply_revocations(domain: &AuthService, update: Update, began: Instant) -> Duration {
    let is_all = match update {
        // The feed may have missed revocations, so earlier cache entries are invalid.
        Update::Reset => {
            domain.session_cache.invalidate_all();
            true
        }
        Update::Revoked { accounts, is_all } => {
            for account in accounts {
                domain.session_cache.invalidate_account(&account.into());
            }
            is_all
        }
    };
    if is_all {
        domain.session_cache.feed_read(began);
        FOLLOW_INTERVAL
    } else {
        Duration::ZERO
    }
}
