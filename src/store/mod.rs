//! Rows. The only floor that names sqlx.
//!
//! A query is written once, literal, beside its row; `on_engine!` expands it for both drivers.
//! Time comes in as a parameter, and what comes out are rows: no rules live here.

mod accounts;
mod attempts;
mod backup;
mod definitions;
mod ended_tokens;
mod engine;
mod events;
mod file_guard;
mod group_commit;
mod held_usernames;
mod inspect;
mod invites;
mod line_ends;
mod revocations;
mod session_data;
mod sessions;
mod suspect_writer;
mod transfer;
mod wait_histogram;
mod writable;

use std::fmt;
use std::path::{Path, PathBuf};

use sqlx::migrate::MigrateError;
use sqlx::sqlite::SqliteConnectOptions;

pub use self::accounts::{
    AccountAdded, AccountChange, AccountRow, HashRow, ImportRow, NewAccountRow, SignedUp,
};
pub use self::attempts::{
    AttemptKey, AttemptRow, Forgiveness, NodeTime, ResetRow, StepRow, TurnRow,
};
pub use self::backup::{BackupError, Contents};
pub use self::definitions::DefinitionReport;
use self::engine::{postgres, sqlite};
pub use self::events::{EventRange, EventRow, NamedEventRow};
pub use self::file_guard::Trouble;
pub use self::held_usernames::HeldUsernameRow;
#[cfg(test)]
pub use self::inspect::SETUP_EVENTS;
pub use self::inspect::{Depth, Look, Schema, SetupEvent};
pub use self::invites::InviteRow;
pub use self::revocations::{Feed, Heard};
pub use self::session_data::{DataPlace, DataRow};
pub use self::sessions::{
    Added, Behind, Ended, FoundSessionRow, IdleSince, NewSessionRow, SessionRow,
};
pub use self::transfer::{MoveError, Progress};
pub use self::wait_histogram::Waited;
use crate::core::error::Fault;

/// Runs one body on whichever engine is open. The few statements that the engines write differently
/// are constants of both, and the body finds its own.
macro_rules! on_engine {
    ($pool:expr, |$name:ident| $body:expr) => {
        match $pool {
            $crate::store::Pool::Sqlite($name, files) => {
                #[allow(unused_imports, reason = "few bodies need them")]
                use $crate::store::engine::sqlite::statements::*;
                match files.check().await {
                    Ok(()) => files.vouch($body).await,
                    Err(gone) => Err($crate::store::file_guard::OfDriver::from_driver(gone)),
                }
            }
            $crate::store::Pool::Postgres($name) => {
                #[allow(unused_imports, reason = "few bodies need them")]
                use $crate::store::engine::postgres::statements::*;
                $body
            }
        }
    };
}
use on_engine;

/// Runs one body where it may write. It owns what it uses, and is one statement or begins a
/// transaction of its own, which in SQLite shares its commit with others, and which in PostgreSQL is
/// a task of its own.
macro_rules! on_writer {
    ($store:expr, |$name:ident| $body:expr) => {
        match $store {
            $crate::store::Store::Sqlite(pools) => {
                #[allow(unused_imports, reason = "few bodies need them")]
                use $crate::store::engine::sqlite::statements::*;
                let undo = $crate::store::group_commit::Undo::Itself;
                pools.commits.run(undo, move |$name| Box::pin(async move { $body })).await
            }
            $crate::store::Store::Postgres(pools) => {
                #[allow(unused_imports, reason = "few bodies need them")]
                use $crate::store::engine::postgres::statements::*;
                let pool = pools.pool.clone();
                let work = async move {
                    let $name = &pool;
                    $body
                };
                $crate::store::to_the_end(work).await
            }
        }
    };
}
use on_writer;

