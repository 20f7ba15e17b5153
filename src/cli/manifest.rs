//! What a backup is: a folder with the database as one SQLite file, the signing keys, and a list of
//! both by which every byte can be checked.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Failed;
use crate::core::ownership;

/// The list, which makes a folder a backup.
pub const MANIFEST: &str = "manifest.json";
pub const DATABASE: &str = "cloakroom.db";
pub const KEYS: &str = "keys";
/// What a folder of this form is understood by.
const FORMAT: u32 = 1;
/// A manifest of any size that makes sense: some hundred bytes a key.
const LARGEST: u64 = 1024 * 1024;
/// Bytes read at once.
const CHUNK: usize = 256 * 1024;

#[derive(Debug, Serialize, Deserialize)]
pub struct Manifest {
    pub format: u32,
    /// The program that made it.
    pub version: String,
    /// When the copy of the database was begun: everything that was answered before is in it.
    pub made_at: String,
    /// Where it comes from: `sqlite` or `postgres`. Either can be restored to either.
    pub engine: String,
    /// The last migration of the database.
    pub schema: i64,
    pub rows: BTreeMap<String, u64>,
    /// By their paths within the folder.
    pub files: BTreeMap<String, Entry>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub bytes: u64,
    pub sha256: String,
}

#[derive(Deserialize)]
struct Form {
    format: u32,
}

impl Manifest {
    pub fn new(made_at: String, engine: &str, schema: i64) -> Self {
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

    /// Reads what a backup says of itself.
    pub fn read(folder: &Path) -> Result<Self, Failed> {
        let path = folder.join(MANIFEST);
        let is_none = |error: &dyn std::fmt::Display| {
            Failed(format!("{} is no backup: cannot read {MANIFEST}: {error}", folder.display()))
        };
        let mut text = Vec::new();
        let file = File::open(&path).map_err(|error| is_none(&error))?;
        file.take(LARGEST).read_to_end(&mut text).map_err(|error| is_none(&error))?;
        // the form first: what a later one says otherwise cannot be known
        let form: Form = serde_json::from_slice(&text).map_err(|error| is_none(&error))?;
        if form.format > FORMAT {
            return Err(Failed(format!(
                "{} was made by a newer cloakroom (form {}); restore it with that one",
                folder.display(),
                form.format
            )));
        }
        serde_json::from_slice(&text).map_err(|error| is_none(&error))
    }

    /// Is every file there as it was when the backup was made?
    pub fn check(&self, folder: &Path, mut tell: impl FnMut(u64)) -> Result<(), Failed> {
        for (name, expected) in &self.files {
            let parts = || Path::new(name).components();
            let is_inside = parts().all(|part| matches!(part, Component::Normal(_)));
            if !is_inside || parts().count() == 0 {
                return Err(Failed(format!("the manifest names {name:?}, outside of the backup")));
            }
            let path = folder.join(name);
            let found = Entry::of(&path, &mut tell).map_err(|error| {
                Failed(format!("the backup is damaged: {}: {error}", path.display()))
            })?;
            if found != *expected {
                return Err(Failed(format!(
                    "the backup is damaged: {} is not as it was when the backup was made; take \
                     another one",
                    path.display()
                )));
            }
        }
        if !self.files.contains_key(DATABASE) {
            return Err(Failed(format!("the manifest names no {DATABASE}")));
        }
        Ok(())
    }

    /// The keys that the backup holds, by their names.
    pub fn keys(&self) -> impl Iterator<Item = (&str, &Entry)> {
        let inside = |name: &'_ str| name.strip_prefix(KEYS)?.strip_prefix('/').map(str::len);
        self.files.iter().filter_map(move |(name, entry)| {
            let length = inside(name)?;
            Some((&name[name.len() - length..], entry))
        })
    }

    pub fn bytes(&self) -> u64 {
        self.files.values().map(|entry| entry.bytes).sum()
    }
}

impl Entry {
    /// Reads a file, and `tell`s how many bytes were read each time.
    pub fn of(path: &Path, mut tell: impl FnMut(u64)) -> io::Result<Self> {
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
            tell(u64::try_from(read).unwrap_or_default());
        }
        let mut sha256 = String::new();
        for byte in digest.finalize() {
            let _ = write!(sha256, "{byte:02x}"); // a string takes everything
        }
        Ok(Self { bytes, sha256 })
    }
}

/// A folder or file under a name of its own, which is removed unless it is given its final one.
#[derive(Debug)]
pub struct Unfinished {
    pub path: PathBuf,
    is_done: bool,
}

impl Unfinished {
    pub fn folder(path: PathBuf) -> io::Result<Self> {
        DirBuilder::new().mode(0o700).create(&path)?;
        ownership::give_folder(&path)?;
        Ok(Self { path, is_done: false })
    }

    /// A copy of a file, which its owner alone may read, and which is on the disk.
    pub fn copy_of(from: &Path, path: PathBuf) -> io::Result<Self> {
        copy(from, &path)?;
        Ok(Self { path, is_done: false })
    }

    /// Gives it its final name, and comes back when that is on the disk. What has that name already
    /// stays what it is.
    pub fn finish(mut self, to: &Path) -> io::Result<()> {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        let renamed = renameat_with(CWD, &self.path, CWD, to, RenameFlags::NOREPLACE);
        match renamed {
            // file systems that cannot: there the look and the renaming are two steps
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
                if fs::symlink_metadata(to).is_ok() {
                    return Err(io::ErrorKind::AlreadyExists.into());
                }
                fs::rename(&self.path, to)?;
            }
            renamed => renamed?,
        }
        self.is_done = true;
        sync_folder(to)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if self.is_done {
            return;
        }
        // the error that led here is what matters
        let _ = fs::remove_dir_all(&self.path);
        for ending in ["", ".migrating", "-wal", "-shm"] {
            let mut path = self.path.clone().into_os_string();
            path.push(ending);
            let _ = fs::remove_file(path);
        }
    }
}

/// Copies a file to one that is not there yet, which its owner alone may read, and that is on the disk
/// when this returns.
pub fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let mut source = File::open(from)?;
    let mut target = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
    let copied = io::copy(&mut source, &mut target)
        .and_then(|_| ownership::give_to_folder_owner(&target, to))
        .and_then(|()| target.sync_all());
    if copied.is_err() {
        let _ = fs::remove_file(to); // the error is what matters
    }
    copied
}

/// Writes what a folder says of this name to the disk.
pub fn sync_folder(of: &Path) -> io::Result<()> {
    File::open(folder_of(of))?.sync_all()
}

/// The folder that a path stands in.
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
