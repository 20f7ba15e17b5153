//! Tests of `cloakroom backup` and `cloakroom restore` while a service is running and in use.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, SqliteConnection};

use crate::support::program::{
    PASSWORD, Service, back_up, cloakroom, is_postgres, object, older_database, refused,
    refused_unprepared, run, said, text, unprepared, wait_until,
};

/// The same public URL for each service, so that tokens of one are valid at the other.
const HERE: [&str; 2] = ["--public-url", "http://127.0.0.1:9"];

fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// Runs a query on the SQLite file of a backup.
fn ask(database: &Path, sql: &'static str) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let options = SqliteConnectOptions::new().filename(database).read_only(true);
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        let found = sqlx::query_scalar(sql).fetch_all(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        found
    })
}

/// Changes an SQLite file without the program.
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
fn what_was_backed_up_beside_a_running_service_is_restored_elsewhere() {
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for name in ["ann", "bob"] {
        said(folder.path(), &["user", "add", name]);
    }
    said(folder.path(), &["user", "disable", "bob"]);
    let service = Service::start(folder.path(), &HERE);
    let cookie = service.log_in("ann", PASSWORD).2.unwrap();

    let done = said(folder.path(), &["backup", "all backups"]);
    let [name] = names_in(&folder.path().join("all backups")).try_into().unwrap();
    let backup = folder.path().join("all backups").join(&name);
    assert!(done.starts_with(&format!("backed up to all backups/{name}\n")), "{done}");
    assert!(done.contains("accounts: 2, sessions: 1"), "{done}");
    assert_eq!(names_in(&backup), ["cloakroom.db", "keys", "manifest.json"]);
    for folder in [&backup, &backup.join("keys")] {
        assert_eq!(mode(folder), 0o700, "{}", folder.display());
        for name in names_in(folder) {
            let path = folder.join(name);
            assert!(path.is_dir() || mode(&path) == 0o600, "{}", path.display());
        }
    }
    assert!(names_in(folder.path()).iter().all(|name| !name.ends_with(".partial")));

    fs::set_permissions(backup.join("cloakroom.db"), fs::Permissions::from_mode(0o644)).unwrap();
    let from = backup.to_str().unwrap();
    let done = said(elsewhere.path(), &["restore", from, "--keep-sessions"]);
    assert!(done.contains("accounts    2\n"), "{done}");
    let data = elsewhere.path().join("cloakroom-data");
    assert_eq!(mode(&data), 0o700);
    for name in names_in(&data.join("keys")) {
        assert_eq!(mode(&data.join("keys").join(&name)), 0o600, "{name}");
    }
    if !is_postgres() {
        assert_eq!(mode(&data.join("cloakroom.db")), 0o600);
        assert_eq!(names_in(&data), ["cloakroom.db", "keys"]);
    }
    drop(service);
    let service = Service::start(elsewhere.path(), &HERE);
    assert_eq!(service.private(&cookie), 200, "whoever was signed in still is");
    assert_eq!(service.log_in("ann", PASSWORD).0, 200);
    assert_eq!(service.log_in("bob", PASSWORD).0, 403);
}

#[test]
fn sta_12_a_restore_revives_no_session_and_no_invite() {
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    said(folder.path(), &["user", "add", "ann"]);
    let by_invite = [("CLOAKROOM_REGISTRATION", "invite")];
    let mut serve = cloakroom(folder.path(), &["invite", "--json"]);
    let invite: serde_json::Value =
        serde_json::from_slice(&serve.envs(by_invite).output().unwrap().stdout).unwrap();
    fs::write(folder.path().join("cloakroom.toml"), "registration = \"invite\"\n").unwrap();
    fs::copy(folder.path().join("cloakroom.toml"), elsewhere.path().join("cloakroom.toml"))
        .unwrap();
    let service = Service::start(folder.path(), &HERE);
    let cookie = service.log_in("ann", PASSWORD).2.unwrap();
    let backup = object(folder.path(), &["backup", "--json"]);
    let backup = folder.path().join(backup["path"].as_str().unwrap());
    service.log_out(&cookie);
    let code = invite["code"].as_str().unwrap();
    let register = |service: &Service, name: &str| {
        service.send("/register", &[("username", name), ("password", PASSWORD), ("invite", code)]).0
    };
    assert_eq!(register(&service, "bob"), 201, "and the invite is used up");
    drop(service);

    let done = object(elsewhere.path(), &["restore", backup.to_str().unwrap(), "--json"]);
    assert_eq!((&done["sessions_ended"], &done["invites_taken_back"]), (&1.into(), &1.into()));
    let service = Service::start(elsewhere.path(), &HERE);
    assert_eq!(service.private(&cookie), 403, "it had been ended after the backup");
    assert_eq!(register(&service, "eve"), 403, "it had been used after the backup");
    assert_eq!(service.log_in("ann", PASSWORD).0, 200);
    drop(service);

    let third = tempfile::tempdir().unwrap();
    fs::copy(folder.path().join("cloakroom.toml"), third.path().join("cloakroom.toml")).unwrap();
    let keep = ["restore", backup.to_str().unwrap(), "--keep-sessions", "--keep-invites"];
    said(third.path(), &keep);
    let service = Service::start(third.path(), &HERE);
    assert_eq!(service.private(&cookie), 200, "as it was asked");
    assert_eq!(register(&service, "eve"), 201);
}