/// Runs one body in a transaction, which in SQLite it shares with others, and which in PostgreSQL is
/// a task of its own. It owns what it uses, and does either all of it or nothing before its first
/// write; an error undoes everybody's.
macro_rules! in_one_commit {
    ($store:expr, |$name:ident| $body:expr) => {
        match $store {
            $crate::store::Store::Sqlite(pools) => {
                #[allow(unused_imports, reason = "few bodies need them")]
                use $crate::store::engine::sqlite::statements::*;
                let undo = $crate::store::group_commit::Undo::All;
                pools.commits.run(undo, move |$name| Box::pin(async move { $body })).await
            }
            $crate::store::Store::Postgres(pools) => {
                #[allow(unused_imports, reason = "few bodies need them")]
                use $crate::store::engine::postgres::statements::*;
                let pool = pools.pool.clone();
                let work = async move {
                    let mut all = pool.begin().await?;
                    let $name = &mut *all;
                    let done: sqlx::Result<_> = async { $body }.await;
                    let done = done?;
                    all.commit().await?;
                    Ok(done)
                };
                $crate::store::to_the_end(work).await
            }
        }
    };
}
use in_one_commit;

/// Does this to its end, whoever waits for it. A transaction that is dropped while it begins would
/// stay open in a connection that others get next (launchbadge/sqlx#4393).
async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = sqlx::Result<T>> + Send + 'static,
) -> sqlx::Result<T> {
    tokio::spawn(work).await.unwrap_or(Err(sqlx::Error::WorkerCrashed))
}

/// Begins a transaction. Whoever goes away meanwhile leaves none behind.
async fn begin<D: sqlx::Database>(
    pool: &sqlx::Pool<D>,
) -> sqlx::Result<sqlx::Transaction<'static, D>> {
    let pool = pool.clone();
    to_the_end(async move { pool.begin().await }).await
}

/// Has the log say nothing of statements that take long, for those who copy everything.
pub const PATIENT: &str = "sqlx::query=error";
/// What the driver's lines about a password file are logged as.
pub const PGPASS_TARGET: &str = "sqlx_postgres::options::pgpass";
/// As many connections to PostgreSQL do for a command, which asks for one thing after the other.
const FEW: u32 = 4;

/// The open database.
pub enum Store {
    Sqlite(sqlite::Pools),
    Postgres(postgres::Pools),
}

/// Connections to Cloakroom's database, for tables of somebody's own beside its own.
///
/// In SQLite they are four of their own to the same file, with foreign keys on, which wait for 0.9
/// seconds for who writes; begin a transaction that writes with `begin immediate`. In PostgreSQL they
/// are Cloakroom's own, as many as the setting `database_connections` says, whose statements end after
/// two seconds.
///
/// Let rows refer to an account by `references accounts (id) on delete cascade`, and they go when it
/// is closed. Migrations of your own need a table of their own to be noted in, or each side refuses
/// to start because of what the other one ran: see `examples/notes`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Database {
    /// A file.
    Sqlite(sqlx::SqlitePool),
    /// A server.
    Postgres(sqlx::PgPool),
}

/// What a query runs on.
enum Pool<'a> {
    Sqlite(&'a sqlx::SqlitePool, &'a file_guard::Files),
    Postgres(&'a sqlx::PgPool),
}

/// Why a database cannot be opened; each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the database address starts with neither sqlite: nor postgres:")]
    UnknownEngine,
    #[error("the database address is malformed: {0}")]
    BadAddress(String),
    #[error(
        "the database is newer than this program (it has migration {0}); start a newer cloakroom, or \
         restore the backup from before the upgrade"
    )]
    Newer(i64),
    #[error(
        "migration {0} was changed after it ran on this database; start the release that ran it"
    )]
    Changed(i64),
    #[error(
        "migration {0} ran here with other line ends than this program has, and is the same otherwise: a \
         checkout changed them; build the program from one in which .gitattributes holds, or as git made it \
         with core.autocrlf = false"
    )]
    LineEnds(i64),
    #[error(
        "this program was built with SQLite {0}, which can corrupt a database; 3.51.3 or newer is needed"
    )]
    UnsafeSqlite(String),
    #[error("a database in memory forgets every account; name a file")]
    InMemory,
    #[error(
        "the database is not up to date, and this user may not change its schema: run `cloakroom \
         migrate` as its owner"
    )]
    MayNotMigrate,
    #[error("the database is damaged, and was left as it is; restore a backup of it: {0}")]
    Damaged(String),
    #[error("cannot read the database: {0}")]
    Forbidden(String),
    #[error("cannot open the database: {0}")]
    Unreachable(String),
}

