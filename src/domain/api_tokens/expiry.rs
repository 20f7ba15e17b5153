//! Tells users that their API tokens expire soon.

use std::time::Duration;

use super::ApiTokens;
use crate::core::clock::days;
use crate::core::error::InternalError;
use crate::domain::accounts::Account;
use crate::domain::mail::kind::MailKind;
use crate::domain::requester::ClientInfo;
use crate::store::ExpiringTokens;

/// How long before its end a token is announced. A token with a shorter lifetime is not: whoever
/// created it knows.
const ANNOUNCED: Duration = days(7);
/// The number of accounts that are found at a time.
const BATCH: i64 = 100;

impl ApiTokens {
    /// Queues a notice for each user whose tokens expire within a week: one mail for all tokens,
    /// once for each token, on whichever node comes first. Without a mail server, nothing is
    /// recorded, so the users are told when there is one.
    pub async fn announce_expiring(&self) -> Result<(), InternalError> {
        if !self.outbox.has_server() {
            return Ok(());
        }
        loop {
            let now = self.clock.now();
            let expiring = ExpiringTokens {
                now: now.millis(),
                until: now.plus(ANNOUNCED).millis(),
                min_lifetime: i64::try_from(ANNOUNCED.as_millis()).expect("a week is small"),
            };
            let accounts = self.store.accounts_with_expiring_tokens(expiring, BATCH).await?;
            for id in &accounts {
                let row = self.store.account(id).await?;
                let account = row.map(|row| Account::from_row(row).0);
                let account = account.filter(|account| account.disabled_at.is_none());
                let notice = account.and_then(|account| {
                    let kind = MailKind::ApiTokenExpiring;
                    self.outbox.notice(kind, &account, &ClientInfo::default())
                });
                self.store.announce_expiring_tokens(id, expiring, notice.as_ref()).await?;
            }
            self.outbox.wake();
            if i64::try_from(accounts.len()).unwrap_or(i64::MAX) < BATCH {
                return Ok(());
            }
        }
    }
}
