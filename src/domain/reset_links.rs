//! The links with which users set a new password. They are mailed to the confirmed address of an
//! account, or an operator hands them over.
//!
//! A request is the same work whatever name it contains: it is counted and written to the outbox.
//! The worker finds the account, and makes the token when it sends the mail.

use std::sync::Arc;
use std::time::Duration;

use crate::core::clock::{Clock, Timestamp, hours};
use crate::core::error::InternalError;
use crate::core::login_name::LoginName;
use crate::core::mailed_secret::ResetToken;
use crate::core::usernames::Username;
use crate::domain::accounts::{Account, StoredPassword};
use crate::domain::audit::event::Event;
use crate::domain::audit::journal::AuditLog;
use crate::domain::mail::kind::MailKind;
use crate::domain::mail::outbox::Outbox;
use crate::domain::requester::{ClientInfo, Requester};
use crate::domain::throttle::attempts::{Throttle, ThrottleError};
use crate::store::{NewProofRow, Store};

/// How long a link is valid that an operator hands over.
pub const OPERATOR_LINK_LIFETIME: Duration = hours(24);
/// The purpose of the proofs, whether they are mailed or handed over.
pub(super) const PURPOSE: MailKind = MailKind::ResetPassword;

/// Why no link was requested.
#[derive(Debug)]
pub enum RequestResetError {
    /// The service sends no mail.
    MailOff,
    /// The address of the client, or all clients, made too many requests.
    TooManyAttempts {
        wait: Duration,
    },
    Internal(InternalError),
}

impl From<ThrottleError> for RequestResetError {
    fn from(error: ThrottleError) -> Self {
        match error {
            ThrottleError::RateLimited(wait) => Self::TooManyAttempts { wait },
            ThrottleError::Overloaded => Self::TooManyAttempts { wait: Duration::from_secs(1) },
            ThrottleError::Internal(fault) => Self::Internal(fault),
        }
    }
}

/// Why an operator gets no link.
#[derive(Debug)]
pub enum CreateLinkError {
    NoSuchAccount,
    /// The user is disabled, and could not use the link.
    Disabled,
    /// The user got another password meanwhile.
    Changed,
    Internal(InternalError),
}

impl From<InternalError> for CreateLinkError {
    fn from(fault: InternalError) -> Self {
        Self::Internal(fault)
    }
}

/// A link that an operator created.
#[derive(Debug)]
pub struct ResetLink {
    /// For the end of the link.
    pub token: ResetToken,
    pub expires_at: Timestamp,
    /// The number of valid links that it replaces.
    pub replaced: u64,
    /// Whether a mail tells the user about it.
    pub is_announced: bool,
}

/// The links with which users set a new password.
#[derive(Debug)]
pub struct ResetLinks {
    store: Arc<Store>,
    clock: Clock,
    throttle: Arc<Throttle>,
    audit: Arc<AuditLog>,
    outbox: Arc<Outbox>,
}

impl ResetLinks {
    pub(crate) fn new(outbox: &Arc<Outbox>, audit: Arc<AuditLog>) -> Self {
        let composer = &outbox.composer;
        Self {
            store: Arc::clone(&composer.store),
            clock: composer.clock.clone(),
            throttle: Arc::clone(&composer.throttle),
            audit,
            outbox: Arc::clone(outbox),
        }
    }

    /// Requests a link by mail for the account with this user name or confirmed address. The work
    /// and the outcome are the same if there is none. A text that is no such name is not stored.
    pub async fn request(
        &self,
        typed: &str,
        requester: &Requester,
    ) -> Result<(), RequestResetError> {
        if !self.outbox.has_server() {
            return Err(RequestResetError::MailOff);
        }
        let audit = self.audit.during(&requester.context);
        let note = |error: &ThrottleError| {
            if let ThrottleError::RateLimited(_) = error {
                audit.record(Event::ResetThrottled);
            }
        };
        let allowed = self.throttle.allow_reset_request(requester).await.inspect_err(note)?;
        self.throttle.record_attempt(allowed).await.inspect_err(note)?;
        let mail = self.outbox.prepare_reset(LoginName::parse(typed).as_ref(), &requester.mailed);
        // The worker is not woken: it looks for mail every few seconds. If it began at once, the
        // next request of the client could measure whether there is a mail to send.
        self.store.add_mail(&mail).await.map_err(RequestResetError::Internal)?;
        audit.record(Event::ResetRequested);
        Ok(())
    }

    /// Finds the account that a link is valid for. This does not use the link up: programs that
    /// follow links, such as virus scanners, must not.
    pub async fn find_account(&self, token: &ResetToken) -> Result<Option<Account>, InternalError> {
        Ok(self.find(token).await?.map(|(account, _)| account))
    }

    pub(super) async fn find(
        &self,
        token: &ResetToken,
    ) -> Result<Option<(Account, StoredPassword)>, InternalError> {
        let now = self.clock.now().millis();
        let row = self.store.account_of_proof((token.digest(), PURPOSE.name()), now).await?;
        Ok(row.map(Account::from_row))
    }

    /// Creates a link for an operator, who hands it over to the user. It replaces all earlier links
    /// of the account, and the user is told by mail.
    pub async fn create(&self, username: &Username) -> Result<ResetLink, CreateLinkError> {
        let row = self.store.account_named(username.as_str()).await?;
        let (account, password) =
            row.map(Account::from_row).ok_or(CreateLinkError::NoSuchAccount)?;
        if account.disabled_at.is_some() {
            return Err(CreateLinkError::Disabled);
        }
        let (token, now) = (ResetToken::random(), self.clock.now());
        let expires_at = now.plus(OPERATOR_LINK_LIFETIME);
        let proof = NewProofRow {
            digest: token.digest(),
            account_id: account.id.as_str(),
            purpose: PURPOSE.name(),
            mailbox: None,
            mail_id: None,
            password_version: password.version,
            created_at: now.millis(),
            expires_at: expires_at.millis(),
        };
        let notice =
            self.outbox.notice(MailKind::ResetLinkCreated, &account, &ClientInfo::default());
        let replaced = self.store.replace_proofs(&proof, notice.as_ref()).await?;
        let replaced = replaced.ok_or(CreateLinkError::Changed)?;
        self.outbox.wake();
        self.audit.outside_requests().record_for(Event::ResetLinkCreated, &account.id);
        Ok(ResetLink { token, expires_at, replaced, is_announced: notice.is_some() })
    }
}
