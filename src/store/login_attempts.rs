//! The table of rate limits and backoff: counted attempts.

use super::Store;
use super::engine::connection::Connection;
use super::engine::from_row::from_row;
use super::engine::query::Query;
use super::errors::context;
use super::group_commit::RollbackScope;
use crate::core::error::InternalError;

/// A digest of the client, account or session whose attempts are counted.
pub type AttemptKey = [u8; 16];

/// The counts of a key. All fields are zero if the key has no row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AttemptRow {
    pub failures: i64,
    pub free_at: i64,
    pub last_at: i64,
    /// The number of the newest failure. After its row was removed, a key continues with greater
    /// numbers.
    pub counted: i64,
    /// Failures up to this number were reset.
    pub forgiven: i64,
}

from_row!(AttemptRow { failures, free_at, last_at, counted, forgiven });

/// The time of the node that counts. `trusted_until` bounds the times in rows of other nodes, whose
/// clocks differ a little: a row with a later time was written with a wrong clock.
#[derive(Debug, Clone, Copy)]
pub struct NodeTime {
    pub now: i64,
    pub trusted_until: i64,
}

/// One more request of a key that is limited by GCRA: `free_at` (the theoretical arrival time)
/// advances by `every`, starting from `now - burst` at the earliest.
#[derive(Debug, Clone, Copy)]
pub struct GcraRow {
    pub key: AttemptKey,
    pub burst: i64,
    pub every: i64,
}

/// The new counts of a key, to be written provided that the row still is as it was read.
#[derive(Debug, Clone, Copy)]
pub struct BackoffRow {
    pub key: AttemptKey,
    pub from: AttemptRow,
    pub to: AttemptRow,
}

/// Resets the failures of a key up to a number; later failures remain.
#[derive(Debug, Clone, Copy)]
pub struct ResetRow {
    pub key: AttemptKey,
    pub up_to: i64,
}

/// The failures that a successful attempt resets, and the GCRA requests that it gives back.
#[derive(Debug, Clone, Default)]
pub struct AttemptReset {
    pub resets: Vec<ResetRow>,
    pub turns: Vec<GcraRow>,
}

impl Store {
    pub async fn attempts_of(&self, key: &AttemptKey) -> Result<AttemptRow, InternalError> {
        self.reader()
            .query(
                "select failures, free_at, last_at, counted, forgiven
                 from login_attempts where key = $1",
            )
            .bind(&key[..])
            .fetch_optional()
            .await
            .map(Option::unwrap_or_default)
            .map_err(context("reading the counters of failed attempts"))
    }

    /// Counts an attempt for all of its keys, or for none. Returns false if a key exceeds its rate,
    /// or if another request was counted for a key since its row was read.
    pub async fn count_attempt(
        &self,
        turns: &[GcraRow],
        steps: &[BackoffRow],
        time: NodeTime,
    ) -> Result<bool, InternalError> {
        let (turns, steps) = (turns.to_vec(), steps.to_vec());
        self.write(RollbackScope::Own, move |mut db| {
            Box::pin(async move {
                if let ([], [step]) = (&turns[..], &steps[..]) {
                    return take_step(&mut db, step).await;
                }
                let mut all = db.begin().await?;
                for turn in &turns {
                    if !take_turn(&mut all, turn, time).await? {
                        return Ok(false);
                    }
                }
                for step in &steps {
                    if !take_step(&mut all, step).await? {
                        return Ok(false);
                    }
                }
                all.commit().await?;
                Ok(true)
            })
        })
        .await
        .map_err(context("recording an attempt"))
    }

    /// Resets the failures of some keys and gives GCRA requests back. Returns the number of keys
    /// whose row was deleted.
    pub async fn reset_attempts(&self, tries: AttemptReset) -> Result<u64, InternalError> {
        self.write(RollbackScope::Group, move |mut all| {
            Box::pin(async move { reset_attempts(&mut all, tries).await })
        })
        .await
        .map_err(context("resetting the counters of failed attempts"))
    }

    /// Undoes the counting of a failure. If others were counted since, the number of failures
    /// decreases by one; if the failures were reset since, nothing changes.
    pub async fn undo_step(&self, step: &BackoffRow) -> Result<(), InternalError> {
        let failed = || context("undoing an attempt");
        let undo = self.writer().query(
            "update login_attempts set
                 failures = $2, free_at = $3, last_at = $4, counted = $5, forgiven = $6
             where key = $1 and failures = $7 and counted = $8 and forgiven = $9",
        );
        let newest = bind_row(undo.bind(&step.key[..]), &step.from)
            .bind(step.to.failures)
            .bind(step.to.counted)
            .bind(step.to.forgiven)
            .execute()
            .await
            .map_err(failed())?;
        if newest > 0 {
            return Ok(());
        }
        self.writer()
            .query(
                "update login_attempts set failures = failures - 1
                 where key = $1 and forgiven < $2 and counted >= $2 and failures > 0",
            )
            .bind(&step.key[..])
            .bind(step.to.counted)
            .execute()
            .await
            .map(drop)
            .map_err(failed())
    }