impl Store {
    /// Opens the database at `address`, makes it if it is an SQLite file that is not there yet,
    /// and brings its schema up to date.
    pub async fn open(address: &str) -> Result<Self, OpenError> {
        Self::open_with(address, FEW).await
    }

    /// The same with so many connections, if it is a PostgreSQL: SQLite has as many as are of use.
    pub async fn open_with(address: &str, connections: u32) -> Result<Self, OpenError> {
        if address.starts_with("sqlite:") {
            Ok(Self::Sqlite(sqlite::open(sqlite::parse(address)?).await?))
        } else if address.starts_with("postgres:") || address.starts_with("postgresql:") {
            Ok(Self::Postgres(postgres::open(address, connections).await?))
        } else {
            Err(OpenError::UnknownEngine)
        }
    }

    /// Opens an SQLite file, as [`Store::open`] does.
    pub async fn open_file(file: &Path) -> Result<Self, OpenError> {
        let options = SqliteConnectOptions::new().filename(file);
        Ok(Self::Sqlite(sqlite::open(options).await?))
    }

    /// The file of an SQLite database; `None` if it is no such address.
    pub fn file_of(address: &str) -> Result<Option<PathBuf>, OpenError> {
        if !address.starts_with("sqlite:") {
            return Ok(None);
        }
        Ok(Some(sqlite::parse(address)?.get_filename().to_owned()))
    }

    /// Is there a database of Cloakroom's at an address? Nothing is made.
    pub async fn exists(address: &str) -> Result<bool, OpenError> {
        if let Some(file) = Self::file_of(address)? {
            return Ok(match std::fs::metadata(&file) {
                Ok(about) => about.len() > 0, // SQLite takes an empty file for a new database
                Err(error) => error.kind() != std::io::ErrorKind::NotFound, // opening says why
            });
        }
        postgres::has_tables(address).await
    }

    /// The database answers.
    pub async fn ping(&self) -> Result<(), Fault> {
        on_engine!(self.reader(), |pool| {
            sqlx::query("select count(*) from accounts where 1 = 0").execute(pool).await.map(drop)
        })
        .map_err(broken("asking the database for a sign of life"))
    }

    /// The versions of the migrations that have run, oldest first.
    pub async fn migrations(&self) -> Result<Vec<i64>, Fault> {
        on_engine!(self.reader(), |pool| {
            sqlx::query_scalar("select version from _sqlx_migrations order by version")
                .fetch_all(pool)
                .await
        })
        .map_err(broken("reading which migrations ran"))
    }

    /// The connections of each pool: how many are in use, and how many wait to be.
    pub fn connections(&self) -> Vec<(&'static str, u32, u32)> {
        fn of<D: sqlx::Database>(
            name: &'static str,
            pool: &sqlx::Pool<D>,
        ) -> (&'static str, u32, u32) {
            let idle = u32::try_from(pool.num_idle()).unwrap_or(u32::MAX);
            (name, pool.size().saturating_sub(idle), idle)
        }
        match self {
            Self::Sqlite(pools) => vec![of("readers", &pools.readers), of("writer", &pools.writer)],
            Self::Postgres(pools) => vec![of("all", &pools.pool)],
        }
    }

