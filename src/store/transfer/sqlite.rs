//! SQLite as one end of a transfer.

use futures_util::stream::{StreamExt, TryStreamExt, try_unfold};
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{AssertSqlSafe, Row, Sqlite, SqliteConnection};

use super::copy_format::Rows;
use super::end::{BATCH, Batches, Coming, TransferEnd, build, exchange, next};
use super::tables::{Kind, Table};

/// The number of rows in one insert statement. More rows would not be faster, and SQLite allows at
/// most 32,766 values.
const IN_ONE_INSERT: usize = 100;
/// The page cache during a transfer, in KiB, instead of the service's 512: indexes grow in random
/// order, and pages would be read and written again for each row.
const CACHE_KIB: i64 = 256 * 1024;

impl TransferEnd for SqliteConnection {
    async fn begin_snapshot(&mut self) -> sqlx::Result<()> {
        Ok(()) // the first read begins the snapshot
    }

    async fn raise_limits(&mut self) -> sqlx::Result<()> {
        let sql = AssertSqlSafe(format!("pragma cache_size = -{CACHE_KIB}"));
        sqlx::query(sql).execute(self).await.map(drop)
    }

    async fn drop_indexes(&mut self) -> sqlx::Result<Vec<String>> {
        // Indexes that are part of a table definition have no statement of their own.
        let indexes: Vec<(String, String)> = sqlx::query_as(
            "select 'drop index ' || name, sql from sqlite_schema where type = 'index' and sql > ''",
        )
        .fetch_all(&mut *self)
        .await?;
        exchange(self, indexes).await
    }

    async fn restore_indexes(&mut self, dropped: Vec<String>) -> sqlx::Result<()> {
        build(self, dropped).await
    }

    async fn batches(&mut self, table: &'static Table) -> sqlx::Result<Batches<'_>> {
        let key: Vec<_> = table.key().iter().map(|(column, _)| *column).collect();
        let (list, name, key) = (table.list(), table.name, key.join(", "));
        let sql = format!("select {list} from {name} order by {key}");
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
