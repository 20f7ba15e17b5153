//! Moving house: every row of one database into another one that is empty, and a look at each of them
//! there before it counts.

mod copy_format;

use futures_util::TryStreamExt;
use futures_util::future::join;
use sqlx::{AssertSqlSafe, PgConnection};
use tokio::sync::mpsc::channel;

use crate::core::error::Fault;
use crate::store::transfer::copy_format::Side;
use crate::store::{Store, broken, on_engine};

/// Batches that are read before they are wanted, so that neither side waits for the other.
const AHEAD: usize = 4;

/// What is moved, in an order in which every row finds those that it refers to. The feed of endings
/// stays: it is for processes that run.
pub const TABLES: &[Table] = &[
    Table {
        name: "accounts",
        columns: &[
            ("id", Kind::Text),
            ("username", Kind::Text),
            ("password_hash", Kind::Text),
            ("created_at", Kind::Number),
            ("disabled_at", Kind::Number),
            ("password_version", Kind::Number),
            ("hash_cost", Kind::Number),
            ("pepper", Kind::Text),
        ],
    },
    Table {
        name: "sessions",
        columns: &[
            ("digest", Kind::Bytes),
            ("id", Kind::Text),
            ("account_id", Kind::Text),
            ("remember", Kind::Number),
            ("created_at", Kind::Number),
            ("last_seen_at", Kind::Number),
            ("expires_at", Kind::Number),
            ("ended_at", Kind::Number),
            ("address", Kind::Text),
            ("browser", Kind::Text),
        ],
    },
    Table { name: "ended_tokens", columns: &[("digest", Kind::Bytes), ("ended_at", Kind::Number)] },
    Table {
        name: "session_data",
        columns: &[
            ("key", Kind::Text),
            ("session_id", Kind::Text),
            ("value", Kind::Text),
            ("version", Kind::Number),
        ],
    },
    Table {
        name: "invites",
        columns: &[
            ("digest", Kind::Bytes),
            ("id", Kind::Text),
            ("created_at", Kind::Number),
            ("expires_at", Kind::Number),
        ],
    },
    Table {
        name: "held_usernames",
        columns: &[
            ("digest", Kind::Bytes),
            ("secret_id", Kind::Text),
            ("held_until", Kind::Number),
        ],
    },
    Table {
        name: "attempts",
        columns: &[
            ("key", Kind::Bytes),
            ("failures", Kind::Number),
            ("free_at", Kind::Number),
            ("last_at", Kind::Number),
            ("counted", Kind::Number),
            ("forgiven", Kind::Number),
        ],
    },
    Table {
        name: "events",
        columns: &[
            ("id", Kind::Bytes),
            ("at", Kind::Number),
            ("event", Kind::Text),
            ("refusal", Kind::Number),
            ("account_id", Kind::Text),
            ("session_id", Kind::Text),
            ("thing", Kind::Text),
            ("count", Kind::Number),
            ("address", Kind::Text),
            ("request_id", Kind::Text),
        ],
    },
];

/// A table and its columns; the first one is the key.
#[derive(Debug)]
pub struct Table {
    pub name: &'static str,
    pub columns: &'static [(&'static str, Kind)],
}

#[derive(Debug, Clone, Copy)]
pub enum Kind {
    Text,
    Number,
    Bytes,
}

/// Why nothing was moved.
#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    #[error("the database to write to has rows already; name an empty one")]
    NotEmpty,
    #[error(
        "the two databases differ in {0}, and nothing was moved; stop whatever writes to the old one"
    )]
    Differs(&'static str),
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// How far it is.
#[derive(Debug, Clone, Copy)]
pub enum Progress {
    /// So many more rows were copied.
    Copied(usize),
    /// So many more rows are the same on both sides.
    Compared(usize),
}

impl Table {
    pub fn key(&self) -> &'static str {
        self.columns[0].0
    }

    /// The columns, as a statement lists them.
    pub fn list(&self) -> String {
        self.columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    }

    pub fn count(&self) -> AssertSqlSafe<String> {
        AssertSqlSafe(format!("select count(*) from {}", self.name))
    }
}