/// Run it longer with `BACKUPS=100 cargo test --test cli r_12`; `BACKUPS` is the number of backups.
#[test]
fn r_12_a_backup_under_load_holds_everything_that_was_answered_before() {
    let folder = tempfile::tempdir().unwrap();
    let backups = std::env::var("BACKUPS").map_or(5, |text| text.parse().unwrap());
    said(folder.path(), &["user", "add", "ann"]);
    let service = Service::start(folder.path(), &HERE);
    let is_over = AtomicBool::new(false);
    let (registered, ended) = (Mutex::new(Vec::<String>::new()), Mutex::new(Vec::<String>::new()));
    std::thread::scope(|scope| {
        for thread in 0..2 {
            let (service, is_over, registered, ended) = (&service, &is_over, &registered, &ended);
            scope.spawn(move || {
                for n in 0.. {
                    if is_over.load(Ordering::SeqCst) {
                        return;
                    }
                    let name = format!("user-{thread}-{n}");
                    let fields = [("username", &name[..]), ("password", PASSWORD)];
                    let (status, body, cookie) = service.send("/register", &fields);
                    if status == 503 {
                        continue; // a busy machine may take longer than a request waits
                    }
                    assert_eq!(status, 201, "{body}");
                    let cookie = cookie.unwrap();
                    let id = service.call("GET", "/session", &[("cookie", &cookie)], "").1;
                    let id: serde_json::Value = serde_json::from_str(&id).unwrap();
                    registered.lock().unwrap().push(name);
                    service.log_out(&cookie);
                    ended.lock().unwrap().push(id["id"].as_str().unwrap().to_owned());
                }
            });
        }
        wait_until(|| !registered.lock().unwrap().is_empty());
        let mut slowest = Duration::ZERO;
        for n in 0..backups {
            let before = (registered.lock().unwrap().clone(), ended.lock().unwrap().clone());
            let start = Instant::now();
            let done = run(folder.path(), &["backup", "--json", "backups"], "");
            slowest = slowest.max(start.elapsed());
            if !done.status.success() {
                is_over.store(true, Ordering::SeqCst);
            }
            assert!(done.status.success(), "{}", text(&done.stderr));
            let made: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
            let database = folder.path().join(made["path"].as_str().unwrap()).join("cloakroom.db");
            assert_eq!(ask(&database, "pragma integrity_check"), ["ok"]);
            let names = ask(&database, "select username from accounts");
            let lost = before.0.iter().filter(|name| !names.contains(name)).count();
            assert_eq!(lost, 0, "of {} accounts in backup {n}", before.0.len());
            let live = ask(&database, "select id from sessions where ended_at is null");
            let revived = before.1.iter().filter(|id| live.contains(id)).count();
            assert_eq!(revived, 0, "of {} ended sessions in backup {n}", before.1.len());
        }
        is_over.store(true, Ordering::SeqCst);
        let accounts = registered.lock().unwrap().len();
        println!("R-12: {backups} backups beside {accounts} registrations, slowest {slowest:?}");
        assert!(accounts > 0);
    });
}

