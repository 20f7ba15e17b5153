//! Tests of commands that root runs in another user's folder, and of files that a user may not
//! read.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

use crate::support::process::free_address;
use crate::support::program::{Service, copy_program, is_postgres, run, said, text, unprepared};

/// A user other than root: `nobody`.
const OTHER: u32 = 65_534;

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Runs the program as a user other than root. Returns the exit code and the output.
fn as_other(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    // copied to where any user may run it
    let program = folder.join("cloakroom");
    if !program.exists() {
        copy_program(&program);
        set_mode(&program, 0o755);
    }
    let free = free_address().to_string();
    let listen = if arguments.contains(&"--listen") { vec![] } else { vec!["--listen", &free] };
    let mut command = std::process::Command::new(&program);
    command.args(unprepared(folder, &[&listen[..], arguments].concat()).get_args());
    command.current_dir(folder).env_clear().uid(OTHER).gid(OTHER);
    let done = command.output().unwrap();
    (done.status.code(), text(&done.stdout) + &text(&done.stderr))
}

/// The problems that doctor finds as root.
fn wrong_for_root(folder: &Path) -> Vec<String> {
    let done = run(folder, &["--listen", "127.0.0.1:9", "doctor"], "");
    let printed = text(&done.stdout);
    printed.lines().filter(|line| line.starts_with("WRONG")).map(str::to_owned).collect()
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A data folder with one user of the service, owned by the other system user.
fn folder_of_other() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    said(folder.path(), &["user", "add", "ann"]);
    for path in all_in(folder.path()) {
        chown(path, Some(OTHER), Some(OTHER)).unwrap();
    }
    folder
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
        return; // only root can change the owner of a file
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
    said(folder.path(), &["user", "add", "ann"]); // reads the keys, which belong to the other user
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
    let (_, printed) = as_other(folder.path(), &["doctor"]);
    let says = "cannot read the database: ";
    assert!(printed.contains(says) && printed.contains("belongs to the user 0"), "{printed}");
    assert!(!printed.contains("damaged") && !printed.contains("backup"), "{printed}");
}

#[test]
fn root_finds_nothing_wrong_where_all_belongs_to_the_owner_of_the_folder() {
    if !is_root() || is_postgres() {
        return;
    }
    let folder = folder_of_other();
    let path = |name: &str| folder.path().join("cloakroom-data").join(name);
    assert!(path("keys/lock").exists() && path("cloakroom.db.migrating").exists());
    assert_eq!(wrong_for_root(folder.path()), [""; 0]);
    let mut keys = all_in(&path("keys")).into_iter();
    let pem = keys.find(|path| path.extension().is_some_and(|end| end == "pem")).unwrap();
    for file in [path("cloakroom.db"), path("cloakroom.db.migrating"), path("keys/lock"), pem] {
        chown(&file, Some(0), Some(0)).unwrap();
        let wrong = wrong_for_root(folder.path());
        let file = file.strip_prefix(folder.path()).unwrap();
        let parent = file.parent().unwrap().display();
        let remedy = format!("chown --reference={parent} {}", file.display());
        assert!(wrong.len() == 1 && wrong[0].contains(&remedy), "{remedy}: {wrong:?}");
        let done = std::process::Command::new("sh")
            .args(["-c", &remedy])
            .current_dir(folder.path())
            .status();
        assert!(done.unwrap().success(), "{remedy}");
        assert_eq!(wrong_for_root(folder.path()), [""; 0]);
    }
    set_mode(&path("keys/lock"), 0o400); // root could write it in spite of this mode
    let wrong = wrong_for_root(folder.path());
    assert!(wrong.len() == 1 && wrong[0].contains("keys/lock cannot be written"), "{wrong:?}");
}

#[test]
fn a_lock_that_cannot_be_written_is_told_by_doctor_and_by_the_start_with_what_to_do() {
    if !is_root() || is_postgres() {
        return;
    }
    let folder = folder_of_other();
    for (name, does) in [
        ("cloakroom-data/cloakroom.db.migrating", "serve"),
        ("cloakroom-data/keys/lock", "serve"),
        ("cloakroom-data/keys/lock", "key rotate"),
    ] {
        let file = folder.path().join(name);
        let does: Vec<_> = does.split(' ').collect();
        for (owner, mode, remedy) in
            [(OTHER, 0o400, "chmod"), (0, 0o600, "chown --reference=cloakroom-data")]
        {
            chown(&file, Some(owner), Some(owner)).unwrap();
            set_mode(&file, mode);
            for command in [&["doctor"][..], &does] {
                let (code, says) = as_other(folder.path(), command);
                assert_eq!(code, Some(1), "{command:?}: {says}");
                assert!(says.contains(remedy), "{remedy}: {command:?}: {says}");
                assert!(says.contains(name), "{command:?}: {says}");
            }
        }
        chown(&file, Some(OTHER), Some(OTHER)).unwrap();
        set_mode(&file, 0o600);
        let (_, says) = as_other(folder.path(), &["doctor"]);
        assert!(!says.contains("WRONG"), "{says}");
    }
}

#[test]
fn the_owner_of_a_database_that_nobody_may_read_is_told_to_chmod_it() {
    if !is_root() || is_postgres() {
        return;
    }
    let folder = folder_of_other();
    set_mode(&folder.path().join("cloakroom-data/cloakroom.db"), 0);
    let (code, says) = as_other(folder.path(), &["doctor"]);
    assert_eq!(code, Some(1), "{says}");
    assert!(
        says.contains("cannot read the database: run: chmod u+rw cloakroom-data/cloakroom.db"),
        "{says}"
    );
    assert!(!says.contains("as the user") && !says.contains("chown"), "{says}");
}

#[test]
fn a_user_who_cannot_read_the_keys_is_not_told_that_another_service_runs() {
    if !is_root() || is_postgres() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    said(folder.path(), &["user", "add", "ann"]);
    set_mode(folder.path(), 0o755);
    let service = Service::start(folder.path(), &[]);
    let (code, says) = as_other(folder.path(), &["--listen", &service.at, "doctor"]);
    assert_eq!(code, Some(1), "{says}");
    assert!(says.contains("it is unknown whether it has these settings"), "{says}");
    assert!(!says.contains("another service"), "{says}");
}