impl Store {
    /// How many rows there are to move.
    pub async fn count_rows(&self) -> Result<u64, Fault> {
        let mut all = 0;
        for table in TABLES {
            let count: i64 = on_engine!(self.reader(), |pool| {
                sqlx::query_scalar(table.count()).fetch_one(pool).await
            })
            .map_err(broken("counting rows"))?;
            all += count.unsigned_abs();
        }
        Ok(all)
    }

    /// Copies every row to an empty database and compares each of them there: all of it or nothing.
    pub async fn move_to(
        &self,
        target: &Self,
        mut tell: impl FnMut(Progress),
    ) -> Result<(), MoveError> {
        on_engine!(target.writer(), |pool| {
            let mut there = pool.begin().await.map_err(broken("beginning to move"))?;
            there.make_room().await.map_err(broken("beginning to move"))?;
            if target.count_rows().await? > 0 {
                return Err(MoveError::NotEmpty);
            }
            let moved: Result<(), MoveError> = on_engine!(self.reader(), |pool| {
                let mut here = pool.begin().await.map_err(broken("reading rows"))?;
                here.stand_still().await.map_err(broken("reading rows"))?;
                copy(&mut *here, &mut *there, &mut tell).await?;
                here.rollback().await.map_err(broken("reading rows"))?;
                // as it is now, so that what was written here meanwhile is not lost unnoticed
                let mut here = pool.begin().await.map_err(broken("reading rows"))?;
                here.stand_still().await.map_err(broken("reading rows"))?;
                compare(&mut *here, &mut *there, &mut tell).await
            });
            moved?;
            let committed = there.commit().await;
            committed.map_err(broken("committing what was moved")).map_err(MoveError::from)
        })
    }

    /// Copies everything of a PostgreSQL into this empty database and compares each row. The source
    /// is in a transaction that sees one instant, however much is written there meanwhile.
    pub(in crate::store) async fn take_over(
        &self,
        source: &mut PgConnection,
        mut tell: impl FnMut(Progress),
    ) -> Result<(), MoveError> {
        on_engine!(self.writer(), |pool| {
            let mut all = pool.begin().await.map_err(broken("beginning to copy"))?;
            all.make_room().await.map_err(broken("beginning to copy"))?;
            copy(source, &mut *all, &mut tell).await?;
            compare(source, &mut *all, &mut tell).await?;
            let committed = all.commit().await;
            committed.map_err(broken("committing what was copied")).map_err(MoveError::from)
        })
    }
}

/// Copies every row. One side reads while the other writes.
async fn copy(
    source: &mut impl Side,
    target: &mut impl Side,
    tell: &mut impl FnMut(Progress),
) -> Result<(), Fault> {
    let taken_off = target.take_off().await.map_err(broken("beginning to copy"))?;
    let (rows, taken) = channel(AHEAD);
    let read = async {
        let rows = rows; // without it, the other side ends
        for table in TABLES {
            let mut batches = source.batches(table).await.map_err(broken("reading rows"))?;
            loop {
                let batch = batches.try_next().await.map_err(broken("reading rows"))?;
                let is_last = batch.is_none();
                if rows.send(batch).await.is_err() {
                    return Ok(()); // the other side says why
                }
                if is_last {
                    break;
                }
            }
        }
        Ok(())
    };
    let write = async {
        let mut taken = taken; // without it, the other side ends
        for table in TABLES {
            let tell = |rows| tell(Progress::Copied(rows));
            target.fill(table, &mut taken, tell).await.map_err(broken("copying rows"))?;
        }
        Ok(())
    };
    let (read, written) = join(read, write).await;
    read?;
    written?;
    target.bring_back(taken_off).await.map_err(broken("building indexes"))
}

/// Compares every row.
async fn compare(
    source: &mut impl Side,
    target: &mut impl Side,
    tell: &mut impl FnMut(Progress),
) -> Result<(), MoveError> {
    for table in TABLES {
        let mut here = source.batches(table).await.map_err(broken("reading rows"))?;
        let mut there = target.batches(table).await.map_err(broken("comparing rows"))?;
        loop {
            let (one, other) = join(here.try_next(), there.try_next()).await;
            let rows = one.map_err(broken("reading rows"))?;
            if rows != other.map_err(broken("comparing rows"))? {
                return Err(MoveError::Differs(table.name));
            }
            let Some(rows) = rows else { break };
            tell(Progress::Compared(rows.count));
        }
    }
    Ok(())
}
