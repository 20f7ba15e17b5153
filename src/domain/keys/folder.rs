//! The secrets of one kind in a folder, one a file: reading them, and following what changes.
//!
//! A file that is removed, or that holds something else, is no longer used as soon as that is seen,
//! whatever else is wrong in the folder: removing a file is how an operator ends the trust in a key.
//! Only what is added can fail; it is refused alone, and the caller reports it.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::domain::keys::files::KeyError;

/// What the files of one kind hold.
pub(crate) trait KeyFileContent: Sized {
    /// Is this the name of such a file?
    fn is_named(name: &Path) -> bool;

    /// Reads the file of this name in the folder; also where it is, if the name is that of a link.
    fn read(folder: &Path, name: &Path) -> Result<(PathBuf, Self), KeyError>;
}

/// A file that was read.
#[derive(Debug)]
pub(crate) struct KeyFile<T> {
    name: PathBuf,
    stamp: Stamp,
    /// Where it is: not the name, if that is a link's.
    pub path: PathBuf,
    pub content: T,
}

/// The files of one kind in a folder, in the order of their names, as they were when they were read.
#[derive(Debug)]
pub(crate) struct KeyFolder<T> {
    folder: PathBuf,
    pub files: Vec<Arc<KeyFile<T>>>,
}

/// What became of a folder.
#[derive(Debug)]
pub(crate) struct Reread<T> {
    /// The folder, if files were added, removed or changed.
    pub changed: Option<KeyFolder<T>>,
    /// Why files that are there are not used.
    pub refused: Vec<KeyError>,
}

/// What tells that a file, or what it holds, has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: (u64, u64),
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(meta: &Metadata) -> Self {
        Self {
            inode: (meta.dev(), meta.ino()),
            size: meta.size(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        }
    }

    /// Does the file hold what it held, whoever owns it and may read it by now?
    fn has_same_content(&self, other: &Self) -> bool {
        let content = |stamp: &Self| (stamp.inode, stamp.size, stamp.modified);
        content(self) == content(other)
    }
}

/// The names of the files of a kind in their order, and what tells their state; a folder that is not
/// there has none.
fn list<T: KeyFileContent>(folder: &Path) -> Result<Vec<(PathBuf, io::Result<Stamp>)>, KeyError> {
    let unreadable = |error| KeyError::Unreadable(folder.to_owned(), error);
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let name = entry.map_err(unreadable)?.path();
        if T::is_named(&name) {
            let stamp = fs::metadata(&name).map(|meta| Stamp::of(&meta)); // of a link's target
            found.push((name, stamp));
        }
    }
    found.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(found)
}

/// Are there any such files in the folder, whatever they hold?
pub(crate) fn has_any<T: KeyFileContent>(folder: &Path) -> Result<bool, KeyError> {
    Ok(!list::<T>(folder)?.is_empty())
}

fn read_file<T: KeyFileContent>(
    folder: &Path,
    name: PathBuf,
    stamp: io::Result<Stamp>,
) -> Result<Arc<KeyFile<T>>, KeyError> {
    let stamp = stamp.map_err(|error| KeyError::Unreadable(name.clone(), error))?;
    let (path, content) = T::read(folder, &name)?;
    Ok(Arc::new(KeyFile { name, stamp, path, content }))
}

impl<T> Default for KeyFolder<T> {
    fn default() -> Self {
        Self { folder: PathBuf::new(), files: Vec::new() }
    }
}

impl<T: KeyFileContent> KeyFolder<T> {
    /// Reads every file of the kind; one that cannot be used is an error.
    pub fn read(folder: &Path) -> Result<Self, KeyError> {
        let listed = list::<T>(folder)?.into_iter();
        let files = listed.map(|(name, stamp)| read_file(folder, name, stamp));
        Ok(Self { folder: folder.to_owned(), files: files.collect::<Result<_, _>>()? })
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Reads what has changed since. An error says that it cannot be known what is there; then
    /// everything stays as it is.
    pub fn reread(&self) -> Result<Reread<T>, KeyError> {
        let (mut files, mut refused) = (Vec::new(), Vec::new());
        for (name, stamp) in list::<T>(&self.folder)? {
            let of_name = || self.files.iter().filter(|file| file.name == name);
            let same = |stamp: &Stamp| of_name().find(|file| file.stamp == *stamp);
            if let Some(known) = stamp.as_ref().ok().and_then(same) {
                files.push(Arc::clone(known));
                continue;
            }
            let known = of_name().next();
            let is_unchanged = match (known, &stamp) {
                (Some(known), Ok(stamp)) => known.stamp.has_same_content(stamp),
                // a link that leads nowhere: what it led to was removed
                (Some(_), Err(error)) => error.kind() != io::ErrorKind::NotFound,
                (None, _) => false,
            };
            match read_file(&self.folder, name, stamp) {
                Ok(file) => files.push(file),
                Err(error) => {
                    files.extend(known.filter(|_| is_unchanged).map(Arc::clone));
                    refused.push(error);
                }
            }
        }
        let is_same = files.len() == self.files.len()
            && files.iter().zip(&self.files).all(|(one, other)| Arc::ptr_eq(one, other));
        let changed = (!is_same).then(|| Self { folder: self.folder.clone(), files });
        Ok(Reread { changed, refused })
    }

    /// Keeps what is needed of the files of before: what is no longer there, or was changed.
    pub fn keep(&mut self, before: &Self, is_needed: impl Fn(&T) -> bool) {
        let is_gone = |file: &Arc<_>| !self.files.iter().any(|own| Arc::ptr_eq(own, file));
        let gone = before.files.iter().filter(|file| is_gone(file) && is_needed(&file.content));
        let kept: Vec<_> = gone.map(Arc::clone).collect();
        self.files.extend(kept);
        self.files.sort_by(|one, other| one.name.cmp(&other.name));
    }

    /// Does it hold the very same files?
    pub fn is_same(&self, other: &Self) -> bool {
        self.files.len() == other.files.len()
            && self.files.iter().zip(&other.files).all(|(one, other)| Arc::ptr_eq(one, other))
    }
}
