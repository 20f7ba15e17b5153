//! What operators do with the outbox.

use crate::core::error::InternalError;
use crate::domain::mail::outbox::Outbox;
use crate::store::{MailCounts, MailRow};

/// The number of mails in a page of the list.
const PAGE: i64 = 500;

impl Outbox {
    /// Lists a page of the mails, oldest first, starting after a given one.
    pub async fn list_mails(
        &self,
        behind: Option<&MailRow>,
    ) -> Result<Vec<MailRow>, InternalError> {
        let behind = behind.map_or((i64::MIN, ""), |last| (last.created_at, last.id.as_str()));
        self.store.mails_behind(behind, PAGE).await
    }

    /// Counts the mails that wait, and those that were given up.
    pub async fn count_mails(&self) -> Result<MailCounts, InternalError> {
        self.store.count_mails().await
    }

    /// Sends a mail as soon as possible, and starts its time again. Without an id, all mails that
    /// were given up. Returns the number of mails: none if there is no such mail, or if it is being
    /// sent.
    pub async fn retry_mails(&self, id: Option<&str>) -> Result<u64, InternalError> {
        self.store.retry_mails(id, self.clock.now().millis()).await
    }

    /// Removes a mail. Without an id, all mails that were given up. Returns the number of mails.
    pub async fn drop_mails(&self, id: Option<&str>) -> Result<u64, InternalError> {
        self.store.drop_mails(id).await
    }
}
