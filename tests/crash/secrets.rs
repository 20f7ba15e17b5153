//! KEY-07: secrets are not visible in arguments, environment, help or errors.

use std::fs;
use std::io::Write as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, Stdio};

use super::service::{Service, cloakroom, program};
use crate::support::raw::LONG;

const SECRET: &str = "canary-of-the-database";
const PASSWORD: &str = "canary correct horse battery";
/// The user that owns no files.
const NOBODY: u32 = 65534;

#[test]
fn key_07_the_passwords_of_the_database_and_of_users_are_in_no_argument_help_or_error() {
    let folder = tempfile::tempdir().unwrap();
    let address = format!("postgres://cloakroom:{SECRET}@127.0.0.1:1/cloakroom");
    for arguments in [&["--help"][..], &["serve", "--help"], &["config"], &["migrate"], &["serve"]]
    {
        let mut command = cloakroom(folder.path(), arguments);
        command.env("DATABASE_URL", &address).stderr(Stdio::piped());
        let done = command.output().unwrap();
        for said in [&done.stdout, &done.stderr] {
            let said = String::from_utf8_lossy(said);
            assert!(!said.contains(SECRET), "{arguments:?}: {said}");
        }
    }
    assert!(cloakroom(folder.path(), &["migrate"]).status().unwrap().success());
    let mut add = cloakroom(folder.path(), &["user", "add", "ann"]);
    let mut add = add.stdin(Stdio::piped()).spawn().unwrap();
    let mut typed = add.stdin.take().unwrap();
    writeln!(typed, "{PASSWORD}").unwrap();
    let of = |file: &str| fs::read(format!("/proc/{}/{file}", add.id())).unwrap_or_default();
    for seen in ["cmdline", "comm"].map(of) {
        assert!(!String::from_utf8_lossy(&seen).contains(PASSWORD));
    }
    drop(typed);
    assert!(add.wait().unwrap().success());
    assert!(!fs::read_to_string(folder.path().join("log")).unwrap().contains(PASSWORD));
}

#[test]
fn key_07_a_crash_leaves_no_core() {
    let folder = tempfile::tempdir().unwrap();
    let mut shell = Command::new("bash");
    let script = "ulimit -c unlimited 2>/dev/null || true; exec \"$0\" \"$@\"";
    shell.args(["-c", script]).arg(program());
    let mut service = Service::started_by(folder.path(), shell).unwrap();
    let pid = service.id();
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(line.split_whitespace().nth(4), Some("0"), "{line}");
    assert!(
        Command::new("kill").args(["-s", "ABRT", &pid.to_string()]).status().unwrap().success()
    );
    let end = service.end_within(LONG).unwrap();
    assert_eq!(end.signal(), Some(6));
    assert!(!end.core_dumped());
    let left: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(left.iter().all(|name| !name.starts_with("core")), "{left:?}");
}

#[test]
#[ignore = "wants root: tests/e2e/crash"]
fn key_07_other_programs_of_the_same_user_cannot_read_its_memory() {
    assert!(rustix::process::geteuid().is_root(), "only root can start it as somebody else");
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::chown(folder.path(), Some(NOBODY), Some(NOBODY)).unwrap();
    let copied = folder.path().join("cloakroom");
    // copied by another process, because one that a test in another thread starts would inherit the
    // file open for writing
    assert!(
        Command::new("cp").args([program().as_ref(), copied.as_path()]).status().unwrap().success()
    );
    let mut nobodys = Command::new(&copied);
    nobodys.uid(NOBODY).gid(NOBODY);
    let service = Service::started_by(folder.path(), nobodys).unwrap();
    let pid = service.id();
    for file in ["mem", "environ", "maps"] {
        let mut read = Command::new("cat");
        read.uid(NOBODY).gid(NOBODY).arg(format!("/proc/{pid}/{file}"));
        let read = read.stderr(Stdio::null()).output().unwrap();
        assert!(!read.status.success() && read.stdout.is_empty(), "{file} can be read");
    }
}
