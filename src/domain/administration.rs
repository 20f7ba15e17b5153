//! The operator's changes to accounts.

use crate::core::display_names::DisplayName;
use crate::core::email_address::EmailAddress;
use crate::core::error::InternalError;
use crate::core::ids::AccountId;
use crate::core::usernames::Username;
use crate::domain::AuthService;
use crate::domain::accounts::{Account, hold_username};
use crate::domain::audit::event::Event;
use crate::domain::mail::kind::MailKind;
use crate::domain::passwords::rules::NewPassword;
use crate::domain::passwords::stored::NO_PASSWORD;
use crate::domain::requester::ClientInfo;
use crate::domain::roles::Roles;
use crate::store::{AccountChange, AddAccountOutcome, HashRow};

/// The outcome of a change to an account by the operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    NoSuchAccount,
    /// The account had that state already, and nothing was written.
    Unchanged,
    Done,
}

/// A user whom an operator adds.
#[derive(Debug)]
pub struct NewUser {
    pub username: Username,
    pub display_name: Option<DisplayName>,
    /// The address counts as confirmed: the operator answers for it.
    pub email: Option<EmailAddress>,
    pub roles: Roles,
}

impl NewUser {
    /// A user without anything but a name.
    pub fn new(username: Username) -> Self {
        Self { username, display_name: None, email: None, roles: Roles::default() }
    }
}

/// The error of adding a user.
#[derive(Debug)]
pub enum AddUserError {
    UsernameTaken,
    /// The user of another account has confirmed the address.
    EmailTaken,
    Overloaded,
    Internal(InternalError),
}

impl From<InternalError> for AddUserError {
    fn from(fault: InternalError) -> Self {
        Self::Internal(fault)
    }
}

/// The error of a password reset.
#[derive(Debug)]
pub enum ResetError {
    NoSuchAccount,
    Overloaded,
    Internal(InternalError),
}

impl AuthService {
    /// Adds an account for the operator, even if registration is closed. If the user name is
    /// reserved, it is released. Nobody can sign in to an account without a password until one is
    /// set, but it can have API tokens.
    pub async fn add_account(
        &self,
        user: NewUser,
        password: Option<NewPassword>,
    ) -> Result<Account, AddUserError> {
        let NewUser { username, display_name, email, roles } = user;
        let hash = match password {
            Some(password) => {
                self.hasher.hash(password).await.map_err(|_full| AddUserError::Overloaded)?
            }
            None => HashRow {
                hash: NO_PASSWORD.to_owned().into(),
                cost: self.hasher.cost(), // the decoy is verified
                pepper: None,
            },
        };
        let account = Account::new(username, display_name, self.clock.now());
        let account = Account { email, roles, ..account };
        let held = self.server_secrets.held_digests(&account.username);
        match self.store.add_account(&account.to_row(&hash), &held).await? {
            AddAccountOutcome::NameTaken => return Err(AddUserError::UsernameTaken),
            AddAccountOutcome::EmailTaken => return Err(AddUserError::EmailTaken),
            AddAccountOutcome::Released => {
                self.audit.outside_requests().record_for(Event::UsernameReleased, &account.id);
            }
            AddAccountOutcome::New => {}
        }
        self.audit.outside_requests().record_for(Event::UserAdded, &account.id);
        Ok(account)
    }

    /// Releases a reserved user name for the operator, so that it can be registered. Returns false
    /// if it is not reserved.
    pub async fn release_username(&self, username: &Username) -> Result<bool, InternalError> {
        let held = self.server_secrets.held_digests(username);
        let is_released = self.store.release_username(&held).await?;
        if is_released {
            self.audit.outside_requests().record(Event::UsernameReleased);
        }
        Ok(is_released)
    }

    /// Finds the account with this user name.
    pub async fn account_named(
        &self,
        username: &Username,
    ) -> Result<Option<Account>, InternalError> {
        let row = self.store.account_named(username.as_str()).await?;
        Ok(row.map(|row| Account::from_row(row).0))
    }

    /// Lists a page of accounts in the order of their user names, starting after `after`.
    pub async fn accounts_after(&self, after: &str) -> Result<Vec<Account>, InternalError> {
        const PAGE: i64 = 500; // a few hundred kilobytes at most
        let rows = self.store.accounts_after(after, PAGE).await?;
        Ok(rows.into_iter().map(|row| Account::from_row(row).0).collect())
    }

