//! Sessions: how they begin, are recognised, and end.

pub mod cache;
pub mod lifecycle;
mod recognize;
pub mod shared_lookups;

use std::sync::Arc;
use std::time::Duration;

use crate::core::clock::{Timestamp, days, hours, mins};
use crate::core::ids::SessionId;
use crate::core::secret::{DeviceToken, SessionToken};
use crate::domain::accounts::Account;
use crate::domain::requester::Requester;

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
    pub client: ClientInfo,
}

/// Where a session began: what a person recognises it by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientInfo {
    /// The address of the client.
    pub address: Option<String>,
    /// The browser in words.
    pub browser: Option<String>,
}

/// What a sign-in asks for in addition to a session.
#[derive(Debug)]
pub struct LoginContext {
    pub remember: Remember,
    pub client: ClientInfo,
    pub requester: Requester,
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
pub struct IssuedSession {
    pub session: Session,
    pub token: SessionToken,
    /// How long a browser shall keep it; `None` says until it is closed.
    pub keep_for: Option<Duration>,
    /// By this the client is known at its next sign-in; `None` if that has not changed.
    pub device: Option<DeviceToken>,
}

/// Who calls, by which session.
#[derive(Debug, Clone)]
pub struct AuthenticatedSession {
    pub account: Account,
    pub session: Session,
}

/// What a session token amounts to.
#[derive(Debug, Clone)]
pub enum Authentication {
    SignedIn(Arc<AuthenticatedSession>),
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

impl Session {
    pub(super) fn is_in_force(&self, now: Timestamp) -> bool {
        now < self.idle_at // which is not after `expires_at`
    }

    /// Is it in force, and need not be noted again? Once a minute its row is looked at, so that
    /// not even a change by the operator's own SQL goes unnoticed for longer.
    pub(super) fn is_fresh(&self, now: Timestamp) -> bool {
        self.is_in_force(now) && now.since(self.last_seen_at) < SEEN_EVERY
    }
}
