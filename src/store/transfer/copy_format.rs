//! How rows leave one engine and enter the other: as the bytes of PostgreSQL's binary COPY, in which
//! a number, a text and bytes each look one way only. So rows are the same if their bytes are.

use std::ops::Range;

use futures_util::stream::{BoxStream, StreamExt, TryStreamExt, try_unfold};
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{AssertSqlSafe, PgConnection, Row, Sqlite, SqliteConnection};
use tokio::sync::mpsc::Receiver;

use crate::store::transfer::{Kind, TABLES, Table};

/// Rows that are read, written and compared at once: a hundredth of a second.
pub const BATCH: usize = 2000;
/// Rows that one statement of SQLite inserts. More save nothing, and its limit of values is 32,766.
const IN_ONE_INSERT: usize = 100;
/// What the service's 2 MiB of pages are while SQLite takes a database in, in KiB: its indexes grow in
/// no order, and else each row would have pages of them read and written.
const CACHE_KIB: i64 = 256 * 1024;

/// How binary COPY begins: its signature, no flags, no further header.
const HEAD: &[u8; 19] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// A row of -1 values, with which it ends.
const TAIL: [u8; 2] = [0xff, 0xff];
/// The length of a value that is null.
const NULL: i32 = -1;

/// Rows of one table, in the order of its key.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Rows {
    bytes: Vec<u8>,
    pub count: usize,
}

/// Rows that come from the other side, with a `None` behind each table.
pub type Coming = Receiver<Option<Rows>>;

/// A table's rows in the order of its key, always [`BATCH`] of them but for the last ones.
pub type Batches<'c> = BoxStream<'c, sqlx::Result<Rows>>;

impl Rows {
    fn begin_row(&mut self, columns: usize) {
        let columns = i16::try_from(columns).expect("a table has few columns");
        self.bytes.extend(columns.to_be_bytes());
        self.count += 1;
    }

    fn push(&mut self, value: Option<&[u8]>) {
        let length = value.map_or(NULL, |value| {
            i32::try_from(value.len()).expect("a value is far smaller than 2 GiB")
        });
        self.bytes.extend(length.to_be_bytes());
        self.bytes.extend(value.unwrap_or_default());
    }

    /// The values, row after row.
    fn values(&self) -> impl Iterator<Item = Option<&[u8]>> {
        let (mut at, mut left) = (0, 0);
        std::iter::from_fn(move || {
            if left == 0 {
                left = number_at(&self.bytes, at)?;
                at += 2;
            }
            left -= 1;
            let value = value_at(&self.bytes, at).expect("rows are whole");
            at = value.end;
            Some((!value.is_null).then(|| &self.bytes[value.bytes]))
        })
    }
}

struct Found {
    bytes: Range<usize>,
    is_null: bool,
    end: usize,
}

/// How many values the row here has; none if it is not all there yet, or at the end of COPY.
fn number_at(bytes: &[u8], at: usize) -> Option<usize> {
    let count = bytes.get(at..at + 2)?.try_into().expect("two bytes");
    usize::try_from(i16::from_be_bytes(count)).ok()
}

fn value_at(bytes: &[u8], at: usize) -> Option<Found> {
    let length = bytes.get(at..at + 4)?.try_into().expect("four bytes");
    let length = i32::from_be_bytes(length);
    let end = at + 4 + usize::try_from(length).unwrap_or_default();
    let found = Found { bytes: at + 4..end, is_null: length == NULL, end };
    (end <= bytes.len()).then_some(found)
}

/// Where the row here ends, if it is all there.
fn row_end(bytes: &[u8], at: usize) -> Option<usize> {
    let count = number_at(bytes, at)?;
    (0..count).try_fold(at + 2, |at, _| value_at(bytes, at).map(|value| value.end))
}

/// The rows of a table that come next, or none if those were all.
async fn next(rows: &mut Coming) -> sqlx::Result<Option<Rows>> {
    rows.recv().await.ok_or(sqlx::Error::WorkerCrashed)
}

/// What each engine does in its own words.
pub trait Side {
    /// Sees what was committed before it begins to read, and nothing that is committed then.
    async fn stand_still(&mut self) -> sqlx::Result<()>;
    /// Has a transaction take what time and room it needs.
    async fn make_room(&mut self) -> sqlx::Result<()>;
    /// Takes off an empty schema what is cheaper to build at once than row by row, as far as this user
    /// may, and says by which statements it comes back.
    async fn take_off(&mut self) -> sqlx::Result<Vec<String>>;
    /// Brings that back, and has the planner of queries look at what is there now.
    async fn bring_back(&mut self, taken_off: Vec<String>) -> sqlx::Result<()>;
    /// What the table has.
    async fn batches(&mut self, table: &'static Table) -> sqlx::Result<Batches<'_>>;
    /// Puts all rows of a table in, as they come.
    async fn fill(
        &mut self,
        table: &'static Table,
        rows: &mut Coming,
        tell: impl FnMut(usize),
    ) -> sqlx::Result<()>;
}

impl Side for SqliteConnection {
    async fn stand_still(&mut self) -> sqlx::Result<()> {
        Ok(()) // it does from its first read on
    }

