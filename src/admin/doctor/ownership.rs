//! Checks the owners of files, and whether the service's user can write them.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::Access;
use rustix::io::Errno;

use super::findings::{Diagnosis, Verdict};
use crate::core::ownership;

pub(super) const NOBODY_SIGNS_IN: &str = "users cannot sign in";
pub(super) const NO_START: &str = "the service cannot start";

/// Checks the data folder's existence, owner and permissions. Returns whether it exists.
pub(super) fn check_data_folder(folder: &Path, found: &mut Diagnosis) -> bool {
    const ABOUT: &str = "data folder";
    let shown = folder.display();
    let meta = match fs::metadata(folder) {
        Ok(meta) if meta.is_dir() => meta,
        Ok(_) => {
            found.add(
                ABOUT,
                Verdict::Wrong,
                format!("{shown} is a file; set data_dir to a folder"),
            );
            return false;
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let says = format!(
                "{shown} does not exist; the first start of the service creates it, or set another data_dir"
            );
            found.add(ABOUT, Verdict::Note, says);
            return false;
        }
        Err(error) => {
            found.add(ABOUT, Verdict::Wrong, format!("cannot read {shown}: {error}"));
            return false;
        }
    };
    let me = rustix::process::geteuid();
    let is_ours = meta.uid() == me.as_raw();
    if !is_ours && !me.is_root() {
        found.add(ABOUT, Verdict::Wrong, ownership::describe_denial(folder));
    } else if meta.mode() & 0o500 != 0o500 {
        let says = format!("the owner of {shown} has no access to it; run: chmod u+rwx {shown}");
        found.add(ABOUT, Verdict::Wrong, says);
    } else if meta.mode() & 0o022 != 0 {
        found.add(
            ABOUT,
            Verdict::Wrong,
            format!("other users can write to {shown}; run: chmod 0700 {shown}"),
        );
    } else if meta.mode() & 0o055 != 0 {
        found.add(
            ABOUT,
            Verdict::Note,
            format!("other users have access to {shown}; run: chmod 0700 {shown}"),
        );
    } else if is_ours {
        found.add(ABOUT, Verdict::Ok, format!("{shown}; no other user has access"));
    } else {
        let says = format!("{shown} of the user {}; no other user has access", meta.uid());
        found.add(ABOUT, Verdict::Ok, says);
    }
    true
}

/// The user that the service runs as: for root the owner of the data folder, otherwise the present
/// user.
pub(super) fn service_user(data_folder: &Path) -> u32 {
    let me = rustix::process::geteuid();
    let owner = fs::metadata(data_folder).map(|meta| meta.uid());
    owner.ok().filter(|_| me.is_root()).unwrap_or(me.as_raw())
}

/// Whether the file belongs to the service's user. For root, the owner of its folder is right, too.
pub(super) fn is_of_service(path: &Path, meta: &Metadata, data_folder: &Path) -> bool {
    let is_root = rustix::process::geteuid().is_root();
    meta.uid() == service_user(data_folder) || (is_root && ownership::is_folder_owners(path, meta))
}

/// Why the file's owner cannot write it. Nothing is written. For root, the permissions of the file
/// decide, because root can write anything.
pub(super) fn find_write_refusal(path: &Path, meta: &Metadata) -> Option<Errno> {
    let wanted = if meta.is_dir() { 0o700 } else { 0o600 };
    match rustix::fs::access(path, Access::WRITE_OK) {
        Err(why) => Some(why),
        Ok(()) if meta.uid() != 0 && meta.mode() & wanted != wanted => Some(Errno::ACCESS),
        Ok(()) => None,
    }
}

/// Checks that files can be created in the folder, such as SQLite's log.
pub(super) fn check_folder_is_writable(about: &'static str, file: &Path, found: &mut Diagnosis) {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let Ok(meta) = fs::metadata(folder) else { return };
    let me = rustix::process::geteuid();
    if let Some(why) = find_write_refusal(folder, &meta)
        && (meta.uid() == me.as_raw() || me.is_root())
    {
        let stops = if about == "keys" { NO_START } else { NOBODY_SIGNS_IN };
        found.add(about, Verdict::Wrong, describe_write_refusal(folder, why, stops, "chmod 0700"));
    }
}

/// Describes the consequence of a file that cannot be written, and what to do.
pub(super) fn describe_write_refusal(path: &Path, why: Errno, stops: &str, remedy: &str) -> String {
    let shown = path.display();
    if why == Errno::ROFS {
        return format!(
            "{shown} cannot be written, so {stops}: its file system is mounted read-only; mount \
             it read-write"
        );
    }
    format!("{shown} cannot be written, so {stops}: {why}; run: {remedy} {shown}")
}