#[test]
fn a_backup_replaces_nothing_and_is_whole_or_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let nothing = refused_unprepared(folder.path(), &["backup", "--without-keys", "b"]);
    if !is_postgres() {
        assert!(
            nothing.contains("there is no database at cloakroom-data/cloakroom.db"),
            "{nothing}"
        );
    }
    assert_eq!(names_in(folder.path()), Vec::<String>::new(), "nothing is made");
    said(folder.path(), &["user", "add", "ann"]);
    back_up(folder.path(), "b", &[]);
    let manifest = fs::read(folder.path().join("b/manifest.json")).unwrap();
    assert!(refused(folder.path(), &["backup", "b"]).contains("b is a backup; name the folder"));
    assert_eq!(fs::read(folder.path().join("b/manifest.json")).unwrap(), manifest);
    fs::write(folder.path().join("file"), "").unwrap();
    assert!(refused(folder.path(), &["backup", "file"]).contains("file is a file"));
    assert!(refused(folder.path(), &["backup", "file/below"]).contains("cannot create file/below"));
    for _ in 0..3 {
        said(folder.path(), &["backup", "a/new/shelf"]);
    }
    assert_eq!(mode(&folder.path().join("a/new/shelf")), 0o700);
    let shelf = names_in(&folder.path().join("a/new/shelf"));
    assert_eq!(shelf.len(), 3, "each run makes one: {shelf:?}");
    assert!(shelf.iter().all(|name| name.starts_with("cloakroom-20")), "{shelf:?}");

    let with = folder.path().join("b/keys").exists();
    back_up(folder.path(), "c", &["--without-keys"]);
    assert!(with && !folder.path().join("c/keys").exists());
    let keys = folder.path().join("cloakroom-data/keys");
    fs::rename(&keys, folder.path().join("lost")).unwrap();
    fs::create_dir(&keys).unwrap();
    assert!(refused(folder.path(), &["backup", "d"]).contains("there are no signing keys"));
    assert_eq!(names_in(&folder.path().join("d")), Vec::<String>::new());

    fs::remove_dir(&keys).unwrap();
    fs::rename(folder.path().join("lost"), &keys).unwrap();
    for signal in ["KILL", "TERM"] {
        let place = folder.path().join(signal);
        let mut child = cloakroom(folder.path(), &["backup", signal]).spawn().unwrap();
        wait_until(|| {
            child.try_wait().unwrap().is_some() || (place.exists() && !names_in(&place).is_empty())
        });
        let pid = child.id().to_string();
        std::process::Command::new("kill").args(["-s", signal, &pid]).status().unwrap();
        let was_done = child.wait().unwrap().success();
        let (whole, partial): (Vec<_>, Vec<_>) =
            names_in(&place).into_iter().partition(|name| name.starts_with("cloakroom-20"));
        assert_eq!(whole.len(), usize::from(was_done), "half of one has no name");
        assert!(whole.iter().all(|name| place.join(name).join("manifest.json").exists()));
        if signal == "TERM" {
            assert_eq!(partial, Vec::<String>::new(), "who is asked to stop clears away");
        }
    }
}

#[test]
fn a_database_that_is_damaged_makes_no_backup() {
    if is_postgres() {
        return; // the test damages the pages of an SQLite file
    }
    let folder = tempfile::tempdir().unwrap();
    for n in 0..20 {
        let csv = format!("username,password_hash\nuser{n},!\n");
        fs::write(folder.path().join("people.csv"), csv).unwrap();
        said(folder.path(), &["user", "import", "people.csv"]);
    }
    let database = folder.path().join("cloakroom-data/cloakroom.db");
    let mut bytes = fs::read(&database).unwrap();
    let last = bytes.windows(6).rposition(|window| window == b"user19").unwrap();
    bytes[last] = b'X'; // the index on usernames holds another name
    fs::write(&database, bytes).unwrap();
    let said = refused(folder.path(), &["backup", "b"]);
    assert!(
        said.contains("the copy is damaged") || said.contains("copying the database"),
        "{said}"
    );
    assert_eq!(names_in(&folder.path().join("b")), Vec::<String>::new());
}

/// A folder with a service's data and a backup of one user, and an empty folder to restore into.
fn backed_up() -> (tempfile::TempDir, PathBuf, tempfile::TempDir) {
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    said(folder.path(), &["user", "add", "ann"]);
    let backup = back_up(folder.path(), "b", &[]);
    (folder, backup, elsewhere)
}

