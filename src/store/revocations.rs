//! The feed of endings: which accounts lost a session, in the order in which that was committed.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgListener, PgPoolOptions};
use sqlx::{Connection, Executor, PgPool, SqlitePool};
use tokio::time::{sleep, timeout};

use super::engine::postgres::{CHANNEL, Servers};
use super::file_guard::Files;
use super::{Store, broken, on_engine};
use crate::core::error::Fault;

/// As many endings are read at once.
const MOST: i64 = 1000;
/// Whoever hears nothing for this long is deaf, and connects again.
const DEAF: Duration = Duration::from_secs(1);

/// What an ear for endings has heard.
#[derive(Debug)]
pub enum Heard {
    /// It hears from now on. What ended before went unheard.
    FromNowOn,
    /// Whose sessions ended since, and whether there is more to hear.
    Ended { accounts: Vec<String>, is_all: bool },
}

/// An ear for the endings that other processes commit, too. It hears by position and misses none;
/// in PostgreSQL an ending wakes it.
#[derive(Debug)]
pub struct Feed {
    position: Option<i64>,
    ear: Ear,
}

#[derive(Debug)]
enum Ear {
    Sqlite(SqlitePool, Arc<Files>),
    Postgres { pool: PgPool, servers: Arc<Servers>, listener: Option<PgListener> },
}

impl Feed {
    /// Hears what is behind the last position. Whoever could not hear begins anew: a database that
    /// was away may be another one when it is back.
    pub async fn hear(&mut self) -> Result<Heard, Fault> {
        let position = self.position.take();
        let heard = match &mut self.ear {
            Ear::Sqlite(pool, files) => match files.check().await {
                Ok(()) => read(&*pool, position).await,
                Err(gone) => Err(gone),
            },
            Ear::Postgres { pool, servers, listener } => {
                let heard = timeout(DEAF, listen(pool, servers, listener, position)).await;
                let heard = heard.unwrap_or(Err(sqlx::Error::PoolTimedOut));
                if heard.is_err() {
                    *listener = None;
                }
                heard
            }
        };
        let (newest, heard) = heard.map_err(broken("reading the feed of endings"))?;
        self.position = Some(newest);
        Ok(heard)
    }

    /// Waits until there may be something to hear, for so long at the most.
    pub async fn wait(&mut self, most: Duration) {
        let Ear::Postgres { listener, .. } = &mut self.ear else { return sleep(most).await };
        let Some(ear) = listener else { return sleep(most).await };
        if let Ok(Ok(None) | Err(_)) = timeout(most, ear.try_recv()).await {
            *listener = None; // the connection is lost
        }
    }
}

/// Reads on the connection that listens, and on no other: as long as it stands, positions go up.
async fn listen(
    pool: &PgPool,
    servers: &Servers,
    listener: &mut Option<PgListener>,
    position: Option<i64>,
) -> sqlx::Result<(i64, Heard)> {
    let (ear, position) = match listener {
        Some(ear) => (ear, position),
        None => (listener.insert(connect(pool, servers).await?), None),
    };
    while ear.next_buffered().is_some() {} // one reading answers them all
    read(ear, position).await
}

async fn connect(pool: &PgPool, servers: &Servers) -> sqlx::Result<PgListener> {
    let (primary, connection) = servers.connect().await?;
    connection.close().await?;
    servers.turn_to(pool, primary);
    let alone = PgPoolOptions::new().max_connections(1).idle_timeout(None).max_lifetime(None);
    let alone = alone.connect_lazy_with((*pool.connect_options()).clone());
    let mut listener = PgListener::connect_with(&alone).await?;
    listener.eager_reconnect(false);
    listener.listen(CHANNEL).await?;
    Ok(listener)
}

/// The endings behind a position, or the position of the newest one.
async fn read<'c, D, E>(db: E, position: Option<i64>) -> sqlx::Result<(i64, Heard)>
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
            sqlx::query_scalar("select max(position) from endings").fetch_one(db).await?;
        return Ok((newest.unwrap_or_default(), Heard::FromNowOn));
    };
    let endings: Vec<(i64, String)> = sqlx::query_as(
        "select position, account_id from endings where position > $1 order by position limit $2",
    )
    .bind(position)
    .bind(MOST)
    .fetch_all(db)
    .await?;
    let newest = endings.last().map_or(position, |(at, _)| *at);
    let is_all = endings.len() < usize::try_from(MOST).expect("a small number");
    let accounts = endings.into_iter().map(|(_, account)| account).collect();
    Ok((newest, Heard::Ended { accounts, is_all }))
}

impl Store {
    /// An ear for endings from now on.
    pub fn feed(&self) -> Feed {
        let ear = match self {
            Self::Sqlite(pools) => Ear::Sqlite(pools.readers.clone(), Arc::clone(&pools.files)),
            Self::Postgres(pools) => Ear::Postgres {
                pool: pools.pool.clone(),
                servers: Arc::clone(&pools.servers),
                listener: None,
            },
        };
        Feed { position: None, ear }
    }

    /// Removes up to `limit` endings of before an instant: everybody has heard of them.
    pub async fn remove_endings(&self, before: i64, limit: i64) -> Result<u64, Fault> {
        on_engine!(self.writer(), |pool| {
            sqlx::query(
                "delete from endings where position in (
                     select position from endings where at < $1 limit $2)",
            )
            .bind(before)
            .bind(limit)
            .execute(pool)
            .await
            .map(|done| done.rows_affected())
        })
        .map_err(broken("removing old endings"))
    }
}