    async fn make_room(&mut self) -> sqlx::Result<()> {
        let sql = AssertSqlSafe(format!("pragma cache_size = -{CACHE_KIB}"));
        sqlx::query(sql).execute(self).await.map(drop)
    }

    async fn take_off(&mut self) -> sqlx::Result<Vec<String>> {
        // those that a table declares have no statement of their own
        let indexes: Vec<(String, String)> = sqlx::query_as(
            "select 'drop index ' || name, sql from sqlite_schema where type = 'index' and sql > ''",
        )
        .fetch_all(&mut *self)
        .await?;
        exchange(self, indexes).await
    }

    async fn bring_back(&mut self, taken_off: Vec<String>) -> sqlx::Result<()> {
        build(self, taken_off).await
    }

    async fn batches(&mut self, table: &'static Table) -> sqlx::Result<Batches<'_>> {
        let sql = format!("select {} from {} order by {}", table.list(), table.name, table.key());
        let all = sqlx::query(AssertSqlSafe(sql)).fetch(self).fuse();
        let batches = try_unfold(all, async |mut all| {
            let mut rows = Rows::default();
            while rows.count < BATCH
                && let Some(row) = all.try_next().await?
            {
                push_row(&mut rows, table, &row)?;
            }
            Ok((rows.count > 0).then_some((rows, all)))
        });
        Ok(batches.boxed())
    }

    async fn fill(
        &mut self,
        table: &'static Table,
        rows: &mut Coming,
        mut tell: impl FnMut(usize),
    ) -> sqlx::Result<()> {
        let width = table.columns.len();
        let (one, many) = (insertion(table, 1), insertion(table, IN_ONE_INSERT));
        while let Some(rows) = next(rows).await? {
            let values: Vec<_> = rows.values().collect();
            for some in values.chunks(width * IN_ONE_INSERT) {
                let is_full = some.len() == width * IN_ONE_INSERT;
                let (sql, at_once) = if is_full { (&many, some.len()) } else { (&one, width) };
                for values in some.chunks(at_once) {
                    let kinds = table.columns.iter().map(|(_, kind)| *kind).cycle();
                    let insert = sqlx::query(AssertSqlSafe(sql.clone()));
                    let insert = values.iter().copied().zip(kinds).fold(insert, bind);
                    insert.execute(&mut *self).await?;
                }
            }
            tell(rows.count);
        }
        Ok(())
    }
}

async fn build<'c, D, C>(db: &'c mut C, taken_off: Vec<String>) -> sqlx::Result<()>
where
    D: sqlx::Database,
    for<'e> &'e mut C: sqlx::Executor<'e, Database = D>,
{
    let analyze = TABLES.iter().map(|table| format!("analyze {}", table.name));
    for sql in taken_off.into_iter().chain(analyze) {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *db).await?;
    }
    Ok(())
}

/// Runs the first statement of each pair; the second ones undo them.
async fn exchange<'c, D, C>(
    db: &'c mut C,
    pairs: Vec<(String, String)>,
) -> sqlx::Result<Vec<String>>
where
    D: sqlx::Database,
    for<'e> &'e mut C: sqlx::Executor<'e, Database = D>,
{
    let (take_off, bring_back): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
    for sql in take_off {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *db).await?;
    }
    Ok(bring_back)
}

fn push_row(rows: &mut Rows, table: &Table, row: &SqliteRow) -> sqlx::Result<()> {
    rows.begin_row(table.columns.len());
    for (n, (_, kind)) in table.columns.iter().enumerate() {
        match kind {
            Kind::Text => {
                rows.push(row.try_get::<Option<&str>, _>(n)?.map(str::as_bytes));
            }
            Kind::Bytes => rows.push(row.try_get(n)?),
            Kind::Number => {
                let number = row.try_get::<Option<i64>, _>(n)?.map(i64::to_be_bytes);
                rows.push(number.as_ref().map(|bytes| &bytes[..]));
            }
        }
    }
    Ok(())
}

fn insertion(table: &Table, rows: usize) -> String {
    let row = format!("({})", vec!["?"; table.columns.len()].join(", "));
    let rows = vec![row; rows].join(", ");
    format!("insert into {} ({}) values {rows}", table.name, table.list())
}

