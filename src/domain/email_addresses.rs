//! The e-mail address of an account. It counts only after its user has proved to own the mailbox,
//! with a code that was mailed to it and the session of the account: whoever gets mail about an
//! account of another person cannot confirm that account.

use std::sync::Arc;
use std::time::Duration;

use crate::core::clock::Clock;
use crate::core::email_address::EmailAddress;
use crate::core::error::InternalError;
use crate::core::ids::AccountId;
use crate::core::mailed_secret::MailedCode;
use crate::domain::accounts::{Account, email_columns};
use crate::domain::audit::event::Event;
use crate::domain::audit::journal::AuditLog;
use crate::domain::keys::server_secret::ServerSecrets;
use crate::domain::mail::kind::MailKind;
use crate::domain::mail::new_mail::NewMail;
use crate::domain::mail::outbox::Outbox;
use crate::domain::requester::Requester;
use crate::domain::sessions::AuthenticatedSession;
use crate::domain::sessions::cache::SessionCache;
use crate::domain::throttle::attempts::{Throttle, ThrottleError};
use crate::store::{
    ConfirmEmailOutcome, EmailConfirmationRow, RequestEmailOutcome, SetEmailOutcome, Store,
};

/// Why no code was requested.
#[derive(Debug)]
pub enum RequestEmailError {
    /// The service sends no mail.
    MailOff,
    /// The account makes too many changes; nothing was done.
    TooManyAttempts {
        wait: Duration,
    },
    /// The account was disabled or closed meanwhile.
    Ended,
    Internal(InternalError),
}

impl From<InternalError> for RequestEmailError {
    fn from(fault: InternalError) -> Self {
        Self::Internal(fault)
    }
}

/// Why an address was not confirmed.
#[derive(Debug)]
pub enum ConfirmEmailError {
    /// The code is wrong or has expired, or was mailed for another account or address. The response
    /// does not say which.
    CodeRefused,
    /// The user of another account has confirmed this address.
    Taken,
    /// Too many codes were wrong; this one was not looked at.
    TooManyAttempts {
        wait: Duration,
    },
    Internal(InternalError),
}

impl From<InternalError> for ConfirmEmailError {
    fn from(fault: InternalError) -> Self {
        Self::Internal(fault)
    }
}

impl From<ThrottleError> for ConfirmEmailError {
    fn from(error: ThrottleError) -> Self {
        match error {
            ThrottleError::RateLimited(wait) => Self::TooManyAttempts { wait },
            // So many concurrent requests for one account are one client's.
            ThrottleError::Overloaded => Self::TooManyAttempts { wait: Duration::from_secs(1) },
            ThrottleError::Internal(fault) => Self::Internal(fault),
        }
    }
}

/// The e-mail addresses of all accounts.
#[derive(Debug)]
pub struct EmailAddresses {
    store: Arc<Store>,
    clock: Clock,
    throttle: Arc<Throttle>,
    cache: Arc<SessionCache>,
    audit: Arc<AuditLog>,
    secrets: Arc<ServerSecrets>,
    outbox: Arc<Outbox>,
}

impl EmailAddresses {
    pub(crate) fn new(
        outbox: &Arc<Outbox>,
        cache: Arc<SessionCache>,
        audit: Arc<AuditLog>,
    ) -> Self {
        let composer = &outbox.composer;
        Self {
            store: Arc::clone(&composer.store),
            clock: composer.clock.clone(),
            throttle: Arc::clone(&composer.throttle),
            cache,
            audit,
            secrets: Arc::clone(&composer.secrets),
            outbox: Arc::clone(outbox),
        }
    }

    /// Mails a code to an address, which the user then confirms. The confirmed address stays in
    /// force until then. The outcome is the same if the mailbox got too many codes lately, and
    /// another account may have the address.
    pub async fn request_change(
        &self,
        who: &AuthenticatedSession,
        address: EmailAddress,
        requester: &Requester,
    ) -> Result<(), RequestEmailError> {
        if !self.outbox.has_server() {
            return Err(RequestEmailError::MailOff);
        }
        let (account, audit) = (&who.account.id, self.audit.during(&requester.context));
        let turn = self.throttle.account_turn(account).await?;
        let turn = turn.map_err(|wait| {
            audit.record_throttled(account);
            RequestEmailError::TooManyAttempts { wait }
        })?;
        let mail = self.outbox.prepare(&code_to(account, &address, requester));
        let wanted = (account.as_str(), address.as_str());
        match self.store.request_email(wanted, &mail, turn).await? {
            RequestEmailOutcome::NoSuchAccount => return Err(RequestEmailError::Ended),
            RequestEmailOutcome::RateLimited => {
                audit.record_throttled(account); // concurrent requests used up the limit
                let wait = self.throttle.account_wait();
                return Err(RequestEmailError::TooManyAttempts { wait });
            }
            RequestEmailOutcome::Done => {}
        }
        self.cache.invalidate_account(account);
        self.outbox.wake();
        let session = &who.session.id;
        audit.record_session(Event::EmailChangeRequested, Some(account), Some(session));
        Ok(())
    }

