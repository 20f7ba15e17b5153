//! Moving house: every row of one database into another one that is empty, and a look at each of them
//! there before it counts.

use futures_util::TryStreamExt;
use sqlx::AssertSqlSafe;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::copying::{Batches, Rows, Side, next};
use super::{Store, broken, on_engine};
use crate::fault::Fault;

/// Batches that are read before they are wanted, so that neither side waits for the other.
const AHEAD: usize = 4;

/// What is moved, in an order in which every row finds those that it refers to. The feed of endings
/// stays: it is for processes that run.
pub const TABLES: [Table; 4] = [
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
        name: "attempts",
        columns: &[
            ("key", Kind::Bytes),
            ("failures", Kind::Number),
            ("free_at", Kind::Number),
            ("last_at", Kind::Number),
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
    #[error("the database to move to has rows already; name an empty one")]
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
}

impl Store {
    /// How many rows there are to move.
    pub async fn count_rows(&self) -> Result<u64, Fault> {
        let mut all = 0;
        for table in &TABLES {
            let sql = AssertSqlSafe(format!("select count(*) from {}", table.name));
            let count: i64 =
                on_engine!(self.reader(), |pool| sqlx::query_scalar(sql).fetch_one(pool).await)
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
            let mut all = pool.begin().await.map_err(broken("beginning to move"))?;
            all.make_room().await.map_err(broken("beginning to move"))?;
            if target.count_rows().await? > 0 {
                return Err(MoveError::NotEmpty);
            }
            let taken_off = all.take_off().await.map_err(broken("beginning to move"))?;
            let mut here = self.read();
            for table in &TABLES {
                all.fill(table, &mut here, |rows| tell(Progress::Copied(rows))).await?;
            }
            for sql in taken_off {
                let built = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *all).await;
                built.map_err(broken("building indexes"))?;
            }
            // read once more, so that what was written here meanwhile is not lost unnoticed
            let mut here = self.read();
            for table in &TABLES {
                let mut there = all.batches(table).await.map_err(broken("comparing rows"))?;
                loop {
                    let rows = there.try_next().await.map_err(broken("comparing rows"))?;
                    if rows != next(&mut here).await? {
                        return Err(MoveError::Differs(table.name));
                    }
                    let Some(rows) = rows else { break };
                    tell(Progress::Compared(rows.count));
                }
            }
            // what plans queries has seen no row yet
            sqlx::query("analyze").execute(&mut *all).await.map_err(broken("counting rows"))?;
            all.commit().await.map_err(broken("committing what was moved")).map_err(MoveError::from)
        })
    }

    /// Reads every table as it is now, with an empty batch behind each.
    fn read(&self) -> Receiver<Result<Rows, Fault>> {
        let (rows, taken) = channel(AHEAD);
        on_engine!(self.reader(), |pool| {
            let pool = pool.clone();
            tokio::spawn(async move {
                let read = async {
                    let mut all = pool.begin().await?;
                    all.stand_still().await?;
                    all.make_room().await?;
                    for table in &TABLES {
                        send(&rows, all.batches(table).await?).await?;
                    }
                    Ok(())
                };
                if let Err(error) = read.await {
                    let _ = rows.send(Err(broken("reading rows")(error))).await; // or nobody wants any
                }
            });
        });
        taken
    }
}

/// Hands batches over until nobody takes any more.
async fn send(rows: &Sender<Result<Rows, Fault>>, mut batches: Batches<'_>) -> sqlx::Result<()> {
    let gone = |_| sqlx::Error::WorkerCrashed;
    while let Some(batch) = batches.try_next().await? {
        rows.send(Ok(batch)).await.map_err(gone)?;
    }
    rows.send(Ok(Rows::default())).await.map_err(gone)
}
