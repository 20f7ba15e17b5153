//! Sessions: how they begin, are recognised, and end.

pub mod cache;

use std::sync::Arc;
use std::time::Duration;

use crate::core::clock::{Timestamp, days, hours, mins};
use crate::core::error::Fault;
use crate::core::ids::{AccountId, SessionId};
use crate::core::secret::{
    DeviceToken, Password, SessionToken, Sid, SidDigest, TokenHash, random_id,
};
use crate::core::usernames::Username;
use crate::domain::Domain;
use crate::domain::accounts::{Account, Verified};
use crate::domain::audit::event::Event;
use crate::domain::keys::tokens::{Claims, VerifiedToken};
use crate::domain::passwords::hasher::{HashSlot, MOST_TYPED, NewPassword, Verdict};
use crate::domain::passwords::queue::QueueFull;
use crate::domain::throttle::{Caller, NotNow, Try};
use crate::store::{
    AccountRow, AddSessionOutcome, FoundSessionRow, IdleSince, NewSessionRow, NodeTime,
    RevokeOutcome, SessionRow, TurnRow,
};

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

/// As many sessions an account may have; the oldest go first. Nobody has more browsers.
const MOST_SESSIONS: i64 = 100;

/// How often it is written down that a session is in use: often enough for an idle time of hours.
const SEEN_EVERY: Duration = Duration::from_mins(1);

/// For so long at least it stays recorded when a session ended or its token was replaced. A client that
/// presents the token within this time may have got another cookie meanwhile: one request was on its
/// way when another one changed the password.
pub const RECORDED: Duration = mins(1);

/// Did they ask to stay signed in?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remember {
    Yes,
    No,
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
    pub origin: Origin,
}

/// Where a session began: what a person recognises it by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// The address of the client.
    pub address: Option<String>,
    /// The browser in words.
    pub browser: Option<String>,
}

/// What somebody asks for beside signing in.
#[derive(Debug)]
pub struct Wishes {
    pub remember: Remember,
    pub origin: Origin,
    pub caller: Caller,
}

/// Where the next page of a list of sessions begins: after this session.
#[derive(Debug, Clone)]
pub struct Cursor {
    pub created_at: i64,
    pub id: String,
}

/// A page of sessions.
#[derive(Debug)]
pub struct SessionPage {
    pub sessions: Vec<Session>,
    /// The last one, if there are more behind it.
    pub next: Option<Cursor>,
}

/// What a good login gives: the session and its token.
#[derive(Debug)]
pub struct Ticket {
    pub session: Session,
    pub token: SessionToken,
    /// How long a browser shall keep it; `None` says until it is closed.
    pub keep_for: Option<Duration>,
    /// By this the client is known at its next sign-in; `None` if that has not changed.
    pub device: Option<DeviceToken>,
}

/// Who calls, by which session.
#[derive(Debug, Clone)]
pub struct SignedInAs {
    pub account: Account,
    pub session: Session,
}

/// What a session token amounts to.
#[derive(Debug)]
pub enum Authentication {
    SignedIn(Arc<SignedInAs>),
    /// This service has signed the token, and its session is not active.
    Refused(RefusedToken),
    /// Another application's token, or one that cannot be verified.
    NotOurs,
}

/// A token that this service has signed and refuses. A client forgets it only if it never counts again
/// and has not been replaced a moment ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusedToken {
    /// Its session ended at least a minute ago.
    Ended,
    /// Its session ended within the last minute, or it is not valid yet.
    Recent,
}

impl RefusedToken {
    fn since(ended_at: Timestamp, now: Timestamp) -> Self {
        if now.since(ended_at) >= RECORDED { Self::Ended } else { Self::Recent }
    }
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
            password: BadLength::of(password.expose(), MOST_TYPED), // its length is looked at
        };
        if bad.username.is_some() || bad.password.is_some() {
            return Err(bad);
        }
        // keyboards of phones add a space; a password is taken as it was typed
        Ok(Self { username: Username::parse(username.trim()).ok(), password })
    }
}

/// Why nobody was signed in.
#[derive(Debug)]
pub enum LogInError {
    /// Wrong password, unknown or disabled user: which of these is not said.
    WrongCredentials,
    /// Nothing was checked.
    TooManyAttempts {
        wait: Duration,
    },
    Busy,
    Fault(Fault),
}

