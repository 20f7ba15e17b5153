//! The row types of sessions.

use crate::core::secret::SidDigest;
use crate::store::engine::from_row::from_row;

#[derive(Debug, Clone)]
pub struct SessionRow {
    pub id: String,
    pub account_id: String,
    pub remember: i64,
    pub created_at: i64,
    pub last_seen_at: i64,
    /// The inactivity timeout in milliseconds that was in force at `last_seen_at`.
    pub idle_timeout: Option<i64>,
    pub expires_at: i64,
    /// The last confirmation, if there was one.
    pub confirmed_at: Option<i64>,
    pub address: Option<String>,
    pub browser: Option<String>,
}

from_row!(SessionRow {
    id,
    account_id,
    remember,
    created_at,
    last_seen_at,
    idle_timeout,
    expires_at,
    confirmed_at,
    address,
    browser
});

/// A session, whether it has ended or not, and its account.
#[derive(Debug)]
pub struct FoundSessionRow {
    pub session: SessionRow,
    pub ended_at: Option<i64>,
    pub username: String,
    pub display_name: Option<String>,
    pub email: Option<String>,
    pub unconfirmed_email: Option<String>,
    pub account_created_at: i64,
    pub account_disabled_at: Option<i64>,
    /// The names of the roles, separated by spaces.
    pub roles: String,
}

from_row!(FoundSessionRow {
    ended_at,
    username,
    display_name,
    email,
    unconfirmed_email,
    account_created_at,
    account_disabled_at,
    roles,
    ..session
});

#[derive(Debug)]
pub struct NewSessionRow<'a> {
    pub digest: SidDigest,
    pub session: &'a SessionRow,
}

/// The instants that decide which sessions have expired at `now`.
#[derive(Debug, Clone, Copy)]
pub struct Cutoffs {
    pub now: i64,
    pub short: Cutoff,
    pub remembered: Cutoff,
}

/// Sessions that were last used or created at or before these instants have expired.
#[derive(Debug, Clone, Copy)]
pub struct Cutoff {
    pub last_seen: i64,
    pub created: i64,
}
