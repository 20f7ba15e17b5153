//! Commands of the superuser in the folder of another user, and files that a user may not read.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

mod program;

use program::{is_postgres, said, text, unprepared};

/// A user who is not the superuser: nobody.
const OTHER: u32 = 65_534;

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The folder and everything in it.
fn all_in(folder: &Path) -> Vec<PathBuf> {
    let mut all = vec![folder.to_owned()];
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { all.extend(all_in(&path)) } else { all.push(path) }
    }
    all
}

#[test]
fn what_the_superuser_makes_in_the_folder_of_a_user_is_that_users() {
    if !is_root() {
        return; // only the superuser can give a file away
    }
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("cloakroom-data");
    fs::create_dir(&data).unwrap();
    fs::set_permissions(&data, fs::Permissions::from_mode(0o700)).unwrap();
    chown(&data, Some(OTHER), Some(OTHER)).unwrap();
    said(folder.path(), &["--data-dir", "cloakroom-data", "key", "rotate"]);
    said(folder.path(), &["--data-dir", "cloakroom-data", "pepper", "add"]);
    said(folder.path(), &["--data-dir", "cloakroom-data", "server-secret", "add"]);
    said(folder.path(), &["migrate"]);
    said(folder.path(), &["user", "add", "ann"]); // reads the keys that are the other user's
    said(folder.path(), &["key", "list"]);
    let all = all_in(&data);
    assert!(all.len() >= 5, "{all:?}");
    for path in all {
        let meta = fs::symlink_metadata(&path).unwrap();
        assert_eq!((meta.uid(), meta.gid()), (OTHER, OTHER), "{}", path.display());
    }
}

#[test]
fn folders_and_backups_that_the_superuser_makes_in_the_folder_of_a_user_are_that_users() {
    if !is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    chown(folder.path(), Some(OTHER), Some(OTHER)).unwrap();
    said(folder.path(), &["--data-dir", "a/b/cloakroom-data", "migrate"]);
    said(folder.path(), &["user", "add", "ann"]);
    said(folder.path(), &["backup", "backups"]);
    for path in ["a/b/cloakroom-data/keys", "cloakroom-data/keys", "backups"] {
        assert!(folder.path().join(path).is_dir(), "{path}");
    }
    for path in all_in(folder.path()) {
        let meta = fs::symlink_metadata(&path).unwrap();
        assert_eq!((meta.uid(), meta.gid()), (OTHER, OTHER), "{}", path.display());
    }
}

#[test]
fn a_database_that_a_user_may_not_read_is_not_called_damaged() {
    if !is_root() || is_postgres() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    said(folder.path(), &["user", "add", "ann"]);
    let data = folder.path().join("cloakroom-data");
    for path in all_in(&data) {
        chown(path, Some(OTHER), Some(OTHER)).unwrap();
    }
    chown(folder.path(), Some(OTHER), Some(OTHER)).unwrap();
    chown(data.join("cloakroom.db"), Some(0), Some(0)).unwrap();
    // where any user may run it
    let program = folder.path().join("cloakroom");
    fs::copy(env!("CARGO_BIN_EXE_cloakroom"), &program).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let mut doctor = std::process::Command::new(&program);
    let arguments = unprepared(folder.path(), &["--listen", "127.0.0.1:9", "doctor"]);
    doctor.args(arguments.get_args()).current_dir(folder.path()).env_clear();
    let done = doctor.uid(OTHER).gid(OTHER).output().unwrap();
    let printed = text(&done.stdout);
    let says = "cannot read the database: ";
    assert!(printed.contains(says) && printed.contains("belongs to the user 0"), "{printed}");
    assert!(!printed.contains("damaged") && !printed.contains("backup"), "{printed}");
}