impl From<Fault> for LogInError {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<NotNow> for LogInError {
    fn from(not_now: NotNow) -> Self {
        match not_now {
            NotNow::Wait(wait) => Self::TooManyAttempts { wait },
            NotNow::Busy => Self::Busy,
            NotNow::Fault(fault) => Self::Fault(fault),
        }
    }
}

/// Why no session was ended.
#[derive(Debug)]
pub enum RevokeError {
    /// The account has changed too much lately; nothing was tried.
    TooManyAttempts {
        wait: Duration,
    },
    Fault(Fault),
}

impl From<Fault> for RevokeError {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<QueueFull> for LogInError {
    fn from(_: QueueFull) -> Self {
        Self::Busy
    }
}

impl Domain {
    /// Takes a name and a password and gives a ticket. The work is the same for unknown names.
    pub async fn log_in(
        self: &Arc<Self>,
        credentials: Credentials,
        wishes: Wishes,
    ) -> Result<Ticket, LogInError> {
        let outcome = self.let_in(credentials, wishes).await;
        self.tallies.count_login(&outcome);
        outcome
    }

    async fn let_in(
        self: &Arc<Self>,
        credentials: Credentials,
        wishes: Wishes,
    ) -> Result<Ticket, LogInError> {
        let username = credentials.username.as_ref();
        self.hasher.check_capacity(&wishes.caller.share(username))?; // a flood costs no look-up
        self.keys.require_signing_key()?;
        let row = self.account_of(&credentials).await?;
        let known = row.as_ref().map(|row| (AccountId::from(row.id.clone()), row.password_version));
        let known = known.as_ref().map(|(id, version)| (id, *version));
        let id = known.map(|(id, _)| id);
        let note = |error: &LogInError| match error {
            LogInError::WrongCredentials => self.note_of(Event::LoginFailed, id, None),
            LogInError::TooManyAttempts { .. } => self.note_of(Event::LoginThrottled, id, None),
            LogInError::Busy | LogInError::Fault(_) => {}
        };
        let tried = self.may_log_in(username, known, &wishes.caller).await;
        let mut tried = tried.map_err(LogInError::from).inspect_err(note)?;
        let proved = self.proved(row, credentials.password, &mut tried).await.inspect_err(note);
        if matches!(proved, Err(LogInError::WrongCredentials)) && tried.was_the_last_of_a_device() {
            self.note_of(Event::DeviceDistrusted, id, None);
        }
        let Verified { account, version, outdated } = proved?;
        let opened = self.open_session(&account, version, wishes, &tried).await;
        let ticket = opened.inspect_err(note)?;
        self.note_of(Event::LoginSucceeded, Some(&account.id), Some(&ticket.session.id));
        let device = Some(self.device_token(&account.id, version, tried.device()));
        if let Some(password) = outdated {
            self.renew_hash(account.id, version, password);
        }
        Ok(Ticket { device, ..ticket })
    }

    /// The account, if the password is its own. Only a wrong one counts as a try; it is the
    /// caller's to forgive a right one.
    pub(crate) async fn proved(
        &self,
        row: Option<AccountRow>,
        password: Password,
        tried: &mut Try,
    ) -> Result<Verified, LogInError> {
        match self.verified(row, password, tried.take_slot()).await {
            Ok(Some(proved)) => Ok(proved),
            Ok(None) => Err(LogInError::WrongCredentials),
            Err(error) => {
                self.never_mind(tried).await?;
                Err(error)
            }
        }
    }

    /// Hashes the password anew if nobody waits for the hasher; nobody waits for this either. It
    /// is the same password, so that no session ends.
    fn renew_hash(self: &Arc<Self>, account: AccountId, version: i64, password: NewPassword) {
        let domain = Arc::clone(self);
        tokio::spawn(async move {
            let Ok(hash) = domain.hasher.hash_if_idle(password).await else { return };
            let renewed = domain.store.renew_hash(account.as_str(), version, &hash).await;
            if let Err(fault) = renewed {
                domain.warn(&fault); // the next login tries again
            }
        });
    }

    /// Are these somebody's name and password? Opens no session.
    pub async fn knows(&self, credentials: Credentials) -> Result<bool, LogInError> {
        let row = self.account_of(&credentials).await?;
        Ok(self.verified(row, credentials.password, None).await?.is_some())
    }

    async fn account_of(&self, credentials: &Credentials) -> Result<Option<AccountRow>, Fault> {
        match &credentials.username {
            Some(username) => self.store.account_named(username.as_str()).await,
            None => Ok(None),
        }
    }

