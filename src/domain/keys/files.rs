//! Reads and writes the files of secrets, which are neither in a setting nor in the database, and
//! checks their permissions.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::core::ownership::{self, WrongOwner};

/// The file extensions of secrets.
const ENDINGS: [&str; 3] = [PEM, PEPPER, SERVER_SECRET];
pub(crate) const PEM: &str = "pem";
pub(crate) const PEPPER: &str = "pepper";
pub(crate) const SERVER_SECRET: &str = "key";

/// Why a file of a secret cannot be used. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("cannot read the keys in {0}: {1}{remedy}", remedy = ownership::remedy(.0, .1))]
    Unreadable(PathBuf, io::Error),
    #[error("other users can read {0}, which contains a key; run: chmod 0600 {0}")]
    OpenToOthers(PathBuf),
    #[error(
        "{0} is not an Ed25519 key in PKCS#8 PEM format; restore it from a backup, or remove it"
    )]
    NotAKey(PathBuf),
    #[error(
        "{0} is not a pepper, which has 64 hexadecimal digits; restore it from a backup, or \
         remove it if it never was a pepper"
    )]
    NotAPepper(PathBuf),
    #[error(
        "{0} is not a server secret, which has 64 hexadecimal digits; restore it from a backup, \
         or remove it if it never was a server secret"
    )]
    NotAServerSecret(PathBuf),
    #[error(
        "other users can read {0}, which contains a key; mount the secret with defaultMode 0400, \
         and set the pod's fsGroup if the pod does not run as root"
    )]
    OpenMount(PathBuf),
    #[error(
        "{0} is a link that leads out of its folder, or through a folder that other users can \
         write to; replace the link with the key file"
    )]
    Strays(PathBuf),
    #[error(
        "{0} is mounted read-only; create the key in another folder with `cloakroom --data-dir \
         FOLDER {1}`, and add its file to the mounted secret, which keeps the older keys"
    )]
    ReadOnly(PathBuf, &'static str),
    #[error(transparent)]
    WrongOwner(WrongOwner),
    #[error(
        "all users can write to {0}, so another user may have added a key; remove the files that \
         you do not know, then run: chmod go-w {0}"
    )]
    OpenFolder(PathBuf),
    #[error("{0} contains a key that is easy to guess; remove it, and run: cloakroom key rotate")]
    Weak(PathBuf),
    #[error(
        "{0} contains a pepper that is easy to guess; remove it, and run: cloakroom pepper add"
    )]
    WeakPepper(PathBuf),
    #[error(
        "{0} contains a server secret that is easy to guess; remove it, and run: cloakroom server-secret add"
    )]
    WeakServerSecret(PathBuf),
    #[error("cannot write a key to {0}: {1}{remedy}", remedy = ownership::remedy(.0, .1))]
    Unwritable(PathBuf, io::Error),
    #[error(
        "the signing keys are missing from {0}: they existed, because there are accounts; restore \
         them from a backup, or run `cloakroom --data-dir {data} key rotate`, which creates a key \
         and signs out all users",
        data = .0.parent().unwrap_or(.0).display()
    )]
    Gone(PathBuf),
}

/// Whether this is the file name of a signing key, a pepper or a server secret.
pub fn is_named_as_one(path: &Path) -> bool {
    path.extension().is_some_and(|own| ENDINGS.iter().any(|ending| own == *ending))
}

/// Locks the key folder against other processes that read or create keys, for as long as the
/// returned file is open. A read-only folder needs no lock.
pub fn lock(folder: &Path) -> Result<Option<File>, KeyError> {
    let path = folder.join("lock");
    match ownership::open_private(&path).and_then(|file| file.lock().map(|()| file)) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => Ok(None),
        Err(error) => Err(KeyError::Unwritable(path, error)),
    }
}

