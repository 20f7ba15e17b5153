//! How often somebody tried, as rows.

use sqlx::{Connection, FromRow};

use super::{Store, broken, in_one_commit, on_engine, on_writer};
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
pub struct TurnRow {
    pub key: AttemptKey,
    pub burst: i64,
    pub every: i64,
}

/// What a key becomes, provided that it still is what was read.
#[derive(Debug, Clone, Copy)]
pub struct StepRow {
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
pub struct Forgiveness {
    pub resets: Vec<ResetRow>,
    pub turns: Vec<TurnRow>,
}

/// Forgives within a transaction; how many keys were forgotten.
macro_rules! forgive {
    ($tries:expr, $all:expr) => {{
        // in the order in which they are counted, so that no two wait for each other
        for turn in $tries.turns {
            sqlx::query("update attempts set free_at = free_at - $2 where key = $1")
                .bind(&turn.key[..])
                .bind(turn.every)
                .execute(&mut *$all)
                .await?;
        }
        let mut forgotten = 0;
        for reset in $tries.resets {
            let all = sqlx::query("delete from attempts where key = $1 and counted <= $2")
                .bind(&reset.key[..])
                .bind(reset.up_to)
                .execute(&mut *$all)
                .await?;
            forgotten += all.rows_affected();
            if all.rows_affected() == 0 {
                // others were counted since, whose waits are those of a few failures: none
                sqlx::query(
                    "update attempts set forgiven = $2, free_at = last_at,
                            failures = case when failures > counted - $2 then counted - $2
                                else failures end
                     where key = $1 and forgiven < $2 and counted > $2",
                )
                .bind(&reset.key[..])
                .bind(reset.up_to)
                .execute(&mut *$all)
                .await?;
            }
        }
        forgotten
    }};
}
pub(super) use forgive;

/// One more turn of a key ($1), unless its next one is later. The present is the node's own time
/// ($4) or that of the row, whichever is later, so that of two nodes neither grants what the other
/// has counted; a row from behind $5 was written by a clock that was wrong, and starts again.
macro_rules! turn_counting {
    ($greatest:literal) => {
        concat!(
            "insert into attempts (key, failures, free_at, last_at)
             values ($1, 1, $4 - $2 + $3, $4)
             on conflict (key) do update set
                 failures = attempts.failures + 1,
                 free_at = $3 + case when attempts.last_at > $5 then $4 - $2
                     else ",
            $greatest,
            "(attempts.free_at, ",
            $greatest,
            "(attempts.last_at, $4) - $2) end,
                 last_at = case when attempts.last_at > $5 then $4
                     else ",
            $greatest,
            "(attempts.last_at, $4) end
             where attempts.last_at > $5 or attempts.free_at <= ",
            $greatest,
            "(attempts.last_at, $4)"
        )
    };
}
pub(super) use turn_counting;

/// Binds a turn to the engine's counting.
macro_rules! count_turn {
    ($turn:expr, $time:expr) => {
        sqlx::query(COUNT_TURN)
            .bind(&$turn.key[..])
            .bind($turn.burst)
            .bind($turn.every)
            .bind($time.now)
            .bind($time.trusted_until)
    };
}
pub(super) use count_turn;

const COUNT_STEP: &str = "insert into attempts (key, failures, free_at, last_at, counted, forgiven)
     values ($1, $2, $3, $4, $5, $6)
     on conflict (key) do update set
         failures = $2, free_at = $3, last_at = $4, counted = $5, forgiven = $6
     where attempts.failures = $7 and attempts.free_at = $8 and attempts.last_at = $9
       and attempts.counted = $10 and attempts.forgiven = $11";

/// Binds a row to the parameters of a query that come next, in the order of its columns.
macro_rules! bind_row {
    ($query:expr, $row:expr) => {
        $query
            .bind($row.failures)
            .bind($row.free_at)
            .bind($row.last_at)
            .bind($row.counted)
            .bind($row.forgiven)
    };
}

/// Binds a step to [`COUNT_STEP`].
macro_rules! count_step {
    ($step:expr) => {{
        let query = sqlx::query(COUNT_STEP).bind(&$step.key[..]);
        let query = bind_row!(query, $step.to);
        bind_row!(query, $step.from)
    }};
}

impl Store {
    pub async fn attempts_of(&self, key: &AttemptKey) -> Result<AttemptRow, Fault> {
        on_engine!(self.reader(), |pool| {
            sqlx::query_as(
                "select failures, free_at, last_at, counted, forgiven from attempts where key = $1",
            )
            .bind(&key[..])
            .fetch_optional(pool)
            .await
            .map(Option::unwrap_or_default)
        })
        .map_err(broken("looking up how often somebody tried"))
    }

