//! Opens SQLite: one connection for writes and a few for reads.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::migrate::MigrateError;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection, SqlitePool};

use super::migrations;
use crate::core::ownership;
use crate::store::errors::is_damage;
use crate::store::file_guard::FileGuard;
use crate::store::group_commit::GroupCommit;
use crate::store::line_ends;
use crate::store::open_error::OpenError;
use crate::store::suspect_writer::SuspectWriter;

/// The first SQLite release in which a reset of the write-ahead log does not corrupt the database.
const OLDEST_SAFE: (u32, u32, u32) = (3, 51, 3);
/// How long a connection waits while another process writes.
pub const BUSY: Duration = Duration::from_millis(900);
/// How long a request waits for a free connection before it gets 503. Together with [`BUSY`], which
/// may come on top, the wait stays below two seconds.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(1);
/// Readers never wait for each other, and more rarely keep two cores busy. All are opened at
/// startup: a connection that is opened under load would be the one that fails for lack of file
/// descriptors.
const READERS: u32 = 4;
/// The maximum number of connections for an embedder's own tables. None is opened before it is
/// used.
const GUESTS: u32 = 4;
/// The page cache of each of our connections, in KiB: SQLite would use 2 MiB each as the database
/// grows. The operating system caches the file too, and our transactions change about a dozen
/// pages.
const PAGE_CACHE_KIB: u32 = 512;
/// A connection that was opened while the file was not writable remains read-only, without an error
/// that says so. So connections are replaced regularly.
const GUEST_LIFETIME: Duration = Duration::from_mins(1);

#[derive(Debug)]
pub struct Pools {
    pub readers: SqlitePool,
    pub writer: SqlitePool,
    /// For the embedder's own tables, so that its slow queries do not delay session checks.
    pub guests: SqlitePool,
    /// The writer, for writes that share a commit.
    pub group_commit: GroupCommit,
    pub files: Arc<FileGuard>,
}

/// Parses the URL of an SQLite database.
pub fn parse(address: &str) -> Result<SqliteConnectOptions, OpenError> {
    if address.contains(":memory:") || address.contains("mode=memory") {
        return Err(OpenError::InMemory);
    }
    SqliteConnectOptions::from_str(address)
        .map_err(|error| OpenError::BadAddress(error.to_string()))
}

/// Opens the file, creates it with mode 0600 if it does not exist, and migrates it.
pub async fn open(options: SqliteConnectOptions) -> Result<Pools, OpenError> {
    let options = options
        .busy_timeout(BUSY)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true);
    let file = options.get_filename().to_owned();
    create_file(&file).map_err(|error| describe_denial(&file, &error))?;
    let options = options.create_if_missing(false); // later connections create no file
    // Processes that start at the same time run the following steps one after the other: SQLite
    // does not wait when two of them switch to WAL, and sqlx takes no lock for its migrations.
    let beside = file.with_added_extension("migrating");
    let lock = lock_file(&beside).await.map_err(|error| describe_denial(&beside, &error))?;
    let was_left = has_log(&file);

    let pool = |connections| {
        SqlitePoolOptions::new()
            .min_connections(connections)
            .max_connections(connections)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
    };
    // A commit that fails on a full disk leaves a connection that cannot begin transactions. Such a
    // connection is closed.
    let pool_that_writes = |connections| {
        pool(connections).after_release(|connection, _| {
            Box::pin(async move {
                Connection::ping(connection).await?; // until a pending rollback is done
                Ok(!connection.is_in_transaction())
            })
        })
    };
    let guests = pool_that_writes(GUESTS)
        .min_connections(0)
        .max_lifetime(GUEST_LIFETIME)
        .connect_lazy_with(options.clone());
    let options = options.pragma("cache_size", format!("-{PAGE_CACHE_KIB}"));
    let suspect = SuspectWriter::default();
    let suspected = suspect.clone();
    let writer = pool_that_writes(1).before_acquire(move |_, _| {
        let is_kept = !suspected.is_suspect();
        Box::pin(async move { Ok(is_kept) })
    });
    let writer =
        writer.connect_with(options.clone()).await.map_err(|error| not_opened(&file, &error))?;
    let version: String = sqlx::query_scalar("select sqlite_version()")
        .fetch_one(&writer)
        .await
        .map_err(|error| unreachable(&file, &error))?;
    if !is_safe(&version) {
        return Err(OpenError::UnsafeSqlite(version));
    }
    if was_left {
        checkpoint(&writer).await.map_err(|error| unreachable(&file, &error))?;
    }
    migrate(&writer).await?;
    drop(lock);
    let readers =
        pool(READERS).connect_with(options).await.map_err(|error| not_opened(&file, &error))?;
    let files =
        Arc::new(FileGuard::of(&file, suspect).map_err(|error| unreachable(&file, &error))?);
    tokio::spawn(FileGuard::watch(Arc::downgrade(&files)));
    let group_commit = GroupCommit::start(writer.clone(), Arc::clone(&files));
    Ok(Pools { readers, writer, guests, group_commit, files })
}

