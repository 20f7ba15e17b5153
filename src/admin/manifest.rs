//! The format of a backup: a folder with the database as one SQLite file, the keys, and a manifest
//! with the digest of each file.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The manifest, which makes a folder a backup.
pub(super) const MANIFEST: &str = "manifest.json";
/// The copy of the database.
pub(crate) const DATABASE: &str = "cloakroom.db";
/// The folder of the signing keys, peppers and server secrets.
pub(super) const KEYS: &str = "keys";
/// The version of this format.
const FORMAT: u32 = 1;
/// The maximum size of a manifest in bytes. A key takes about a hundred.
const MAX_BYTES: u64 = 1024 * 1024;
/// The number of bytes that are read at a time.
const CHUNK: usize = 256 * 1024;

/// The manifest of a backup: its `manifest.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Manifest {
    /// The version of the format.
    pub format: u32,
    /// The version of the program that created the backup.
    pub version: String,
    /// When the copy of the database began. The backup contains every write that was acknowledged
    /// before.
    pub made_at: String,
    /// The engine of the database: `sqlite` or `postgres`. A backup can be restored to either.
    pub engine: String,
    /// The version of the newest migration in the database.
    pub schema: i64,
    /// The number of rows in each table.
    pub rows: BTreeMap<String, u64>,
    /// The files by their paths in the folder.
    pub files: BTreeMap<String, FileEntry>,
}

/// A file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// The size.
    pub bytes: u64,
    /// The SHA-256 in hexadecimal digits.
    pub sha256: String,
}

/// Why a folder is not a backup, or is a damaged one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    #[error("{folder} is not a backup: cannot read {MANIFEST}: {cause}", folder = .0.display(), cause = .1)]
    NotABackup(PathBuf, Box<dyn Error + Send + Sync>),
    #[error(
        "{folder} was created by a newer version of cloakroom (format {form}); restore it with that version",
        folder = .0.display(), form = .1
    )]
    NewerForm(PathBuf, u32),
    #[error("the backup is damaged: its manifest names {0:?}, which is outside of the backup")]
    Outside(String),
    #[error("the backup is damaged: {file}: {cause}", file = .0.display(), cause = .1)]
    Unreadable(PathBuf, io::Error),
    #[error("the backup is damaged: {path} was changed after the backup; restore another backup", path = .0.display())]
    Damaged(PathBuf),
    #[error("the backup is damaged: its manifest does not name {DATABASE}")]
    NoDatabase,
}

#[derive(Deserialize)]
struct Form {
    format: u32,
}

impl Manifest {
    pub(super) fn new(made_at: String, engine: &str, schema: i64) -> Self {
        Self {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            made_at,
            engine: engine.to_owned(),
            schema,
            rows: BTreeMap::new(),
            files: BTreeMap::new(),
        }
    }

    /// Reads the manifest of a backup, without checking its files.
    pub fn read(folder: &Path) -> Result<Self, ManifestError> {
        let path = folder.join(MANIFEST);
        let unreadable = |error: io::Error| not_a_backup(folder, error);
        let malformed = |error: serde_json::Error| not_a_backup(folder, error);
        let mut text = Vec::new();
        let file = File::open(&path).map_err(unreadable)?;
        file.take(MAX_BYTES).read_to_end(&mut text).map_err(unreadable)?;
        // The version comes first, because a newer format may differ in any other field.
        let form: Form = serde_json::from_slice(&text).map_err(malformed)?;
        if form.format > FORMAT {
            return Err(ManifestError::NewerForm(folder.to_owned(), form.format));
        }
        serde_json::from_slice(&text).map_err(malformed)
    }

    /// Checks that every file is unchanged since the backup was created. `on_read` receives the
    /// number of bytes of each read.
    pub(super) fn check(
        &self,
        folder: &Path,
        mut on_read: impl FnMut(u64),
    ) -> Result<(), ManifestError> {
        for (name, expected) in &self.files {
            let parts = || Path::new(name).components();
            let is_inside = parts().all(|part| matches!(part, Component::Normal(_)));
            if !is_inside || parts().count() == 0 {
                return Err(ManifestError::Outside(name.clone()));
            }
            let path = folder.join(name);
            match FileEntry::read(&path, &mut on_read) {
                Ok(found) if found == *expected => {}
                Ok(_) => return Err(ManifestError::Damaged(path)),
                Err(error) => return Err(ManifestError::Unreadable(path, error)),
            }
        }
        if self.files.contains_key(DATABASE) { Ok(()) } else { Err(ManifestError::NoDatabase) }
    }

    /// The names and entries of the keys in the backup.
    pub fn keys(&self) -> impl Iterator<Item = (&str, &FileEntry)> {
        self.files
            .iter()
            .filter_map(|(name, entry)| Some((name.strip_prefix(KEYS)?.strip_prefix('/')?, entry)))
    }

    /// The total size of the files.
    pub fn bytes(&self) -> u64 {
        self.files.values().map(|entry| entry.bytes).sum()
    }
}

fn not_a_backup(folder: &Path, error: impl Error + Send + Sync + 'static) -> ManifestError {
    ManifestError::NotABackup(folder.to_owned(), Box::new(error))
}

impl FileEntry {
    /// Reads a file and computes its digest. `on_read` receives the number of bytes of each read.
    pub(super) fn read(path: &Path, mut on_read: impl FnMut(u64)) -> io::Result<Self> {
        if !fs::symlink_metadata(path)?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a file"));
        }
        let (mut file, mut digest, mut bytes) = (File::open(path)?, Sha256::new(), 0);
        let mut chunk = vec![0; CHUNK];
        loop {
            let read = file.read(&mut chunk)?;
            if read == 0 {
                break;
            }
            digest.update(&chunk[..read]);
            bytes += u64::try_from(read).unwrap_or_default();
            on_read(u64::try_from(read).unwrap_or_default());
        }
        let mut sha256 = String::new();
        for byte in digest.finalize() {
            let _ = write!(sha256, "{byte:02x}"); // writing to a string cannot fail
        }
        Ok(Self { bytes, sha256 })
    }
}