    /// The account if the password is its own and it is not disabled.
    pub(crate) async fn verified(
        &self,
        row: Option<AccountRow>,
        password: Password,
        slot: Option<HashSlot>,
    ) -> Result<Option<Verified>, LogInError> {
        let (account, stored) = row.map(Account::from_row).unzip();
        let hash = stored.as_ref().map(|stored| &stored.hash);
        let verdict = match slot {
            Some(slot) => self.hasher.verify_at(slot, password, hash).await?,
            None => self.hasher.verify(password, hash).await?,
        };
        let account = account.filter(|account| account.disabled_at.is_none());
        let (Some(account), Some(stored)) = (account, stored) else { return Ok(None) };
        let outdated = match verdict {
            Verdict::Wrong => return Ok(None),
            Verdict::Unusable(fault) => {
                tracing::error!(account = account.id.as_str(), "{fault}");
                return Ok(None);
            }
            Verdict::Unpeppered(fault) => return Err(fault.into()),
            Verdict::Right => None,
            Verdict::Outdated(password) => Some(password),
        };
        Ok(Some(Verified { account, version: stored.version, outdated }))
    }

    /// Opens a session for the account, provided that its password is still the one checked, and
    /// forgives the try.
    async fn open_session(
        &self,
        account: &Account,
        version: i64,
        wishes: Wishes,
        tried: &Try,
    ) -> Result<Ticket, LogInError> {
        let sid = Sid::random();
        let row = self.new_session(account, wishes);
        let new = NewSessionRow { digest: sid.digest(), session: &row };
        match self.store.add_session(&new, version, MOST_SESSIONS, tried.forgiveness()).await? {
            AddSessionOutcome::No => return Err(LogInError::WrongCredentials),
            AddSessionOutcome::Yes => {}
            AddSessionOutcome::InPlaceOfOlder => self.recognition.ended(&account.id),
        }
        Ok(self.ticket(row, sid))
    }

    /// A session that begins now.
    pub(crate) fn new_session(&self, account: &Account, wishes: Wishes) -> SessionRow {
        let now = self.clock.now();
        SessionRow {
            id: random_id(),
            account_id: account.id.as_str().to_owned(),
            remember: i64::from(wishes.remember == Remember::Yes),
            created_at: now.millis(),
            last_seen_at: now.millis(),
            expires_at: now.plus(self.lifetimes(wishes.remember).absolute).millis(),
            address: wishes.origin.address,
            browser: wishes.origin.browser,
        }
    }

    /// The ticket for a session that the store has.
    pub(crate) fn ticket(&self, row: SessionRow, sid: Sid) -> Ticket {
        let account = AccountId::from(row.account_id.clone());
        let session = self.session(row);
        let (issued_at, expires_at) = (session.created_at, session.expires_at);
        let token = self.keys.sign(&Claims { account, sid, issued_at, expires_at });
        let keep_for = match session.remember {
            Remember::Yes => Some(self.lifetimes(Remember::Yes).absolute),
            Remember::No => None,
        };
        Ticket { session, token, keep_for, device: None }
    }

    /// What this token amounts to: from memory if it was seen a moment ago, else by its signature and
    /// its row.
    pub async fn recognise(self: &Arc<Self>, token: &str) -> Result<Authentication, Fault> {
        let hash = self.recognition.hash(token);
        let now = self.clock.now();
        let known = self.recognition.get(&hash);
        if let Some(who) = known.filter(|who| who.session.is_fresh(now)) {
            self.tallies.count_recognised();
            return Ok(Authentication::SignedIn(who));
        }
        self.tallies.count_looked_up();
        // boxed, so that the common case does not move the room for a query about
        Box::pin(self.look_up(token, hash, now)).await
    }

    /// What this token amounts to, by its signature and its row.
    async fn look_up(
        self: &Arc<Self>,
        token: &str,
        hash: TokenHash,
        now: Timestamp,
    ) -> Result<Authentication, Fault> {
        let keys = self.recognition.keys();
        let claims = match self.keys.verify(token, now) {
            VerifiedToken::Valid(claims) => claims,
            VerifiedToken::NotYetValid(_) => {
                return Ok(Authentication::Refused(RefusedToken::Recent));
            }
            VerifiedToken::NotOurs => return Ok(Authentication::NotOurs),
        };
        let seen = self.recognition.counts(&claims.account, keys);
        let sid = claims.sid.digest();
        let Some(row) = self.store.find_session(sid).await? else {
            let refused = self.refuse_without_session(sid, claims.issued_at, now).await?;
            return Ok(Authentication::Refused(refused));
        };
        let ended_at = row.ended_at.map(Timestamp::from_millis);
        let mut who = self.signed_in_as(row);
        let ends_by_itself_at = who.session.idle_at.min(claims.expires_at);
        if let Some(ended_at) = ended_at {
            let refused = RefusedToken::since(ended_at.min(ends_by_itself_at), now);
            return Ok(Authentication::Refused(refused));
        }
        if who.account.id != claims.account || who.account.disabled_at.is_some() {
            return Ok(Authentication::Refused(RefusedToken::Recent)); // its session has not ended
        }
        if now >= ends_by_itself_at {
            // ended for good, so that a clock set back does not revive it
            self.end(sid, &who.account.id, now).await?;
            let refused = RefusedToken::since(ends_by_itself_at, now);
            return Ok(Authentication::Refused(refused));
        }
        if !who.session.is_fresh(now) {
            self.note_seen(&mut who.session, now);
        }
        let who = Arc::new(who);
        self.recognition.file(hash, Arc::clone(&who), seen);
        Ok(Authentication::SignedIn(who))
    }

