//! Sessions: how they begin, are recognised, and end.

use std::time::Duration;

use super::Domain;
use super::accounts::{Account, AccountId, Username};
use super::passwords::{MOST_CHARS, VerifyError};
use super::tokens::Claims;
use crate::clock::{Timestamp, days, hours};
use crate::fault::Fault;
use crate::secret::{Password, PasswordHash, SessionToken, Sid, SidDigest, random_id};
use crate::store::{LiveSessionRow, NewSessionRow, SessionRow};

/// How long sessions last.
#[derive(Debug, Clone, Copy)]
pub struct SessionRules {
    pub short: Lifetimes,
    /// For who asked to stay signed in.
    pub remembered: Lifetimes,
}

/// The two ends of a session: of not being used, and of age.
#[derive(Debug, Clone, Copy)]
pub struct Lifetimes {
    pub idle: Duration,
    pub absolute: Duration,
}

impl Default for SessionRules {
    fn default() -> Self {
        Self {
            short: Lifetimes { idle: hours(8), absolute: hours(24) }, // a working day; once a day
            remembered: Lifetimes { idle: days(14), absolute: days(30) }, // a holiday; once a month
        }
    }
}

/// How often it is written down that a session is in use: a tenth of a percent of the idle time.
const SEEN_EVERY: Duration = Duration::from_mins(1);

/// Did they ask to stay signed in?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remember {
    Yes,
    No,
}

/// The name by which a listing knows a session. It is not the secret in the token.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SessionId(String);

impl SessionId {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A session as its owner may see it.
#[derive(Debug, Clone)]
pub struct Session {
    pub id: SessionId,
    pub remember: Remember,
    pub created_at: Timestamp,
    pub last_seen_at: Timestamp,
    /// When it ends if it is not used before.
    pub idle_at: Timestamp,
    /// When it ends however much it is used.
    pub expires_at: Timestamp,
}

/// What a good login gives: the session and its token.
#[derive(Debug)]
pub struct Ticket {
    pub session: Session,
    pub token: SessionToken,
    /// How long a browser shall keep it; `None` says until it is closed.
    pub keep_for: Option<Duration>,
}

/// Who calls, by which session.
#[derive(Debug, Clone)]
pub struct SignedInAs {
    pub account: Account,
    pub session: Session,
}

/// A name and a password as they were typed, within the sizes that are looked at.
#[derive(Debug)]
pub struct Credentials {
    username: Option<Username>,
    password: Password,
}

/// The most characters that a login reads of a user name.
pub const LONGEST_LOGIN_NAME: usize = 256;

/// Which of the two is empty or longer than anything that could be right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadCredentials {
    pub username: Option<BadLength>,
    pub password: Option<BadLength>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadLength {
    Empty,
    LongerThan(usize),
}

impl BadLength {
    fn of(text: &str, most: usize) -> Option<Self> {
        match text.chars().count() {
            0 => Some(Self::Empty),
            chars if chars > most => Some(Self::LongerThan(most)),
            _ => None,
        }
    }
}

impl Credentials {
    /// A name that no account can have is kept as such: it fails like any wrong one.
    pub fn parse(username: &str, password: Password) -> Result<Self, BadCredentials> {
        let bad = BadCredentials {
            username: BadLength::of(username, LONGEST_LOGIN_NAME),
            password: BadLength::of(password.expose(), MOST_CHARS), // its length is looked at
        };
        if bad.username.is_some() || bad.password.is_some() {
            return Err(bad);
        }
        Ok(Self { username: Username::parse(username).ok(), password })
    }
}

/// Why nobody was signed in.
#[derive(Debug)]
pub enum LogInError {
    /// Wrong password, unknown or disabled user: which of these is not said.
    WrongCredentials,
    Busy,
    Fault(Fault),
}

impl From<Fault> for LogInError {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<VerifyError> for LogInError {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::Busy => Self::Busy,
            VerifyError::Fault(fault) => Self::Fault(fault),
        }
    }
}

impl Domain {
    /// Takes a name and a password and gives a ticket. The work is the same for unknown names.
    pub async fn log_in(
        &self,
        credentials: Credentials,
        remember: Remember,
    ) -> Result<Ticket, LogInError> {
        match self.checked(credentials).await? {
            Some((account, hash)) => self.open_session(&account, &hash, remember).await,
            None => Err(LogInError::WrongCredentials),
        }
    }

    /// Are these somebody's name and password? Opens no session.
    pub async fn knows(&self, credentials: Credentials) -> Result<bool, LogInError> {
        Ok(self.checked(credentials).await?.is_some())
    }

