//! What users do with their current password: they change it, confirm their session, or close their
//! account.

use crate::core::error::InternalError;
use crate::core::secret::Password;
use crate::domain::AuthService;
use crate::domain::accounts::hold_username;
use crate::domain::audit::event::Event;
use crate::domain::counters::LoginOutcome;
use crate::domain::login::{LogInError, VerifiedPassword};
use crate::domain::mail::kind::MailKind;
use crate::domain::passwords::rules::InvalidPassword;
use crate::domain::requester::Requester;
use crate::domain::sessions::{AuthenticatedSession, IssuedSession, LoginContext};

/// The error of a password change.
#[derive(Debug)]
pub enum ChangeError {
    /// The current password is wrong, the hashing queue is full, or an internal error occurred.
    NotVerified(LogInError),
    /// The new password violates a rule.
    Invalid(InvalidPassword),
}

impl From<LogInError> for ChangeError {
    fn from(error: LogInError) -> Self {
        Self::NotVerified(error)
    }
}

impl From<InvalidPassword> for ChangeError {
    fn from(bad: InvalidPassword) -> Self {
        Self::Invalid(bad)
    }
}

/// The error of confirming a session.
#[derive(Debug)]
pub enum ConfirmError {
    /// The current password is wrong, the hashing queue is full, or an internal error occurred.
    NotVerified(LogInError),
    /// The session has ended or has another token by now, or the password was changed meanwhile.
    Ended,
}

impl From<LogInError> for ConfirmError {
    fn from(error: LogInError) -> Self {
        Self::NotVerified(error)
    }
}

impl AuthService {
    /// Changes the password of the signed-in user. All sessions end, and a new one begins.
    pub async fn change_password(
        &self,
        who: &AuthenticatedSession,
        current: Password,
        new: Password,
        login_context: LoginContext,
    ) -> Result<IssuedSession, ChangeError> {
        self.keys.require_signing_key().map_err(LogInError::Internal)?;
        let new = match self.rules.passwords.check(&new, Some(&who.account.username)) {
            Ok(new) if new.is(&current) => Err(InvalidPassword::Unchanged),
            other => other,
        };
        let VerifiedPassword { account, version, .. } =
            verify_current_password(self, who, current, &login_context.requester).await?;
        let share = login_context.requester.share(Some(account.username.as_str()));
        let slot = self.hasher.reserve_slot(&share);
        let slot = slot.map_err(|_full| LogInError::Overloaded)?;
        let hash =
            self.hasher.hash_at(&slot, new?).await.map_err(|_full| LogInError::Overloaded)?;
        drop(slot);
        let requester = &login_context.requester;
        let notice = self.outbox.notice(MailKind::PasswordChanged, &account, &requester.mailed);
        let context = requester.context.clone();
        let session = self.sessions.begin(&account.id, login_context);
        let sessions = (who.session.id.as_str(), &session.row());
        let changed = self.store.change_password(version, &hash, sessions, notice.as_ref()).await;
        if !changed.map_err(LogInError::Internal)? {
            return Err(LogInError::WrongCredentials.into());
        }
        self.session_cache.invalidate_account(&account.id);
        self.outbox.wake();
        let device = self.devices.issue(&account.id, version + 1, None);
        let issued = self.sessions.issue(session, device);
        self.audit.during(&context).record_session(
            Event::PasswordChanged,
            Some(&account.id),
            Some(&issued.session.id),
        );
        Ok(issued)
    }

    /// Confirms the session of the signed-in user with the current password, and replaces its token.
    pub async fn confirm_with_password(
        &self,
        who: &AuthenticatedSession,
        current: Password,
        requester: &Requester,
    ) -> Result<IssuedSession, ConfirmError> {
        let confirm = async {
            self.keys.require_signing_key().map_err(LogInError::Internal)?;
            let VerifiedPassword { version, .. } =
                verify_current_password(self, who, current, requester).await?;
            let confirmed = self.sessions.confirm(who, version, &requester.context).await;
            confirmed.map_err(LogInError::Internal)?.ok_or(ConfirmError::Ended)
        };
        let outcome = confirm.await;
        self.counters.count_confirmation(match &outcome {
            Ok(_) => LoginOutcome::Succeeded,
            Err(ConfirmError::Ended) => LoginOutcome::Refused,
            Err(ConfirmError::NotVerified(error)) => error.outcome(),
        });
        outcome
    }

    /// Closes the account of a confirmed session: deletes it and its sessions. Returns false if the
    /// session has ended meanwhile.
    pub async fn close(
        &self,
        who: &AuthenticatedSession,
        requester: &Requester,
    ) -> Result<bool, InternalError> {
        let now = self.clock.now();
        let hold_time = self.rules.username_hold;
        let held = hold_username(&self.server_secrets, hold_time, &who.account.username, now);
        let owner = (who.account.id.as_str(), who.session.id.as_str());
        let kind = MailKind::AccountClosed;
        let notice = self.outbox.notice(kind, &who.account, &requester.mailed);
        let additions = (held.as_ref(), notice.as_ref());
        let is_closed = self.store.remove_account(owner, additions, now.millis()).await?;
        self.session_cache.invalidate_account(&who.account.id);
        if is_closed {
            self.outbox.wake();
            self.audit.during(&requester.context).record_for(Event::AccountClosed, &who.account.id);
        }
        Ok(is_closed)
    }
}

/// Verifies the current password of the signed-in user.
async fn verify_current_password(
    service: &AuthService,
    who: &AuthenticatedSession,
    current: Password,
    requester: &Requester,
) -> Result<VerifiedPassword, LogInError> {
    let audit = service.audit.during(&requester.context);
    let share = requester.share(Some(who.account.username.as_str()));
    service.hasher.check_capacity(&share)?; // a flood causes no query
    let note = |error: &LogInError| {
        let event = match error {
            LogInError::WrongCredentials => Event::PasswordRefused,
            LogInError::TooManyAttempts { .. } => Event::PasswordThrottled,
            LogInError::Overloaded | LogInError::Internal(_) => return,
        };
        audit.record_session(event, Some(&who.account.id), Some(&who.session.id));
    };
    let (id, session) = (&who.account.id, &who.session.id);
    let turn = service.throttle.account_turn(id).await?;
    turn.map_err(|wait| {
        audit.record_throttled(id);
        LogInError::TooManyAttempts { wait }
    })?;
    let allowed = service.throttle.allow_confirmation(id, session).await;
    let allowed = allowed.map_err(LogInError::from).inspect_err(note)?;
    let slot = service.hasher.reserve_slot(&share)?;
    let attempt = service.throttle.record_attempt(allowed).await;
    let attempt = attempt.map_err(LogInError::from).inspect_err(note)?;
    let row = service.store.account(id.as_str()).await?;
    let verified = service.verify_attempt(row, current, &attempt, slot).await.inspect_err(note)?;
    service.throttle.reset_attempts(&attempt).await?;
    Ok(verified)
}