/// Reads the file of this name and returns its path and content, provided that no other user can
/// read or replace it. `not_one` is the error for something that is not a file.
pub(crate) fn read(
    folder: &Path,
    name: &Path,
    not_one: impl FnOnce(PathBuf) -> KeyError,
) -> Result<(PathBuf, Zeroizing<Vec<u8>>), KeyError> {
    let path = file_of(folder, name)?;
    let unreadable = |error| KeyError::Unreadable(path.clone(), error);
    let shared = fs::metadata(folder).map_err(unreadable)?.mode() & 0o002 != 0;
    if shared && !is_read_only(folder) {
        return Err(KeyError::OpenFolder(folder.to_owned()));
    }
    let meta = fs::symlink_metadata(&path).map_err(unreadable)?;
    if !meta.is_file() {
        return Err(not_one(path));
    }
    let is_mounted = is_read_only(&path);
    if is_open(&meta, is_mounted, is_own(&meta, folder)) {
        let open = if is_mounted { KeyError::OpenMount } else { KeyError::OpenToOthers };
        return Err(open(path));
    }
    if !is_ours_or_roots(&meta) && !is_own(&meta, folder) {
        return Err(KeyError::WrongOwner(WrongOwner::of(&path, &meta)));
    }
    let bytes = Zeroizing::new(fs::read(&path).map_err(unreadable)?);
    Ok((path, bytes))
}

/// The path of the file itself. A link is followed only if no other user can redirect it, because a
/// mounted secret of Kubernetes consists of links within its folder.
fn file_of(folder: &Path, path: &Path) -> Result<PathBuf, KeyError> {
    let unreadable = |error| KeyError::Unreadable(path.to_owned(), error);
    if !fs::symlink_metadata(path).map_err(unreadable)?.is_symlink() {
        return Ok(path.to_owned());
    }
    let folder = fs::canonicalize(folder).map_err(unreadable)?;
    let file = fs::canonicalize(path).map_err(unreadable)?;
    let within = file.ancestors().skip(1).take_while(|between| between.starts_with(&folder));
    let mut is_within = false;
    for between in within {
        let meta = fs::symlink_metadata(between).map_err(unreadable)?;
        if !is_ours_or_roots(&meta) || (meta.mode() & 0o022 != 0 && !is_read_only(between)) {
            return Err(KeyError::Strays(path.to_owned()));
        }
        is_within = true;
    }
    if is_within { Ok(file) } else { Err(KeyError::Strays(path.to_owned())) }
}

fn is_ours_or_roots(meta: &fs::Metadata) -> bool {
    is_trusted(meta.uid(), rustix::process::geteuid().as_raw())
}

/// Whether the file system is mounted read-only.
pub fn is_read_only(path: &Path) -> bool {
    use rustix::fs::{StatVfsMountFlags, statvfs};
    statvfs(path).is_ok_and(|mount| mount.f_flag.contains(StatVfsMountFlags::RDONLY))
}

/// Whether the file belongs to this process's user or, for the superuser, to the owner of the
/// folder.
fn is_own(meta: &fs::Metadata, folder: &Path) -> bool {
    let me = rustix::process::geteuid();
    let is_folders = || fs::metadata(folder).is_ok_and(|of| of.uid() == meta.uid());
    meta.uid() == me.as_raw() || (me.is_root() && is_folders())
}

/// Whether others can read this key. The group may read a key of this user, because a Kubernetes
/// volume gives its files to a group; the next start removes that access. A key in a read-only
/// mount that belongs to root may be readable by its group, for which it was mounted.
fn is_open(meta: &fs::Metadata, is_mounted: bool, is_own: bool) -> bool {
    meta.mode() & forbidden_bits(meta.uid(), is_mounted, is_own) != 0
}

fn forbidden_bits(owner: u32, is_mounted: bool, is_own: bool) -> u32 {
    match (is_mounted, is_own) {
        (true, _) if owner == 0 => 0o037,
        (false, true) => 0o007,
        (true | false, _) => 0o077,
    }
}

/// Whether a key of this owner is trusted. Root can put a key anywhere anyway.
fn is_trusted(owner: u32, me: u32) -> bool {
    owner == 0 || owner == me
}