    /// The account with this name and password, and the hash that says so, unless it is disabled.
    async fn checked(
        &self,
        credentials: Credentials,
    ) -> Result<Option<(Account, PasswordHash)>, LogInError> {
        let row = match &credentials.username {
            Some(username) => self.store.account_named(username.as_str()).await?,
            None => None,
        };
        let (account, hash) = row.map(Account::from_row).unzip();
        let same = self.hasher.verify(credentials.password, hash.as_ref()).await?;
        let account = account.filter(|account| same && account.disabled_at.is_none());
        Ok(account.zip(hash))
    }

    /// Opens a session for the account, provided that its password is still the one checked.
    pub(super) async fn open_session(
        &self,
        account: &Account,
        checked: &PasswordHash,
        remember: Remember,
    ) -> Result<Ticket, LogInError> {
        let now = self.clock.now();
        let lifetimes = self.lifetimes(remember);
        let sid = Sid::random();
        let row = SessionRow {
            id: random_id(),
            account_id: account.id.as_str().to_owned(),
            remember: i64::from(remember == Remember::Yes),
            created_at: now.millis(),
            last_seen_at: now.millis(),
            expires_at: now.plus(lifetimes.absolute).millis(),
        };
        let new = NewSessionRow { digest: sid.digest(), session: &row };
        if !self.store.add_session(&new, checked).await? {
            return Err(LogInError::WrongCredentials);
        }
        let session = self.session(row);
        let token = self.keys.sign(&Claims {
            account: account.id.clone(),
            sid,
            issued_at: session.created_at,
            expires_at: session.expires_at,
        });
        let keep_for = match remember {
            Remember::Yes => Some(lifetimes.absolute),
            Remember::No => None,
        };
        Ok(Ticket { session, token, keep_for })
    }

    /// Who holds this token, if it stands for a session that is in force.
    pub async fn recognise(&self, token: &str) -> Result<Option<SignedInAs>, Fault> {
        let now = self.clock.now();
        let Some(claims) = self.keys.verify(token, now) else { return Ok(None) };
        let Some(row) = self.store.live_session(claims.sid.digest()).await? else {
            return Ok(None);
        };
        let who = self.signed_in_as(row);
        let is_theirs = who.account.id == claims.account;
        let is_in_force = now < who.session.idle_at && now < who.session.expires_at;
        Ok((is_theirs && is_in_force).then_some(who))
    }

    /// Is it time to write down that the session is in use?
    pub fn is_worth_noting(&self, session: &Session) -> bool {
        self.clock.now().since(session.last_seen_at) >= SEEN_EVERY
    }

    /// Writes down that the session is in use now.
    pub async fn note_seen(&self, id: &SessionId) -> Result<(), Fault> {
        self.store.session_seen(id.as_str(), self.clock.now().millis()).await
    }

    /// Ends the session that this token stands for. A token that is none of ours ends nothing.
    pub async fn log_out(&self, token: &str) -> Result<(), Fault> {
        let now = self.clock.now();
        match self.keys.verify(token, now) {
            Some(claims) => self.end(claims.sid.digest(), now).await,
            None => Ok(()),
        }
    }

    async fn end(&self, digest: SidDigest, now: Timestamp) -> Result<(), Fault> {
        self.store.end_session(digest, now.millis()).await
    }

    fn lifetimes(&self, remember: Remember) -> Lifetimes {
        match remember {
            Remember::Yes => self.rules.sessions.remembered,
            Remember::No => self.rules.sessions.short,
        }
    }

    fn session(&self, row: SessionRow) -> Session {
        let remember = if row.remember == 0 { Remember::No } else { Remember::Yes };
        let last_seen_at = Timestamp::from_millis(row.last_seen_at);
        let expires_at = Timestamp::from_millis(row.expires_at);
        Session {
            id: SessionId(row.id),
            remember,
            created_at: Timestamp::from_millis(row.created_at),
            last_seen_at,
            idle_at: expires_at.min(last_seen_at.plus(self.lifetimes(remember).idle)),
            expires_at,
        }
    }

    fn signed_in_as(&self, row: LiveSessionRow) -> SignedInAs {
        let account = Account {
            id: AccountId::from(row.session.account_id.clone()),
            username: row.username,
            created_at: Timestamp::from_millis(row.account_created_at),
            disabled_at: None,
        };
        SignedInAs { account, session: self.session(row.session) }
    }
}