    /// Disables an account for the operator, and ends all its sessions and API tokens.
    pub async fn disable(&self, username: &Username) -> Result<Change, InternalError> {
        let now = self.clock.now().millis();
        match self.store.disable_account(username.as_str(), now).await? {
            AccountChange::NoSuchAccount => Ok(Change::NoSuchAccount),
            AccountChange::Unchanged(_) => Ok(Change::Unchanged),
            AccountChange::Changed(account) => {
                self.record_revocation(Some(account), Event::UserDisabled);
                Ok(Change::Done)
            }
        }
    }

    /// Enables an account for the operator, and clears the lockout of its user name.
    pub async fn enable(&self, username: &Username) -> Result<Change, InternalError> {
        let (account, was_disabled) = match self.store.enable_account(username.as_str()).await? {
            AccountChange::NoSuchAccount => return Ok(Change::NoSuchAccount),
            AccountChange::Unchanged(account) => (account, false),
            AccountChange::Changed(account) => (account, true),
        };
        let row = self.store.account_named(username.as_str()).await?;
        let had_failures = clear_lockout(self, username, row.and_then(|row| row.email)).await?;
        if !was_disabled && !had_failures {
            return Ok(Change::Unchanged);
        }
        self.audit.outside_requests().record_for(Event::UserEnabled, &account.into());
        Ok(Change::Done)
    }

    /// Deletes an account and all its sessions for the operator, and reserves its user name.
    /// Returns false if there is no such account.
    pub async fn delete(&self, username: &Username) -> Result<bool, InternalError> {
        let now = self.clock.now();
        let held = hold_username(&self.server_secrets, self.rules.username_hold, username, now);
        let Some(account) = self.account_named(username).await? else { return Ok(false) };
        let kind = MailKind::AccountClosed;
        let notice = self.outbox.notice(kind, &account, &ClientInfo::default());
        let (id, additions) = (account.id.as_str(), (held.as_ref(), notice.as_ref()));
        let is_deleted = self.store.delete_account(id, additions, now.millis()).await?;
        self.outbox.wake();
        let deleted = is_deleted.then(|| id.to_owned());
        Ok(self.record_revocation(deleted, Event::UserDeleted))
    }

    /// Removes the account's sessions from the cache and records the event. Returns false if there
    /// is no account.
    fn record_revocation(&self, account: Option<String>, event: Event) -> bool {
        let Some(account) = account.map(AccountId::from) else { return false };
        self.session_cache.invalidate_account(&account);
        self.audit.outside_requests().record_for(event, &account);
        true
    }

    /// Sets the password of an account for the operator, and ends all its sessions and API tokens.
    pub async fn reset_password(
        &self,
        username: &Username,
        password: NewPassword,
    ) -> Result<(), ResetError> {
        let row =
            self.store.account_named(username.as_str()).await.map_err(ResetError::Internal)?;
        let (account, _) = Account::from_row(row.ok_or(ResetError::NoSuchAccount)?);
        let hash = self.hasher.hash(password).await.map_err(|_busy| ResetError::Overloaded)?;
        let now = self.clock.now().millis();
        let kind = MailKind::PasswordChanged;
        let notice = self.outbox.notice(kind, &account, &ClientInfo::default());
        let id = account.id.as_str();
        let set = self.store.set_password(id, &hash, notice.as_ref(), now).await;
        if !set.map_err(ResetError::Internal)? {
            return Err(ResetError::NoSuchAccount);
        }
        self.outbox.wake();
        self.audit.outside_requests().record_for(Event::PasswordReset, &account.id);
        let email = account.email.map(|email| email.as_str().to_owned());
        clear_lockout(self, username, email).await.map_err(ResetError::Internal)?;
        Ok(())
    }
}

/// Clears the lockout of an account's user name and of its address. Returns whether there was one.
pub(crate) async fn clear_lockout(
    service: &AuthService,
    username: &Username,
    email: Option<String>,
) -> Result<bool, InternalError> {
    let mailbox = email.and_then(EmailAddress::from_row).map(|address| address.mailbox());
    service.throttle.clear_lockout(username, mailbox.as_deref()).await
}
