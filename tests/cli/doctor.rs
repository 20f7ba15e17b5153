//! Tests of `cloakroom doctor`: what it finds, and that it changes nothing.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, SqliteConnection};

use crate::support::process::free_address;
use crate::support::program::{
    Service, copy_program, is_postgres, older_database, refused, run, said, schema_of, text,
    wait_until,
};

/// The exit code and the findings: the subject, the verdict and the text of each.
fn doctor(folder: &Path, arguments: &[&str]) -> (i32, Vec<(String, String, String)>) {
    let free = free_address().to_string();
    let there = if arguments.contains(&"--listen") { vec![] } else { vec!["--listen", &free] };
    let done = run(folder, &[&there[..], arguments, &["doctor", "--json"]].concat(), "");
    let printed = text(&done.stdout);
    let found: Value = serde_json::from_str(&printed)
        .unwrap_or_else(|error| panic!("{error}: {printed} {}", text(&done.stderr)));
    let part = |finding: &Value, name: &str| finding[name].as_str().unwrap().to_owned();
    let found =
        found["findings"].as_array().unwrap().iter().map(|finding| {
            (part(finding, "about"), part(finding, "verdict"), part(finding, "says"))
        });
    (done.status.code().unwrap(), found.collect())
}

/// Checks that doctor finds this problem and exits with 1.
fn finds(folder: &Path, arguments: &[&str], about: &str, says: &str) {
    let (code, found) = doctor(folder, arguments);
    let wrong: Vec<_> = found.iter().filter(|(_, verdict, _)| verdict == "wrong").collect();
    assert_eq!(code, 1, "{found:?}");
    assert!(wrong.iter().any(|(what, _, why)| what == about && why.contains(says)), "{wrong:?}");
}

/// Checks that doctor finds no problem, and prints this note.
fn notes(folder: &Path, arguments: &[&str], about: &str, says: &str) {
    let (code, found) = doctor(folder, arguments);
    assert_eq!(code, 0, "{found:?}");
    let is_noted = |(what, verdict, why): &(String, String, String)| {
        what == about && verdict == "note" && why.contains(says)
    };
    assert!(found.iter().any(is_noted), "{found:?}");
}

/// Every file with its content, except SQLite's shared memory, which contains counters of locks.
fn everything(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let (mut all, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.display().to_string();
            let bytes = if name.ends_with("-shm") { Vec::new() } else { fs::read(&path).unwrap() };
            all.push((name, bytes));
        }
    }
    all.sort();
    all
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn change(database: &Path, sql: &'static str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let options = SqliteConnectOptions::new().filename(database);
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        sqlx::query(sql).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    });
}

#[test]
fn it_changes_nothing_whether_the_service_runs_was_stopped_or_killed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let looks = |arguments: &[&str], expected: i32| {
        let before = everything(folder);
        let (code, found) = doctor(folder, arguments);
        assert_eq!(code, expected, "{found:?}");
        assert!(everything(folder) == before, "something was changed: {found:?}");
        found
    };
    let found = looks(&[], 1);
    let is_noted = |about: &str| found.iter().any(|(what, how, _)| what == about && how == "note");
    assert!(is_noted("data folder") && is_noted("service"), "before the first start: {found:?}");

    said(folder, &["user", "add", "ann"]);
    looks(&[], 0);
    let service = Service::start(folder, &[]);
    let found = looks(&["--listen", &service.at], 0);
    let is_well = |about: &str| found.iter().any(|(what, how, _)| what == about && how == "ok");
    for about in ["settings", "data folder", "database", "clock", "keys", "disk", "service"] {
        assert!(is_well(about), "{about}: {found:?}");
    }
    assert_eq!(service.log_in("ann", crate::support::program::PASSWORD).0, 200);
    drop(service); // kills it
    looks(&[], 0);
    let service = Service::start(folder, &[]);
    service.stop();
    looks(&[], 0);
    let printed = said(folder, &["--listen", "127.0.0.1:9", "doctor", "--full"]);
    assert!(printed.contains("ok     database     "), "{printed}");
}

