//! How often somebody tried, as rows.

use sqlx::FromRow;

use super::Store;
use super::engine::connection::Connection;
use super::engine::query::Query;
use super::errors::context;
use super::group_commit::RollbackScope;
use crate::core::error::Fault;

/// A digest of who tries.
pub type AttemptKey = [u8; 16];

/// What is known of a key; zero for one that is not there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromRow)]
pub struct AttemptRow {
    pub failures: i64,
    pub free_at: i64,
    pub last_at: i64,
    /// The number of the newest failure. A key that is counted again after its row is gone goes on
    /// with greater numbers.
    pub counted: i64,
    /// The failures up to this number were forgotten.
    pub forgiven: i64,
}

/// The time of the node that counts. A row that another node has written later than this is believed
/// up to `trusted_until`: clocks differ a little. Behind that the other clock was wrong.
#[derive(Debug, Clone, Copy)]
pub struct NodeTime {
    pub now: i64,
    pub trusted_until: i64,
}

/// One more turn of a key whose turns come at a steady rate: `free_at` moves on by `every`, from
/// `burst` before the present at the earliest.
#[derive(Debug, Clone, Copy)]
pub struct GcraRow {
    pub key: AttemptKey,
    pub burst: i64,
    pub every: i64,
}

/// What a key becomes, provided that it still is what was read.
#[derive(Debug, Clone, Copy)]
pub struct BackoffRow {
    pub key: AttemptKey,
    pub from: AttemptRow,
    pub to: AttemptRow,
}

/// The failures of a key up to a number are forgotten; later ones stay.
#[derive(Debug, Clone, Copy)]
pub struct ResetRow {
    pub key: AttemptKey,
    pub up_to: i64,
}

/// What a try that turned out well makes forgotten, and the turns it gives back.
#[derive(Debug, Clone, Default)]
pub struct AttemptReset {
    pub resets: Vec<ResetRow>,
    pub turns: Vec<GcraRow>,
}

impl Store {
    pub async fn attempts_of(&self, key: &AttemptKey) -> Result<AttemptRow, Fault> {
        self.reader()
            .query(
                "select failures, free_at, last_at, counted, forgiven from attempts where key = $1",
            )
            .bind(&key[..])
            .fetch_optional()
            .await
            .map(Option::unwrap_or_default)
            .map_err(context("looking up how often somebody tried"))
    }

    /// Counts a try at all of its keys, or at none: false if one of them has its next turn later,
    /// or was counted at by somebody else meanwhile.
    pub async fn count_attempt(
        &self,
        turns: &[GcraRow],
        steps: &[BackoffRow],
        time: NodeTime,
    ) -> Result<bool, Fault> {
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
        .map_err(context("counting a try"))
    }

    /// Forgets the tries of some keys, and gives turns back; how many keys were forgotten wholly.
    pub async fn reset_attempts(&self, tries: AttemptReset) -> Result<u64, Fault> {
        self.write(RollbackScope::Group, move |mut all| {
            Box::pin(async move { reset_attempts(&mut all, tries).await })
        })
        .await
        .map_err(context("forgiving somebody's tries"))
    }

    /// Takes a step back. If others have counted since, it is one failure less; if it was forgotten
    /// since, there is nothing to take back.
    pub async fn undo_step(&self, step: &BackoffRow) -> Result<(), Fault> {
        let failed = || context("taking back a try");
        let undo = self.writer().query(
            "update attempts set
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
                "update attempts set failures = failures - 1
                 where key = $1 and forgiven < $2 and counted >= $2 and failures > 0",
            )
            .bind(&step.key[..])
            .bind(step.to.counted)
            .execute()
            .await
            .map(drop)
            .map_err(failed())
    }

    /// Removes up to `limit` keys that hold nobody up at `now` and were last used before an instant.
    pub async fn remove_attempts(&self, before: i64, now: i64, limit: i64) -> Result<u64, Fault> {
        self.writer()
            .query(
                "delete from attempts where key in (
                     select key from attempts where last_at < $1 and free_at <= $2
                     order by last_at limit $3)",
            )
            .bind(before)
            .bind(now)
            .bind(limit)
            .execute()
            .await
            .map_err(context("removing old tries"))
    }

    /// How many keys there are.
    pub async fn count_attempts(&self) -> Result<i64, Fault> {
        self.reader()
            .query("select count(*) from attempts")
            .fetch_value()
            .await
            .map_err(context("counting the keys of tries"))
    }
}

/// Resets the attempts of some keys, and gives turns back; how many keys were forgotten wholly.
pub async fn reset_attempts(db: &mut impl Connection, tries: AttemptReset) -> sqlx::Result<u64> {
    // in the order in which they are counted, so that no two wait for each other
    for turn in tries.turns {
        db.query("update attempts set free_at = free_at - $2 where key = $1")
            .bind(&turn.key[..])
            .bind(turn.every)
            .execute()
            .await?;
    }
    let mut forgotten = 0;
    for reset in tries.resets {
        let all = db
            .query("delete from attempts where key = $1 and counted <= $2")
            .bind(&reset.key[..])
            .bind(reset.up_to)
            .execute()
            .await?;
        forgotten += all;
        if all == 0 {
            // others were counted since, whose waits are those of a few failures: none
            db.query(
                "update attempts set forgiven = $2, free_at = last_at,
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

/// Takes one more turn of a key, unless its next one is later. The present is the node's own time ($4) or
/// that of the row, whichever is later, so that of two nodes neither grants what the other has counted; a
/// row from behind $5 was written by a clock that was wrong, and starts again.
pub async fn take_turn(
    db: &mut impl Connection,
    turn: &GcraRow,
    time: NodeTime,
) -> sqlx::Result<bool> {
    db.query(
        "insert into attempts (key, failures, free_at, last_at)
         values ($1, 1, $4 - $2 + $3, $4)
         on conflict (key) do update set
             failures = attempts.failures + 1,
             free_at = $3 + case
                 when attempts.last_at > $5 then $4 - $2
                 when attempts.free_at > attempts.last_at - $2 and attempts.free_at > $4 - $2
                     then attempts.free_at
                 when attempts.last_at > $4 then attempts.last_at - $2
                 else $4 - $2 end,
             last_at = case when attempts.last_at > $5 or attempts.last_at < $4 then $4
                 else attempts.last_at end
         where attempts.last_at > $5 or attempts.free_at <= attempts.last_at
             or attempts.free_at <= $4",
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

/// Counts a step of a key, unless the key is not what was read any more.
async fn take_step(db: &mut impl Connection, step: &BackoffRow) -> sqlx::Result<bool> {
    let insert = db.query(
        "insert into attempts (key, failures, free_at, last_at, counted, forgiven)
         values ($1, $2, $3, $4, $5, $6)
         on conflict (key) do update set
             failures = $2, free_at = $3, last_at = $4, counted = $5, forgiven = $6
         where attempts.failures = $7 and attempts.free_at = $8 and attempts.last_at = $9
           and attempts.counted = $10 and attempts.forgiven = $11",
    );
    let insert = bind_row(insert.bind(&step.key[..]), &step.to);
    bind_row(insert, &step.from).execute().await.map(|taken| taken > 0)
}

/// Binds a row to the parameters that come next, in the order of its columns.
fn bind_row<'c>(query: Query<'c>, row: &AttemptRow) -> Query<'c> {
    query
        .bind(row.failures)
        .bind(row.free_at)
        .bind(row.last_at)
        .bind(row.counted)
        .bind(row.forgiven)
}