fn bind<'q>(
    insert: Query<'q, Sqlite, SqliteArguments>,
    (value, kind): (Option<&[u8]>, Kind),
) -> Query<'q, Sqlite, SqliteArguments> {
    match kind {
        Kind::Text => {
            let text = value.map(|value| String::from_utf8(value.to_vec()));
            insert.bind(text.map(|text| text.expect("a text is in UTF-8 on both sides")))
        }
        Kind::Bytes => insert.bind(value.map(<[u8]>::to_vec)),
        Kind::Number => {
            let number = value.map(|value| value.try_into().expect("a bigint has eight bytes"));
            insert.bind(number.map(i64::from_be_bytes))
        }
    }
}

impl Side for PgConnection {
    async fn stand_still(&mut self) -> sqlx::Result<()> {
        let sql = "set transaction isolation level repeatable read, read only";
        sqlx::query(sql).execute(self).await.map(drop)
    }

    async fn make_room(&mut self) -> sqlx::Result<()> {
        for sql in [
            "set local statement_timeout = 0",
            "set local idle_in_transaction_session_timeout = 0",
            "set local work_mem = '64MB'", // to put a table in order
            "set local maintenance_work_mem = '256MB'", // to build an index
            "set local client_min_messages = error", // a user may lack the right to analyze
        ] {
            sqlx::query(sql).execute(&mut *self).await?;
        }
        Ok(())
    }

    async fn take_off(&mut self) -> sqlx::Result<Vec<String>> {
        let names: Vec<_> = TABLES.iter().map(|table| table.name).collect();
        let taken: Vec<(String, String)> = sqlx::query_as(
            "select format('alter table %s drop constraint %I', conrelid::regclass, conname),
                    format('alter table %s add constraint %I %s', conrelid::regclass, conname,
                           pg_get_constraintdef(pg_constraint.oid))
             from pg_constraint join pg_class on pg_class.oid = conrelid
             where contype = 'f' and conrelid = any ($1::text[]::regclass[])
                   and pg_has_role(relowner, 'usage')
             union all
             select format('drop index %s', indexrelid::regclass), pg_get_indexdef(indexrelid)
             from pg_index join pg_class on pg_class.oid = indrelid
             where indrelid = any ($1::text[]::regclass[]) and pg_has_role(relowner, 'usage')
                   and not exists (select from pg_constraint where conindid = indexrelid)",
        )
        .bind(names)
        .fetch_all(&mut *self)
        .await?;
        exchange(self, taken).await
    }

    async fn bring_back(&mut self, taken_off: Vec<String>) -> sqlx::Result<()> {
        build(self, taken_off).await
    }

    async fn batches(&mut self, table: &'static Table) -> sqlx::Result<Batches<'_>> {
        let (list, name, key) = (table.list(), table.name, table.key());
        // by its bytes, as SQLite has it, whatever the language of the database
        let bytes = match table.columns[0].1 {
            Kind::Text => "collate \"C\"",
            Kind::Bytes | Kind::Number => "",
        };
        let sql = format!(
            "copy (select {list} from {name} order by {key} {bytes}) to stdout (format binary)"
        );
        let all = self.copy_out_raw(&sql).await?.fuse();
        // what was received and is not yet in a batch, and where in it the next row begins
        let begun = (all, Vec::<u8>::new(), HEAD.len());
        let batches = try_unfold(begun, async |(mut all, mut unread, mut at)| {
            let mut rows = Rows::default();
            while rows.count < BATCH {
                if let Some(end) = row_end(&unread, at) {
                    rows.bytes.extend(&unread[at..end]);
                    rows.count += 1;
                    at = end;
                } else if let Some(more) = all.try_next().await? {
                    let read = unread.drain(..at.min(unread.len())).len();
                    at -= read;
                    unread.extend(&more[..]);
                } else {
                    break;
                }
            }
            Ok((rows.count > 0).then_some((rows, (all, unread, at))))
        });
        Ok(batches.boxed())
    }

    async fn fill(
        &mut self,
        table: &'static Table,
        rows: &mut Coming,
        mut tell: impl FnMut(usize),
    ) -> sqlx::Result<()> {
        let sql = format!("copy {} ({}) from stdin (format binary)", table.name, table.list());
        let mut copy = self.copy_in_raw(&sql).await?;
        copy.send(&HEAD[..]).await?;
        while let Some(rows) = next(rows).await? {
            copy.send(&rows.bytes[..]).await?;
            tell(rows.count);
        }
        copy.send(&TAIL[..]).await?;
        copy.finish().await.map(drop)
    }
}
