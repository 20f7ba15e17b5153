//! Forgotten passwords: the user sets a new one with a link.

use std::time::Duration;

use crate::core::error::InternalError;
use crate::core::mailed_secret::ResetToken;
use crate::core::secret::Password;
use crate::domain::AuthService;
use crate::domain::administration::clear_lockout;
use crate::domain::audit::event::Event;
use crate::domain::counters::LoginOutcome;
use crate::domain::mail::kind::MailKind;
use crate::domain::passwords::queue::QueueFull;
use crate::domain::passwords::rules::InvalidPassword;
use crate::domain::requester::Requester;
use crate::domain::reset_links::PURPOSE;
use crate::domain::throttle::attempts::ThrottleError;
use crate::store::RecoveryRow;

/// Why no password was set.
#[derive(Debug)]
pub enum RecoverError {
    /// The link is incomplete, was used or has expired, or the account has changed since. The
    /// response does not say which.
    Refused,
    /// The password violates a rule. The link is still valid.
    Invalid(InvalidPassword),
    /// Too many passwords were tried for the account. The link is still valid.
    TooManyAttempts {
        wait: Duration,
    },
    Overloaded,
    Internal(InternalError),
}

impl RecoverError {
    fn outcome(&self) -> LoginOutcome {
        match self {
            Self::Refused | Self::Invalid(_) => LoginOutcome::Refused,
            Self::TooManyAttempts { .. } => LoginOutcome::Throttled,
            Self::Overloaded => LoginOutcome::Overloaded,
            Self::Internal(_) => LoginOutcome::Failed,
        }
    }
}

impl From<InternalError> for RecoverError {
    fn from(fault: InternalError) -> Self {
        Self::Internal(fault)
    }
}

impl From<QueueFull> for RecoverError {
    fn from(_: QueueFull) -> Self {
        Self::Overloaded
    }
}

impl From<ThrottleError> for RecoverError {
    fn from(error: ThrottleError) -> Self {
        match error {
            ThrottleError::RateLimited(wait) => Self::TooManyAttempts { wait },
            // So many concurrent requests for one account are one client's.
            ThrottleError::Overloaded => Self::TooManyAttempts { wait: Duration::from_secs(1) },
            ThrottleError::Internal(fault) => Self::Internal(fault),
        }
    }
}

impl AuthService {
    /// Sets a new password with the token of a link, and ends all sessions, API tokens and links of
    /// the account. It signs no user in, so a link never replaces a sign-in. `None` is a token that
    /// is malformed.
    pub async fn recover_password(
        &self,
        token: Option<ResetToken>,
        new: Password,
        requester: &Requester,
    ) -> Result<(), RecoverError> {
        let outcome = recover(self, token, new, requester).await;
        self.counters.count_recovery(match &outcome {
            Ok(()) => LoginOutcome::Succeeded,
            Err(error) => error.outcome(),
        });
        outcome
    }
}

async fn recover(
    service: &AuthService,
    token: Option<ResetToken>,
    new: Password,
    requester: &Requester,
) -> Result<(), RecoverError> {
    service.hasher.check_capacity(&requester.share(None))?; // a flood causes no query
    let (links, audit) = (&service.reset_links, service.audit.during(&requester.context));
    let refused = || {
        audit.record(Event::ResetRefused);
        RecoverError::Refused
    };
    let token = token.ok_or_else(refused)?;
    // The token is looked up first, so that no password is hashed for a client without one.
    let (account, stored) = links.find(&token).await?.ok_or_else(refused)?;
    let new = service.rules.passwords.check(&new, Some(&account.username));
    let new = new.map_err(RecoverError::Invalid)?;
    let note = |error: &ThrottleError| {
        if let ThrottleError::RateLimited(_) = error {
            audit.record_for(Event::RecoveryThrottled, &account.id);
        }
    };
    let allowed = service.throttle.allow_recovery(&account.id).await.inspect_err(note)?;
    let slot = service.hasher.reserve_slot(&requester.share(Some(account.username.as_str())))?;
    let attempt = service.throttle.record_attempt(allowed).await.inspect_err(note)?;
    let hash = service.hasher.hash_at(&slot, new).await;
    drop(slot);
    let Ok(hash) = hash else {
        service.throttle.undo_attempt(&attempt).await?; // no password was set
        return Err(RecoverError::Overloaded);
    };
    let notice = service.outbox.notice(MailKind::PasswordRecovered, &account, &requester.mailed);
    let row = RecoveryRow {
        account_id: account.id.as_str(),
        version: stored.version,
        digest: token.digest(),
        purpose: PURPOSE.name(),
        password: &hash,
        now: service.clock.now().millis(),
    };
    if !service.store.recover_password(row, notice.as_ref()).await? {
        return Err(refused());
    }
    service.session_cache.invalidate_account(&account.id);
    service.outbox.wake();
    audit.record_for(Event::PasswordRecovered, &account.id);
    // The user has no known browser any more, and signs in next.
    let address = account.email.map(|address| address.as_str().to_owned());
    if let Err(fault) = clear_lockout(service, &account.username, address).await {
        service.shutdown.warn(&fault); // the password is set, and the wait ends by itself
    }
    Ok(())
}
