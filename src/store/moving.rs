//! Moving house: every row of one database into another one that is empty, and a look at each of them
//! there before it counts.

use std::collections::HashMap;

use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{
    AssertSqlSafe, Column, Database, FromRow, PgConnection, QueryBuilder, Row, SqliteConnection,
    TypeInfo,
};

use super::{Store, broken, on_engine};
use crate::fault::Fault;

/// Rows that are read at once, and written by one statement: a tenth of a second.
const BATCH: usize = 2000;
/// Values that a statement of SQLite takes: its limit is 32,766.
const MOST_VALUES: usize = 30_000;

/// What is moved, in an order in which every row finds those that it refers to. The feed of endings
/// stays: it is for processes that run.
pub(super) const TABLES: [Table; 5] = [
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
pub(super) struct Table {
    pub(super) name: &'static str,
    columns: &'static [(&'static str, Kind)],
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Text,
    Number,
    Bytes,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Value {
    Text(Option<String>),
    Number(Option<i64>),
    Bytes(Option<Vec<u8>>),
}

/// A row of whatever table.
#[derive(Debug, PartialEq, Eq)]
struct Values(Vec<Value>);

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

macro_rules! from_row {
    ($row:ty) => {
        impl<'r> FromRow<'r, $row> for Values {
            fn from_row(row: &'r $row) -> sqlx::Result<Self> {
                let value =
                    |(n, column): (usize, &<<$row as Row>::Database as Database>::Column)| {
                        Ok(match column.type_info().name() {
                            "TEXT" => Value::Text(row.try_get(n)?),
                            "BYTEA" | "BLOB" => Value::Bytes(row.try_get(n)?),
                            _ => Value::Number(row.try_get(n)?),
                        })
                    };
                row.columns().iter().enumerate().map(value).collect::<sqlx::Result<_>>().map(Self)
            }
        }
    };
}
from_row!(SqliteRow);
from_row!(PgRow);

/// Binds a value, of whichever kind it is.
macro_rules! bind {
    ($query:expr, $value:expr) => {
        match $value {
            Value::Text(text) => $query.bind(text.clone()),
            Value::Number(number) => $query.bind(*number),
            Value::Bytes(bytes) => $query.bind(bytes.clone()),
        }
    };
}

impl Table {
    fn key(&self) -> &'static str {
        self.columns[0].0
    }

    fn columns(&self) -> String {
        self.columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    }

    /// The rows behind a key, in an order that the engine chooses.
    fn page(&self, is_first: bool) -> AssertSqlSafe<String> {
        let Self { name, .. } = self;
        let (key, columns) = (self.key(), self.columns());
        let behind = if is_first { String::new() } else { format!("where {key} > $1") };
        AssertSqlSafe(format!("select {columns} from {name} {behind} order by {key} limit {BATCH}"))
    }

    pub(super) fn count(&self) -> AssertSqlSafe<String> {
        AssertSqlSafe(format!("select count(*) from {}", self.name))
    }
}

type Page = (Vec<Values>, Value);

/// Where rows are read.
trait Source {
    /// A page of a table behind a key, and its last key.
    async fn page_of(
        &mut self,
        table: &Table,
        behind: Option<&Value>,
    ) -> Result<Option<Page>, Fault>;
}

/// What each engine does in its own words.
trait Target {
    /// Gives a transaction the time that it takes.
    async fn take_time(&mut self) -> sqlx::Result<()>;
    async fn put(&mut self, table: &Table, rows: &[Values]) -> sqlx::Result<()>;
    /// The rows of these keys.
    async fn find(&mut self, table: &Table, keys: &[&Value]) -> sqlx::Result<Vec<Values>>;
    async fn count(&mut self, table: &Table) -> sqlx::Result<i64>;
    async fn analyze(&mut self) -> sqlx::Result<()>;
}

macro_rules! count_and_analyze {
    () => {
        async fn count(&mut self, table: &Table) -> sqlx::Result<i64> {
            sqlx::query_scalar(table.count()).fetch_one(self).await
        }

        async fn analyze(&mut self) -> sqlx::Result<()> {
            sqlx::query("analyze").execute(self).await.map(drop)
        }
    };
}

impl Target for SqliteConnection {
    count_and_analyze!();

