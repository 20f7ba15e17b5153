//! The data folder: creates it, removes the access of its group, and never replaces a missing
//! database by a new one.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::error::StartError;
use crate::config::Config;
use crate::core::ownership;
use crate::domain::keys::files;
use crate::domain::keys::tokens::KeyRing;
use crate::store::Store;

/// Creates the data folder and the key folder in it, with access only for their owner. Returns the
/// key folder.
pub fn make_folders(config: &Config) -> Result<PathBuf, StartError> {
    let keys = config.key_folder();
    for folder in [&config.data_dir, &keys] {
        make_folder(folder).map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => StartError::FolderOfOthers(folder.clone()),
            _ => StartError::Folder(folder.clone(), error),
        })?;
    }
    Ok(keys)
}

/// Creates a folder and its parents, with access only for their owner. An existing folder stays as
/// it is.
pub fn make_folder(folder: &Path) -> io::Result<()> {
    match fs::metadata(folder) {
        Ok(meta) if meta.is_dir() => Ok(()),
        Ok(_) => Err(io::Error::new(io::ErrorKind::NotADirectory, "it is a file")),
        Err(_) => {
            let is_new = |path: &&Path| !path.as_os_str().is_empty() && !path.exists();
            let made: Vec<_> = folder.ancestors().take_while(is_new).collect();
            for folder in made.iter().rev() {
                DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
                ownership::give_folder(folder)?;
            }
            made.into_iter().filter_map(Path::parent).try_for_each(sync_dir)
        }
    }
}

/// Syncs a folder, so that the names in it survive a power cut: without its folder, an acknowledged
/// write would be lost.
fn sync_dir(folder: &Path) -> io::Result<()> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    File::open(folder)?.sync_all()
}

/// Returns an error that says where the database was searched, if there is none.
pub async fn require_database(config: &Config) -> Result<(), StartError> {
    // to find its file or server
    if Store::exists(config.database_url.expose()).await? {
        return Ok(());
    }
    refuse_missing_database(config, &config.key_folder())?; // another message if it existed before
    let database = match Store::file_of(config.database_url.expose())? {
        Some(file) => file.display().to_string(),
        None => config.database_url.to_string(),
    };
    Err(StartError::NoDatabase { database, settings: config.source() })
}

/// Removes the group's access to the data folder, the keys and the database, which a volume with
/// `fsGroup` grants. Files that do not exist yet or cannot be changed are skipped.
pub(super) fn remove_group_access(config: &Config) -> Result<(), StartError> {
    let mut changed = Vec::new();
    if let Ok(data) = File::open(&config.data_dir) {
        if ownership::remove_group_changes(&data) {
            changed.push(config.data_dir.clone());
        }
        let keys = config.key_folder();
        let name = keys.file_name().unwrap_or_default();
        if ownership::remove_group_access(&data, name) {
            changed.push(keys.clone());
        }
        if fs::symlink_metadata(&keys).is_ok_and(|meta| meta.is_dir()) {
            remove_group(&keys.join("lock"), &mut changed);
            let files = fs::read_dir(&keys).into_iter().flatten().flatten();
            let files = files.map(|entry| entry.path());
            for file in files.filter(|path| files::is_named_as_one(path)) {
                remove_group(&file, &mut changed);
            }
        }
    }
    if let Some(file) = Store::file_of(config.database_url.expose())? {
        for suffix in ["", "-wal", "-shm", ".migrating"] {
            let mut path = file.clone().into_os_string();
            path.push(suffix);
            remove_group(Path::new(&path), &mut changed);
        }
    }
    if !changed.is_empty() {
        let changed: Vec<_> = changed.iter().map(|path| path.display().to_string()).collect();
        tracing::warn!(
            "removed the group's access to {}; on Kubernetes, set fsGroupChangePolicy: \
             OnRootMismatch to prevent this",
            changed.join(", ")
        );
    }
    Ok(())
}

fn remove_group(path: &Path, changed: &mut Vec<PathBuf>) {
    let Ok(folder) = ownership::folder_of(path) else { return };
    if ownership::remove_group_access(&folder, path.file_name().unwrap_or_default()) {
        changed.push(path.to_owned());
    }
}

/// Refuses to create a new database in place of a missing one. The first start creates its keys
/// last, so if there are keys, there was a database.
pub(super) fn refuse_missing_database(config: &Config, folder: &Path) -> Result<(), StartError> {
    let has_keys = KeyRing::are_in(folder)?; // checked first, because another process may be starting
    let Some(file) = Store::file_of(config.database_url.expose())? else { return Ok(()) };
    let is_there = fs::metadata(&file).is_ok_and(|about| about.len() > 0);
    if is_there || !has_keys {
        return Ok(());
    }
    Err(StartError::DatabaseGone(file, folder.to_owned()))
}
