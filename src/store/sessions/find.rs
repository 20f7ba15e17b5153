//! Finds sessions.

use super::rows::{Cutoffs, FoundSessionRow, SessionRow};
use crate::core::error::InternalError;
use crate::core::secret::SidDigest;
use crate::store::Store;
use crate::store::errors::context;
use crate::store::roles::roles_column;

macro_rules! find_session_where {
    ($condition:literal) => {
        concat!(
            "select sessions.id, account_id, remember, sessions.created_at, last_seen_at,
                    idle_timeout, expires_at, confirmed_at, address, browser, ended_at, username,
                    display_name, email, unconfirmed_email, accounts.created_at as account_created_at,
                    accounts.disabled_at as account_disabled_at, ",
            roles_column!(),
            " from sessions join accounts on accounts.id = account_id where ",
            $condition
        )
    };
}

impl Store {
    /// Finds the session of a token, also if it has ended but is still recorded.
    pub async fn find_session(
        &self,
        digest: SidDigest,
    ) -> Result<Option<FoundSessionRow>, InternalError> {
        self.reader()
            .query(find_session_where!("digest = $1"))
            .bind(digest.as_bytes())
            .fetch_optional()
            .await
            .map_err(context("finding a session"))
    }

    /// Finds a session by its id, also if it has ended but is still recorded.
    pub async fn find_session_by_id(
        &self,
        id: &str,
    ) -> Result<Option<FoundSessionRow>, InternalError> {
        self.reader()
            .query(find_session_where!("sessions.id = $1"))
            .bind(id)
            .fetch_optional()
            .await
            .map_err(context("finding a session"))
    }

    /// The addresses from which the user signed in or registered since a time: those of the sessions
    /// that are there, and of the events.
    pub async fn sign_in_addresses(
        &self,
        account_id: &str,
        since: i64,
    ) -> Result<Vec<String>, InternalError> {
        self.reader()
            .query(
                "select address from sessions
                 where account_id = $1 and created_at >= $2 and address is not null
                 union
                 select address from events
                 where account_id = $1 and refusal = 0 and at >= $2 and address is not null
                   and event in ('login_succeeded', 'external_login_succeeded', 'account_registered')",
            )
            .bind(account_id)
            .bind(since)
            .fetch_values()
            .await
            .map_err(context("finding the addresses of sign-ins"))
    }

    /// Lists the account's active sessions, newest first: at most `limit`, starting after the
    /// session with the given time of creation and id.
    pub async fn sessions_of(
        &self,
        account_id: &str,
        cutoffs: Cutoffs,
        (after, limit): (Option<(i64, &str)>, i64),
    ) -> Result<Vec<SessionRow>, InternalError> {
        let Cutoffs { now, short, remembered } = cutoffs;
        let (created_at, id) = after.unwrap_or((i64::MAX, ""));
        self.reader()
            .query(
                "select id, account_id, remember, created_at, last_seen_at, idle_timeout, expires_at,
                        confirmed_at, address, browser
                 from sessions
                 where account_id = $1 and ended_at is null and expires_at > $2
                   and (idle_timeout is null or last_seen_at + idle_timeout > $2)
                   and ((remember = 0 and last_seen_at > $3 and created_at > $4)
                        or (remember = 1 and last_seen_at > $5 and created_at > $6))
                   and (created_at < $7 or (created_at = $7 and id < $8))
                 order by created_at desc, id desc limit $9",
            )
            .bind(account_id)
            .bind(now)
            .bind(short.last_seen)
            .bind(short.created)
            .bind(remembered.last_seen)
            .bind(remembered.created)
            .bind(created_at)
            .bind(id)
            .bind(limit)
            .fetch_all()
            .await
            .map_err(context("listing sessions"))
    }

    /// Counts the active sessions.
    pub async fn count_sessions(&self, cutoffs: Cutoffs) -> Result<i64, InternalError> {
        let Cutoffs { now, short, remembered } = cutoffs;
        self.reader()
            .query(
                "select count(*) from sessions
                 where ended_at is null and expires_at > $1
                   and (idle_timeout is null or last_seen_at + idle_timeout > $1)
                   and ((remember = 0 and last_seen_at > $2 and created_at > $3)
                        or (remember = 1 and last_seen_at > $4 and created_at > $5))",
            )
            .bind(now)
            .bind(short.last_seen)
            .bind(short.created)
            .bind(remembered.last_seen)
            .bind(remembered.created)
            .fetch_value()
            .await
            .map_err(context("counting the sessions"))
    }

    /// Records that the session was used at `now`, and the inactivity timeout that is in force,
    /// unless a use after `since` is recorded already.
    pub async fn session_seen(
        &self,
        id: &str,
        (now, idle_timeout): (i64, i64),
        since: i64,
    ) -> Result<(), InternalError> {
        self.writer()
            .query(
                "update sessions set last_seen_at = $2, idle_timeout = $3
                 where id = $1 and last_seen_at <= $4",
            )
            .bind(id)
            .bind(now)
            .bind(idle_timeout)
            .bind(since)
            .execute()
            .await
            .map(drop)
            .map_err(context("recording when a session was last used"))
    }
}
