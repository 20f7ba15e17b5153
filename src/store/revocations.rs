//! The revocation feed: the accounts that lost a session, in commit order.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgListener, PgPoolOptions};
use sqlx::{Connection as _, Executor, PgPool, SqlitePool};
use tokio::time::{sleep, timeout};

use super::Store;
use super::engine::connection::Connection;
use super::engine::pg_hosts::PgHosts;
use super::engine::postgres::CHANNEL;
use super::engine::query::Statement;
use super::errors::context;
use super::file_guard::FileGuard;
use crate::core::error::InternalError;

/// The maximum number of revocations that are read by one query.
const MAX_BATCH: i64 = 1000;
/// A feed that gets no answer within this time reconnects.
const MAX_WAIT: Duration = Duration::from_secs(1);

/// The result of reading the feed.
#[derive(Debug)]
pub enum Update {
    /// The feed starts at the present. Earlier revocations are not reported.
    Reset,
    /// The accounts whose sessions were revoked since the last reading, and whether these are all.
    Revoked { accounts: Vec<String>, is_all: bool },
}

/// Reads the revocations that this and other processes commit. It reads by position and misses
/// none. On PostgreSQL, notifications wake it.
#[derive(Debug)]
pub struct RevocationFeed {
    position: Option<i64>,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Sqlite(SqlitePool, Arc<FileGuard>),
    Postgres { pool: PgPool, hosts: Arc<PgHosts>, listener: Option<PgListener> },
}

impl RevocationFeed {
    /// Reads the revocations after the last position. After an error it starts again with
    /// [`Update::Reset`], because a database that was away may be another one afterwards.
    pub async fn read_next(&mut self) -> Result<Update, InternalError> {
        let position = self.position.take();
        let update = match &mut self.source {
            Source::Sqlite(pool, files) => match files.check().await {
                Ok(()) => read(&*pool, position).await,
                Err(gone) => Err(gone),
            },
            Source::Postgres { pool, hosts, listener } => {
                let update = timeout(MAX_WAIT, listen(pool, hosts, listener, position)).await;
                let update = update.unwrap_or(Err(sqlx::Error::PoolTimedOut));
                if update.is_err() {
                    *listener = None;
                }
                update
            }
        };
        let (newest, update) = update.map_err(context("reading the revocations"))?;
        self.position = Some(newest);
        Ok(update)
    }

    /// Waits until there may be new revocations, but no longer than `most`.
    pub async fn wait(&mut self, most: Duration) {
        let Source::Postgres { listener, .. } = &mut self.source else { return sleep(most).await };
        let Some(connection) = listener else { return sleep(most).await };
        if let Ok(Ok(None) | Err(_)) = timeout(most, connection.try_recv()).await {
            *listener = None; // the connection is lost
        }
    }
}

/// Reads only on the connection that listens, because positions are certain to increase only as
/// long as that connection lives.
async fn listen(
    pool: &PgPool,
    hosts: &PgHosts,
    listener: &mut Option<PgListener>,
    position: Option<i64>,
) -> sqlx::Result<(i64, Update)> {
    let (connection, position) = match listener {
        Some(connection) => (connection, position),
        None => (listener.insert(connect(pool, hosts).await?), None),
    };
    while connection.next_buffered().is_some() {} // one query covers all notifications
    read(connection, position).await
}

async fn connect(pool: &PgPool, hosts: &PgHosts) -> sqlx::Result<PgListener> {
    let (primary, connection) = hosts.connect().await?;
    connection.close().await?;
    hosts.switch_primary(pool, primary);
    let alone = PgPoolOptions::new().max_connections(1).idle_timeout(None).max_lifetime(None);
    let alone = alone.connect_lazy_with((*pool.connect_options()).clone());
    let mut listener = PgListener::connect_with(&alone).await?;
    listener.eager_reconnect(false);
    listener.listen(CHANNEL).await?;
    Ok(listener)
}

/// Reads the revocations after a position, or the position of the newest one.
async fn read<'c, D, E>(db: E, position: Option<i64>) -> sqlx::Result<(i64, Update)>
where
    D: sqlx::Database,
    E: Executor<'c, Database = D>,
    for<'a> D::Arguments: sqlx::IntoArguments<D>,
    for<'a> i64: sqlx::Encode<'a, D> + sqlx::Decode<'a, D> + sqlx::Type<D>,
    for<'a> String: sqlx::Decode<'a, D> + sqlx::Type<D>,
    for<'a> Option<i64>: sqlx::Decode<'a, D>,
    usize: sqlx::ColumnIndex<D::Row>,
{
    let Some(position) = position else {
        let newest: Option<i64> =
            sqlx::query_scalar("select max(position) from revocations").fetch_one(db).await?;
        return Ok((newest.unwrap_or_default(), Update::Reset));
    };
    let revocations: Vec<(i64, String)> = sqlx::query_as(
        "select position, account_id from revocations where position > $1 order by position limit $2",
    )
    .bind(position)
    .bind(MAX_BATCH)
    .fetch_all(db)
    .await?;
    let newest = revocations.last().map_or(position, |(at, _)| *at);
    let is_all = revocations.len() < usize::try_from(MAX_BATCH).expect("a small number");
    let accounts = revocations.into_iter().map(|(_, account)| account).collect();
    Ok((newest, Update::Revoked { accounts, is_all }))
}

impl Store {
    /// A feed that starts at the present.
    pub fn feed(&self) -> RevocationFeed {
        let source = match self {
            Self::Sqlite(pools) => Source::Sqlite(pools.readers.clone(), Arc::clone(&pools.files)),
            Self::Postgres(pools) => Source::Postgres {
                pool: pools.pool.clone(),
                hosts: Arc::clone(&pools.hosts),
                listener: None,
            },
        };
        RevocationFeed { position: None, source }
    }

    /// Removes up to `limit` revocations before an instant, which all processes have read.
    pub async fn remove_revocations(&self, before: i64, limit: i64) -> Result<u64, InternalError> {
        self.writer()
            .query(
                "delete from revocations where position in (
                     select position from revocations where at < $1 limit $2)",
            )
            .bind(before)
            .bind(limit)
            .execute()
            .await
            .map_err(context("removing old revocations"))
    }
}

/// Records that a session of an account was revoked, in the transaction that revokes it.
pub async fn record_revocation(
    db: &mut impl Connection,
    account_id: &str,
    now: i64,
) -> sqlx::Result<()> {
    db.query(RECORD_REVOCATION).bind(account_id).bind(now).execute().await.map(drop)
}

/// PostgreSQL notifies the feeds when the transaction commits. The lock is held until then, so that
/// positions become visible in increasing order, and a feed that continues after a position misses
/// none.
const RECORD_REVOCATION: Statement = Statement::PerEngine {
    sqlite: "insert into revocations (account_id, at) values ($1, $2)",
    postgres: "insert into revocations (account_id, at)
         select $1, $2 from (select pg_advisory_xact_lock(7165635143914926441)) turn
         returning pg_notify('cloakroom_revocations', '')",
};
