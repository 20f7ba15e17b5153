//! Sessions as rows.

use sqlx::FromRow;

use crate::core::error::Fault;
use crate::core::secret::SidDigest;
use crate::store::attempts::{Forgiveness, NodeTime, TurnRow, count_turn, forgive};
use crate::store::{Store, begin, broken, in_one_commit, on_engine};

#[derive(Debug, Clone, FromRow)]
pub struct SessionRow {
    pub id: String,
    pub account_id: String,
    pub remember: i64,
    pub created_at: i64,
    pub last_seen_at: i64,
    pub expires_at: i64,
    pub address: Option<String>,
    pub browser: Option<String>,
}

/// A session, whether it has ended or not, and its account.
#[derive(Debug, FromRow)]
pub struct FoundSessionRow {
    #[sqlx(flatten)]
    pub session: SessionRow,
    pub ended_at: Option<i64>,
    pub username: String,
    pub account_created_at: i64,
    pub account_disabled_at: Option<i64>,
}

#[derive(Debug)]
pub struct NewSessionRow<'a> {
    pub digest: SidDigest,
    pub session: &'a SessionRow,
}

/// What became of a new session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// The account has another password by now, or is disabled.
    No,
    Yes,
    /// And older ones had to end.
    InPlaceOfOlder,
}

/// What came of ending sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// There was none to end, and nothing was written.
    None,
    Sessions(u64),
    /// Its account has no turn left, and nothing was written.
    RateLimited,
}

/// Sessions last seen at or before these instants have ended by themselves.
#[derive(Debug, Clone, Copy)]
pub struct IdleSince {
    pub short: i64,
    pub remembered: i64,
}

/// Where a page of a list goes on: behind this session.
#[derive(Debug, Clone)]
pub struct Behind {
    pub created_at: i64,
    pub id: String,
}

/// The insertion of a session, if the account has the password of a version and is not disabled.
macro_rules! insertion {
    ($lock:literal) => {
        concat!(
            "insert into sessions
                 (digest, id, account_id, remember, created_at, last_seen_at, expires_at, address,
                  browser)
             select $1, $2, accounts.id, $3, $4, $5, $6, $9, $10 from accounts
             where accounts.id = $7 and password_version = $8 and disabled_at is null",
            $lock
        )
    };
}
pub(in crate::store) use insertion;

/// Binds a new session and the version of the password that was verified to the engine's insertion.
macro_rules! insert_session {
    ($new:expr, $version:expr) => {
        sqlx::query(INSERT_SESSION)
            .bind($new.digest.as_bytes())
            .bind(&$new.session.id)
            .bind($new.session.remember)
            .bind($new.session.created_at)
            .bind($new.session.last_seen_at)
            .bind($new.session.expires_at)
            .bind(&$new.session.account_id)
            .bind($version)
            .bind(&$new.session.address)
            .bind(&$new.session.browser)
    };
}
pub(in crate::store) use insert_session;

/// Notes that an account's sessions have ended and takes its turn, in the transaction that ends them;
/// without either, nothing is written.
macro_rules! note_ended {
    ($all:expr, $ended:expr, $account:expr, $now:expr, $turn:expr) => {{
        let sessions = $ended.rows_affected();
        if sessions == 0 {
            return Ok(Ended::None);
        }
        if let Some((turn, time)) = $turn {
            let taken = count_turn!(turn, time).execute(&mut *$all).await?;
            if taken.rows_affected() == 0 {
                return Ok(Ended::RateLimited);
            }
        }
        sqlx::query(NOTE_ENDING).bind($account).bind($now).execute(&mut *$all).await?;
        $all.commit().await?;
        Ok(Ended::Sessions(sessions))
    }};
}

impl Store {
    /// Adds the session if the account still has the password of this version and is not disabled.
    /// The condition is part of the statement, so that no session outlives a password change that
    /// it races with. Of more than `most` sessions the oldest end. The tries that led to it are
    /// forgiven along with it.
    pub async fn add_session(
        &self,
        new: &NewSessionRow<'_>,
        version: i64,
        most: i64,
        tries: Forgiveness,
    ) -> Result<Added, Fault> {
        let (digest, session) = (new.digest, new.session.clone());
        in_one_commit!(self, |all| {
            let new = NewSessionRow { digest, session: &session };
            let added = insert_session!(new, version).execute(&mut *all).await?;
            if added.rows_affected() == 0 {
                return Ok(Added::No);
            }
            forgive!(tries, all);
            let over = sqlx::query(
                "update sessions set ended_at = $2
                 where account_id = $1 and ended_at is null and id not in (
                     select id from sessions where account_id = $1 and ended_at is null
                     order by created_at desc, id = $4 desc limit $3)",
            )
            .bind(&session.account_id)
            .bind(session.created_at)
            .bind(most)
            .bind(&session.id)
            .execute(&mut *all)
            .await?;
            if over.rows_affected() == 0 {
                return Ok(Added::Yes);
            }
            sqlx::query(NOTE_ENDING)
                .bind(&session.account_id)
                .bind(session.created_at)
                .execute(&mut *all)
                .await?;
            Ok(Added::InPlaceOfOlder)
        })
        .map_err(broken("adding a session"))
    }