#[test]
fn several_at_once_do_not_take_each_other_for_the_service() {
    let folder = tempfile::tempdir().unwrap();
    said(folder.path(), &["user", "add", "ann"]);
    let free = free_address().to_string();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..5 {
                    let printed = said(folder.path(), &["--listen", &free, "doctor"]);
                    assert!(printed.contains(&format!("{free} is free")), "{printed}");
                }
            });
        }
    });
}

#[test]
fn it_says_what_is_wrong_with_settings_files_and_keys() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    said(folder, &["user", "add", "ann"]);
    let (data, keys) = (folder.join("cloakroom-data"), folder.join("cloakroom-data/keys"));
    finds(folder, &["--public-url", "nonsense"], "settings", "public_url = \"nonsense\"");
    finds(folder, &["--config", "nowhere.toml"], "settings", "nowhere.toml");
    finds(
        folder,
        &["--database-url", "mysql://x"],
        "settings",
        "must start with sqlite: or postgres:",
    );
    notes(folder, &["--public-url", "https://id.example"], "settings", "trusted_proxies is empty");

    mode(&data, 0o777);
    finds(folder, &[], "data folder", "chmod 0700");
    mode(&data, 0o755);
    notes(folder, &[], "data folder", "chmod 0700");
    mode(&data, 0o700);
    fs::write(folder.join("file"), "").unwrap();
    finds(folder, &["--data-dir", "file"], "data folder", "is a file");

    let mut key = fs::read_dir(&keys).unwrap().map(|entry| entry.unwrap().path());
    let key = key.find(|path| path.extension().is_some_and(|end| end == "pem")).unwrap();
    mode(&key, 0o644);
    finds(folder, &[], "keys", "chmod 0600");
    mode(&key, 0o600);
    let pem = fs::read(&key).unwrap();
    fs::write(&key, "nonsense").unwrap();
    finds(folder, &[], "keys", "is not an Ed25519 key");
    fs::remove_file(&key).unwrap();
    finds(folder, &[], "keys", "because there are accounts");
    fs::write(&key, pem).unwrap();
    mode(&key, 0o600);
    said(folder, &["pepper", "add"]);
    said(folder, &["user", "add", "bob"]);
    let says = |found: Vec<(String, String, String)>| {
        found.into_iter().find(|(about, ..)| about == "peppers").map(|(_, verdict, _)| verdict)
    };
    assert_eq!(says(doctor(folder, &[]).1).as_deref(), Some("ok"));
    let mut pepper = fs::read_dir(&keys).unwrap().map(|entry| entry.unwrap().path());
    let pepper = pepper.find(|path| path.extension().is_some_and(|end| end == "pepper")).unwrap();
    mode(&pepper, 0o644);
    finds(folder, &[], "peppers", "chmod 0600");
    mode(&pepper, 0o600);
    let aside = folder.join("aside");
    fs::rename(&pepper, &aside).unwrap();
    finds(
        folder,
        &[],
        "peppers",
        "the number of passwords that cannot be verified without it is 1",
    );
    fs::rename(&aside, &pepper).unwrap();
    fs::write(data.join(".cloakroom.db.x.restoring"), "").unwrap();
    notes(folder, &[], "left over", ".restoring remains");
    assert!(data.join(".cloakroom.db.x.restoring").exists());
}

/// Waits until doctor prints this note about the settings, and returns all notes about them.
fn settings_noted(folder: &Path, at: &str, says: &str) -> String {
    let mut noted = String::new();
    wait_until(|| {
        let (code, found) = doctor(folder, &["--listen", at]);
        assert_eq!(code, 0, "{found:?}");
        let found =
            found.into_iter().filter(|(about, how, _)| about == "settings" && how == "note");
        noted = found.map(|(.., says)| says).collect::<Vec<_>>().join("\n");
        noted.contains(says) // a service writes events down within a second
    });
    noted
}