    /// How a token is refused whose session is not there. Without a record of its end, the time at which
    /// it was issued decides.
    async fn refuse_without_session(
        &self,
        sid: SidDigest,
        issued_at: Timestamp,
        now: Timestamp,
    ) -> Result<RefusedToken, Fault> {
        if RefusedToken::since(issued_at, now) == RefusedToken::Recent {
            return Ok(RefusedToken::Recent); // and cannot have ended before
        }
        let ended_at = self.store.find_ended_token(sid).await?.map(Timestamp::from_millis);
        Ok(RefusedToken::since(ended_at.unwrap_or(issued_at), now))
    }

    /// Has the session seen now, and writes that down; nobody waits for it.
    fn note_seen(self: &Arc<Self>, session: &mut Session, now: Timestamp) {
        session.last_seen_at = now;
        session.idle_at = session.expires_at.min(now.plus(self.lifetimes(session.remember).idle));
        let (domain, id) = (Arc::clone(self), session.id.clone());
        let since = now.before(SEEN_EVERY).millis();
        tokio::spawn(async move {
            if let Err(fault) = domain.store.session_seen(id.as_str(), now.millis(), since).await {
                domain.warn(&fault); // the next minute tries again
            }
        });
    }

    /// Ends the session that this token stands for. A token that is none of ours ends nothing.
    pub async fn log_out(&self, token: &str) -> Result<(), Fault> {
        let now = self.clock.now();
        let Some(claims) = self.keys.verify(token, now).signed_here() else { return Ok(()) };
        if self.end(claims.sid.digest(), &claims.account, now).await? {
            self.note_at(Event::Logout, &claims.account);
        }
        Ok(())
    }

    /// Ends a session; false if it has ended already.
    async fn end(
        &self,
        digest: SidDigest,
        account: &AccountId,
        now: Timestamp,
    ) -> Result<bool, Fault> {
        let ended = self.store.end_session(digest, now.millis()).await?;
        self.recognition.ended(account);
        Ok(ended)
    }

    /// The account's sessions in force, the newest first.
    pub async fn list_sessions(
        &self,
        account: &AccountId,
        behind: Option<&Cursor>,
        limit: usize,
    ) -> Result<SessionPage, Fault> {
        let now = self.clock.now();
        let one_more = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
        let idle = self.idle_since(now);
        let page = (behind.map(|last| (last.created_at, last.id.as_str())), one_more);
        let mut rows = self.store.sessions_of(account.as_str(), now.millis(), idle, page).await?;
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        let last = rows.last().filter(|_| has_more);
        let next = last.map(|row| Cursor { created_at: row.created_at, id: row.id.clone() });
        Ok(SessionPage { sessions: rows.into_iter().map(|row| self.session(row)).collect(), next })
    }

    /// Ends one of the account's sessions, for its owner; false if it has none of this name.
    pub async fn revoke_own(&self, account: &AccountId, id: &str) -> Result<bool, RevokeError> {
        if !SessionId::is_valid(id) {
            return Ok(false);
        }
        let turn = self.turn_to_revoke(account).await?;
        let now = self.clock.now().millis();
        let ended = self.store.end_session_named(account.as_str(), id, now, Some(turn)).await?;
        let ended = self.count_own_ended(account, ended)?;
        Ok(self.note_revoked(account, id, ended))
    }

    /// Ends one of the account's sessions: the operator's way. False if it has none of this name.
    pub async fn revoke(&self, account: &AccountId, id: &str) -> Result<bool, Fault> {
        if !SessionId::is_valid(id) {
            return Ok(false);
        }
        let now = self.clock.now().millis();
        let ended = self.store.end_session_named(account.as_str(), id, now, None).await?;
        let ended = self.count_ended(account, ended).unwrap_or_default();
        Ok(self.note_revoked(account, id, ended))
    }

