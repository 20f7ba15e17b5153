//! Accounts: who may sign in, and how they come to be.

use std::time::Duration;

use crate::core::clock::Timestamp;
use crate::core::error::Fault;
use crate::core::ids::AccountId;
use crate::core::secret::{InviteCode, Password, PasswordHash, Sid, random_id};
use crate::core::usernames::{BadUsername, Username};
use crate::domain::Domain;
use crate::domain::audit::event::Event;
use crate::domain::passwords::hasher::{BadPassword, NewPassword};
use crate::domain::sessions::{LogInError, SignedInAs, Ticket, Wishes};
use crate::domain::throttle::{Caller, NotNow};
use crate::store::{
    AccountChange, AccountRow, AddAccountOutcome, HashRow, HeldUsernameRow, NewAccountRow,
    NewSessionRow, SignUpOutcome,
};

/// Who may make an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registration {
    /// Anybody.
    Open,
    /// Whoever has an invite.
    Invite,
    /// Nobody but the operator, by the command line.
    Closed,
}

/// An account as its owner may see it.
#[derive(Debug, Clone)]
pub struct Account {
    pub id: AccountId,
    pub username: Username,
    pub created_at: Timestamp,
    pub disabled_at: Option<Timestamp>,
}

impl Account {
    /// Takes the password off the row: its hash goes its own way, towards the hasher.
    pub(crate) fn from_row(row: AccountRow) -> (Self, StoredPassword) {
        let account = Self {
            id: row.id.into(),
            username: Username::from_row(row.username),
            created_at: Timestamp::from_millis(row.created_at),
            disabled_at: row.disabled_at.map(Timestamp::from_millis),
        };
        (account, StoredPassword { hash: row.password_hash, version: row.password_version })
    }

    fn to_row<'a>(&'a self, password: &'a HashRow) -> NewAccountRow<'a> {
        NewAccountRow {
            id: self.id.as_str(),
            username: self.username.as_str(),
            password,
            created_at: self.created_at.millis(),
        }
    }
}

/// What the row of an account holds of its password.
#[derive(Debug)]
pub(crate) struct StoredPassword {
    pub hash: PasswordHash,
    /// Counts the passwords of the account.
    pub version: i64,
}

/// An account whose password was just verified.
#[derive(Debug)]
pub(crate) struct Verified {
    pub account: Account,
    /// Whatever follows holds only while the account has this password.
    pub version: i64,
    /// The password again, if its hash is not as new ones are.
    pub outdated: Option<NewPassword>,
}

/// What somebody asks for who wants an account.
#[derive(Debug)]
pub struct Application {
    pub username: Result<Username, BadUsername>,
    pub password: Result<NewPassword, BadPassword>,
    /// The code of an invite. It is not looked at where nobody needs one.
    pub invite: Option<InviteCode>,
}

impl Application {
    /// The name and the password, if they keep to the rules.
    fn fit(self) -> Result<(Username, NewPassword), RegisterError> {
        match (self.username, self.password) {
            (Ok(username), Ok(password)) => Ok((username, password)),
            (username, password) => {
                Err(RegisterError::Unfit { username: username.err(), password: password.err() })
            }
        }
    }
}

/// The first password of an account has this number: the column's default.
const FIRST_VERSION: i64 = 1;

/// Why no account was made.
#[derive(Debug)]
pub enum RegisterError {
    Closed,
    /// There is no invite, or none in force: which of these is not said.
    NotInvited,
    /// The name, the password or both break a rule.
    Unfit {
        username: Option<BadUsername>,
        password: Option<BadPassword>,
    },
    UsernameTaken,
    /// Nothing was tried.
    TooManyAttempts {
        wait: Duration,
    },
    Busy,
    Fault(Fault),
}