    /// How long those waited who write behind each other: what a sign-in writes, in SQLite, which has
    /// one writer. In PostgreSQL nobody waits for that.
    pub fn waited(&self) -> Option<Waited> {
        match self {
            Self::Sqlite(pools) => Some(pools.commits.waits.so_far()),
            Self::Postgres(_) => None,
        }
    }

    /// Comes back when the disk has failed to keep what was written: nothing is read or written any
    /// more until the database is opened again.
    pub async fn unsynced(&self) -> Trouble {
        match self {
            Self::Sqlite(pools) => pools.files.unsynced().await,
            Self::Postgres(_) => std::future::pending().await, // the server's own to mend
        }
    }

    /// Writes what is open to the disk and closes every connection.
    pub async fn close(&self) {
        match self {
            Self::Sqlite(pools) => {
                pools.guests.close().await;
                pools.readers.close().await;
                pools.writer.close().await;
            }
            Self::Postgres(pools) => pools.pool.close().await,
        }
    }

    /// For whoever has tables beside ours.
    pub fn database(&self) -> Database {
        match self {
            Self::Sqlite(pools) => Database::Sqlite(pools.guests.clone()),
            Self::Postgres(pools) => Database::Postgres(pools.pool.clone()),
        }
    }

    fn reader(&self) -> Pool<'_> {
        match self {
            Self::Sqlite(pools) => Pool::Sqlite(&pools.readers, &pools.files),
            Self::Postgres(pools) => Pool::Postgres(&pools.pool),
        }
    }

    fn writer(&self) -> Pool<'_> {
        match self {
            Self::Sqlite(pools) => Pool::Sqlite(&pools.writer, &pools.files),
            Self::Postgres(pools) => Pool::Postgres(&pools.pool),
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sqlite(_) => "Store::Sqlite",
            Self::Postgres(_) => "Store::Postgres",
        })
    }
}

/// Turns a driver's error into a [`Fault`] that says what was being done.
fn broken(doing: &'static str) -> impl FnOnce(sqlx::Error) -> Fault {
    move |error| {
        if may_pass(&error) { Fault::passing(doing, error) } else { Fault::new(doing, error) }
    }
}

/// Is it the database's state of the moment, rather than our query?
fn may_pass(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::Io(_) => true,
        sqlx::Error::Database(error) => match error.code().as_deref() {
            // SQLite's primary result codes, in the low byte of the extended ones: BUSY 5,
            // LOCKED 6, READONLY 8, IOERR 10, CORRUPT 11, FULL 13, CANTOPEN 14, NOTADB 26.
            Some(code) if code.len() < 5 => code
                .parse::<u32>()
                .is_ok_and(|code| matches!(code & 0xff, 5 | 6 | 8 | 10 | 11 | 13 | 14 | 26)),
            // PostgreSQL's classes: connection 08, resources 53, operator intervention 57, another
            // transaction in the way 40; and 25006, a server that only reads, as standbys do.
            Some("25006") => true,
            Some(state) => ["08", "40", "53", "57"].iter().any(|class| state.starts_with(class)),
            None => false,
        },
        _ => false,
    }
}

/// Does SQLite say that the file is CORRUPT or NOTADB?
fn is_damage(error: &sqlx::Error) -> bool {
    primary_code(error).is_some_and(|code| matches!(code, 11 | 26))
}

/// SQLite's primary result code, which is the low byte of its extended ones.
fn primary_code(error: &sqlx::Error) -> Option<u32> {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code)?;
    if code.len() > 4 {
        return None; // PostgreSQL's have five characters
    }
    code.parse::<u32>().ok().map(|code| code & 0xff)
}

/// A migration that did not run, in words for whoever starts the program.
fn not_migrated(error: MigrateError) -> OpenError {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)
            if is_damage(&error) =>
        {
            OpenError::Damaged(error.to_string())
        }
        MigrateError::VersionMissing(version) => OpenError::Newer(version),
        MigrateError::VersionMismatch(version) => OpenError::Changed(version),
        other => OpenError::Unreachable(other.to_string()),
    }
}