/// Writes a secret to a new file that only its owner can read. When this returns, the file is on
/// the disk.
pub(crate) fn write(
    folder: &Path,
    path: &Path,
    text: &str,
    command: &'static str,
) -> Result<(), KeyError> {
    write_atomically(folder, path, text).map_err(|error| match error.kind() {
        io::ErrorKind::ReadOnlyFilesystem => KeyError::ReadOnly(folder.to_owned(), command),
        _ => KeyError::Unwritable(path.to_owned(), error),
    })
}

fn write_atomically(folder: &Path, path: &Path, text: &str) -> io::Result<()> {
    // The file gets its name when it is complete, so that no other process reads half a key.
    let unnamed = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unnamed)?;
    file.write_all(text.as_bytes())?;
    ownership::give_to_folder_owner(&file, &unnamed)?;
    file.sync_all()?;
    let named = fs::hard_link(&unnamed, path);
    fs::remove_file(&unnamed)?;
    named?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::sync::mpsc;
    use std::time::Duration;

    use crate::domain::keys::files::*;

    #[test]
    fn keys_are_held_by_one_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let held = lock(folder.path()).unwrap();
        std::thread::scope(|threads| {
            let (holds, is_held) = mpsc::channel();
            threads.spawn(move || holds.send(lock(folder.path()).unwrap()));
            assert!(is_held.recv_timeout(Duration::from_millis(50)).is_err(), "beside another");
            drop(held);
            is_held.recv_timeout(Duration::from_mins(2)).unwrap();
        });
    }

    #[test]
    fn where_no_key_can_be_written_the_path_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let none = folder.path().join("none");
        let held = lock(&none).map(drop);
        assert!(matches!(held, Err(KeyError::Unwritable(path, _)) if path.starts_with(&none)));
        let made = write(&none, &none.join("a.pem"), "", "key rotate");
        assert!(matches!(made, Err(KeyError::Unwritable(path, _)) if path.starts_with(&none)));
    }

    #[test]
    fn the_group_of_a_mounted_key_may_read_it_if_it_is_roots() {
        for (mode, owner, is_mounted, is_own, open) in [
            (0o100_600, 0, false, false, false),
            (0o100_600, 7, true, false, false),
            (0o100_640, 0, true, false, false),
            (0o100_640, 0, false, false, true),
            (0o100_660, 7, false, true, false),
            (0o100_664, 7, false, true, true),
            (0o100_640, 7, true, true, true),
            (0o100_660, 0, true, true, true),
            (0o100_604, 0, true, true, true),
            (0o100_604, 7, false, true, true),
        ] {
            let is_open = mode & forbidden_bits(owner, is_mounted, is_own) != 0;
            assert_eq!(is_open, open, "{mode:o} {owner} {is_mounted} {is_own}");
        }
    }

    #[test]
    fn key_02_a_key_in_a_folder_that_all_users_may_write_to_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("a.pem");
        write(folder.path(), &key, "text", "key rotate").unwrap();
        for (mode, is_refused) in [(0o777, true), (0o1777, true), (0o755, false)] {
            let permissions = fs::Permissions::from_mode(mode);
            fs::set_permissions(folder.path(), permissions).unwrap();
            let read = read(folder.path(), &key, KeyError::NotAKey).map(drop);
            let said = matches!(read, Err(KeyError::OpenFolder(path)) if path == folder.path());
            assert_eq!(said, is_refused, "{mode:o}");
        }
    }

    #[test]
    fn a_key_of_somebody_else_is_refused() {
        assert!(is_trusted(0, 1000) && is_trusted(1000, 1000) && is_trusted(0, 0));
        assert!(!is_trusted(1001, 1000) && !is_trusted(1000, 0));
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("a.pem");
        write(folder.path(), &key, "text", "key rotate").unwrap();
        assert_eq!(read(folder.path(), &key, KeyError::NotAKey).unwrap().1[..], *b"text");
        // Only root can give files away.
        if std::os::unix::fs::chown(&key, Some(65_534), None).is_ok() {
            let read = read(folder.path(), &key, KeyError::NotAKey).map(drop);
            assert!(matches!(read, Err(KeyError::WrongOwner(_))));
        }
    }
}
