//! Checks the files of the database and of the keys: owners, permissions, leftovers, and the free
//! disk space.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::statvfs;

use super::findings::{Diagnosis, Verdict};
use super::ownership::{
    NO_START, NOBODY_SIGNS_IN, check_folder_is_writable, describe_write_refusal,
    find_write_refusal, is_of_service,
};
use crate::core::ownership::WrongOwner;
use crate::core::quantities::Bytes;
use crate::domain::keys::files;

/// The minimum free disk space. Below it, a busy service fills the disk in a few minutes.
const MIN_ROOM: u64 = 64 * 1024 * 1024;
/// A write-ahead log of this size is a sign of a connection that reads for very long, or of a full
/// disk.
const LONG_LOG: u64 = 256 * 1024 * 1024;

/// Checks the owners and permissions of the SQLite files.
pub(super) fn check_database_files(file: &Path, data_folder: &Path, found: &mut Diagnosis) {
    const ABOUT: &str = "database";
    check_folder_is_writable(ABOUT, file, found);
    for (ending, stops) in [
        ("", NOBODY_SIGNS_IN),
        ("-wal", NOBODY_SIGNS_IN),
        ("-shm", NOBODY_SIGNS_IN),
        (".migrating", NO_START),
    ] {
        let mut path = file.as_os_str().to_owned();
        path.push(ending);
        let path = Path::new(&path);
        let Ok(meta) = fs::metadata(path) else { continue };
        let shown = path.display();
        if !is_of_service(path, &meta, data_folder) {
            found.add(ABOUT, Verdict::Wrong, WrongOwner::of(path, &meta).to_string());
        } else if meta.mode() & 0o077 != 0 {
            let says = format!("other users can read {shown}; run: chmod 0600 {shown}");
            found.add(ABOUT, Verdict::Wrong, says);
        } else if let Some(why) = find_write_refusal(path, &meta) {
            found.add(
                ABOUT,
                Verdict::Wrong,
                describe_write_refusal(path, why, stops, "chmod 0600"),
            );
        }
        if ending == "-wal" && meta.len() > LONG_LOG {
            let says = format!(
                "{shown} has grown to {}: another process keeps a read transaction open, or the disk was full; restart the service",
                Bytes(meta.len())
            );
            found.add(ABOUT, Verdict::Note, says);
        }
    }
}

/// Checks the key folder, except for the keys themselves: the lock file must be writable, and no
/// file may belong to root because a command ran as root.
pub(super) fn check_key_files(data_folder: &Path, folder: &Path, found: &mut Diagnosis) {
    const ABOUT: &str = "keys";
    if files::is_read_only(folder) {
        return; // no key is created there, and root mounted it
    }
    let lock = folder.join("lock");
    if let Ok(meta) = fs::metadata(&lock) {
        if !is_of_service(&lock, &meta, data_folder) {
            found.add(ABOUT, Verdict::Wrong, WrongOwner::of(&lock, &meta).to_string());
        } else if let Some(why) = find_write_refusal(&lock, &meta) {
            found.add(
                ABOUT,
                Verdict::Wrong,
                describe_write_refusal(&lock, why, NO_START, "chmod 0600"),
            );
        }
    } else {
        check_folder_is_writable(ABOUT, &lock, found);
    }
    let files = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let files = files.filter(|path| files::is_named_as_one(path));
    for path in files.chain([folder.to_owned()]) {
        let Ok(meta) = fs::symlink_metadata(&path) else { continue };
        let is_roots = meta.uid() == 0 && !meta.is_symlink();
        if is_roots
            && rustix::process::geteuid().is_root()
            && !is_of_service(&path, &meta, data_folder)
        {
            found.add(ABOUT, Verdict::Wrong, WrongOwner::of(&path, &meta).to_string());
        }
    }
}

/// Finds leftovers of an interrupted restore or backup.
pub(super) fn check_left_over(folders: [&Path; 2], found: &mut Diagnosis) {
    for folder in folders {
        let Ok(entries) = fs::read_dir(folder) else { continue };
        for path in entries.flatten().map(|entry| entry.path()) {
            let is_leftover =
                path.extension().is_some_and(|end| end == "restoring" || end == "partial");
            let is_log = path.to_str().is_some_and(|path| path.contains(".restoring-"));
            if is_leftover || is_log {
                let says = format!(
                    "{} remains from an interrupted backup or restore; remove it",
                    path.display()
                );
                found.add("left over", Verdict::Note, says);
            }
        }
    }
}

pub(super) fn check_room(folder: &Path, database: u64, found: &mut Diagnosis) {
    let Ok(disk) = statvfs(folder) else { return };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let shown = Bytes(free);
    if free < MIN_ROOM || (disk.f_files > 0 && disk.f_favail == 0) {
        let says = format!(
            "only {shown} and {} files are free on the file system of {}; free some space",
            disk.f_favail,
            folder.display()
        );
        found.add("disk", Verdict::Wrong, says);
    } else if free < database.saturating_mul(2) {
        let says = format!(
            "{shown} are free, less than twice the size of the database; a backup on this file system may not fit"
        );
        found.add("disk", Verdict::Note, says);
    } else {
        found.add("disk", Verdict::Ok, format!("{shown} are free"));
    }
}
