//! Opens PostgreSQL: one host, or several of which one is the primary.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sqlx::migrate::MigrateError;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, PgConnection, PgPool};

use super::migrations;
use super::pg_address::{parse, with_deadlines};
use super::pg_hosts::{PgHosts, in_one_line, unreachable};
use crate::store::line_ends;
use crate::store::open_error::OpenError;

/// How long a request waits for a free connection before it gets 503.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(1);

/// The notification channel by which a revocation wakes the feeds.
pub const CHANNEL: &str = "cloakroom_revocations";

#[derive(Debug)]
pub struct Pools {
    pub pool: PgPool,
    pub hosts: Arc<PgHosts>,
}

/// The options for a connection to the primary.
pub async fn primary(address: &str) -> Result<PgConnectOptions, OpenError> {
    let hosts = PgHosts::new(parse(address)?);
    let (primary, connection) =
        hosts.connect().await.map_err(|error| unreachable(&hosts, &error))?;
    connection.close().await.map_err(|error| unreachable(&hosts, &error))?;
    Ok(hosts.all[primary].clone())
}

/// Connects to the primary in order to inspect it, without any migration.
pub async fn look(address: &str) -> Result<PgConnection, OpenError> {
    let hosts = PgHosts::new(parse(address)?);
    let (_, connection) = hosts.connect().await.map_err(|error| unreachable(&hosts, &error))?;
    Ok(connection)
}

/// Whether any migration has run in this database.
pub async fn has_tables(address: &str) -> Result<bool, OpenError> {
    let hosts = PgHosts::new(parse(address)?);
    let (_, mut connection) = hosts.connect().await.map_err(|error| unreachable(&hosts, &error))?;
    let has_run = sqlx::query_scalar("select to_regclass('_sqlx_migrations') is not null");
    let has_run = has_run.fetch_one(&mut connection).await;
    let _ = connection.close().await; // the result is known already
    has_run.map_err(|error| unreachable(&hosts, &error))
}

/// Connects and migrates. At most `connections` serve requests; one more listens for notifications.
pub async fn open(address: &str, connections: u32) -> Result<Pools, OpenError> {
    let all = parse(address)?;
    let hosts = PgHosts::new(all.iter().map(|server| with_deadlines(server.clone())).collect());
    let (primary, connection) =
        hosts.connect().await.map_err(|error| unreachable(&hosts, &error))?;
    connection.close().await.map_err(|error| unreachable(&hosts, &error))?;
    hosts.primary.store(primary, Ordering::Relaxed);
    // Migrations, and nodes that wait for them, have no timeout.
    let patient = PgPoolOptions::new().max_connections(1).connect_with(all[primary].clone());
    let patient = patient.await.map_err(|error| unreachable(&hosts, &error))?;
    migrate(&patient).await?;
    patient.close().await;

    let hosts = Arc::new(hosts);
    let known = Arc::clone(&hosts);
    let pool = PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .before_acquire(move |_, about| {
            let is_current = known.is_current(about.age);
            Box::pin(async move { Ok(is_current) })
        })
        .connect_lazy_with(hosts.options().clone());
    Ok(Pools { pool, hosts })
}

/// Whether all known migrations have run. A database with an unknown or changed migration is
/// refused.
pub async fn is_up_to_date(connection: &mut PgConnection) -> Result<bool, OpenError> {
    let applied = read_applied_migrations(connection).await;
    let applied =
        applied.map_err(|error| OpenError::from_migration(MigrateError::Execute(error)))?;
    for (version, checksum) in &applied {
        match migrations::POSTGRES.iter().find(|migration| migration.version == *version) {
            None => return Err(OpenError::Newer(*version)),
            Some(known) if known.checksum[..] != checksum[..] => {
                return Err(line_ends::mismatch(known, checksum));
            }
            Some(_) => {}
        }
    }
    Ok(applied.len() == migrations::POSTGRES.iter().count())
}

/// Runs the missing migrations; sqlx holds an advisory lock meanwhile. If none is missing, nothing
/// is locked or created, so a user without the right to change the schema is sufficient.
async fn migrate(pool: &PgPool) -> Result<(), OpenError> {
    let connection = pool.acquire().await;
    let mut connection = connection.map_err(|error| OpenError::Unreachable(in_one_line(&error)))?;
    let is_done = is_up_to_date(&mut connection).await?;
    drop(connection); // the pool has only this connection
    if is_done {
        return Ok(());
    }
    migrations::POSTGRES.run(pool).await.map_err(|error| match &error {
        MigrateError::Execute(sqlx::Error::Database(cause))
        | MigrateError::ExecuteMigration(sqlx::Error::Database(cause), _)
            if cause.code().as_deref() == Some("42501") =>
        {
            OpenError::MayNotMigrate
        }
        _ => OpenError::from_migration(error),
    })
}

/// The versions and checksums of the migrations that have run.
async fn read_applied_migrations(
    connection: &mut PgConnection,
) -> Result<Vec<(i64, Vec<u8>)>, sqlx::Error> {
    let has_run: bool = sqlx::query_scalar("select to_regclass('_sqlx_migrations') is not null")
        .fetch_one(&mut *connection)
        .await?;
    if !has_run {
        return Ok(Vec::new());
    }
    sqlx::query_as("select version, checksum from _sqlx_migrations where success order by version")
        .fetch_all(connection)
        .await
}
