//! Watches the files of an open SQLite database: they must exist, be the same files, and be on a
//! disk that does not lose writes.
//!
//! SQLite keeps its files open and never checks whether they still exist by name. It would go on
//! writing to a file that was removed or replaced, or past the end of a truncated one, and these
//! writes would be lost. So a task checks the files every [`CHECK_INTERVAL`], and reads trust its last
//! check: they cost no system call. A write is checked before it starts, and again before it is
//! acknowledged.
//!
//! The task reads the metadata of three files, which every file system supports. Notifications
//! (inotify) do not come from network file systems, cannot tell SQLite's own writes from a truncation,
//! and would not save the metadata either.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, SqliteConnection};
use tokio::sync::{Mutex, watch};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::suspect_writer::SuspectWriter;

/// How often the files are checked for the reads. A check may wait for the disk, so a change is detected within
/// twice this time.
const CHECK_INTERVAL: Duration = Duration::from_millis(100);
/// SQLite's extended result codes for a file or a folder that could not be synced.
const UNSYNCED: [&str; 2] = ["1034", "1290"];
/// The first bytes of a write-ahead log. The last bit is the byte order of its checksums.
const MAGIC: [u8; 4] = [0x37, 0x7f, 0x06, 0x82];

/// The database file, its write-ahead log and the log's index.
#[derive(Debug)]
pub struct FileGuard {
    all: Vec<TrackedFile>,
    log: Option<File>,
    /// The failure because of which all reads and writes are refused, if there is one.
    failure: watch::Sender<Option<StorageFailure>>,
    /// Whether reads check the files, too: from a failed check until the watching task finds no failure.
    must_check: AtomicBool,
    /// Held during a thorough check, for which all others wait.
    looking: Mutex<()>,
    /// Whether the writer's connection is suspect.
    pub writer: SuspectWriter,
}

/// Whether a query of SQLite reads or writes, and the guard of the files for it.
#[derive(Debug, Clone, Copy)]
pub enum Guarded<'a> {
    Read(&'a FileGuard),
    Write(&'a FileGuard),
}

impl Guarded<'_> {
    /// Runs a query, unless the guard refuses it.
    pub async fn run<T>(self, query: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<T> {
        match self {
            Self::Read(guard) => guard.around_read(query).await,
            Self::Write(guard) => guard.around_write(query).await,
        }
    }
}

/// A failure that does not go away by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StorageFailure {
    #[error(
        "the disk failed to store a write; no confirmed change is affected, but the service must \
         restart to read the current state of the database"
    )]
    Unsynced,
    #[error("a file of the database was truncated; stop the service and restore a backup")]
    CutOff,
}

/// The identity of a file that was opened.
#[derive(Debug)]
struct TrackedFile {
    path: PathBuf,
    device: u64,
    number: u64,
    /// The largest size that the file was seen to have, in bytes.
    size: AtomicU64,
}

impl TrackedFile {
    fn of(path: PathBuf) -> io::Result<Self> {
        let found = fs::metadata(&path)?;
        let size = AtomicU64::new(found.len());
        Ok(Self { path, device: found.dev(), number: found.ino(), size })
    }

    /// The metadata of the file, if its path still leads to the same file.
    fn read_metadata(&self) -> io::Result<Metadata> {
        let name = self.path.display();
        let found = fs::metadata(&self.path)
            .map_err(|error| io::Error::new(error.kind(), format!("{name}: {error}")))?;
        if (found.dev(), found.ino()) == (self.device, self.number) {
            return Ok(found);
        }
        Err(io::Error::other(format!(
            "{name} was replaced or removed while the service was running"
        )))
    }
}

impl FileGuard {
    /// Tracks the files of a database that was just opened.
    pub fn of(database: &Path, writer: SuspectWriter) -> io::Result<Self> {
        let database = database.canonicalize()?; // SQLite derives the other names from this one
        let sibling = |suffix: &str| {
            let mut name = database.clone().into_os_string();
            name.push(suffix);
            PathBuf::from(name)
        };
        let (log, index) = (sibling("-wal"), sibling("-shm"));
        Ok(Self {
            // SQLite holds no lock on this file, so closing it releases none.
            log: Some(File::open(&log)?),
            all: vec![TrackedFile::of(database)?, TrackedFile::of(log)?, TrackedFile::of(index)?],
            failure: watch::Sender::new(None),
            must_check: AtomicBool::new(false),
            looking: Mutex::new(()),
            writer,
        })
    }

    /// For a single inspection of a database, which accepts any state of the files.
    pub fn without_tracking() -> Self {
        let failure = watch::Sender::new(None);
        let (looking, writer) = (Mutex::new(()), SuspectWriter::default());
        Self {
            all: Vec::new(),
            log: None,
            failure,
            must_check: AtomicBool::default(),
            looking,
            writer,
        }
    }

    /// Checks the files every [`CHECK_INTERVAL`] until the guard is dropped. Its thread may wait for the disk.
    pub async fn watch(guard: Weak<Self>) {
        loop {
            sleep(CHECK_INTERVAL).await;
            let Some(guard) = guard.upgrade() else { return };
            let seen = Arc::clone(&guard);
            let seen = spawn_blocking(move || seen.are_as_known()).await;
            let is_well = matches!(seen, Ok(Ok(true))) || guard.check().await.is_ok();
            guard.must_check.store(!is_well, Ordering::Relaxed);
        }
    }