#[test]
fn a_backup_with_one_wrong_byte_is_refused_before_anything_is_touched() {
    let (_folder, backup, elsewhere) = backed_up();
    let from = backup.to_str().unwrap();
    let key = names_in(&backup.join("keys")).pop().unwrap();
    for name in ["cloakroom.db", &format!("keys/{key}")] {
        let path = backup.join(name);
        let whole = fs::read(&path).unwrap();
        let mut wrong = whole.clone();
        wrong[whole.len() / 2] ^= 1;
        for damaged in [&wrong[..], &whole[..whole.len() - 1]] {
            fs::write(&path, damaged).unwrap();
            let said = refused(elsewhere.path(), &["restore", from]);
            assert!(said.contains("the backup is damaged") && said.contains(name), "{said}");
        }
        fs::remove_file(&path).unwrap();
        assert!(refused(elsewhere.path(), &["restore", from]).contains("the backup is damaged"));
        fs::write(&path, whole).unwrap();
    }
    let manifest = backup.join("manifest.json");
    let whole = fs::read_to_string(&manifest).unwrap();
    let newest = format!("\"schema\": {}", schema_in(&whole));
    for (is, was, about) in [
        ("\"format\": 2", "\"format\": 1", "was created by a newer version of cloakroom"),
        ("\"schema\": 9999", &newest[..], "the schema of the backup is newer than this program"),
        ("\"accounts\": 7", "\"accounts\": 1", "does not match the manifest"),
        ("\"../b/cloakroom.db\"", "\"cloakroom.db\"", "outside of the backup"),
        ("", "{", "is not a backup"),
    ] {
        assert!(whole.contains(was), "{was}: {whole}");
        fs::write(&manifest, whole.replace(was, is)).unwrap();
        let said = refused(elsewhere.path(), &["restore", from]);
        assert!(said.contains(about), "{said}");
    }
    fs::remove_file(&manifest).unwrap();
    assert!(refused(elsewhere.path(), &["restore", from]).contains("is not a backup"));
    assert_eq!(names_in(elsewhere.path()), Vec::<String>::new());
    fs::write(&manifest, whole).unwrap();
    said(elsewhere.path(), &["restore", from]);
}

fn schema_in(manifest: &str) -> i64 {
    serde_json::from_str::<serde_json::Value>(manifest).unwrap()["schema"].as_i64().unwrap()
}

#[test]
fn a_restore_touches_nothing_that_is_there() {
    let (folder, backup, elsewhere) = backed_up();
    let from = backup.to_str().unwrap();
    let said_no = refused(folder.path(), &["restore", from]);
    let about = if is_postgres() { "is not empty" } else { "already exists" };
    assert!(said_no.contains(about), "{said_no}");
    assert!(said(folder.path(), &["user", "list"]).contains("\nann "));

    // SQLite would apply the log of a deleted database to the restored one
    let data = elsewhere.path().join("cloakroom-data");
    if !is_postgres() {
        fs::create_dir(&data).unwrap();
        fs::write(data.join("cloakroom.db-wal"), "").unwrap();
        assert!(
            refused(elsewhere.path(), &["restore", from])
                .contains("cloakroom.db-wal already exists")
        );
        fs::remove_dir_all(&data).unwrap();
    }

    said(elsewhere.path(), &["--data-dir", "cloakroom-data", "key", "rotate"]);
    let other = names_in(&data.join("keys"));
    assert!(refused(elsewhere.path(), &["restore", from]).contains("there are other keys in"));
    assert_eq!(names_in(&data.join("keys")), other);
    let restored = said(elsewhere.path(), &["restore", from, "--without-keys"]);
    for line in [
        "  sessions    none; the backup contains none",
        "  invites     none; the backup contains none",
    ] {
        assert!(restored.contains(line), "{restored}");
    }
    assert_eq!(names_in(&data.join("keys")), other);
    assert_eq!(Service::start(elsewhere.path(), &HERE).log_in("ann", PASSWORD).0, 200);
}

#[test]
fn keys_that_are_there_still_or_were_made_since_go_on() {
    let (_folder, backup, elsewhere) = backed_up();
    let keys = elsewhere.path().join("cloakroom-data/keys");
    fs::create_dir_all(&keys).unwrap();
    fs::set_permissions(elsewhere.path().join("cloakroom-data"), fs::Permissions::from_mode(0o700))
        .unwrap();
    let [secret, key] = names_in(&backup.join("keys")).try_into().unwrap();
    fs::copy(backup.join("keys").join(&key), keys.join(&key)).unwrap();
    let rotated = unprepared(elsewhere.path(), &["key", "rotate"]).output().unwrap();
    assert!(rotated.status.success(), "{}", text(&rotated.stderr));
    let mut expected = names_in(&keys);
    said(elsewhere.path(), &["restore", backup.to_str().unwrap()]);
    expected.push(secret); // there was none before
    expected.sort();
    assert_eq!(names_in(&keys), expected);
}