    fn note_revoked(&self, account: &AccountId, id: &str, ended: u64) -> bool {
        if ended > 0 {
            self.note_of(
                Event::SessionRevoked,
                Some(account),
                Some(&SessionId::from(id.to_owned())),
            );
        }
        ended > 0
    }

    /// Ends every session of the account but this one, for its owner; how many those were.
    pub async fn end_others(
        &self,
        account: &AccountId,
        keep: &SessionId,
    ) -> Result<u64, RevokeError> {
        let turn = self.turn_to_revoke(account).await?;
        let now = self.clock.now().millis();
        let (account_id, keep) = (account.as_str(), keep.as_str());
        let ended = self.store.end_sessions_but(account_id, keep, now, Some(turn)).await?;
        let ended = self.count_own_ended(account, ended)?;
        if ended > 0 {
            self.note_count(Event::OtherSessionsRevoked, Some(account), ended);
        }
        Ok(ended)
    }

    /// Ends every session of the account: the operator's way. How many those were.
    pub async fn end_all(&self, account: &AccountId) -> Result<u64, Fault> {
        let now = self.clock.now().millis();
        let keep = ""; // the id of none
        let ended = self.store.end_sessions_but(account.as_str(), keep, now, None).await?;
        let ended = self.count_ended(account, ended).unwrap_or_default();
        if ended > 0 {
            self.note_count(Event::AllSessionsRevoked, Some(account), ended);
        }
        Ok(ended)
    }

    async fn turn_to_revoke(
        &self,
        account: &AccountId,
    ) -> Result<(TurnRow, NodeTime), RevokeError> {
        let turn = self.account_turn(account).await?;
        turn.map_err(|wait| RevokeError::TooManyAttempts { wait })
    }

    fn count_own_ended(
        &self,
        account: &AccountId,
        ended: RevokeOutcome,
    ) -> Result<u64, RevokeError> {
        self.count_ended(account, ended).ok_or_else(|| {
            self.note_throttled(account); // requests at the same moment took the last turn
            RevokeError::TooManyAttempts { wait: self.rules.limits.account.every }
        })
    }

    /// How many sessions have ended, which are recognised no more; `None` if the account had no turn.
    fn count_ended(&self, account: &AccountId, ended: RevokeOutcome) -> Option<u64> {
        match ended {
            RevokeOutcome::None => Some(0),
            RevokeOutcome::RateLimited => None,
            RevokeOutcome::Sessions(count) => {
                self.recognition.ended(account);
                Some(count)
            }
        }
    }

    fn lifetimes(&self, remember: Remember) -> Lifetimes {
        match remember {
            Remember::Yes => self.rules.sessions.remembered,
            Remember::No => self.rules.sessions.short,
        }
    }

    /// Sessions not seen since have ended.
    pub(crate) fn idle_since(&self, now: Timestamp) -> IdleSince {
        IdleSince {
            short: now.before(self.lifetimes(Remember::No).idle).millis(),
            remembered: now.before(self.lifetimes(Remember::Yes).idle).millis(),
        }
    }

    fn session(&self, row: SessionRow) -> Session {
        let remember = if row.remember == 0 { Remember::No } else { Remember::Yes };
        let last_seen_at = Timestamp::from_millis(row.last_seen_at);
        let expires_at = Timestamp::from_millis(row.expires_at);
        Session {
            id: SessionId::from(row.id),
            remember,
            created_at: Timestamp::from_millis(row.created_at),
            last_seen_at,
            idle_at: expires_at.min(last_seen_at.plus(self.lifetimes(remember).idle)),
            expires_at,
            origin: Origin { address: row.address, browser: row.browser },
        }
    }

    fn signed_in_as(&self, row: FoundSessionRow) -> SignedInAs {
        let account = Account {
            id: AccountId::from(row.session.account_id.clone()),
            username: Username::from_row(row.username),
            created_at: Timestamp::from_millis(row.account_created_at),
            disabled_at: row.account_disabled_at.map(Timestamp::from_millis),
        };
        SignedInAs { account, session: self.session(row.session) }
    }
}

impl Session {
    fn is_in_force(&self, now: Timestamp) -> bool {
        now < self.idle_at // which is not after `expires_at`
    }

    /// Is it in force, and need not be noted again? Once a minute its row is looked at, so that
    /// not even a change by the operator's own SQL goes unnoticed for longer.
    fn is_fresh(&self, now: Timestamp) -> bool {
        self.is_in_force(now) && now.since(self.last_seen_at) < SEEN_EVERY
    }
}
