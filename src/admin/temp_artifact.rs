//! Files and folders that get their final name when they are complete.
//!
//! tempfile does not do this: it gives no folder its final name without replacing another one, syncs no folder, and
//! on file systems without `RENAME_NOREPLACE` it needs hard links, which some of them do not have.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use crate::core::ownership;

/// A file or folder with a temporary name. It is removed when this is dropped, unless it got its
/// final name.
#[derive(Debug)]
pub(super) struct TempArtifact {
    pub path: PathBuf,
    is_done: bool,
}

impl TempArtifact {
    pub fn create_folder(path: PathBuf) -> io::Result<Self> {
        DirBuilder::new().mode(0o700).create(&path)?;
        ownership::give_folder(&path)?;
        Ok(Self { path, is_done: false })
    }

    /// A synced copy of a file, with access only for its owner.
    pub fn copy_file(from: &Path, path: PathBuf) -> io::Result<Self> {
        copy_file(from, &path)?;
        Ok(Self { path, is_done: false })
    }

    /// Gives it the final name, and syncs the folder. An existing file of that name is not
    /// replaced.
    pub fn finish(mut self, to: &Path) -> io::Result<()> {
        let renamed = renameat_with(CWD, &self.path, CWD, to, RenameFlags::NOREPLACE);
        match renamed {
            // On file systems without `RENAME_NOREPLACE`, the check and the renaming are two steps.
            Err(Errno::INVAL | Errno::NOSYS) => {
                if fs::symlink_metadata(to).is_ok() {
                    return Err(io::ErrorKind::AlreadyExists.into());
                }
                fs::rename(&self.path, to)?;
            }
            renamed => renamed?,
        }
        self.is_done = true;
        File::open(folder_of(to))?.sync_all()
    }
}

impl Drop for TempArtifact {
    fn drop(&mut self) {
        if self.is_done {
            return;
        }
        // Errors are ignored here, because an earlier error led to this.
        let _ = fs::remove_dir_all(&self.path);
        for ending in ["", ".migrating", "-wal", "-shm"] {
            let mut path = self.path.clone().into_os_string();
            path.push(ending);
            let _ = fs::remove_file(path);
        }
    }
}

/// Copies a file to a new one with access only for its owner, and syncs it.
pub(super) fn copy_file(from: &Path, to: &Path) -> io::Result<()> {
    let mut source = File::open(from)?;
    let mut target = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
    let copied = io::copy(&mut source, &mut target)
        .and_then(|_| ownership::give_to_folder_owner(&target, to))
        .and_then(|()| target.sync_all());
    if copied.is_err() {
        let _ = fs::remove_file(to); // the copy's error is returned
    }
    copied
}

/// The parent folder of a path.
pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
