//! What a backup is: a folder with the database as one SQLite file, the signing keys, and a list of
//! both by which every byte can be checked.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The list, which makes a folder a backup.
pub(super) const MANIFEST: &str = "manifest.json";
/// The copy of the database.
pub(crate) const DATABASE: &str = "cloakroom.db";
/// The folder of the signing keys, peppers and server secrets.
pub(super) const KEYS: &str = "keys";
/// What a folder of this form is understood by.
const FORMAT: u32 = 1;
/// A manifest of any size that makes sense: some hundred bytes a key.
const MAX_BYTES: u64 = 1024 * 1024;
/// Bytes read at once.
const CHUNK: usize = 256 * 1024;

/// What a backup says of itself: its `manifest.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Manifest {
    /// The form of the folder.
    pub format: u32,
    /// The program that made it.
    pub version: String,
    /// When the copy of the database was begun: everything that was answered before is in it.
    pub made_at: String,
    /// Where it comes from: `sqlite` or `postgres`. Either can be restored to either.
    pub engine: String,
    /// The last migration of the database.
    pub schema: i64,
    /// How many rows each table has.
    pub rows: BTreeMap<String, u64>,
    /// By their paths within the folder.
    pub files: BTreeMap<String, FileEntry>,
}

/// A file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Its size.
    pub bytes: u64,
    /// Its SHA-256 in hexadecimal digits.
    pub sha256: String,
}

/// Why a folder is no backup, or a damaged one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    #[error("{folder} is no backup: cannot read {MANIFEST}: {cause}", folder = .0.display(), cause = .1)]
    NotABackup(PathBuf, Box<dyn Error + Send + Sync>),
    #[error(
        "{folder} was made by a newer cloakroom (form {form}); restore it with that one",
        folder = .0.display(), form = .1
    )]
    NewerForm(PathBuf, u32),
    #[error("the manifest names {0:?}, outside of the backup")]
    Outside(String),
    #[error("the backup is damaged: {file}: {cause}", file = .0.display(), cause = .1)]
    Unreadable(PathBuf, io::Error),
    #[error("the backup is damaged: {path} is not as it was when the backup was made; take another one", path = .0.display())]
    Damaged(PathBuf),
    #[error("the manifest names no {DATABASE}")]
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

    /// Reads what a backup says of itself; its files are not looked at.
    pub fn read(folder: &Path) -> Result<Self, ManifestError> {
        let path = folder.join(MANIFEST);
        let unreadable = |error: io::Error| not_a_backup(folder, error);
        let malformed = |error: serde_json::Error| not_a_backup(folder, error);
        let mut text = Vec::new();
        let file = File::open(&path).map_err(unreadable)?;
        file.take(MAX_BYTES).read_to_end(&mut text).map_err(unreadable)?;
        // the form first: what a later one says otherwise cannot be known
        let form: Form = serde_json::from_slice(&text).map_err(malformed)?;
        if form.format > FORMAT {
            return Err(ManifestError::NewerForm(folder.to_owned(), form.format));
        }
        serde_json::from_slice(&text).map_err(malformed)
    }

    /// Checks that every file is there as it was when the backup was made. `on_read` gets how many bytes
    /// were read each time.
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

    /// The keys that the backup holds, by their names.
    pub fn keys(&self) -> impl Iterator<Item = (&str, &FileEntry)> {
        self.files
            .iter()
            .filter_map(|(name, entry)| Some((name.strip_prefix(KEYS)?.strip_prefix('/')?, entry)))
    }

    /// How many bytes its files have.
    pub fn bytes(&self) -> u64 {
        self.files.values().map(|entry| entry.bytes).sum()
    }
}

fn not_a_backup(folder: &Path, error: impl Error + Send + Sync + 'static) -> ManifestError {
    ManifestError::NotABackup(folder.to_owned(), Box::new(error))
}

impl FileEntry {
    /// Reads a file; `on_read` gets how many bytes were read each time.
    pub(super) fn read(path: &Path, mut on_read: impl FnMut(u64)) -> io::Result<Self> {
        if !fs::symlink_metadata(path)?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no file"));
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
            let _ = write!(sha256, "{byte:02x}"); // a string takes everything
        }
        Ok(Self { bytes, sha256 })
    }
}
