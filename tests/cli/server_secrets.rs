//! Tests of the operator's view of `cloakroom server-secret`, `user release` and the settings of
//! registration.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::support::process::free_address;
use crate::support::program::{Service, object, refused, run, said, text};

/// The verdict and the sentence of doctor about a subject.
fn doctor(folder: &Path, arguments: &[&str], about: &str) -> (String, String) {
    let arguments = [arguments, &["--listen", "127.0.0.1:9", "doctor", "--json"]].concat();
    let found: serde_json::Value =
        serde_json::from_slice(&run(folder, &arguments, "").stdout).unwrap();
    let part = |finding: &serde_json::Value, name: &str| finding[name].as_str().unwrap().to_owned();
    let findings = found["findings"].as_array().unwrap();
    let finding = findings.iter().find(|finding| finding["about"] == about).unwrap();
    (part(finding, "verdict"), part(finding, "says"))
}

fn secret_files(folder: &Path) -> Vec<PathBuf> {
    let keys = fs::read_dir(folder.join("cloakroom-data/keys")).unwrap();
    let paths = keys.map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        paths.filter(|path| path.to_str().unwrap().contains("server-secret-")).collect();
    files.sort();
    files
}

#[test]
fn an_operator_lists_rotates_loses_and_forgets_server_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    said(folder, &["user", "add", "ann"]);
    said(folder, &["user", "add", "bob"]); // events of a database without accounts are not kept
    let first = object(folder, &["server-secret", "list", "--json"]);
    assert_eq!((&first["state"], &first["held_usernames"]), (&"current".into(), &0.into()));
    let id = first["id"].as_str().unwrap();
    assert_eq!(doctor(folder, &[], "server secret").0, "ok");
    said(folder, &["user", "delete", "ann", "--yes"]);
    let added = said(folder, &["server-secret", "add"]);
    assert!(added.contains("is now used for new digests; back up its file: "), "{added}");
    let listed = said(folder, &["server-secret", "list"]);
    let lines: Vec<_> = listed.lines().collect();
    let words = |line: &str| line.split_whitespace().take(3).collect::<Vec<_>>().join(" ");
    assert_eq!(words(lines[1]), format!("{id} older 1"), "{listed}");
    assert!(words(lines[2]).ends_with(" current 0"), "{listed}");
    let said_of = refused(folder, &["server-secret", "forget", id, "--yes"]);
    assert!(said_of.contains("is not lost"), "{said_of}");

    fs::remove_file(secret_files(folder).remove(0)).unwrap();
    let why = refused(folder, &["user", "list"]);
    assert!(why.contains(&format!("the server secret {id} is missing from")), "{why}");
    let (verdict, says) = doctor(folder, &[], "server secret");
    assert_eq!((&*verdict, says.contains(&format!("forget {id}"))), ("wrong", true), "{says}");
    assert!(said(folder, &["server-secret", "list"]).contains("missing"));
    let forgot = said(folder, &["server-secret", "forget", id, "--yes"]);
    assert!(forgot.contains("released user names: 1"), "{forgot}");
    said(folder, &["user", "list"]);
    let events = said(folder, &["audit", "--json"]);
    for event in ["server_secret_added", "server_secret_forgotten"] {
        assert!(events.contains(event), "{event}: {events}");
    }
    for file in secret_files(folder) {
        fs::remove_file(file).unwrap();
    }
    let (verdict, says) = doctor(folder, &[], "server secret");
    assert_eq!(
        (&*verdict, says.contains("the next start of the service creates one")),
        ("note", true),
        "{says}"
    );
}

#[test]
fn without_a_terminal_a_server_secret_is_forgotten_only_with_yes() {
    let folder = tempfile::tempdir().unwrap();
    for input in ["", "y\n"] {
        let mut command =
            crate::support::program::unprepared(folder.path(), &["server-secret", "forget", "x"]);
        let mut child = command.stdin(std::process::Stdio::piped()).spawn().unwrap();
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes()); // it reads no input
        let done = child.wait_with_output().unwrap();
        let says = text(&done.stderr);
        // it would be 1 if the command looked for the database
        assert_eq!(done.status.code(), Some(2), "{says}");
        assert!(says.contains("releases held user names permanently; use --yes"), "{says}");
    }
}

#[test]
fn att_17_02_a_deleted_users_name_is_held_until_it_is_released_or_given() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    said(folder, &["user", "add", "ann"]);
    said(folder, &["user", "delete", "ann", "--yes"]);
    let service = Service::start(folder, &[]);
    let register = || {
        let body = format!(
            "{{\"username\":\"ann\",\"password\":\"{}\"}}",
            crate::support::program::PASSWORD
        );
        let json = [("Content-Type", "application/json")];
        service.call("POST", "/register", &json, &body).0
    };
    assert_eq!(register(), 409);
    assert_eq!(said(folder, &["user", "release", "ann"]).lines().count(), 1);
    assert!(
        refused(folder, &["user", "release", "ann"]).contains("the user name ann is not on hold")
    );
    assert_eq!(register(), 201);
    said(folder, &["user", "delete", "ann", "--yes"]);
    assert_eq!(register(), 409);
    said(folder, &["user", "add", "ann"]);
    assert_eq!(service.log_in("ann", crate::support::program::PASSWORD).0, 200);
}

#[test]
fn att_17_02_the_start_and_doctor_say_who_may_register() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let file = folder.join("cloakroom.toml");
    let https = "public_url = 'https://id.example.org'\ntrusted_proxies = ['127.0.0.1']\n";
    for (settings, verdict, says) in [
        ("", "ok", "open: anyone can register"),
        ("apps = ['https://wiki.example.org']\n", "ok", "closed, because apps or cookie.domain is"),
        ("cookie.domain = 'example.org'\n", "ok", "closed, because apps or cookie.domain is set"),
        (
            "apps = ['https://wiki.example.org']\nregistration = 'open'\n",
            "note",
            "open: anyone can register, and can then use every app",
        ),
        ("registration = 'invite'\n", "ok", "by invite: `cloakroom invite`"),
        ("registration = 'closed'\n", "ok", "closed: `cloakroom user add NAME`"),
    ] {
        fs::write(&file, format!("{https}{settings}")).unwrap();
        let found = doctor(folder, &[], "registration");
        assert!(found.0 == verdict && found.1.starts_with(says), "{settings}: {found:?}");
        let (banner, log) = start_and_stop(folder);
        let line = banner.lines().find(|line| line.trim_start().starts_with("register")).unwrap();
        assert!(line.contains(says), "{settings}: {banner}");
        assert_eq!(log.contains("registration is open"), verdict == "note", "{log}");
    }
}

/// The output and the log of a service that is started and stopped.
fn start_and_stop(folder: &Path) -> (String, String) {
    use std::io::{BufRead, BufReader, Read};
    let free = free_address();
    let mut command = crate::support::program::cloakroom(folder, &["--listen", &free.to_string()]);
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut banner = String::new();
    while !banner.contains("data ") {
        assert!(lines.read_line(&mut banner).unwrap() > 0, "{banner}");
    }
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let mut log = Vec::new();
    child.stderr.take().unwrap().read_to_end(&mut log).unwrap();
    assert!(child.wait().unwrap().success());
    (banner, text(&log))
}