#[test]
fn held_names_and_the_server_secret_go_with_a_backup_and_a_restore_says_if_it_is_missing() {
    let (folder, backup, elsewhere) = backed_up();
    let (folder, elsewhere) = (folder.path(), elsewhere.path());
    said(folder, &["user", "add", "bob"]);
    said(folder, &["user", "delete", "bob", "--yes"]);
    let id = object(folder, &["server-secret", "list", "--json"])["id"].clone();
    let id = id.as_str().unwrap();
    let with = back_up(folder, "with", &[]);
    let without = back_up(folder, "without", &["--without-keys"]);
    let names = names_in(&with.join("keys"));
    assert_eq!(names, names_in(&backup.join("keys")), "the signing key and the server secret");

    let done = run(elsewhere, &["restore", without.to_str().unwrap()], "");
    assert!(done.status.success(), "{}", text(&done.stderr));
    let warned = text(&done.stderr);
    assert!(warned.contains(&format!("the server secret {id} is missing from")), "{warned}");
    said(elsewhere, &["--data-dir", "cloakroom-data", "key", "rotate"]);
    let why = refused(elsewhere, &["user", "list"]);
    assert!(why.contains(&format!("forget {id}")), "{why}");
    let secret = names.iter().find(|name| name.starts_with("server-secret-")).unwrap();
    let keys = elsewhere.join("cloakroom-data/keys");
    fs::copy(with.join("keys").join(secret), keys.join(secret)).unwrap();
    let released = said(elsewhere, &["user", "release", "bob"]);
    assert!(released.contains("bob is released"), "{released}");
}

#[test]
fn a_backup_without_keys_says_what_is_missing() {
    let (folder, _, elsewhere) = backed_up();
    let backup = back_up(folder.path(), "k", &["--without-keys"]);
    let done = run(elsewhere.path(), &["restore", backup.to_str().unwrap()], "");
    assert!(done.status.success(), "{}", text(&done.stderr));
    assert!(text(&done.stderr).contains("copy the keys from the time of the backup"));
    assert!(
        refused(elsewhere.path(), &["user", "list"]).contains("are missing from"),
        "none is made silently"
    );
    let unnamed = refused(elsewhere.path(), &["key", "rotate"]);
    assert!(unnamed.contains("cloakroom --data-dir cloakroom-data key rotate"), "{unnamed}");
    said(elsewhere.path(), &["--data-dir", "cloakroom-data", "key", "rotate"]);
    assert_eq!(Service::start(elsewhere.path(), &HERE).log_in("ann", PASSWORD).0, 200);
}

#[test]
fn key_08_peppers_go_with_the_keys_and_a_restore_says_which_one_is_missing() {
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (folder, elsewhere) = (folder.path(), elsewhere.path());
    let id = said(folder, &["pepper", "add"])[..8].to_owned();
    said(folder, &["user", "add", "ann"]);
    back_up(folder, "b", &[]);
    let is_pepper = |name: &String| name.ends_with(".pepper");
    let pepper = names_in(&folder.join("b/keys")).into_iter().find(is_pepper).unwrap();
    said(elsewhere, &["restore", folder.join("b").to_str().unwrap()]);
    assert_eq!(Service::start(elsewhere, &HERE).log_in("ann", PASSWORD).0, 200);

    let there = refused(elsewhere, &["pepper", "forget", "--yes", &id]);
    assert!(there.contains(&format!("the pepper {id} is not lost")), "{there}");
    fs::remove_file(elsewhere.join("cloakroom-data/keys").join(&pepper)).unwrap();
    assert_eq!(
        said(elsewhere, &["pepper", "forget", "--yes", &id]),
        "ann\n",
        "whose password is taken"
    );
    assert_eq!(Service::start(elsewhere, &HERE).log_in("ann", PASSWORD).0, 403);

    let third = tempfile::tempdir().unwrap();
    let third = third.path();
    back_up(folder, "k", &["--without-keys"]);
    let done = run(third, &["restore", folder.join("k").to_str().unwrap()], "");
    assert!(done.status.success(), "{}", text(&done.stderr));
    assert!(
        text(&done.stderr)
            .contains(&format!("the pepper {id} is missing from cloakroom-data/keys"))
    );
    said(third, &["--data-dir", "cloakroom-data", "key", "rotate"]);
    let why = refused(third, &["serve"]);
    assert!(why.contains(&format!("the pepper {id} is missing from cloakroom-data/keys")), "{why}");
    fs::copy(folder.join("b/keys").join(&pepper), third.join("cloakroom-data/keys/own.pepper"))
        .unwrap();
    assert_eq!(Service::start(third, &HERE).log_in("ann", PASSWORD).0, 200, "whatever its name is");
}

