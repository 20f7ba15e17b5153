//! Reads the secrets of one kind in a folder, one per file, and follows changes.
//!
//! When a file is removed, or its content changes, its secret is no longer used, even if something
//! else is wrong in the folder: operators end the trust in a key by removing its file. Only added
//! files can fail. They are refused one by one, and the caller reports them.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::domain::keys::files::KeyError;

/// The content of the files of one kind.
pub(crate) trait KeyFileContent: Sized {
    /// Whether this is the name of such a file.
    fn is_named(name: &Path) -> bool;

    /// Reads the file of this name in the folder. Returns the path of the file itself, which
    /// differs from the name if that is a link.
    fn read(folder: &Path, name: &Path) -> Result<(PathBuf, Self), KeyError>;
}

/// A file that was read.
#[derive(Debug)]
pub(crate) struct KeyFile<T> {
    name: PathBuf,
    stamp: Stamp,
    /// The path of the file itself, if the name is that of a link.
    pub path: PathBuf,
    pub content: T,
}

/// The files of one kind in a folder, ordered by name, as they were when they were read.
#[derive(Debug)]
pub(crate) struct KeyFolder<T> {
    folder: PathBuf,
    pub files: Vec<Arc<KeyFile<T>>>,
}

/// The result of reading a folder again.
#[derive(Debug)]
pub(crate) struct Reread<T> {
    /// The folder, if files were added, removed or changed.
    pub changed: Option<KeyFolder<T>>,
    /// Why some of the files are not used.
    pub refused: Vec<KeyError>,
}

/// The metadata that reveals whether a file or its content has changed.
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

    /// Whether the content is the same, regardless of the owner and the permissions.
    fn has_same_content(&self, other: &Self) -> bool {
        let content = |stamp: &Self| (stamp.inode, stamp.size, stamp.modified);
        content(self) == content(other)
    }
}

/// Lists the files of a kind, ordered by name, with their metadata. A folder that does not exist
/// has none.
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
            let stamp = fs::metadata(&name).map(|meta| Stamp::of(&meta)); // follows links
            found.push((name, stamp));
        }
    }
    found.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(found)
}

/// Whether the folder has any file of this kind, valid or not.
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
    /// Reads all files of the kind. It is an error if one cannot be used.
    pub fn read(folder: &Path) -> Result<Self, KeyError> {
        let listed = list::<T>(folder)?.into_iter();
        let files = listed.map(|(name, stamp)| read_file(folder, name, stamp));
        Ok(Self { folder: folder.to_owned(), files: files.collect::<Result<_, _>>()? })
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Reads the changes since. An error means that the present state is unknown; then everything
    /// stays as it is.
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
                // A broken link: its target was removed.
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

    /// Keeps files of `before` that were removed or changed, if they are still needed.
    pub fn keep(&mut self, before: &Self, is_needed: impl Fn(&T) -> bool) {
        let is_gone = |file: &Arc<_>| !self.files.iter().any(|own| Arc::ptr_eq(own, file));
        let gone = before.files.iter().filter(|file| is_gone(file) && is_needed(&file.content));
        let kept: Vec<_> = gone.map(Arc::clone).collect();
        self.files.extend(kept);
        self.files.sort_by(|one, other| one.name.cmp(&other.name));
    }

    /// Whether both have the same files.
    pub fn is_same(&self, other: &Self) -> bool {
        self.files.len() == other.files.len()
            && self.files.iter().zip(&other.files).all(|(one, other)| Arc::ptr_eq(one, other))
    }
}
