//! Notices: mails that tell the user of an account what happened to it, at its confirmed address.
//! They are queued in the transaction of their cause, and contain no secret.

use std::net::IpAddr;
use std::time::Duration;

use crate::core::clock::days;
use crate::core::email_address::EmailAddress;
use crate::core::error::InternalError;
use crate::core::net::network_of;
use crate::domain::accounts::Account;
use crate::domain::mail::kind::MailKind;
use crate::domain::mail::new_mail::NewMail;
use crate::domain::mail::outbox::Outbox;
use crate::domain::requester::{ClientInfo, Requester};
use crate::store::NewMailRow;

/// How long a network counts as known from which a user signed in.
const NETWORK_KNOWN_FOR: Duration = days(30);

impl Outbox {
    /// The row of a notice about an account, for the transaction of its cause. `None` if the account
    /// has no confirmed address, or if the service sends no mail.
    pub(crate) fn notice(
        &self,
        kind: MailKind,
        account: &Account,
        client: &ClientInfo,
    ) -> Option<NewMailRow> {
        let recipient = account.email.clone().filter(|_| self.has_server())?;
        // The row of a mail is removed together with the account that it names.
        let named = (kind != MailKind::AccountClosed).then(|| account.id.clone());
        let mail = NewMail { kind, recipient, account: named, client: client.clone() };
        Some(self.prepare(&mail))
    }

    /// The notice of a sign-in by a client that the account does not know: neither a browser that
    /// has signed in before, nor one in a network from which its user signed in lately. `None` also
    /// if the mailbox got too many of these notices lately.
    pub(crate) async fn notice_of_sign_in(
        &self,
        account: &Account,
        is_known_device: bool,
        requester: &Requester,
    ) -> Result<Option<NewMailRow>, InternalError> {
        let kind = MailKind::NewSignIn;
        let Some(mailbox) = account.email.as_ref().map(EmailAddress::mailbox) else {
            return Ok(None);
        };
        if is_known_device || !self.has_server() || self.knows_network(account, requester).await? {
            return Ok(None);
        }
        if !self.composer.throttle.take_mailbox_turn(kind.name(), &mailbox).await? {
            return Ok(None);
        }
        Ok(self.notice(kind, account, &requester.mailed))
    }

    async fn knows_network(
        &self,
        account: &Account,
        requester: &Requester,
    ) -> Result<bool, InternalError> {
        let Some(network) = requester.address.map(network_of) else { return Ok(false) };
        let since = self.clock.now().minus(NETWORK_KNOWN_FOR).millis();
        let addresses = self.store.sign_in_addresses(account.id.as_str(), since).await?;
        let networks = addresses.iter().filter_map(|address| address.parse::<IpAddr>().ok());
        Ok(networks.map(network_of).any(|known| known == network))
    }
}
