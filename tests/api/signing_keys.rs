//! Signing keys that are removed, added and changed while the service runs.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cloakroom::domain::keys::tokens::KeyRing;
use serde_json::json;

use crate::app::{PASSWORD, START, TestApp};

/// The files of the signing keys, by name.
fn files(app: &TestApp) -> Vec<PathBuf> {
    let paths = fs::read_dir(app.data("keys")).unwrap().map(|entry| entry.unwrap().path());
    let is_key = |path: &PathBuf| path.extension().is_some_and(|end| end == "pem");
    let mut files: Vec<_> = paths.filter(is_key).collect();
    files.sort();
    files
}

/// Creates a key like the command, later than the previous ones.
fn add(app: &TestApp, nth: u64) -> PathBuf {
    KeyRing::create(&app.data("keys"), START.plus(Duration::from_millis(nth))).unwrap()
}

fn put(path: &Path, text: &[u8]) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
}

async fn trusts(app: &TestApp, count: usize) -> bool {
    app.eventually(async || app.domain.keys.public().len() == count).await
}

#[tokio::test]
async fn att_17_04_a_removed_key_is_not_trusted_whatever_else_is_in_the_folder() {
    let app = TestApp::new().await;
    let old = files(&app).remove(0);
    let ann = app.signed_in("ann").await;
    add(&app, 1);
    assert!(trusts(&app, 2).await);
    let bob = app.signed_in("bob").await;
    put(&app.data("keys").join("session-0.pem"), b"nonsense");
    std::os::unix::fs::symlink("nowhere", app.data("keys").join("zzz.pem")).unwrap();
    let open = add(&app, 2);
    fs::set_permissions(open, Permissions::from_mode(0o644)).unwrap();
    assert_eq!(ann.get("/private").await.status, 200);
    fs::remove_file(old).unwrap();
    assert!(app.eventually(async || ann.get("/private").await.status == 403).await);
    assert_eq!(bob.get("/private").await.status, 200, "the other key is there still");

    // Valid keys are added. Invalid ones are counted and logged.
    add(&app, 3);
    assert!(trusts(&app, 2).await);
    let counted = "cloakroom_key_errors{kind=\"signing_key\"} 3";
    assert!(app.eventually(async || app.metrics().await.contains(counted)).await);
}

#[tokio::test]
async fn att_17_04_a_key_whose_file_was_changed_in_place_is_not_trusted() {
    let app = TestApp::new().await;
    let first = files(&app).remove(0);
    let text = fs::read(&first).unwrap();
    let ann = app.signed_in("ann").await;
    let second = add(&app, 1);
    assert!(trusts(&app, 2).await);
    // Another key in the same file.
    fs::write(&first, fs::read(&second).unwrap()).unwrap();
    assert!(app.eventually(async || ann.get("/private").await.status == 403).await);
    fs::write(&first, &text).unwrap();
    let kids = || app.domain.keys.public().into_iter().map(|key| key.kid);
    let differ = async || kids().collect::<std::collections::HashSet<_>>().len() == 2;
    assert!(app.eventually(differ).await, "it is back");
    // An invalid key.
    fs::write(&first, "x".repeat(text.len())).unwrap();
    assert!(trusts(&app, 1).await);
    // The permissions of a file say nothing about its content.
    fs::set_permissions(&second, Permissions::from_mode(0o644)).unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(app.domain.keys.public().len(), 1);
}

#[tokio::test]
async fn att_17_04_without_the_newest_key_the_one_before_signs() {
    let app = TestApp::new().await;
    let newest = add(&app, 1);
    assert!(trusts(&app, 2).await);
    let ann = app.signed_in("ann").await;
    fs::remove_file(newest).unwrap();
    assert!(app.eventually(async || ann.get("/private").await.status == 403).await);
    let again = app.signed_in_again("ann").await;
    assert_eq!(again.get("/private").await.status, 200);
}

#[tokio::test]
async fn att_17_04_without_any_key_no_token_is_trusted_or_made_until_there_is_one() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await;
    let key = files(&app).remove(0);
    let aside = app.data("aside");
    fs::rename(&key, &aside).unwrap();
    assert!(app.eventually(async || ann.get("/private").await.status == 403).await);
    assert_eq!(app.anonymous().get("/readyz").await.status, 503);
    let sessions = app.count("select count(*) from sessions").await;
    let answer = app.anonymous().log_in("ann", PASSWORD).await;
    assert_eq!(answer.refusal(), (503, "unavailable".to_owned()));
    let bob = json!({ "username": "bob", "password": PASSWORD });
    let answer = app.anonymous().post("/register", &bob).await;
    assert_eq!(answer.refusal(), (503, "unavailable".to_owned()));
    assert_eq!(app.count("select count(*) from sessions").await, sessions, "nothing is left");
    assert_eq!(app.count("select count(*) from accounts").await, 1);
    fs::rename(&aside, &key).unwrap();
    assert!(trusts(&app, 1).await);
    assert_eq!(app.anonymous().get("/readyz").await.status, 200);
    app.signed_in_again("ann").await;
}

#[tokio::test]
async fn a_folder_that_cannot_be_read_says_nothing_about_its_keys() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await;
    let (folder, aside) = (app.data("keys"), app.data("aside"));
    fs::rename(&folder, &aside).unwrap();
    fs::write(&folder, "").unwrap();
    let counted = "cloakroom_key_errors{kind=\"signing_key\"} 1";
    assert!(app.eventually(async || app.metrics().await.contains(counted)).await);
    assert_eq!(ann.get("/private").await.status, 200);
    fs::remove_file(&folder).unwrap();
    fs::rename(&aside, &folder).unwrap();
    let counted = "cloakroom_key_errors{kind=\"signing_key\"} 0";
    assert!(app.eventually(async || app.metrics().await.contains(counted)).await);
}

#[tokio::test]
async fn att_17_04_a_new_pepper_is_used_while_another_file_is_none() {
    use cloakroom::domain::keys::peppers::Peppers;
    let app = TestApp::new().await;
    let keys = app.data("keys");
    put(&keys.join("a.pepper"), b"changeme");
    let add = |nth| Peppers::create(&keys, START.plus(Duration::from_millis(nth))).unwrap();
    let current = || app.domain.hasher.peppers().current().map(|pepper| pepper.id());
    let (first, path) = add(1);
    assert!(app.eventually(async || current().as_ref() == Some(&first)).await);
    fs::remove_file(path).unwrap();
    assert!(app.eventually(async || current().is_none()).await, "no password needs it");
    // A removed pepper that passwords need is kept, and does not prevent the use of a new one.
    let (second, path) = add(2);
    assert!(app.eventually(async || current().as_ref() == Some(&second)).await);
    app.signed_in("ann").await;
    fs::remove_file(path).unwrap();
    let (third, _) = add(3);
    assert!(app.eventually(async || current().as_ref() == Some(&third)).await);
    app.signed_in_again("ann").await;
}