impl From<Fault> for RegisterError {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<NotNow> for RegisterError {
    fn from(not_now: NotNow) -> Self {
        match not_now {
            NotNow::Wait(wait) => Self::TooManyAttempts { wait },
            NotNow::Busy => Self::Busy,
            NotNow::Fault(fault) => Self::Fault(fault),
        }
    }
}

impl Domain {
    /// Makes an account for whoever asks, if that is open to all or they are invited, and signs them
    /// in.
    pub async fn register(
        &self,
        application: Application,
        wishes: Wishes,
    ) -> Result<(Account, Ticket), RegisterError> {
        self.keys.require_signing_key()?;
        let share = wishes.caller.share(application.username.as_ref().ok());
        if self.rules.registration != Registration::Closed {
            // a flood costs no look-up
            self.hasher.check_capacity(&share).map_err(|_full| RegisterError::Busy)?;
        }
        let invite = match self.rules.registration {
            Registration::Open => None,
            Registration::Invite => {
                // looked up first, so that strangers neither learn names nor keep the hasher busy
                let digest = application.invite.as_ref().map(InviteCode::digest);
                Some(self.in_force(digest).await?.ok_or(RegisterError::NotInvited)?)
            }
            Registration::Closed => return Err(RegisterError::Closed),
        };
        let username = application.username.and_then(Username::unless_reserved);
        let (username, password) = Application { username, ..application }.fit()?;
        let tried = self.may_register(&username, &wishes.caller).await.inspect_err(|not_now| {
            if let NotNow::Wait(_) = not_now {
                self.note(Event::RegistrationThrottled);
            }
        });
        let mut tried = tried?;
        let slot = tried.take_slot().ok_or(RegisterError::Busy)?;
        let hash = self.hasher.hash_at(&slot, password).await;
        drop(slot);
        let Ok(hash) = hash else {
            self.never_mind(&tried).await?; // nothing was made
            return Err(RegisterError::Busy);
        };
        let account = self.new_account(username);
        let sid = Sid::random();
        let row = self.new_session(&account, wishes);
        let session = NewSessionRow { digest: sid.digest(), session: &row };
        let held = self.server_secrets.held_digests(&account.username);
        match self.store.sign_up(&account.to_row(&hash), &held, &session, invite).await? {
            SignUpOutcome::Done => {
                let device = Some(self.device_token(&account.id, FIRST_VERSION, None));
                let ticket = Ticket { device, ..self.ticket(row, sid) };
                self.note_of(Event::AccountRegistered, Some(&account.id), Some(&ticket.session.id));
                if invite.is_some() {
                    self.note_at(Event::InviteUsed, &account.id);
                }
                Ok((account, ticket))
            }
            SignUpOutcome::NameTaken => Err(RegisterError::UsernameTaken),
            SignUpOutcome::InviteGone => Err(RegisterError::NotInvited),
        }
    }

    /// Makes an account, whoever may register: the operator's way. A user name that is held is
    /// released by it.
    pub async fn add_account(&self, application: Application) -> Result<Account, RegisterError> {
        let (username, password) = application.fit()?;
        let hash = self.hasher.hash(password).await.map_err(|_full| RegisterError::Busy)?;
        let account = self.new_account(username);
        let held = self.server_secrets.held_digests(&account.username);
        match self.store.add_account(&account.to_row(&hash), &held).await? {
            AddAccountOutcome::NameTaken => return Err(RegisterError::UsernameTaken),
            AddAccountOutcome::Released => self.note_at(Event::UsernameReleased, &account.id),
            AddAccountOutcome::New => {}
        }
        self.note_at(Event::UserAdded, &account.id);
        Ok(account)
    }

    /// Lets a registration get a user name that is held: the operator's way. False if it is not held.
    pub async fn release_username(&self, username: &Username) -> Result<bool, Fault> {
        let held = self.server_secrets.held_digests(username);
        let is_released = self.store.release_username(&held).await?;
        if is_released {
            self.note(Event::UsernameReleased);
        }
        Ok(is_released)
    }

    /// The row that holds the user name of an account that is removed now, if names are held.
    fn held(&self, username: &Username, now: Timestamp) -> Option<HeldUsernameRow> {
        let hold = self.rules.username_hold;
        (hold > Duration::ZERO).then(|| self.server_secrets.hold(username, now.plus(hold)))
    }