    /// The session of a token. Ended ones are found, too, for as long as they stay recorded.
    pub async fn find_session(&self, digest: SidDigest) -> Result<Option<FoundSessionRow>, Fault> {
        on_engine!(self.reader(), |pool| {
            sqlx::query_as(
                "select sessions.id, account_id, remember, sessions.created_at, last_seen_at,
                        expires_at, address, browser, ended_at, username,
                        accounts.created_at as account_created_at,
                        accounts.disabled_at as account_disabled_at
                 from sessions join accounts on accounts.id = account_id
                 where digest = $1",
            )
            .bind(digest.as_bytes())
            .fetch_optional(pool)
            .await
        })
        .map_err(broken("looking a session up"))
    }

    /// The account's sessions in force, the newest first, at most `limit` of them.
    pub async fn sessions_of(
        &self,
        account_id: &str,
        now: i64,
        idle: IdleSince,
        (behind, limit): (Option<&Behind>, i64),
    ) -> Result<Vec<SessionRow>, Fault> {
        let first = Behind { created_at: i64::MAX, id: String::new() };
        let behind = behind.unwrap_or(&first);
        on_engine!(self.reader(), |pool| {
            sqlx::query_as(
                "select id, account_id, remember, created_at, last_seen_at, expires_at, address,
                        browser
                 from sessions
                 where account_id = $1 and ended_at is null and expires_at > $2
                   and last_seen_at > case when remember = 0 then $3 else $4 end
                   and (created_at < $5 or (created_at = $5 and id < $6))
                 order by created_at desc, id desc limit $7",
            )
            .bind(account_id)
            .bind(now)
            .bind(idle.short)
            .bind(idle.remembered)
            .bind(behind.created_at)
            .bind(&behind.id)
            .bind(limit)
            .fetch_all(pool)
            .await
        })
        .map_err(broken("listing sessions"))
    }

    /// Writes down that the session was used at `now`, unless it was seen after `since` already.
    pub async fn session_seen(&self, id: &str, now: i64, since: i64) -> Result<(), Fault> {
        on_engine!(self.writer(), |pool| {
            sqlx::query(
                "update sessions set last_seen_at = $2 where id = $1 and last_seen_at <= $3",
            )
            .bind(id)
            .bind(now)
            .bind(since)
            .execute(pool)
            .await
            .map(drop)
        })
        .map_err(broken("noting when a session was last seen"))
    }

    /// Ends the session for good; nothing happens if it has ended.
    pub async fn end_session(&self, digest: SidDigest, now: i64) -> Result<bool, Fault> {
        on_engine!(self.writer(), |pool| {
            async {
                let mut both = begin(pool).await?;
                let account: Option<String> = sqlx::query_scalar(
                    "update sessions set ended_at = $2 where digest = $1 and ended_at is null
                     returning account_id",
                )
                .bind(digest.as_bytes())
                .bind(now)
                .fetch_optional(&mut *both)
                .await?;
                let Some(account) = account else { return Ok(false) };
                sqlx::query(NOTE_ENDING).bind(account).bind(now).execute(&mut *both).await?;
                both.commit().await?;
                Ok(true)
            }
            .await
        })
        .map_err(broken("ending a session"))
    }

    /// Ends the account's session of this name. If there is one, it takes a turn, for who has not as
    /// many as they like.
    pub async fn end_session_named(
        &self,
        account_id: &str,
        id: &str,
        now: i64,
        turn: Option<(TurnRow, NodeTime)>,
    ) -> Result<Ended, Fault> {
        on_engine!(self.writer(), |pool| {
            async {
                let mut both = begin(pool).await?;
                let ended = sqlx::query(
                    "update sessions set ended_at = $3
                     where account_id = $1 and id = $2 and ended_at is null",
                )
                .bind(account_id)
                .bind(id)
                .bind(now)
                .execute(&mut *both)
                .await?;
                note_ended!(both, ended, account_id, now, turn)
            }
            .await
        })
        .map_err(broken("ending a session"))
    }

