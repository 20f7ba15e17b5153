//! Changes that users make to their own accounts, which require their current password.

use crate::core::secret::Password;
use crate::domain::AuthService;
use crate::domain::accounts::hold_username;
use crate::domain::audit::event::Event;
use crate::domain::login::{LogInError, VerifiedPassword};
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
            self.confirm_password(who, current, &login_context.requester).await?;
        let slot =
            self.hasher.reserve_slot(&login_context.requester.share(Some(&account.username)));
        let slot = slot.map_err(|_full| LogInError::Overloaded)?;
        let hash =
            self.hasher.hash_at(&slot, new?).await.map_err(|_full| LogInError::Overloaded)?;
        drop(slot);
        let context = login_context.requester.context.clone();
        let session = self.sessions.begin(&account.id, login_context);
        let old = who.session.id.as_str();
        let changed = self.store.change_password(version, &hash, old, &session.row()).await;
        if !changed.map_err(LogInError::Internal)? {
            return Err(LogInError::WrongCredentials.into());
        }
        self.session_cache.invalidate_account(&account.id);
        let device = self.devices.issue(&account.id, version + 1, None);
        let issued = self.sessions.issue(session, device);
        self.audit.during(&context).record_session(
            Event::PasswordChanged,
            Some(&account.id),
            Some(&issued.session.id),
        );
        Ok(issued)
    }

    /// Closes the account of the signed-in user: deletes it and its sessions.
    pub async fn close(
        &self,
        who: &AuthenticatedSession,
        current: Password,
        requester: &Requester,
    ) -> Result<(), LogInError> {
        let VerifiedPassword { account, version, .. } =
            self.confirm_password(who, current, requester).await?;
        let now = self.clock.now();
        let hold_time = self.rules.username_hold;
        let held = hold_username(&self.server_secrets, hold_time, &account.username, now);
        let account_row = (account.id.as_str(), version);
        if !self.store.remove_account(account_row, held.as_ref(), now.millis()).await? {
            return Err(LogInError::WrongCredentials);
        }
        self.session_cache.invalidate_account(&account.id);
        self.audit.during(&requester.context).record_for(Event::AccountClosed, &account.id);
        Ok(())
    }

    /// Verifies the current password of the signed-in user.
    async fn confirm_password(
        &self,
        who: &AuthenticatedSession,
        current: Password,
        requester: &Requester,
    ) -> Result<VerifiedPassword, LogInError> {
        let audit = self.audit.during(&requester.context);
        let share = requester.share(Some(&who.account.username));
        self.hasher.check_capacity(&share)?; // a flood causes no query
        let note = |error: &LogInError| {
            let event = match error {
                LogInError::WrongCredentials => Event::PasswordRefused,
                LogInError::TooManyAttempts { .. } => Event::PasswordThrottled,
                LogInError::Overloaded | LogInError::Internal(_) => return,
            };
            audit.record_session(event, Some(&who.account.id), Some(&who.session.id));
        };
        let (id, session) = (&who.account.id, &who.session.id);
        let turn = self.throttle.account_turn(id).await?;
        turn.map_err(|wait| {
            audit.record_throttled(id);
            LogInError::TooManyAttempts { wait }
        })?;
        let allowed = self.throttle.allow_confirmation(id, session).await;
        let allowed = allowed.map_err(LogInError::from).inspect_err(note)?;
        let slot = self.hasher.reserve_slot(&share)?;
        let attempt = self.throttle.record_attempt(allowed).await;
        let attempt = attempt.map_err(LogInError::from).inspect_err(note)?;
        let row = self.store.account(id.as_str()).await?;
        let verified = self.verify_attempt(row, current, &attempt, slot).await.inspect_err(note)?;
        self.throttle.reset_attempts(&attempt).await?;
        Ok(verified)
    }
}