    /// The account that is asked for.
    fn new_account(&self, username: Username) -> Account {
        let created_at = self.clock.now();
        Account { id: random_id().into(), username, created_at, disabled_at: None }
    }

    /// Changes the password of who is signed in. Every session ends, and one begins.
    pub async fn change_password(
        &self,
        who: &SignedInAs,
        current: Password,
        new: Result<NewPassword, BadPassword>,
        wishes: Wishes,
    ) -> Result<Ticket, ChangeError> {
        self.keys.require_signing_key().map_err(LogInError::Fault)?;
        let new = match new {
            Ok(new) if new.is(&current) => Err(BadPassword::Unchanged),
            other => other,
        };
        let Verified { account, version, .. } =
            self.confirmed(who, current, &wishes.caller).await?;
        let slot = self.hasher.reserve_slot(&wishes.caller.share(Some(&account.username)));
        let slot = slot.map_err(|_full| LogInError::Busy)?;
        let hash = self.hasher.hash_at(&slot, new?).await.map_err(|_full| LogInError::Busy)?;
        drop(slot);
        let sid = Sid::random();
        let row = self.new_session(&account, wishes);
        let session = NewSessionRow { digest: sid.digest(), session: &row };
        let old = who.session.id.as_str();
        let changed = self.store.change_password(version, &hash, old, &session).await;
        if !changed.map_err(LogInError::Fault)? {
            return Err(LogInError::WrongCredentials.into());
        }
        self.recognition.ended(&account.id);
        let device = Some(self.device_token(&account.id, version + 1, None));
        let ticket = Ticket { device, ..self.ticket(row, sid) };
        self.note_of(Event::PasswordChanged, Some(&account.id), Some(&ticket.session.id));
        Ok(ticket)
    }

    /// Closes the account of who is signed in: it is gone, and its sessions with it.
    pub async fn close(
        &self,
        who: &SignedInAs,
        current: Password,
        caller: &Caller,
    ) -> Result<(), LogInError> {
        let Verified { account, version, .. } = self.confirmed(who, current, caller).await?;
        let now = self.clock.now();
        let held = self.held(&account.username, now);
        let account_row = (account.id.as_str(), version);
        if !self.store.remove_account(account_row, held.as_ref(), now.millis()).await? {
            return Err(LogInError::WrongCredentials);
        }
        self.recognition.ended(&account.id);
        self.note_at(Event::AccountClosed, &account.id);
        Ok(())
    }

    /// The account of who is signed in, once more by its password.
    async fn confirmed(
        &self,
        who: &SignedInAs,
        current: Password,
        caller: &Caller,
    ) -> Result<Verified, LogInError> {
        let share = caller.share(Some(&who.account.username));
        self.hasher.check_capacity(&share)?; // a flood costs no look-up
        let note = |error: &LogInError| {
            let event = match error {
                LogInError::WrongCredentials => Event::PasswordRefused,
                LogInError::TooManyAttempts { .. } => Event::PasswordThrottled,
                LogInError::Busy | LogInError::Fault(_) => return,
            };
            self.note_of(event, Some(&who.account.id), Some(&who.session.id));
        };
        let turn = self.account_turn(&who.account.id).await?;
        turn.map_err(|wait| LogInError::TooManyAttempts { wait })?;
        let tried = self.may_confirm(who, caller).await.map_err(LogInError::from);
        let mut tried = tried.inspect_err(note)?;
        let row = self.store.account(who.account.id.as_str()).await?;
        let proved = self.proved(row, current, &mut tried).await.inspect_err(note)?;
        self.forgive(&tried).await?;
        Ok(proved)
    }

    /// The account of this name, if there is one.
    pub async fn account_named(&self, username: &Username) -> Result<Option<Account>, Fault> {
        let row = self.store.account_named(username.as_str()).await?;
        Ok(row.map(|row| Account::from_row(row).0))
    }

