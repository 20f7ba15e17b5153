//! Sessions: their types, and how they begin, are authenticated, and end.

mod authenticate;
pub mod cache;
pub mod confirmation;
pub mod lifecycle;
pub mod shared_lookups;

use std::sync::Arc;
use std::time::Duration;

use crate::core::clock::{Timestamp, days, hours, mins};
use crate::core::ids::SessionId;
use crate::core::secret::{DeviceToken, SessionToken, SidDigest};
use crate::domain::accounts::Account;
pub use crate::domain::requester::ClientInfo;
use crate::domain::requester::Requester;

/// The lifetimes of sessions.
#[derive(Debug, Clone, Copy)]
pub struct SessionRules {
    pub short: Lifetimes,
    /// For users who chose to stay signed in. `None` if users cannot choose that.
    pub remembered: Option<Lifetimes>,
}

/// The inactivity timeout and the maximum age of a session.
#[derive(Debug, Clone, Copy)]
pub struct Lifetimes {
    pub idle: Duration,
    pub absolute: Duration,
}

/// A working day; once a day.
pub const DEFAULT_LIFETIMES: Lifetimes = Lifetimes { idle: hours(8), absolute: hours(24) };
/// A vacation; once a month.
pub const DEFAULT_REMEMBERED_LIFETIMES: Lifetimes =
    Lifetimes { idle: days(14), absolute: days(30) };

impl SessionRules {
    /// What the choice of the user amounts to under these rules.
    fn effective(&self, chosen: Remember) -> Remember {
        if self.remembered.is_some() { chosen } else { Remember::No }
    }

    fn lifetimes(&self, chosen: Remember) -> Lifetimes {
        match chosen {
            Remember::Yes => self.remembered.unwrap_or(self.short),
            Remember::No => self.short,
        }
    }
}

/// The interval at which the use of a session is recorded. It is short enough for an inactivity
/// timeout of hours.
const SEEN_EVERY: Duration = Duration::from_mins(1);

/// The maximum number of sessions of an account; the oldest end first. No user has more browsers.
pub const MAX_SESSIONS_PER_ACCOUNT: i64 = 100;

/// How long the end of a session, or the replacement of its token, stays recorded. A client that
/// presents the token within this time may have received another cookie meanwhile: one request was
/// on its way when another one changed the password.
pub const RECORDED: Duration = mins(1);

/// How long a session counts as confirmed: long enough to look through a list of sessions, and
/// short enough for a browser that its user leaves alone.
const CONFIRMED_FOR: Duration = mins(15);

/// Whether the user chose to stay signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remember {
    Yes,
    No,
}

/// A session as its owner sees it.
#[derive(Debug, Clone)]
pub struct Session {
    pub id: SessionId,
    pub remember: Remember,
    pub created_at: Timestamp,
    pub last_seen_at: Timestamp,
    /// When it expires if it is not used before.
    pub idle_at: Timestamp,
    /// When it expires in any case.
    pub expires_at: Timestamp,
    /// When the user last showed a password or another factor: at the sign-in, or at a
    /// confirmation.
    pub authenticated_at: Timestamp,
    /// Until when it counts as confirmed. `None` for a request that presented a replaced token.
    pub confirmation_ends_at: Option<Timestamp>,
    pub client: ClientInfo,
}

/// The context of a login: the options and the client.
#[derive(Debug)]
pub struct LoginContext {
    pub remember: Remember,
    pub client: ClientInfo,
    pub requester: Requester,
}

/// The start of the next page of a list of sessions: after this session.
#[derive(Debug, Clone)]
pub struct Cursor {
    pub created_at: i64,
    pub id: String,
}

/// A page of sessions.
#[derive(Debug)]
pub struct SessionPage {
    pub sessions: Vec<Session>,
    /// The last session of the page, if there are more.
    pub next: Option<Cursor>,
}

/// The result of a successful login: the session and its token.
#[derive(Debug)]
pub struct IssuedSession {
    pub session: Session,
    pub token: SessionToken,
    /// How long the browser keeps the cookie. `None` means until it is closed.
    pub keep_for: Option<Duration>,
    /// The device token, which identifies the client at its next login. `None` if it has not
    /// changed.
    pub device: Option<DeviceToken>,
}

/// The authenticated account and session of a request.
#[derive(Debug, Clone)]
pub struct AuthenticatedSession {
    pub account: Account,
    pub session: Session,
    /// The token that the request presented.
    pub(super) presented: SidDigest,
}

/// The result of authenticating a session token.
#[derive(Debug, Clone)]
pub enum Authentication {
    SignedIn(Arc<AuthenticatedSession>),
    /// This service has signed the token, but its session is not active.
    Refused(RefusedToken),
    /// A token of another application, or one that cannot be verified.
    NotOurs,
}

/// A token that this service has signed, but refuses. The client should delete it only if it can
/// never become valid, and was not replaced a moment ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusedToken {
    /// Its session ended at least a minute ago.
    Ended,
    /// Its session ended within the last minute, or the token is not valid yet.
    Recent,
}

impl RefusedToken {
    fn since(ended_at: Timestamp, now: Timestamp) -> Self {
        if now.since(ended_at) >= RECORDED { Self::Ended } else { Self::Recent }
    }
}

impl Session {
    pub(super) fn is_active(&self, now: Timestamp) -> bool {
        now < self.idle_at // which is never after `expires_at`
    }

    /// Whether the session is active and its use was recorded recently. The row is read once a
    /// minute, so that even a change by the operator's own SQL takes effect within that time.
    pub(super) fn is_fresh(&self, now: Timestamp) -> bool {
        self.is_active(now) && now.since(self.last_seen_at) < SEEN_EVERY
    }
}