    /// Checks the files before or after a write.
    pub async fn check(&self) -> sqlx::Result<()> {
        let known = self.are_as_known();
        if matches!(known, Ok(true)) {
            return Ok(());
        }
        self.must_check.store(true, Ordering::Relaxed); // reads wait for a thorough check, too
        known?;
        let _one = self.looking.lock().await;
        if self.are_as_known()? {
            return Ok(()); // another task has checked meanwhile
        }
        if self.is_whole().await {
            for known in &self.all {
                known.size.store(known.read_metadata()?.len(), Ordering::Relaxed);
            }
            return Ok(());
        }
        self.failure.send_replace(Some(StorageFailure::CutOff));
        Err(sqlx::Error::Io(io::Error::other(StorageFailure::CutOff)))
    }

    /// Runs a write between two checks of the files.
    pub async fn around_write<T>(
        &self,
        write: impl Future<Output = sqlx::Result<T>>,
    ) -> sqlx::Result<T> {
        self.check().await?;
        let outcome = write.await;
        self.verify_after(outcome).await
    }

    /// Runs a read, unless the last check of the files failed; then it is checked as a write is.
    pub async fn around_read<T>(
        &self,
        read: impl Future<Output = sqlx::Result<T>>,
    ) -> sqlx::Result<T> {
        if self.must_check.load(Ordering::Relaxed) {
            return self.around_write(read).await;
        }
        let outcome = read.await;
        if outcome.is_err() || self.must_check.load(Ordering::Relaxed) {
            return self.verify_after(outcome).await;
        }
        outcome
    }

    /// The outcome of a query, unless the check of the files fails.
    pub async fn verify_after<T>(&self, outcome: sqlx::Result<T>) -> sqlx::Result<T> {
        match &outcome {
            Ok(_) => self.check().await?,
            Err(error) => self.record_error(error),
        }
        outcome
    }

    /// Records an error after which the content of the disk is unknown. The operating system drops
    /// data that it could not write, and the next sync succeeds without it; only a restart, which
    /// writes everything in the log again, restores certainty. Errors of the writer's connection
    /// are recorded, too.
    pub fn record_error(&self, error: &sqlx::Error) {
        self.writer.record_error(error);
        let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
        if code.is_some_and(|code| UNSYNCED.contains(&&*code)) {
            self.failure.send_replace(Some(StorageFailure::Unsynced));
            self.must_check.store(true, Ordering::Relaxed);
        }
    }

    /// Resolves when the disk has failed to keep data.
    pub async fn wait_for_sync_failure(&self) -> StorageFailure {
        let mut changes = self.failure.subscribe();
        let found = changes.wait_for(|failure| *failure == Some(StorageFailure::Unsynced)).await;
        drop(found.expect("the sender is here"));
        StorageFailure::Unsynced
    }

    /// Whether the files exist and have not shrunk. SQLite itself may shrink them on request.
    fn are_as_known(&self) -> io::Result<bool> {
        if let Some(failure) = *self.failure.borrow() {
            return Err(io::Error::other(failure));
        }
        let mut are_whole = true;
        for known in &self.all {
            let size = known.read_metadata()?.len();
            are_whole &= known.size.fetch_max(size, Ordering::Relaxed) <= size;
        }
        Ok(are_whole && self.log_begins()?)
    }

    /// Whether the log starts with its header. A write past the end of a truncated log leaves none.
    fn log_begins(&self) -> io::Result<bool> {
        let Some(log) = &self.log else { return Ok(true) };
        let mut begin = [0; 4];
        match log.read_at(&mut begin, 0)? {
            0 => Ok(true),
            _ => Ok([MAGIC, [0x37, 0x7f, 0x06, 0x83]].contains(&begin)),
        }
    }

    /// Whether the database is complete. A new connection, which has nothing in memory, reads all
    /// of it.
    async fn is_whole(&self) -> bool {
        let options = SqliteConnectOptions::new().filename(&self.all[0].path).read_only(true);
        let read = async {
            let mut alone = SqliteConnection::connect_with(&options).await?;
            let ran: i64 = sqlx::query_scalar("select count(*) from _sqlx_migrations")
                .fetch_one(&mut alone)
                .await?;
            let found: String =
                sqlx::query_scalar("pragma quick_check(1)").fetch_one(&mut alone).await?;
            alone.close().await?;
            Ok::<_, sqlx::Error>(ran > 0 && found == "ok")
        };
        read.await.unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use crate::store::Store;
    use crate::store::file_guard::*;

    const WRITE: &str = "update accounts set disabled_at = disabled_at where id = ''";

    #[tokio::test]
    async fn sta_08_a_write_is_refused_at_once_and_a_read_after_the_next_check() {
        let folder = tempfile::tempdir().unwrap();
        let (file, aside) = (folder.path().join("small.db"), folder.path().join("aside"));
        let store = Store::open_file(&file).await.unwrap();
        let write = async || store.writer().query(WRITE).execute().await;
        let read = async || store.reader().query("select 1").fetch_value::<i64>().await;
        write().await.unwrap();

        fs::rename(&file, &aside).unwrap();
        assert!(write().await.is_err(), "the write itself looks");
        assert!(read().await.is_err(), "what a write found counts for reads");
        fs::rename(&aside, &file).unwrap();
        assert_eq!(read().await.unwrap(), 1, "a read looks as long as it is in doubt");

        let Store::Sqlite(pools) = &store else { panic!("it is a file") };
        while pools.files.must_check.load(Ordering::Relaxed) {
            sleep(Duration::from_millis(1)).await; // until the task has seen that all is well
        }
        fs::rename(&file, &aside).unwrap();
        while read().await.is_ok() {
            sleep(Duration::from_millis(1)).await; // until the task has seen it
        }
        fs::rename(&aside, &file).unwrap();
        write().await.unwrap();
        assert_eq!(read().await.unwrap(), 1);
    }
}
