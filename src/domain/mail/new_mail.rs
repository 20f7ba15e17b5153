//! Mails to be queued.

use crate::core::clock::Timestamp;
use crate::core::email_address::EmailAddress;
use crate::core::ids::AccountId;
use crate::core::login_name::LoginName;
use crate::core::secret::random_id;
use crate::domain::mail::kind::MailKind;
use crate::domain::requester::ClientInfo;
use crate::store::NewMailRow;

/// A mail to be queued.
#[derive(Debug, Clone)]
pub struct NewMail {
    pub kind: MailKind,
    pub recipient: EmailAddress,
    /// The account that it is about.
    pub account: Option<AccountId>,
    /// The client that caused it.
    pub client: ClientInfo,
}

impl NewMail {
    /// A test mail.
    pub fn test(recipient: EmailAddress) -> Self {
        Self { kind: MailKind::Test, recipient, account: None, client: ClientInfo::default() }
    }

    pub(super) fn row(&self, now: Timestamp) -> NewMailRow {
        let account_id = self.account.as_ref().map(|account| account.as_str().to_owned());
        let recipient = self.recipient.as_str().to_owned();
        NewMailRow { account_id, ..row(self.kind, recipient, &self.client, now) }
    }
}

/// The row of a mail with a link for a new password. Its recipient is the name that was typed, and
/// the worker finds the account. Nobody gets it if the text was no name.
pub(super) fn reset_row(
    name: Option<&LoginName>,
    client: &ClientInfo,
    now: Timestamp,
) -> NewMailRow {
    row(MailKind::ResetPassword, name.map(LoginName::key).unwrap_or_default(), client, now)
}

fn row(kind: MailKind, recipient: String, client: &ClientInfo, now: Timestamp) -> NewMailRow {
    NewMailRow {
        id: random_id(),
        kind: kind.name(),
        recipient,
        account_id: None,
        address: client.address.clone(),
        browser: client.browser.clone(),
        created_at: now.millis(),
    }
}
