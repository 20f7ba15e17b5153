//! The retention of security events, by age and by number.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::core::clock::{Timestamp, days, mins};
use crate::core::error::InternalError;
use crate::domain::audit::event::first_id;
use crate::store::Store;

/// How long events are kept: long enough to investigate incidents that are detected late.
const KEEP: Duration = days(90);
/// The maximum numbers of rows, about 300 MB. Refusals, which any client can cause, have a separate
/// limit, so that they displace no other events.
const QUOTAS: [Quota; 2] = [
    Quota { refusal: false, in_all: 1_000_000, of_an_account: 10_000 },
    Quota { refusal: true, in_all: 200_000, of_an_account: 2_000 },
];
/// Events are written at most this long after their id is created, unless the database is
/// unavailable. Events that arrive later are trimmed with the account's next event.
const WRITTEN_WITHIN: Duration = mins(1);

/// The maximum numbers of rows of one kind. The limit for each account protects other accounts: an
/// account that causes many events displaces only its own.
#[derive(Debug, Clone, Copy)]
struct Quota {
    refusal: bool,
    in_all: i64,
    of_an_account: i64,
}

/// Removes old events, and remembers the time of its last run.
#[derive(Debug, Default)]
pub struct Retention {
    /// The time of the last search for accounts with too many rows, in milliseconds; 0 before the
    /// first one.
    trimmed_at: AtomicI64,
}

impl Retention {
    /// Removes events that are too old, or that exceed the maximum numbers.
    pub async fn remove_old_events(
        &self,
        store: &Store,
        now: Timestamp,
        batches: Batches,
    ) -> Result<(), InternalError> {
        let trimmed_at = Timestamp::from_millis(self.trimmed_at.load(Ordering::Relaxed));
        let since = trimmed_at.min(now).minus(WRITTEN_WITHIN);
        for quota in QUOTAS {
            remove_excess(store, since, quota, batches).await?;
        }
        self.trimmed_at.store(now.millis(), Ordering::Relaxed);
        for quota in QUOTAS {
            remove_old(store, now, quota, batches).await?;
        }
        Ok(())
    }
}

/// The size of a batch, and the pause after it, in which the writer is free for others.
#[derive(Debug, Clone, Copy)]
pub struct Batches {
    pub limit: i64,
    pub pause: Duration,
}

/// Removes the events of accounts that exceed their limit. It checks only accounts with an event
/// since the last run, because the others cannot have more rows than before.
async fn remove_excess(
    store: &Store,
    since: Timestamp,
    quota: Quota,
    batches: Batches,
) -> Result<(), InternalError> {
    for account in store.accounts_with_events(&first_id(since)).await? {
        let Quota { refusal, of_an_account, .. } = quota;
        let over = store.event_of_account_behind(&account, refusal, of_an_account).await?;
        let Some(until) = over else { continue };
        let remove =
            async || store.remove_events_of_account(&account, refusal, &until, batches.limit).await;
        while remove().await? > 0 {
            tokio::time::sleep(batches.pause).await;
        }
    }
    Ok(())
}

async fn remove_old(
    store: &Store,
    now: Timestamp,
    quota: Quota,
    batches: Batches,
) -> Result<(), InternalError> {
    let old = first_id(now.minus(KEEP));
    let over = store.event_behind(quota.refusal, quota.in_all).await?;
    let until = over.map_or_else(|| old.clone(), |over| over.max(old.clone()));
    while store.remove_events(quota.refusal, &until, batches.limit).await? > 0 {
        tokio::time::sleep(batches.pause).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::clock::{Clock, hours};
    use crate::core::ids::AccountId;
    use crate::domain::audit::event::Event;
    use crate::domain::audit::fixtures::*;
    use crate::domain::audit::journal::AuditLog;
    use crate::store::EventRow;

    const BATCHES: Batches = Batches { limit: 7, pause: Duration::ZERO };

    #[tokio::test]
    async fn att_17_03_what_an_account_has_too_many_of_goes_before_anything_of_others() {
        let folder = tempfile::tempdir().unwrap();
        let store = open_store(folder.path()).await;
        let events = AuditLog::new(Clock::System);
        let [ann, mallory] = ["ann", "mallory"].map(|id| AccountId::from(id.to_owned()));
        for minute in 0..3 {
            events.record(NOON.plus(mins(minute)), record_of(Event::LoginSucceeded, &ann));
            events.record(NOON.plus(mins(minute)), record_of(Event::LoginFailed, &mallory));
        }
        for minute in 10..60 {
            events.record(NOON.plus(mins(minute)), record_of(Event::SessionRevoked, &mallory));
        }
        events.write(&store, NOON.plus(hours(1))).await.unwrap();
        let now = NOON.plus(hours(1));
        let quota = Quota { refusal: false, in_all: 20, of_an_account: 10 };
        remove_excess(&store, now, quota, BATCHES).await.unwrap();
        assert_eq!(names_and_counts(&store).await.len(), 56, "no account has had an event since");
        remove_excess(&store, NOON, quota, BATCHES).await.unwrap();
        remove_old(&store, now, quota, BATCHES).await.unwrap();
        let rows = rows(&store).await;
        let count = |account: &str, refusal: i64| {
            let matches = |row: &&EventRow| {
                row.account_id.as_deref() == Some(account) && row.refusal == refusal
            };
            rows.iter().filter(matches).count()
        };
        assert_eq!([count("ann", 0), count("mallory", 0), count("mallory", 1)], [3, 10, 3]);
        assert!(
            rows.iter()
                .all(|row| row.event != "session_revoked" || row.at > NOON.plus(mins(49)).millis())
        );
    }

    #[tokio::test]
    async fn what_is_old_or_too_much_goes_and_the_deeds_stay() {
        let folder = tempfile::tempdir().unwrap();
        let store = open_store(folder.path()).await;
        let (events, account) = (AuditLog::new(Clock::System), AccountId::from("ann".to_owned()));
        events.record(NOON.minus(days(91)), record_of(Event::LoginSucceeded, &account));
        events.record(NOON.minus(days(89)), record_of(Event::LoginSucceeded, &account));
        for minute in 0..30 {
            events.record(NOON.plus(mins(minute)), record_of(Event::LoginFailed, &account));
        }
        events.write(&store, NOON.plus(hours(1))).await.unwrap();
        assert_eq!(names_and_counts(&store).await.len(), 32);
        for refusal in [true, false] {
            let quota = Quota { refusal, in_all: 10, of_an_account: 100 };
            remove_old(&store, NOON, quota, BATCHES).await.unwrap();
        }
        let rows = names_and_counts(&store).await;
        let count = |name: &str| rows.iter().filter(|(event, _)| event == name).count();
        assert_eq!((count("login_failed"), count("login_succeeded")), (10, 1), "{rows:?}");
    }
}