    /// Counts a try at all of its keys, or at none: false if one of them has its next turn later,
    /// or was counted at by somebody else meanwhile.
    pub async fn count_attempt(
        &self,
        turns: &[TurnRow],
        steps: &[StepRow],
        time: NodeTime,
    ) -> Result<bool, Fault> {
        let (turns, steps) = (turns.to_vec(), steps.to_vec());
        on_writer!(self, |db| {
            if let ([], [step]) = (&turns[..], &steps[..]) {
                let taken = count_step!(step).execute(db).await?;
                return Ok(taken.rows_affected() > 0);
            }
            let mut all = db.begin().await?;
            for turn in turns {
                let taken = count_turn!(turn, time).execute(&mut *all).await?;
                if taken.rows_affected() == 0 {
                    return Ok(false);
                }
            }
            for step in steps {
                let taken = count_step!(step).execute(&mut *all).await?;
                if taken.rows_affected() == 0 {
                    return Ok(false);
                }
            }
            all.commit().await?;
            Ok(true)
        })
        .map_err(broken("counting a try"))
    }

    /// Forgets the tries of some keys, and gives turns back; how many keys were forgotten wholly.
    pub async fn forgive(&self, tries: Forgiveness) -> Result<u64, Fault> {
        in_one_commit!(self, |all| Ok(forgive!(tries, all)))
            .map_err(broken("forgiving somebody's tries"))
    }

    /// Takes a step back. If others have counted since, it is one failure less; if it was forgotten
    /// since, there is nothing to take back.
    pub async fn undo_step(&self, step: &StepRow) -> Result<(), Fault> {
        on_engine!(self.writer(), |pool| {
            async {
                let query = sqlx::query(
                    "update attempts set
                         failures = $2, free_at = $3, last_at = $4, counted = $5, forgiven = $6
                     where key = $1 and failures = $7 and counted = $8 and forgiven = $9",
                )
                .bind(&step.key[..]);
                let newest = bind_row!(query, step.from)
                    .bind(step.to.failures)
                    .bind(step.to.counted)
                    .bind(step.to.forgiven)
                    .execute(pool)
                    .await?;
                if newest.rows_affected() == 0 {
                    sqlx::query(
                        "update attempts set failures = failures - 1
                         where key = $1 and forgiven < $2 and counted >= $2 and failures > 0",
                    )
                    .bind(&step.key[..])
                    .bind(step.to.counted)
                    .execute(pool)
                    .await?;
                }
                Ok(())
            }
            .await
        })
        .map_err(broken("taking back a try"))
    }

    /// Removes up to `limit` keys that hold nobody up at `now` and were last used before an instant.
    pub async fn remove_attempts(&self, before: i64, now: i64, limit: i64) -> Result<u64, Fault> {
        on_engine!(self.writer(), |pool| {
            sqlx::query(
                "delete from attempts where key in (
                     select key from attempts where last_at < $1 and free_at <= $2
                     order by last_at limit $3)",
            )
            .bind(before)
            .bind(now)
            .bind(limit)
            .execute(pool)
            .await
            .map(|done| done.rows_affected())
        })
        .map_err(broken("removing old tries"))
    }

    /// How many keys there are.
    pub async fn count_attempts(&self) -> Result<i64, Fault> {
        on_engine!(self.reader(), |pool| {
            sqlx::query_scalar("select count(*) from attempts").fetch_one(pool).await
        })
        .map_err(broken("counting the keys of tries"))
    }
}