#[test]
fn an_older_database_is_backed_up_as_it_is_and_migrated_when_it_is_restored() {
    if is_postgres() {
        return; // PostgreSQL is copied table by table, with a message that says so
    }
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    said(folder.path(), &["--data-dir", "cloakroom-data", "key", "rotate"]);
    let database = folder.path().join("cloakroom-data/cloakroom.db");
    older_database(&database, 3, |sql| sql);
    change(
        &database,
        "insert into accounts (id, username, password_hash, created_at) values ('1', 'ann', '!', 0)",
    );
    let bytes = fs::read(&database).unwrap();
    let backup = back_up(folder.path(), "b", &[]);
    assert_eq!(schema_in(&fs::read_to_string(backup.join("manifest.json")).unwrap()), 3);
    assert_eq!(fs::read(&database).unwrap(), bytes, "the next start migrates, and no backup");
    said(elsewhere.path(), &["restore", backup.to_str().unwrap()]);
    assert!(said(elsewhere.path(), &["user", "list"]).contains("\nann "));
}

#[test]
fn a_restore_that_was_killed_leaves_nothing_half_and_can_be_run_again() {
    let (folder, _, _) = backed_up();
    said(folder.path(), &["key", "rotate"]);
    let backup = back_up(folder.path(), "two-keys", &[]);
    let from = backup.to_str().unwrap();
    let start = Instant::now();
    said(tempfile::tempdir().unwrap().path(), &["restore", from]);
    let whole = start.elapsed();
    let rounds = 12;
    for n in 0..rounds {
        let elsewhere = tempfile::tempdir().unwrap();
        let mut child = cloakroom(elsewhere.path(), &["restore", from]).spawn().unwrap();
        std::thread::sleep(whole * n / rounds);
        child.kill().unwrap();
        let was_done = child.wait().unwrap().success();
        let data = elsewhere.path().join("cloakroom-data");
        if !is_postgres() && data.join("cloakroom.db").exists() {
            let keys = names_in(&data.join("keys"));
            let keys = keys.iter().filter(|name| name.starts_with("session-")).count();
            assert_eq!(keys, 2, "the database comes last");
        } else if !was_done {
            let again = run(elsewhere.path(), &["restore", from], "");
            let said = text(&again.stderr);
            assert!(again.status.success() || said.contains("is not empty"), "{said}");
        }
        assert!(said(elsewhere.path(), &["user", "list"]).contains("\nann "));
    }
}

#[test]
fn a_restore_empties_the_proofs_and_a_move_takes_them_along() {
    if is_postgres() {
        return; // writes to the SQLite file
    }
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    said(folder.path(), &["user", "add", "ann"]);
    let source = folder.path().join("cloakroom-data/cloakroom.db");
    change(
        &source,
        "update accounts set email = 'Ann@example.org', email_key = 'ann@example.org',
                             unconfirmed_email = 'ann@example.com'",
    );
    change(
        &source,
        "insert into proofs
             (digest, account_id, purpose, mailbox, password_version, created_at, expires_at)
         select x'00ff', id, 'reset', email_key, password_version, 5, 9000000000000 from accounts",
    );
    let addresses = "select email || ' ' || email_key || ' ' || unconfirmed_email from accounts";
    let proofs = "select hex(digest) || ' ' || purpose || ' ' || mailbox || ' ' || created_at
                  from proofs";

    let moved = folder.path().join("moved.db");
    let at = |file: &Path| format!("sqlite://{}", file.display());
    said(folder.path(), &["move", "--from", &at(&source), "--to", &at(&moved)]);
    assert_eq!(ask(&moved, addresses), ["Ann@example.org ann@example.org ann@example.com"]);
    assert_eq!(ask(&moved, proofs), ["00FF reset ann@example.org 5"]);

    let backup = back_up(folder.path(), "backup", &[]);
    said(elsewhere.path(), &["restore", backup.to_str().unwrap()]);
    let restored = elsewhere.path().join("cloakroom-data/cloakroom.db");
    assert_eq!(ask(&restored, addresses), ["Ann@example.org ann@example.org ann@example.com"]);
    assert_eq!(ask(&restored, proofs), [""; 0], "a code of that time may have been used since");
}