    /// A page of the accounts in the order of their names, after the name `after`.
    pub async fn accounts_after(&self, after: &str) -> Result<Vec<Account>, Fault> {
        const PAGE: i64 = 500; // a few hundred kilobytes at the most
        let rows = self.store.accounts_after(after, PAGE).await?;
        Ok(rows.into_iter().map(|row| Account::from_row(row).0).collect())
    }

    /// Disables an account and ends all its sessions: the operator's way.
    pub async fn disable(&self, username: &Username) -> Result<Change, Fault> {
        let now = self.clock.now().millis();
        match self.store.disable_account(username.as_str(), now).await? {
            AccountChange::NoSuchAccount => Ok(Change::NoSuchAccount),
            AccountChange::Unchanged(_) => Ok(Change::Unchanged),
            AccountChange::Changed(account) => {
                self.forgotten(Some(account), Event::UserDisabled);
                Ok(Change::Done)
            }
        }
    }

    /// Enables an account again, and lifts the wait at its name.
    pub async fn enable(&self, username: &Username) -> Result<Change, Fault> {
        let (account, was_disabled) = match self.store.enable_account(username.as_str()).await? {
            AccountChange::NoSuchAccount => return Ok(Change::NoSuchAccount),
            AccountChange::Unchanged(account) => (account, false),
            AccountChange::Changed(account) => (account, true),
        };
        let had_failures = self.let_try_again(username).await?;
        if !was_disabled && !had_failures {
            return Ok(Change::Unchanged);
        }
        self.note_at(Event::UserEnabled, &account.into());
        Ok(Change::Done)
    }

    /// Removes an account and all its sessions, and holds its user name: the operator's way. False if
    /// there is none.
    pub async fn delete(&self, username: &Username) -> Result<bool, Fault> {
        let now = self.clock.now();
        let held = self.held(username, now);
        let (name, held) = (username.as_str(), held.as_ref());
        let account = self.store.delete_account(name, held, now.millis()).await?;
        Ok(self.forgotten(account, Event::UserDeleted))
    }

    /// Recognises no session of this account any more; was there one?
    fn forgotten(&self, account: Option<String>, event: Event) -> bool {
        let Some(account) = account.map(AccountId::from) else { return false };
        self.recognition.ended(&account);
        self.note_at(event, &account);
        true
    }

    /// Gives an account a new password and ends all its sessions: the operator's way.
    pub async fn reset_password(
        &self,
        username: &Username,
        password: NewPassword,
    ) -> Result<(), ResetError> {
        let row = self.store.account_named(username.as_str()).await.map_err(ResetError::Fault)?;
        let row = row.ok_or(ResetError::NoSuchAccount)?;
        let hash = self.hasher.hash(password).await.map_err(|_busy| ResetError::Busy)?;
        let now = self.clock.now().millis();
        let set = self.store.set_password(&row.id, &hash, now).await.map_err(ResetError::Fault)?;
        if !set {
            return Err(ResetError::NoSuchAccount);
        }
        self.note_at(Event::PasswordReset, &row.id.into());
        self.let_try_again(username).await.map_err(ResetError::Fault)?;
        Ok(())
    }
}

/// What came of changing an account: the operator's way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    NoSuchAccount,
    /// It was so already, and nothing was written.
    Unchanged,
    Done,
}

/// Why a password was not changed.
#[derive(Debug)]
pub enum ChangeError {
    /// The current password is wrong, hashing is busy, or something broke.
    NotVerified(LogInError),
    /// The new password breaks a rule.
    Unfit(BadPassword),
}

impl From<LogInError> for ChangeError {
    fn from(error: LogInError) -> Self {
        Self::NotVerified(error)
    }
}

impl From<BadPassword> for ChangeError {
    fn from(bad: BadPassword) -> Self {
        Self::Unfit(bad)
    }
}

/// Why a password was not reset.
#[derive(Debug)]
pub enum ResetError {
    NoSuchAccount,
    Busy,
    Fault(Fault),
}