    /// Ends every session of the account but the one called `keep`. If there are any, it takes a turn,
    /// for who has not as many as they like.
    pub async fn end_sessions_but(
        &self,
        account_id: &str,
        keep: &str,
        now: i64,
        turn: Option<(TurnRow, NodeTime)>,
    ) -> Result<Ended, Fault> {
        on_engine!(self.writer(), |pool| {
            async {
                let mut both = begin(pool).await?;
                let ended = sqlx::query(
                    "update sessions set ended_at = $3
                     where account_id = $1 and id <> $2 and ended_at is null",
                )
                .bind(account_id)
                .bind(keep)
                .bind(now)
                .execute(&mut *both)
                .await?;
                note_ended!(both, ended, account_id, now, turn)
            }
            .await
        })
        .map_err(broken("ending sessions"))
    }

    /// How many sessions are in force.
    pub async fn count_sessions(&self, now: i64, idle: IdleSince) -> Result<i64, Fault> {
        on_engine!(self.reader(), |pool| {
            sqlx::query_scalar(
                "select count(*) from sessions
                 where ended_at is null and expires_at > $1
                   and ((remember = 0 and last_seen_at > $2)
                        or (remember = 1 and last_seen_at > $3))",
            )
            .bind(now)
            .bind(idle.short)
            .bind(idle.remembered)
            .fetch_one(pool)
            .await
        })
        .map_err(broken("counting the sessions"))
    }

    /// Records as ended what ended by itself, and removes what ended at least `keep` milliseconds
    /// ago: up to `limit` sessions of each kind. Returns the accounts of these sessions. What ended
    /// by itself is noted in the feed, so that a clock set back revives nothing.
    pub async fn remove_ended(
        &self,
        now: i64,
        idle: IdleSince,
        keep: i64,
        limit: i64,
    ) -> Result<Vec<String>, Fault> {
        on_engine!(self.writer(), |pool| {
            async {
                let mut all = begin(pool).await?;
                let mut accounts: Vec<String> = sqlx::query_scalar(
                    "delete from sessions where digest in (
                         select digest from sessions where ended_at <= $2 limit $1)
                     returning account_id",
                )
                .bind(limit)
                .bind(now - keep)
                .fetch_all(&mut *all)
                .await?;
                let mut ended_by_themselves: Vec<String> = Vec::new();
                for (statement, until) in [(REMOVE_EXPIRED, now - keep), (END_EXPIRED, now)] {
                    let expired = sqlx::query_scalar(statement).bind(limit).bind(until);
                    ended_by_themselves.extend(expired.fetch_all(&mut *all).await?);
                }
                let removed: Vec<String> = sqlx::query_scalar(REMOVE_UNUSED)
                    .bind(limit)
                    .bind(idle.short - keep)
                    .bind(idle.remembered - keep)
                    .fetch_all(&mut *all)
                    .await?;
                let ended: Vec<String> = sqlx::query_scalar(END_UNUSED)
                    .bind(limit)
                    .bind(idle.short)
                    .bind(idle.remembered)
                    .bind(now)
                    .fetch_all(&mut *all)
                    .await?;
                ended_by_themselves.extend(removed.into_iter().chain(ended));
                for account in &ended_by_themselves {
                    sqlx::query(NOTE_ENDING).bind(account).bind(now).execute(&mut *all).await?;
                }
                all.commit().await?;
                accounts.extend(ended_by_themselves);
                Ok(accounts)
            }
            .await
        })
        .map_err(broken("removing sessions that have ended"))
    }
}

// What ended by itself, up to $1 sessions: by age up to the instant $2, or by not being used since $2,
// which is $3 for remembered ones.

const REMOVE_EXPIRED: &str = "delete from sessions where digest in (
         select digest from sessions where expires_at <= $2 limit $1)
     returning account_id";

const END_EXPIRED: &str = "update sessions set ended_at = $2 where digest in (
         select digest from sessions where expires_at <= $2 and ended_at is null limit $1)
     returning account_id";

const REMOVE_UNUSED: &str = "delete from sessions where digest in (
         select digest from sessions
         where (remember = 0 and last_seen_at <= $2) or (remember = 1 and last_seen_at <= $3)
         limit $1)
     returning account_id";

const END_UNUSED: &str = "update sessions set ended_at = $4 where digest in (
         select digest from sessions
         where ((remember = 0 and last_seen_at <= $2) or (remember = 1 and last_seen_at <= $3))
           and ended_at is null limit $1)
     returning account_id";