/// Whether a process left writes in the write-ahead log.
fn has_log(file: &Path) -> bool {
    let mut log = file.as_os_str().to_owned();
    log.push("-wal");
    std::fs::metadata(log).is_ok_and(|log| log.len() > 0)
}

/// Copies the writes of the write-ahead log to the database. A process that ended because of a
/// failing disk may have left writes in the log that were never synced and that no later sync
/// includes, because the operating system considers them written. New acknowledged writes must not
/// depend on them.
async fn checkpoint(writer: &SqlitePool) -> sqlx::Result<()> {
    sqlx::query("pragma wal_checkpoint(passive)").execute(writer).await.map(drop)
}

/// Runs the missing migrations, without waiting for the disk. A power cut may undo them, and then
/// they run again. The first acknowledged write syncs everything before it.
async fn migrate(writer: &SqlitePool) -> Result<(), OpenError> {
    let failed = |error| OpenError::from_migration(MigrateError::Execute(error));
    // The pool has only this connection.
    sqlx::query("pragma synchronous = normal").execute(writer).await.map_err(failed)?;
    match migrations::SQLITE.run(writer).await {
        Err(MigrateError::VersionMismatch(version)) => {
            let ran =
                sqlx::query_scalar("select checksum from _sqlx_migrations where version = $1");
            let ran: Vec<u8> = ran.bind(version).fetch_one(writer).await.map_err(failed)?;
            let known = migrations::SQLITE.iter().find(|migration| migration.version == version);
            return Err(
                known.map_or(OpenError::Changed(version), |known| line_ends::mismatch(known, &ran))
            );
        }
        run => run.map_err(OpenError::from_migration)?,
    }
    sqlx::query("pragma synchronous = full").execute(writer).await.map_err(failed)?;
    Ok(())
}

/// Waits for the lock on a blocking thread. Dropping the file releases it.
async fn lock_file(path: &Path) -> io::Result<File> {
    let path = path.to_owned();
    let waited = tokio::task::spawn_blocking(move || {
        let file = ownership::open_private(&path)?;
        file.lock()?;
        Ok(file)
    });
    waited.await.map_err(io::Error::other)?
}

