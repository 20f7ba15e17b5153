//! How often somebody tried, as rows.

use sqlx::{Connection, FromRow};

use super::{Store, broken, in_one_commit, on_engine, on_writer};
use crate::fault::Fault;

/// A digest of who tries.
pub type AttemptKey = [u8; 16];

/// What is known of a key; zero for one that is not there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromRow)]
pub struct AttemptRow {
    pub failures: i64,
    pub free_at: i64,
    pub last_at: i64,
}

/// One more turn of a key whose turns come at a steady rate: `free_at` moves on by `every`, from
/// `floor` at the earliest.
#[derive(Debug, Clone, Copy)]
pub struct TurnRow {
    pub key: AttemptKey,
    pub floor: i64,
    pub every: i64,
}

/// What a key becomes, provided that it still is what was read.
#[derive(Debug, Clone, Copy)]
pub struct StepRow {
    pub key: AttemptKey,
    pub from: AttemptRow,
    pub to: AttemptRow,
}

/// What a try that turned out well makes forgotten, and the turns it gives back.
#[derive(Debug, Clone, Default)]
pub struct Forgiveness {
    pub forgotten: Vec<AttemptKey>,
    pub turns: Vec<TurnRow>,
}

/// Forgives within a transaction.
macro_rules! forgive {
    ($tries:expr, $all:expr) => {
        // in the order in which they are counted, so that no two wait for each other
        for turn in $tries.turns {
            sqlx::query("update attempts set free_at = free_at - $2 where key = $1")
                .bind(&turn.key[..])
                .bind(turn.every)
                .execute(&mut *$all)
                .await?;
        }
        for key in $tries.forgotten {
            sqlx::query("delete from attempts where key = $1")
                .bind(&key[..])
                .execute(&mut *$all)
                .await?;
        }
    };
}
pub(super) use forgive;

const COUNT_STEP: &str = "insert into attempts (key, failures, free_at, last_at)
     values ($1, $2, $3, $4)
     on conflict (key) do update set failures = $2, free_at = $3, last_at = $4
     where attempts.failures = $5 and attempts.free_at = $6";

/// Binds a step to [`COUNT_STEP`].
macro_rules! count_step {
    ($step:expr) => {
        sqlx::query(COUNT_STEP)
            .bind(&$step.key[..])
            .bind($step.to.failures)
            .bind($step.to.free_at)
            .bind($step.to.last_at)
            .bind($step.from.failures)
            .bind($step.from.free_at)
    };
}

impl Store {
    pub async fn attempts_of(&self, key: &AttemptKey) -> Result<AttemptRow, Fault> {
        on_engine!(self.reader(), |pool| {
            sqlx::query_as("select failures, free_at, last_at from attempts where key = $1")
                .bind(&key[..])
                .fetch_optional(pool)
                .await
                .map(Option::unwrap_or_default)
        })
        .map_err(broken("looking up how often somebody tried"))
    }

    /// Counts a try at all of its keys, or at none: false if one of them has its next turn later,
    /// or was counted at by somebody else meanwhile. What a clock that was ahead has written holds
    /// nobody up.
    pub async fn count_attempt(
        &self,
        turns: &[TurnRow],
        steps: &[StepRow],
        now: i64,
    ) -> Result<bool, Fault> {
        let (turns, steps) = (turns.to_vec(), steps.to_vec());
        on_writer!(self, |db| {
            if let ([], [step]) = (&turns[..], &steps[..]) {
                let taken = count_step!(step).execute(db).await?;
                return Ok(taken.rows_affected() > 0);
            }
            let mut all = db.begin().await?;
            for turn in turns {
                let taken = sqlx::query(
                    "insert into attempts (key, failures, free_at, last_at)
                     values ($1, 1, $2 + $3, $4)
                     on conflict (key) do update set
                         failures = attempts.failures + 1,
                         free_at = $3 + case
                             when attempts.free_at > $2 and attempts.last_at <= $4
                             then attempts.free_at else $2 end,
                         last_at = $4
                     where attempts.free_at <= $4 or attempts.last_at > $4",
                )
                .bind(&turn.key[..])
                .bind(turn.floor)
                .bind(turn.every)
                .bind(now)
                .execute(&mut *all)
                .await?;
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

    /// Forgets the tries of some keys, and gives turns back.
    pub async fn forgive(&self, tries: Forgiveness) -> Result<(), Fault> {
        in_one_commit!(self, |all| {
            forgive!(tries, all);
            Ok(())
        })
        .map_err(broken("forgiving somebody's tries"))
    }

    /// Takes a step back, unless somebody else has counted meanwhile.
    pub async fn undo_step(&self, step: &StepRow) -> Result<(), Fault> {
        on_engine!(self.writer(), |pool| {
            sqlx::query(
                "update attempts set failures = $2, free_at = $3
                 where key = $1 and failures = $4 and free_at = $5",
            )
            .bind(&step.key[..])
            .bind(step.from.failures)
            .bind(step.from.free_at)
            .bind(step.to.failures)
            .bind(step.to.free_at)
            .execute(pool)
            .await
            .map(drop)
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