    async fn take_time(&mut self) -> sqlx::Result<()> {
        Ok(())
    }

    async fn put(&mut self, table: &Table, rows: &[Values]) -> sqlx::Result<()> {
        for rows in rows.chunks(MOST_VALUES / table.columns.len()) {
            let head = format!("insert into {} ({}) ", table.name, table.columns());
            let mut insert = QueryBuilder::new(head);
            insert.push_values(rows, |mut row, values| {
                for value in &values.0 {
                    match value {
                        Value::Text(text) => row.push_bind(text.clone()),
                        Value::Number(number) => row.push_bind(*number),
                        Value::Bytes(bytes) => row.push_bind(bytes.clone()),
                    };
                }
            });
            insert.build().persistent(false).execute(&mut *self).await?;
        }
        Ok(())
    }

    async fn find(&mut self, table: &Table, keys: &[&Value]) -> sqlx::Result<Vec<Values>> {
        let marks = vec!["?"; keys.len()].join(", ");
        let sql = format!(
            "select {} from {} where {} in ({marks})",
            table.columns(),
            table.name,
            table.key()
        );
        let mut query = sqlx::query_as(AssertSqlSafe(sql)).persistent(false);
        for key in keys {
            query = bind!(query, key);
        }
        query.fetch_all(self).await
    }
}

impl Target for PgConnection {
    count_and_analyze!();

    async fn take_time(&mut self) -> sqlx::Result<()> {
        for sql in
            ["set local statement_timeout = 0", "set local idle_in_transaction_session_timeout = 0"]
        {
            sqlx::query(sql).execute(&mut *self).await?;
        }
        Ok(())
    }

    async fn put(&mut self, table: &Table, rows: &[Values]) -> sqlx::Result<()> {
        let arrays = table.columns.iter().enumerate().map(|(n, (_, kind))| {
            let kind = match kind {
                Kind::Text => "text",
                Kind::Number => "bigint",
                Kind::Bytes => "bytea",
            };
            format!("${}::{kind}[]", n + 1)
        });
        let arrays = arrays.collect::<Vec<_>>().join(", ");
        let columns = table.columns();
        let sql = format!("insert into {} ({columns}) select * from unnest({arrays})", table.name);
        let mut insert = sqlx::query(AssertSqlSafe(sql));
        for (n, (_, kind)) in table.columns.iter().enumerate() {
            let column = rows.iter().map(|row| &row.0[n]);
            insert = match kind {
                Kind::Text => insert.bind(column.map(Value::text).collect::<Vec<_>>()),
                Kind::Number => insert.bind(column.map(Value::number).collect::<Vec<_>>()),
                Kind::Bytes => insert.bind(column.map(Value::bytes).collect::<Vec<_>>()),
            };
        }
        insert.execute(self).await.map(drop)
    }

    async fn find(&mut self, table: &Table, keys: &[&Value]) -> sqlx::Result<Vec<Values>> {
        let (columns, name, key) = (table.columns(), table.name, table.key());
        let sql = AssertSqlSafe(format!("select {columns} from {name} where {key} = any($1)"));
        let query = sqlx::query_as(sql);
        let query = match table.columns[0].1 {
            Kind::Text => query.bind(keys.iter().map(|key| key.text()).collect::<Vec<_>>()),
            Kind::Number => query.bind(keys.iter().map(|key| key.number()).collect::<Vec<_>>()),
            Kind::Bytes => query.bind(keys.iter().map(|key| key.bytes()).collect::<Vec<_>>()),
        };
        query.fetch_all(self).await
    }
}

impl Value {
    fn text(&self) -> Option<String> {
        if let Self::Text(text) = self { text.clone() } else { None }
    }

    fn number(&self) -> Option<i64> {
        if let Self::Number(number) = self { *number } else { None }
    }

    fn bytes(&self) -> Option<Vec<u8>> {
        if let Self::Bytes(bytes) = self { bytes.clone() } else { None }
    }
}

impl Store {
    /// How many rows there are to move.
    pub async fn count_rows(&self) -> Result<u64, Fault> {
        let mut all = 0;
        for table in &TABLES {
            all += self.count_of(table).await?;
        }
        Ok(all)
    }