/// Creates the file with a mode that denies access to others. An existing file stays as it is.
fn create_file(file: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(file) {
        Ok(made) => ownership::give_to_folder_owner(&made, file),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

fn is_safe(version: &str) -> bool {
    let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let mut next = || parts.next().unwrap_or(0);
    (next(), next(), next()) >= OLDEST_SAFE
}

pub fn not_opened(file: &Path, error: &sqlx::Error) -> OpenError {
    if is_damage(error) {
        return OpenError::Damaged(format!("{}: {error}", file.display()));
    }
    unreachable(file, error)
}

fn describe_denial(file: &Path, error: &io::Error) -> OpenError {
    unreachable(file, &format!("{error}{}", ownership::remedy(file, error)))
}

pub fn unreachable(file: &Path, error: &dyn std::fmt::Display) -> OpenError {
    OpenError::Unreachable(format!("{}: {error}", file.display()))
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::os::unix::fs::FileExt;

    use sqlx::sqlite::SqliteConnectOptions;
    use sqlx::{Connection, SqliteConnection};

    use super::{PAGE_CACHE_KIB, Pools, READERS, is_safe, open, parse};
    use crate::store::Store;
    use crate::store::group_commit::RollbackScope;

    #[tokio::test]
    async fn a_disk_that_was_full_is_written_to_again_when_there_is_room() {
        let folder = tempfile::tempdir().unwrap();
        let address = format!("sqlite://{}", folder.path().join("small.db").display());
        let pools = open(parse(&address).unwrap()).await.unwrap();
        let write = "insert into login_attempts (key, failures, free_at, last_at)
             with recursive n(i) as (select 1 union all select i + 1 from n where i < 1000)
             select randomblob(16), 1, 0, 0 from n";
        let write = async || {
            let work = pools.group_commit.run(RollbackScope::Own, move |db| {
                Box::pin(async move { sqlx::query(write).execute(db).await.map(drop) })
            });
            work.await
        };
        sqlx::query("pragma max_page_count = 1").execute(&pools.writer).await.unwrap();
        assert!(write().await.is_err(), "no page is left");
        sqlx::query("pragma max_page_count = 100000").execute(&pools.writer).await.unwrap();
        write().await.unwrap();
        let mut alone = pools.writer.begin().await.unwrap();
        sqlx::query("delete from login_attempts").execute(&mut *alone).await.unwrap();
        alone.commit().await.unwrap();
    }

    async fn add_attempt(pools: &Pools, scope: RollbackScope) -> sqlx::Result<()> {
        let insert = "insert into login_attempts (key, failures, free_at, last_at)
             values (randomblob(16), 1, 0, 0)";
        let work = pools.group_commit.run(scope, move |db| {
            Box::pin(async move { sqlx::query(insert).execute(db).await.map(drop) })
        });
        work.await
    }

    #[tokio::test]
    async fn a_connection_that_was_opened_while_nothing_could_be_written_is_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let options = parse(&format!("sqlite://{}", folder.path().join("small.db").display()));
        let options = options.unwrap();
        let store = Store::Sqlite(open(options.clone()).await.unwrap());
        let Store::Sqlite(pools) = &store else { unreachable!() };
        let write = async |scope| add_attempt(pools, scope).await;
        for scope in [RollbackScope::Own, RollbackScope::Group] {
            // SQLite opens a file like this if it is not writable.
            pools.writer.set_connect_options(options.clone().read_only(true));
            pools.writer.acquire().await.unwrap().close().await.unwrap();
            assert!(write(scope).await.is_err(), "{scope:?}");
            assert!(write(scope).await.is_err(), "{scope:?}, and again");
            store.check_writable().await.unwrap_err();
            pools.writer.set_connect_options(options.clone());
            write(scope).await.unwrap();
            write(scope).await.unwrap();
            store.check_writable().await.unwrap();

            pools.writer.set_connect_options(options.clone().read_only(true));
            pools.writer.acquire().await.unwrap().close().await.unwrap();
            store.check_writable().await.unwrap_err();
            pools.writer.set_connect_options(options.clone());
            store.check_writable().await.unwrap();
            write(scope).await.unwrap();
        }
    }

    #[tokio::test]
    async fn damage_to_what_a_sign_in_writes_is_found_by_who_asks_for_readiness() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("small.db");
        let store = Store::open_file(&path).await.unwrap();
        let Store::Sqlite(pools) = &store else { unreachable!() };
        add_attempt(pools, RollbackScope::Own).await.unwrap();
        store.check_writable().await.unwrap();
        sqlx::query("pragma wal_checkpoint(truncate)").execute(&pools.writer).await.unwrap();
        let pages = "select rootpage from sqlite_master where tbl_name = 'login_attempts'";
        let pages: Vec<i64> = sqlx::query_scalar(pages).fetch_all(&pools.writer).await.unwrap();
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        for page in pages {
            file.write_all_at(&[0xff; 4096], (page.unsigned_abs() - 1) * 4096).unwrap();
        }
        store.check_writable().await.unwrap(); // reads the page cache of the connection
        let options = SqliteConnectOptions::new().filename(&path);
        let mut other = SqliteConnection::connect_with(&options).await.unwrap();
        sqlx::query("pragma user_version = 1").execute(&mut other).await.unwrap();
        add_attempt(pools, RollbackScope::Own).await.unwrap_err();
        for _and_as_long_as_it_is in 0..2 {
            let damaged = store.check_writable().await.unwrap_err();
            assert!(damaged.to_string().contains("malformed"), "{damaged}");
        }
    }

    #[tokio::test]
    async fn every_reader_is_open_from_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let address = format!("sqlite://{}", folder.path().join("small.db").display());
        let pools = open(parse(&address).unwrap()).await.unwrap();
        assert_eq!(pools.readers.size(), READERS);
    }

    #[tokio::test]
    async fn a_connection_keeps_few_pages_however_large_the_database_is() {
        let folder = tempfile::tempdir().unwrap();
        let address = format!("sqlite://{}", folder.path().join("small.db").display());
        let pools = open(parse(&address).unwrap()).await.unwrap();
        for pool in [&pools.writer, &pools.readers] {
            let size: i64 = sqlx::query_scalar("pragma cache_size").fetch_one(pool).await.unwrap();
            assert_eq!(size, -i64::from(PAGE_CACHE_KIB)); // a negative value is in KiB
        }
    }

    #[test]
    fn an_sqlite_that_can_corrupt_is_told_from_one_that_cannot() {
        for safe in ["3.51.3", "3.51.10", "3.52.0", "4.0.0"] {
            assert!(is_safe(safe), "{safe}");
        }
        for unsafe_one in ["3.51.2", "3.46.0", "3.9.99", "", "x"] {
            assert!(!is_safe(unsafe_one), "{unsafe_one}");
        }
    }
}
