//! The files that SQLite writes to, while they are open: still there, still the same, and on a disk
//! that keeps what it was told to.
//!
//! SQLite holds its files open and never asks whether they have a name still. In a file that was
//! removed or replaced it would go on writing what nobody finds again, and behind the end of one that
//! was cut off, too. So every query is asked for here, and no write is acknowledged before it was
//! looked again.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, SqliteConnection};
use tokio::sync::{Mutex, watch};

use super::suspect_writer::SuspectWriter;

/// SQLite's extended result codes for a file or a folder that was not synced.
const UNSYNCED: [&str; 2] = ["1034", "1290"];
/// The first bytes of a write-ahead log; the last bit says in which order its sums are made.
const MAGIC: [u8; 4] = [0x37, 0x7f, 0x06, 0x82];

/// The database, its write-ahead log and the index of that.
#[derive(Debug)]
pub struct FileGuard {
    all: Vec<TrackedFile>,
    log: Option<File>,
    /// Why nothing is read or written any more.
    failure: watch::Sender<Option<StorageFailure>>,
    /// One looks closely, and all others wait.
    looking: Mutex<()>,
    /// What the connection that writes is thought of.
    pub writer: SuspectWriter,
}

/// What does not mend by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StorageFailure {
    #[error(
        "the disk failed to keep what was written; nothing that was acknowledged depends on it, but \
         only a new start finds out what is there"
    )]
    Unsynced,
    #[error("a file of the database was cut off: stop the service and restore a backup")]
    CutOff,
}

/// A file as it was opened.
#[derive(Debug)]
struct TrackedFile {
    path: PathBuf,
    device: u64,
    number: u64,
    /// The most bytes it was seen to have.
    size: AtomicU64,
}

impl TrackedFile {
    fn of(path: PathBuf) -> io::Result<Self> {
        let found = fs::metadata(&path)?;
        let size = AtomicU64::new(found.len());
        Ok(Self { path, device: found.dev(), number: found.ino(), size })
    }

    /// The file, if that is still what is found by its name.
    fn found(&self) -> io::Result<Metadata> {
        let name = self.path.display();
        let found = fs::metadata(&self.path)
            .map_err(|error| io::Error::new(error.kind(), format!("{name}: {error}")))?;
        if (found.dev(), found.ino()) == (self.device, self.number) {
            return Ok(found);
        }
        Err(io::Error::other(format!("{name} is not the file that was opened")))
    }
}

impl FileGuard {
    /// The files of a database that has just been opened.
    pub fn of(database: &Path, writer: SuspectWriter) -> io::Result<Self> {
        let database = database.canonicalize()?; // as SQLite names those beside it
        let beside = |suffix: &str| {
            let mut name = database.clone().into_os_string();
            name.push(suffix);
            PathBuf::from(name)
        };
        let (log, index) = (beside("-wal"), beside("-shm"));
        Ok(Self {
            // SQLite keeps no lock on this one, so that closing it lets go of none
            log: Some(File::open(&log)?),
            all: vec![TrackedFile::of(database)?, TrackedFile::of(log)?, TrackedFile::of(index)?],
            failure: watch::Sender::new(None),
            looking: Mutex::new(()),
            writer,
        })
    }

    /// For whoever only looks at a database, once, and believes whatever is there.
    pub fn unwatched() -> Self {
        let failure = watch::Sender::new(None);
        let (looking, writer) = (Mutex::new(()), SuspectWriter::default());
        Self { all: Vec::new(), log: None, failure, looking, writer }
    }

    /// May be read and written?
    pub async fn check(&self) -> sqlx::Result<()> {
        if self.are_as_known()? {
            return Ok(());
        }
        let _one = self.looking.lock().await;
        if self.are_as_known()? {
            return Ok(()); // somebody else looked meanwhile
        }
        if self.is_whole().await {
            for known in &self.all {
                known.size.store(known.found()?.len(), Ordering::Relaxed);
            }
            return Ok(());
        }
        self.failure.send_replace(Some(StorageFailure::CutOff));
        Err(sqlx::Error::Io(io::Error::other(StorageFailure::CutOff)))
    }

    /// Runs a query, if the files are there, and returns what came of it, if it can be believed.
    pub async fn around<T>(&self, query: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<T> {
        self.check().await?;
        let outcome = query.await;
        self.verify_after(outcome).await
    }

    /// What came of a query, if it can be believed.
    pub async fn verify_after<T>(&self, outcome: sqlx::Result<T>) -> sqlx::Result<T> {
        match &outcome {
            Ok(_) => self.check().await?,
            Err(error) => self.record_error(error),
        }
        outcome
    }

    /// Notes an error after which nobody knows what is on the disk. What the system could not write it
    /// forgets, and the next sync succeeds without it; only a start that writes all of it anew makes
    /// sure. An error of the connection that writes is noted, too.
    pub fn record_error(&self, error: &sqlx::Error) {
        self.writer.record_error(error);
        let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
        if code.is_some_and(|code| UNSYNCED.contains(&&*code)) {
            self.failure.send_replace(Some(StorageFailure::Unsynced));
        }
    }

    /// Comes back when the disk has failed to keep what was written.
    pub async fn unsynced(&self) -> StorageFailure {
        let mut changes = self.failure.subscribe();
        let found = changes.wait_for(|failure| *failure == Some(StorageFailure::Unsynced)).await;
        drop(found.expect("the sender is here"));
        StorageFailure::Unsynced
    }

    /// Are they there and no shorter than they were? Whoever asks SQLite itself to shorten them may.
    fn are_as_known(&self) -> io::Result<bool> {
        if let Some(failure) = *self.failure.borrow() {
            return Err(io::Error::other(failure));
        }
        let mut are_whole = true;
        for known in &self.all {
            let size = known.found()?.len();
            are_whole &= known.size.fetch_max(size, Ordering::Relaxed) <= size;
        }
        Ok(are_whole && self.log_begins()?)
    }

    /// Is there a beginning of what is in the log? Who wrote behind the end of one that was cut off
    /// left none.
    fn log_begins(&self) -> io::Result<bool> {
        let Some(log) = &self.log else { return Ok(true) };
        let mut begin = [0; 4];
        match log.read_at(&mut begin, 0)? {
            0 => Ok(true),
            _ => Ok([MAGIC, [0x37, 0x7f, 0x06, 0x83]].contains(&begin)),
        }
    }

    /// Is all of it there? A connection that has nothing of it in memory reads it.
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
