//! Removes ended sessions and other expired rows, and announces the end of API tokens.

use std::sync::Weak;
use std::time::Duration;

use crate::core::clock::days;
use crate::core::error::InternalError;
use crate::core::interval::Periodic;
use crate::domain::AuthService;
use crate::domain::audit::retention::Batches;
use crate::domain::jobs::periodic::next_until_closing;
use crate::domain::sessions::RECORDED;

/// The number of rows that a statement removes, which occupies the writer for a few milliseconds.
const BATCH: i64 = 500;
/// The pause between batches, in which the writer is free for others.
const PAUSE: Duration = Duration::from_millis(20);

/// How long operators find a mail that was given up.
const FAILED_MAILS_KEPT: Duration = days(7);

/// Runs the cleanup at an interval until the domain is dropped. The first run is after one
/// interval.
pub async fn run_cleanup(domain: Weak<AuthService>, every: Duration) {
    let mut rounds = Periodic::every(every, domain);
    rounds.skip_first();
    while let Some(domain) = next_until_closing(&mut rounds).await {
        for outcome in [remove_ended(&domain).await, domain.api_tokens.announce_expiring().await] {
            if let Err(fault) = outcome {
                domain.shutdown.warn(&fault); // the next run tries again
            }
        }
    }
}

/// Removes sessions that ended a while ago, expired API tokens, invites and proofs, user names that
/// are no longer reserved, mails that were given up a week ago, revocations that all nodes have
/// read, attempts that no longer delay a client, and old events.
pub async fn remove_ended(domain: &AuthService) -> Result<(), InternalError> {
    let keep = i64::try_from(RECORDED.as_millis()).expect("a minute is a small number");
    loop {
        let cutoffs = domain.sessions.cutoffs(domain.clock.now());
        let accounts = domain.store.remove_ended(cutoffs, keep, BATCH).await?;
        for account in &accounts {
            domain.session_cache.invalidate_account(&account.clone().into());
        }
        if accounts.is_empty() {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    domain.session_cache.remove_stale();
    domain.api_tokens.remove_stale();
    let until = domain.clock.now().minus(RECORDED).millis();
    while domain.store.remove_ended_tokens(until, BATCH).await? > 0 {
        tokio::time::sleep(PAUSE).await;
    }
    while domain.store.remove_expired_api_tokens(domain.clock.now().millis(), BATCH).await? > 0 {
        tokio::time::sleep(PAUSE).await;
    }
    while domain.store.remove_expired_invites(domain.clock.now().millis(), BATCH).await? > 0 {
        tokio::time::sleep(PAUSE).await;
    }
    loop {
        let now = domain.clock.now().millis();
        if domain.store.remove_expired_held_usernames(now, BATCH).await? == 0 {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    let week_ago = domain.clock.now().minus(FAILED_MAILS_KEPT).millis();
    while domain.store.remove_failed_mails(week_ago, BATCH).await? > 0 {
        tokio::time::sleep(PAUSE).await;
    }
    let now = domain.clock.now().millis();
    while domain.store.remove_expired_proofs(now, BATCH).await? > 0 {
        tokio::time::sleep(PAUSE).await;
    }
    let yesterday = domain.clock.now().minus(days(1)).millis();
    while domain.store.remove_revocations(yesterday, BATCH).await? > 0 {
        tokio::time::sleep(PAUSE).await;
    }
    while domain.throttle.remove_attempts(BATCH).await? > 0 {
        tokio::time::sleep(PAUSE).await;
    }
    let (now, batches) = (domain.clock.now(), Batches { limit: BATCH, pause: PAUSE });
    domain.retention.remove_old_events(&domain.store, now, batches).await
}
