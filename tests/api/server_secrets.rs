//! The server secret, from which keys for each purpose are derived.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use cloakroom::core::clock::days;
use cloakroom::core::usernames::Username;
use cloakroom::domain::jobs::cleanup;
use cloakroom::domain::keys::server_secret;
use cloakroom::domain::keys::server_secret::ServerSecrets;
use cloakroom::domain::throttle::limits::Limits;
use poem::http::Method;
use serde_json::json;

use crate::app::{Answer, PASSWORD, START, TestApp, request};
use crate::settings::start_again;

const HELD: &str = "select count(*) from held_usernames";

/// The files of the server secrets, by name.
fn files(app: &TestApp) -> Vec<PathBuf> {
    let entries = fs::read_dir(app.data("keys")).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        entries.filter(|path| path.to_str().unwrap().contains("server-secret-")).collect();
    files.sort();
    files
}

/// Creates a server secret like the command, later than the previous ones.
fn add(app: &TestApp, nth: u64) -> (String, PathBuf) {
    let now = START.plus(Duration::from_millis(nth));
    ServerSecrets::create(&app.data("keys"), now).unwrap()
}

async fn is_current(app: &TestApp, id: &str) -> bool {
    app.eventually(async || app.domain.server_secrets.current_id() == id).await
}

async fn close(app: &TestApp, username: &str) {
    let client = app.signed_in(username).await;
    let answer = client.send(request(Method::DELETE, "/me").finish()).await;
    assert_eq!(answer.status, 204, "{}", answer.text);
}

async fn register(app: &TestApp, username: &str) -> Answer {
    let body = json!({ "username": username, "password": PASSWORD });
    app.anonymous().post("/register", &body).await
}

#[tokio::test]
async fn the_first_start_makes_one_server_secret_and_an_older_installation_gets_one() {
    let mut app = TestApp::new().await;
    let first = files(&app);
    assert_eq!(first.len(), 1);
    assert_eq!(fs::metadata(&first[0]).unwrap().permissions().mode() & 0o777, 0o600);
    app.restarted().await;
    assert_eq!(files(&app), first, "the next start uses it");
    app.signed_in("ann").await;
    fs::remove_file(&first[0]).unwrap();
    app.restarted().await; // like an upgrade: accounts exist, and no row needs a secret
    assert_eq!(files(&app).len(), 1);
    app.signed_in_again("ann").await;
    let second_node = app.second_node().await;
    let id = app.domain.server_secrets.current_id();
    assert_eq!(second_node.domain.server_secrets.current_id(), id, "the nodes share it");
}

#[tokio::test]
async fn att_17_11_a_reader_of_the_database_cannot_guess_what_was_typed() {
    // The first half of SHA-256("name ann"), as it was stored previously.
    let unsalted = |app: &TestApp| {
        if app.is_on_postgres() {
            "select count(*) from login_attempts where key = '\\x51c5be4623ac578793d64dc90d3eb424'::bytea"
        } else {
            "select count(*) from login_attempts where key = x'51c5be4623ac578793d64dc90d3eb424'"
        }
    };
    let key = |app: &TestApp| {
        if app.is_on_postgres() {
            "select encode(key, 'hex') from login_attempts"
        } else {
            "select lower(hex(key)) from login_attempts"
        }
    };
    let mut keys = Vec::new();
    for _ in 0..2 {
        let app = TestApp::limited(Limits::production()).await;
        assert_eq!(app.anonymous().log_in("ann", "wrong").await.status, 403);
        assert_eq!(app.count("select count(*) from login_attempts").await, 1);
        assert_eq!(app.count(unsalted(&app)).await, 0);
        keys.push(app.text(key(&app)).await);
    }
    assert_ne!(keys[0], keys[1], "another service has other keys for the same name");
    assert!(keys.iter().all(|key| key.len() == 32), "{keys:?}");
}

#[tokio::test]
async fn a_new_server_secret_is_used_at_once_and_counters_begin_again() {
    let app = TestApp::limited(Limits::production()).await;
    for _ in 0..5 {
        assert_eq!(app.anonymous().log_in("ann", "wrong").await.status, 403);
    }
    assert_eq!(app.anonymous().log_in("ann", "wrong").await.status, 429);
    let (id, _) = add(&app, 1);
    assert!(is_current(&app, &id).await);
    assert_eq!(app.anonymous().log_in("ann", "wrong").await.status, 403);
    assert_eq!(app.count("select count(*) from login_attempts").await, 2);
    app.wait(days(2));
    cleanup::remove_ended(&app.domain).await.unwrap();
    assert_eq!(app.count("select count(*) from login_attempts").await, 0, "the old rows go, too");
}