    /// Removes up to `limit` keys that delay no client at `now` and were last used before an
    /// instant.
    pub async fn remove_attempts(
        &self,
        before: i64,
        now: i64,
        limit: i64,
    ) -> Result<u64, InternalError> {
        self.writer()
            .query(
                "delete from login_attempts where key in (
                     select key from login_attempts where last_at < $1 and free_at <= $2
                     order by last_at limit $3)",
            )
            .bind(before)
            .bind(now)
            .bind(limit)
            .execute()
            .await
            .map_err(context("removing old counters of attempts"))
    }

    /// Counts the keys.
    pub async fn count_attempts(&self) -> Result<i64, InternalError> {
        self.reader()
            .query("select count(*) from login_attempts")
            .fetch_value()
            .await
            .map_err(context("counting the counters of attempts"))
    }
}

/// Resets the failures of some keys and gives GCRA requests back. Returns the number of keys whose
/// row was deleted.
pub async fn reset_attempts(db: &mut impl Connection, tries: AttemptReset) -> sqlx::Result<u64> {
    // In the order in which attempts are counted, so that transactions do not wait for each other
    // in a cycle.
    for turn in tries.turns {
        db.query("update login_attempts set free_at = free_at - $2 where key = $1")
            .bind(&turn.key[..])
            .bind(turn.every)
            .execute()
            .await?;
    }
    let mut forgotten = 0;
    for reset in tries.resets {
        let all = db
            .query("delete from login_attempts where key = $1 and counted <= $2")
            .bind(&reset.key[..])
            .bind(reset.up_to)
            .execute()
            .await?;
        forgotten += all;
        if all == 0 {
            // Failures were counted since, but so few that they cause no delay.
            db.query(
                "update login_attempts set forgiven = $2, free_at = last_at,
                        failures = case when failures > counted - $2 then counted - $2
                            else failures end
                 where key = $1 and forgiven < $2 and counted > $2",
            )
            .bind(&reset.key[..])
            .bind(reset.up_to)
            .execute()
            .await?;
        }
    }
    Ok(forgotten)
}

/// Counts one more request of a key that is limited by GCRA, unless the key exceeds its rate. The
/// present is the later of the node's own time ($4) and that of the row, so that no node allows a
/// request that another node has already counted. A row whose time is after $5 was written with a
/// wrong clock and starts again.
pub async fn take_turn(
    db: &mut impl Connection,
    turn: &GcraRow,
    time: NodeTime,
) -> sqlx::Result<bool> {
    db.query(
        "insert into login_attempts (key, failures, free_at, last_at)
         values ($1, 1, $4 - $2 + $3, $4)
         on conflict (key) do update set
             failures = login_attempts.failures + 1,
             free_at = $3 + case
                 when login_attempts.last_at > $5 then $4 - $2
                 when login_attempts.free_at > login_attempts.last_at - $2
                     and login_attempts.free_at > $4 - $2
                     then login_attempts.free_at
                 when login_attempts.last_at > $4 then login_attempts.last_at - $2
                 else $4 - $2 end,
             last_at = case when login_attempts.last_at > $5 or login_attempts.last_at < $4 then $4
                 else login_attempts.last_at end
         where login_attempts.last_at > $5 or login_attempts.free_at <= login_attempts.last_at
             or login_attempts.free_at <= $4",
    )
    .bind(&turn.key[..])
    .bind(turn.burst)
    .bind(turn.every)
    .bind(time.now)
    .bind(time.trusted_until)
    .execute()
    .await
    .map(|taken| taken > 0)
}

/// Writes the new counts of a key, unless its row has changed since it was read.
async fn take_step(db: &mut impl Connection, step: &BackoffRow) -> sqlx::Result<bool> {
    let insert = db.query(
        "insert into login_attempts (key, failures, free_at, last_at, counted, forgiven)
         values ($1, $2, $3, $4, $5, $6)
         on conflict (key) do update set
             failures = $2, free_at = $3, last_at = $4, counted = $5, forgiven = $6
         where login_attempts.failures = $7 and login_attempts.free_at = $8
           and login_attempts.last_at = $9
           and login_attempts.counted = $10 and login_attempts.forgiven = $11",
    );
    let insert = bind_row(insert.bind(&step.key[..]), &step.to);
    bind_row(insert, &step.from).execute().await.map(|taken| taken > 0)
}

/// Binds the counts to the next parameters, in the order of the columns.
fn bind_row<'c>(query: Query<'c>, row: &AttemptRow) -> Query<'c> {
    query
        .bind(row.failures)
        .bind(row.free_at)
        .bind(row.last_at)
        .bind(row.counted)
        .bind(row.forgiven)
}