    /// Confirms the address to which the code was mailed. Returns the account as it is afterwards.
    /// The former address is told.
    pub async fn confirm(
        &self,
        who: &AuthenticatedSession,
        typed: &str,
        requester: &Requester,
    ) -> Result<Account, ConfirmEmailError> {
        let (account, session) = (&who.account.id, &who.session.id);
        let audit = self.audit.during(&requester.context);
        let note = |error: &ThrottleError| {
            if let ThrottleError::RateLimited(_) = error {
                audit.record_session(Event::CodeThrottled, Some(account), Some(session));
            }
        };
        let allowed = self.throttle.allow_code(account).await.inspect_err(note)?;
        let attempt = self.throttle.record_attempt(allowed).await.inspect_err(note)?;
        let outcome = self.try_code(who, typed, requester).await;
        match &outcome {
            Ok(_) | Err(ConfirmEmailError::Taken) => self.throttle.reset_attempts(&attempt).await?,
            Err(ConfirmEmailError::CodeRefused) => {
                audit.record_session(Event::CodeRefused, Some(account), Some(session));
            }
            Err(ConfirmEmailError::TooManyAttempts { .. } | ConfirmEmailError::Internal(_)) => {
                self.throttle.undo_attempt(&attempt).await?;
            }
        }
        let confirmed = outcome?;
        self.cache.invalidate_account(account);
        self.outbox.wake();
        audit.record_session(Event::EmailConfirmed, Some(account), Some(session));
        Ok(confirmed)
    }

    async fn try_code(
        &self,
        who: &AuthenticatedSession,
        typed: &str,
        requester: &Requester,
    ) -> Result<Account, ConfirmEmailError> {
        // The session may have been cached before the code was requested.
        let row = self.store.account(who.account.id.as_str()).await?;
        let account = row.map(|row| Account::from_row(row).0);
        let account = account.ok_or(ConfirmEmailError::CodeRefused)?;
        let code = MailedCode::parse(typed);
        let (Some(address), Some(code)) = (account.unconfirmed_email.clone(), code) else {
            return Err(ConfirmEmailError::CodeRefused);
        };
        let digests = self.secrets.code_digests(&account.id, &address.mailbox(), &code);
        // The notice goes to the former address, unless it is the same mailbox.
        let former = account.email.as_ref();
        let notice = former.filter(|former| former.mailbox() != address.mailbox()).map(|former| {
            self.outbox.prepare(&NewMail {
                kind: MailKind::AddressChanged,
                recipient: former.clone(),
                account: Some(account.id.clone()),
                client: requester.mailed.clone(),
            })
        });
        let row = EmailConfirmationRow {
            account_id: account.id.as_str(),
            purpose: MailKind::ConfirmAddress.name(),
            digests: &digests,
            address: email_columns(&address),
            former: former.map(EmailAddress::as_str),
            now: self.clock.now().millis(),
        };
        match self.store.confirm_email(row, notice.as_ref()).await? {
            ConfirmEmailOutcome::Refused => Err(ConfirmEmailError::CodeRefused),
            ConfirmEmailOutcome::Taken => Err(ConfirmEmailError::Taken),
            ConfirmEmailOutcome::Confirmed => {
                Ok(Account { email: Some(address), unconfirmed_email: None, ..account })
            }
        }
    }

    /// Sets the confirmed address of an account for the operator, who answers for it.
    pub async fn set(
        &self,
        account: &AccountId,
        address: &EmailAddress,
    ) -> Result<SetEmailOutcome, InternalError> {
        let now = self.clock.now().millis();
        let set = self.store.set_email(account.as_str(), &email_columns(address), now).await?;
        if set == SetEmailOutcome::Done {
            self.cache.invalidate_account(account);
            self.audit.outside_requests().record_for(Event::EmailSet, account);
        }
        Ok(set)
    }
}

/// The mail with the code for an address of an account.
pub(crate) fn code_to(
    account: &AccountId,
    address: &EmailAddress,
    requester: &Requester,
) -> NewMail {
    NewMail {
        kind: MailKind::ConfirmAddress,
        recipient: address.clone(),
        account: Some(account.clone()),
        client: requester.mailed.clone(),
    }
}