#[tokio::test]
async fn names_that_were_held_under_an_older_secret_are_still_recognized() {
    let mut app = TestApp::new().await;
    close(&app, "ann").await;
    let (id, _) = add(&app, 1);
    assert!(is_current(&app, &id).await);
    close(&app, "bob").await;
    app.restarted().await;
    for username in ["ann", "bob"] {
        let refusal = register(&app, username).await.refusal();
        assert_eq!(refusal, (409, "username_taken".into()), "{username}");
    }
    let known = server_secret::list(&app.data("keys"), &app.domain.store, START).await;
    let shown: Vec<_> = known.unwrap().iter().map(|s| (s.is_current, s.held_usernames)).collect();
    assert_eq!(shown, [(false, 1), (true, 1)]);
    let ann = Username::parse("ann").unwrap();
    assert!(app.domain.release_username(&ann).await.unwrap());
    app.signed_in("ann").await;
}

#[tokio::test]
async fn without_a_server_secret_that_held_names_need_the_service_refuses_to_start() {
    let app = TestApp::new().await;
    close(&app, "ann").await;
    let id = app.domain.server_secrets.current_id();
    let path = files(&app).remove(0);
    let aside = app.data("aside");
    fs::rename(&path, &aside).unwrap();
    let error = start_again(&app).await.unwrap_err();
    for says in [
        &*format!("server secret {id} is missing"),
        "held user names that cannot be recognized without it is 1",
        "backup",
        "forget",
    ] {
        assert!(error.contains(says), "{says}: {error}");
    }
    assert_eq!(files(&app), [] as [PathBuf; 0], "none is made in its place");
    let (other, _) = add(&app, 1);
    assert!(start_again(&app).await.unwrap_err().contains(&id), "another one is no help");
    let (folder, store) = (app.data("keys"), &app.domain.store);
    let known = server_secret::list(&folder, store, START).await.unwrap();
    assert_eq!(known.last().map(|s| (&s.id, &s.path, s.held_usernames)), Some((&id, &None, 1)));

    let forget = async |id: &str| {
        server_secret::forget(&folder, id, store).await.map_err(|error| error.to_string())
    };
    assert!(forget(&other).await.unwrap_err().contains("is not lost"));
    assert!(
        forget("deadbeef").await.unwrap_err().contains("no held user name needs a server secret")
    );
    fs::rename(&aside, &path).unwrap();
    assert_eq!(start_again(&app).await, Ok(()));
    fs::remove_file(&path).unwrap();
    assert_eq!(forget(&id).await, Ok(1));
    assert_eq!(start_again(&app).await, Ok(()));
    assert_eq!(app.count(HELD).await, 0);
    app.signed_in("ann").await;
}

#[tokio::test]
async fn a_lost_secret_holds_the_start_up_no_longer_than_the_names_are_held() {
    let mut app = TestApp::new().await;
    close(&app, "ann").await;
    fs::remove_file(files(&app).remove(0)).unwrap();
    assert!(start_again(&app).await.is_err());
    app.wait(days(365));
    app.restarted().await;
    app.signed_in("ann").await;
}

#[tokio::test]
async fn a_running_service_keeps_a_secret_that_held_names_need_and_uses_new_ones() {
    let app = TestApp::new().await;
    close(&app, "ann").await;
    let first = files(&app).remove(0);
    let (second, second_path) = add(&app, 1);
    assert!(is_current(&app, &second).await);
    fs::remove_file(&first).unwrap();
    // An invalid file is refused alone.
    let bad = app.data("keys").join("server-secret-0-bad.key");
    fs::write(&bad, "changeme").unwrap();
    fs::set_permissions(&bad, fs::Permissions::from_mode(0o600)).unwrap();
    let (third, _) = add(&app, 2);
    assert!(is_current(&app, &third).await);
    assert_eq!(register(&app, "ann").await.status, 409, "the removed one is kept in memory");
    fs::remove_file(second_path).unwrap();
    assert!(app.eventually(async || !app.domain.server_secrets.has(&second)).await, "not needed");
    assert!(start_again(&app).await.unwrap_err().contains(&*bad.to_string_lossy()));
}