#[test]
fn att_17_06_a_trusted_proxy_that_sends_forwarded_only_is_named_once_in_the_log_and_by_doctor() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("cloakroom.toml"), "trusted_proxies = [\"127.0.0.1\"]").unwrap();
    let service = Service::start(folder, &[]);
    let both = [("forwarded", "for=192.0.2.7"), ("x-forwarded-for", "192.0.2.7")];
    assert_eq!(service.call("POST", "/logout", &both, "").0, 204);
    assert!(!fs::read_to_string(folder.join("log")).unwrap().contains("Forwarded"));
    for _ in 0..3 {
        assert_eq!(service.call("POST", "/logout", &both[..1], "").0, 204);
    }
    let log = fs::read_to_string(folder.join("log")).unwrap();
    let named = "the trusted proxy 127.0.0.1 sends the header `Forwarded`, which is ignored";
    assert_eq!(log.matches(named).count(), 1, "{log}");
    settings_noted(folder, &service.at, named);
    let events = said(folder, &["audit", "--event", "forwarded_ignored", "--json"]);
    assert_eq!(events.lines().count(), 1, "{events}");
    assert!(events.contains(r#""id":"127.0.0.1""#), "{events}");
}

#[test]
fn att_17_07_the_public_url_to_set_is_named_in_the_log_and_by_doctor() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let service = Service::start(folder, &[]);
    let behind_tls = [("origin", "https://id.example.org"), ("sec-fetch-site", "same-origin")];
    let elsewhere = [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")];
    for headers in [elsewhere, behind_tls, behind_tls] {
        assert_eq!(service.call("POST", "/login", &headers, "{}").0, 403);
    }
    let log = fs::read_to_string(folder.join("log")).unwrap();
    let advice = "set `public_url = \\\"https://id.example.org\\\"`";
    assert_eq!(log.matches(advice).count(), 1, "{log}");
    let noted = settings_noted(folder, &service.at, "set public_url = \"https://id.example.org\"");
    assert!(!noted.contains("evil"), "a page of another origin is no wrong setting: {noted}");
    fs::write(folder.join("cloakroom.toml"), "public_url = \"https://id.example.org\"").unwrap();
    let (_, found) = doctor(folder, &["--listen", &service.at]);
    let is_named = found.iter().any(|(.., says)| says.contains("was refused (last at"));
    assert!(!is_named, "it was mended: {found:?}");
}

#[test]
fn it_says_who_listens_where_the_service_should() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    said(folder, &["user", "add", "ann"]);
    notes(folder, &[], "service", "is not running");
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = silent.local_addr().unwrap().to_string();
    finds(folder, &["--listen", &at], "service", "does not respond");
    assert!(refused(folder, &["--listen", &at]).contains("or set another `listen` address"));
    drop(silent);
    let elsewhere = ["--listen", "192.0.2.1:80", "--public-url", "https://id.example"];
    let (code, found) = doctor(folder, &elsewhere);
    assert_eq!(code, 1, "no address of this machine: {found:?}");
}

#[test]
fn it_says_what_is_wrong_with_a_file_of_sqlite() {
    if is_postgres() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    said(folder, &["user", "add", "ann"]);
    said(folder, &["user", "add", "tiangolo"]);
    notes(folder, &[], "database", "users called tiangolo");
    let file = folder.join("cloakroom-data/cloakroom.db");
    mode(&file, 0o644);
    finds(folder, &[], "database", "chmod 0600");
    mode(&file, 0o600);
    let whole = fs::read(&file).unwrap();
    for sql in [
        "update sessions set last_seen_at = 4102444800000",
        "update accounts set created_at = 4102444800000", // the year 2100
    ] {
        change(&file, sql);
    }
    finds(folder, &[], "clock", "2100-01-01T00:00:00Z");
    fs::write(&file, &whole).unwrap();
    fs::remove_file(&file).unwrap();
    older_database(&file, 4, |sql| sql);
    notes(folder, &[], "database", "migration 4 of ");
    change(&file, "update _sqlx_migrations set version = 9999 where version = 4");
    finds(folder, &[], "database", "newer than this program");
    change(&file, "update _sqlx_migrations set version = 4, checksum = x'00' where version = 9999");
    finds(folder, &[], "database", "migration 4 in this program differs");

    fs::write(&file, &whole).unwrap();
    let mut wrong = whole.clone();
    let ann = wrong.windows(3).rposition(|window| window == b"ann").unwrap();
    wrong[ann] = b'X';
    fs::write(&file, &wrong).unwrap();
    finds(folder, &["--config", "empty.toml"], "settings", "empty.toml");
    let full = run(folder, &["--listen", "127.0.0.1:9", "doctor", "--full"], "");
    assert!(text(&full.stdout).contains("WRONG  database"), "{}", text(&full.stdout));
    fs::write(&file, "nonsense".repeat(1000)).unwrap();
    finds(folder, &[], "database", "damaged");
    for gone in [
        |file: &Path| fs::write(file, "").unwrap(),
        |file: &Path| {
            fs::remove_file(file).unwrap();
        },
    ] {
        gone(&file);
        finds(folder, &[], "database", "the database at");
    }
}

