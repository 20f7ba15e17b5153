//! Inspects the database at a URL.

use std::path::Path;
use std::time::Duration;

use rustix::fs::{Access, AtFlags, CWD, accessat};
use rustix::io::Errno;
use sqlx::migrate::Migrator;
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::SqlitePoolOptions;

use super::report::{CheckLevel, DatabaseReport, Schema};
use super::{content, schema};
use crate::core::ownership;
use crate::store::Store;
use crate::store::definitions::{self, DefinitionReport};
use crate::store::engine::connection::Pool;
use crate::store::engine::{migrations, postgres, sqlite};
use crate::store::errors::{context, is_damage};
use crate::store::file_guard::{FileGuard, Guarded};
use crate::store::held_usernames::SECRETS_IN_USE;
use crate::store::mails::{COUNT_MAILS, MailCounts};
use crate::store::open_error::OpenError;

/// How long an inspection waits for the database.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The operation in error messages.
const INSPECTING: &str = "inspecting the database";

impl Store {
    /// Inspects the database at a URL. An SQLite file must exist already.
    pub async fn inspect_at(
        address: &str,
        level: CheckLevel,
        demo_users: &[&'static str],
        now: i64,
    ) -> Result<DatabaseReport, OpenError> {
        let Some(file) = Self::file_of(address)? else {
            let options = postgres::primary(address).await?;
            let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(CONNECT_TIMEOUT);
            let pool = pool.connect_lazy_with(options);
            let seen =
                inspect(Pool::Postgres(&pool), &migrations::POSTGRES, level, (demo_users, now))
                    .await;
            pool.close().await;
            return seen
                .map_err(context(INSPECTING))
                .map_err(|fault| OpenError::Unreachable(fault.to_string()));
        };
        for suffix in ["", "-wal", "-shm"] {
            require_readable(&file.with_file_name(with_suffix(&file, suffix)))?;
        }
        // Without a log, no process writes the file, so no lock is needed.
        let has_log = file.with_file_name(with_suffix(&file, "-wal")).exists();
        let options = sqlite::parse(address)?
            .read_only(true)
            .create_if_missing(false)
            .immutable(!has_log)
            .busy_timeout(sqlite::BUSY);
        let pool = SqlitePoolOptions::new().max_connections(1).acquire_timeout(CONNECT_TIMEOUT);
        let pool = pool.connect_lazy_with(options);
        let files = FileGuard::without_tracking();
        let sqlite = Pool::Sqlite(&pool, Guarded::Read(&files));
        let seen = inspect(sqlite, &migrations::SQLITE, level, (demo_users, now)).await;
        pool.close().await;
        seen.map_err(|error| {
            let is_damaged = is_damage(&error);
            let says = format!("{}: {}", file.display(), context(INSPECTING)(error));
            if is_damaged { OpenError::Damaged(says) } else { OpenError::Unreachable(says) }
        })
    }
}

/// An error that says what to do, if this user may not read the file. Missing permissions are not
/// damage.
fn require_readable(file: &Path) -> Result<(), OpenError> {
    match accessat(CWD, file, Access::READ_OK, AtFlags::EACCESS) {
        Err(Errno::ACCESS) => Err(OpenError::Forbidden(ownership::describe_denial(file))),
        Ok(()) | Err(_) => Ok(()), // the driver reports other errors
    }
}

fn with_suffix(file: &Path, ending: &str) -> std::ffi::OsString {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(ending);
    name
}

async fn inspect(
    pool: Pool<'_>,
    known: &Migrator,
    level: CheckLevel,
    (demo_users, now): (&[&'static str], i64),
) -> sqlx::Result<DatabaseReport> {
    let mut seen = DatabaseReport {
        engine: schema::engine(pool).await?,
        schema: Schema::None,
        damage: None,
        accounts: 0,
        mails: MailCounts::default(),
        peppers: Vec::new(),
        server_secrets: Vec::new(),
        newest: None,
        demo_users: Vec::new(),
        unwritable: Vec::new(),
        is_read_only: false,
        server_clock: None,
        setup: Vec::new(),
        definitions: Some(DefinitionReport::default()),
    };
    match pool {
        Pool::Sqlite(sqlite, _) => seen.damage = schema::damage(sqlite, level).await?,
        Pool::Postgres(postgres) => {
            let clock = "select (extract(epoch from clock_timestamp()) * 1000)::bigint";
            seen.server_clock = Some(sqlx::query_scalar(clock).fetch_one(postgres).await?);
        }
    }
    seen.schema = schema::schema(pool, known).await?;
    if seen.schema == Schema::None {
        return Ok(seen);
    }
    if let Schema::Older(version) | Schema::Current(version) = seen.schema {
        seen.definitions = definitions::check(pool, version).await?;
    }
    seen.newest = content::newest_instant(pool).await?;
    seen.accounts = content::count_accounts(pool).await?;
    if let Schema::Current(_) = seen.schema {
        seen.peppers = content::count_peppers(pool).await?;
        seen.mails = pool.query(COUNT_MAILS).fetch_one().await?;
        seen.setup = content::setup_events(pool).await?;
        seen.server_secrets = pool.query(SECRETS_IN_USE).bind(now).fetch_all().await?;
    }
    seen.demo_users = content::find_names(pool, demo_users).await?;
    if let Pool::Postgres(postgres) = pool {
        let read_only = "select current_setting('transaction_read_only') = 'on'";
        seen.is_read_only = sqlx::query_scalar(read_only).fetch_one(postgres).await?;
        seen.unwritable = content::find_unwritable(postgres).await?;
    }
    Ok(seen)
}
