//! PostgreSQL as one end of a transfer.

use futures_util::stream::{StreamExt, TryStreamExt, try_unfold};
use sqlx::PgConnection;

use super::copy_format::{HEAD, Rows, TAIL, row_end};
use super::end::{BATCH, Batches, Coming, TransferEnd, build, exchange, next};
use super::tables::{Kind, TABLES, Table};

impl TransferEnd for PgConnection {
    async fn begin_snapshot(&mut self) -> sqlx::Result<()> {
        let sql = "set transaction isolation level repeatable read, read only";
        sqlx::query(sql).execute(self).await.map(drop)
    }

    async fn raise_limits(&mut self) -> sqlx::Result<()> {
        for sql in [
            "set local statement_timeout = 0",
            "set local idle_in_transaction_session_timeout = 0",
            "set local work_mem = '64MB'", // for sorting a table
            "set local maintenance_work_mem = '256MB'", // for building an index
            "set local client_min_messages = error", // analyze may be forbidden
        ] {
            sqlx::query(sql).execute(&mut *self).await?;
        }
        Ok(())
    }

    async fn drop_indexes(&mut self) -> sqlx::Result<Vec<String>> {
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

    async fn restore_indexes(&mut self, dropped: Vec<String>) -> sqlx::Result<()> {
        build(self, dropped).await
    }

    async fn batches(&mut self, table: &'static Table) -> sqlx::Result<Batches<'_>> {
        // Sort by bytes like SQLite, independent of the collation of the database.
        let by_bytes = |(column, kind): &(&str, Kind)| match kind {
            Kind::Text => format!("{column} collate \"C\""),
            Kind::Bytes | Kind::Number => (*column).to_owned(),
        };
        let key: Vec<_> = table.key().iter().map(by_bytes).collect();
        let (list, name, key) = (table.list(), table.name, key.join(", "));
        let sql =
            format!("copy (select {list} from {name} order by {key}) to stdout (format binary)");
        let all = self.copy_out_raw(&sql).await?.fuse();
        // The received bytes that are not in a batch yet, and the offset of the next row in them.
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