#[test]
fn it_looks_at_a_postgresql_and_at_one_that_is_gone() {
    let gone = tempfile::tempdir().unwrap();
    let nowhere = ["--database-url", "postgres://nobody@127.0.0.1:9/nothing"];
    finds(gone.path(), &nowhere, "database", "cannot open the database: 127.0.0.1:9: ");
    let folder = tempfile::tempdir().unwrap();
    let Some(_) = schema_of(folder.path()) else { return };
    finds(folder.path(), &[], "database", "the database has no tables");
    said(folder.path(), &["user", "add", "ann"]);
    let (code, found) = doctor(folder.path(), &[]);
    assert_eq!(code, 0, "{found:?}");
    assert!(
        found.iter().any(|(_, _, says)| says.contains("so does the clock of the database server"))
    );
}

#[test]
fn in_another_folder_it_says_where_it_looked_and_not_that_another_service_is_fine() {
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    said(folder.path(), &["user", "add", "ann"]);
    let service = Service::start(folder.path(), &[]);
    let at = ["--listen", service.at.as_str()];
    finds(elsewhere.path(), &at, "service", "is another one");
    if !is_postgres() {
        let here = elsewhere.path().display().to_string();
        finds(elsewhere.path(), &at, "database", &format!("neither cloakroom.toml in {here}"));
        finds(elsewhere.path(), &at, "database", "--config, --data-dir or --database-url");
    }
    let (code, found) = doctor(folder.path(), &at);
    assert_eq!(code, 0, "{found:?}");
    said(elsewhere.path(), &["user", "add", "bob"]);
    finds(elsewhere.path(), &at, "service", "it does not have the keys in cloakroom-data/keys");
}

/// An address with a free port.
fn free() -> String {
    free_address().to_string()
}

/// The user that owns no files, for testing permissions, which do not restrict root.
const NOBODY: u32 = 65534;

#[test]
fn a_database_that_cannot_be_written_is_told_by_the_start_and_the_doctor() {
    if is_postgres() {
        return; // permissions of PostgreSQL are tested in tests/nodes
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    said(folder, &["user", "add", "ann"]);
    let url = "sqlite://cloakroom-data/cloakroom.db?mode=ro";
    let why = refused(folder, &["--listen", &free(), "--database-url", url, "serve"]);
    assert!(why.contains("testing a write to the database"), "{why}");

    let program = folder.join("cloakroom");
    copy_program(&program);
    let is_root = rustix::process::geteuid().is_root();
    if is_root {
        for path in ["", "cloakroom-data", "cloakroom-data/keys"].map(|path| folder.join(path)) {
            let inside = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path());
            for path in inside.chain([path.clone()]) {
                std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
            }
        }
    }
    let fails = |arguments: &[&str], says: &str| {
        let mut command = Command::new(&program);
        command.current_dir(folder).env_clear().args(["--listen", &free()]).args(arguments);
        if is_root {
            command.uid(NOBODY).gid(NOBODY);
        }
        let done = command.output().unwrap();
        let all = text(&done.stdout) + &text(&done.stderr);
        assert_eq!(done.status.code(), Some(1), "{all}");
        assert!(all.contains(says), "{says}: {all}");
    };
    let database = folder.join("cloakroom-data/cloakroom.db");
    mode(&database, 0o400);
    fails(&["doctor"], "cloakroom.db cannot be written, so users cannot sign in");
    fails(&["serve"], "testing a write to the database");
    mode(&database, 0o600);
    mode(&folder.join("cloakroom-data"), 0o500);
    fails(&["doctor"], "cloakroom-data cannot be written, so users cannot sign in");
    mode(&folder.join("cloakroom-data"), 0o700);
}