    async fn count_of(&self, table: &Table) -> Result<u64, Fault> {
        let count: i64 = on_engine!(self.reader(), |pool| {
            sqlx::query_scalar(table.count()).fetch_one(pool).await
        })
        .map_err(broken("counting rows"))?;
        Ok(count.unsigned_abs())
    }

    /// Copies every row to an empty database and compares each of them there: all of it or nothing.
    pub async fn move_to(
        &self,
        target: &Self,
        tell: impl FnMut(Progress),
    ) -> Result<(), MoveError> {
        on_engine!(target.writer(), |pool| {
            let failed = broken("beginning to move");
            let mut all = pool.begin().await.map_err(failed)?;
            all.take_time().await.map_err(broken("beginning to move"))?;
            if target.count_rows().await? > 0 {
                return Err(MoveError::NotEmpty);
            }
            let mut source = self;
            copy(&mut source, &mut *all, tell).await?;
            all.commit().await.map_err(broken("committing what was moved")).map_err(MoveError::from)
        })
    }

    /// Copies everything of a PostgreSQL as it is at one instant into this empty database, however much is
    /// written there meanwhile, and compares each row.
    pub(super) async fn take_over(
        &self,
        source: &mut PgConnection,
        tell: impl FnMut(Progress),
    ) -> Result<(), MoveError> {
        on_engine!(self.writer(), |pool| {
            let mut all = pool.begin().await.map_err(broken("beginning to copy"))?;
            copy(source, &mut *all, tell).await?;
            all.commit()
                .await
                .map_err(broken("committing what was copied"))
                .map_err(MoveError::from)
        })
    }
}

/// Copies every row, and compares each of them.
async fn copy(
    source: &mut impl Source,
    all: &mut impl Target,
    mut tell: impl FnMut(Progress),
) -> Result<(), MoveError> {
    for table in &TABLES {
        let mut behind = None;
        while let Some((rows, last)) = source.page_of(table, behind.as_ref()).await? {
            all.put(table, &rows).await.map_err(broken("copying rows"))?;
            tell(Progress::Copied(rows.len()));
            behind = Some(last);
        }
    }
    for table in &TABLES {
        let (mut behind, mut count) = (None, 0);
        while let Some((rows, last)) = source.page_of(table, behind.as_ref()).await? {
            let keys: Vec<_> = rows.iter().map(|row| &row.0[0]).collect();
            let there = all.find(table, &keys).await.map_err(broken("comparing rows"))?;
            let there: HashMap<_, _> = there.iter().map(|row| (&row.0[0], row)).collect();
            if rows.iter().any(|row| there.get(&row.0[0]) != Some(&row)) {
                return Err(MoveError::Differs(table.name));
            }
            tell(Progress::Compared(rows.len()));
            count += rows.len();
            behind = Some(last);
        }
        let there = all.count(table).await.map_err(broken("counting rows"))?;
        if usize::try_from(there).ok() != Some(count) {
            return Err(MoveError::Differs(table.name));
        }
    }
    // what plans queries has seen no row yet
    all.analyze().await.map_err(broken("counting rows"))?;
    Ok(())
}

impl Source for &Store {
    async fn page_of(
        &mut self,
        table: &Table,
        behind: Option<&Value>,
    ) -> Result<Option<Page>, Fault> {
        let sql = table.page(behind.is_none());
        let rows: Vec<Values> = on_engine!(self.reader(), |pool| {
            let query = sqlx::query_as(sql);
            match behind {
                Some(key) => bind!(query, key).fetch_all(pool).await,
                None => query.fetch_all(pool).await,
            }
        })
        .map_err(broken("reading rows"))?;
        Ok(page(rows))
    }
}

impl Source for PgConnection {
    async fn page_of(
        &mut self,
        table: &Table,
        behind: Option<&Value>,
    ) -> Result<Option<Page>, Fault> {
        let query = sqlx::query_as(table.page(behind.is_none()));
        let rows = match behind {
            Some(key) => bind!(query, key).fetch_all(self).await,
            None => query.fetch_all(self).await,
        };
        Ok(page(rows.map_err(broken("reading rows"))?))
    }
}

/// Rows, and the last key among them.
fn page(rows: Vec<Values>) -> Option<Page> {
    let last = rows.last().map(|row| row.0[0].clone());
    last.map(|last| (rows, last))
}
