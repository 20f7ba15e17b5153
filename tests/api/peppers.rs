//! Peppers: secrets outside of the database that password hashes need.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use cloakroom::domain::keys::peppers::{KnownPepper, Peppers};
use cloakroom::domain::passwords::forget;
use poem::http::Method;
use serde_json::json;

use crate::app::{CHEAP, PASSWORD, START, TestApp, request};
use crate::settings::start_again;

/// Accounts whose pepper column and hash name the same pepper.
const AGREE: &str = "select count(*) from accounts
    where password_hash like '$argon2id$v=19$m=64,t=1,p=1,keyid=' || pepper || '$%'";
const UNPEPPERED: &str = "select count(*) from accounts
    where pepper is null and password_hash like '$argon2id$v=19$m=64,t=1,p=1$%'";

/// Creates a pepper like the command, later than the previous ones.
fn add(app: &TestApp, nth: u64) -> (String, PathBuf) {
    let now = START.plus(Duration::from_millis(nth));
    Peppers::create(&app.data("keys"), now).unwrap()
}

/// Waits until the app uses this pepper, or none.
async fn takes_up(app: &TestApp, id: Option<&str>) -> bool {
    let current = || app.domain.hasher.peppers().current().map(|pepper| pepper.id());
    app.eventually(async || current().as_deref() == id).await
}

#[tokio::test]
async fn a_running_service_takes_a_pepper_up_and_each_login_gives_it_to_a_hash() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await;
    assert_eq!(app.count(UNPEPPERED).await, 1);
    let (first, path) = add(&app, 1);
    assert!(takes_up(&app, Some(&first)).await);
    app.signed_in("bob").await;
    assert_eq!(app.count(AGREE).await, 1, "who registers");
    assert_eq!(app.anonymous().log_in("ann", "something else entirely").await.status, 403);
    assert_eq!(app.count(UNPEPPERED).await, 1, "a wrong password renews nothing");
    let is_renewed = async || {
        app.signed_in_again("ann").await;
        app.count(AGREE).await == 2
    };
    assert!(app.eventually(is_renewed).await, "who signs in");
    assert_eq!(ann.get("/private").await.status, 200, "no session ended");

    let (second, _) = add(&app, 2);
    assert!(takes_up(&app, Some(&second)).await);
    let body =
        json!({ "current_password": PASSWORD, "new_password": "an entirely new one, ann's" });
    assert_eq!(ann.put("/me/password", &body).await.status, 204);
    let named = async |name: &str| {
        let known = app.domain.hasher.peppers().list(&app.domain.store).await.unwrap();
        known.into_iter().find(|pepper| pepper.id == name).unwrap()
    };
    assert_eq!(named(&second).await.passwords, 1, "who changes the password");
    assert!(named(&second).await.is_current && !named(&first).await.is_current);
    let is_free = async || {
        app.signed_in_again("bob").await;
        named(&first).await.passwords == 0
    };
    assert!(app.eventually(is_free).await, "who signs in again");
    fs::remove_file(path).unwrap();
    assert!(app.eventually(async || app.domain.hasher.peppers().find(&first).is_none()).await);
    assert_eq!(start_again(&app).await, Ok(()), "no password needs the first one any more");
    app.signed_in_again("bob").await;
    let is_told = async || {
        app.domain.audit.write(&app.domain.store, app.clock.now()).await.unwrap();
        app.count("select count(*) from events where event = 'peppers_changed'").await >= 3
    };
    assert!(app.eventually(is_told).await, "each change");
}

#[tokio::test]
async fn key_08_without_a_pepper_that_a_password_needs_the_service_refuses_to_start() {
    let mut app = TestApp::new().await;
    let (id, path) = add(&app, 1);
    app.restarted().await;
    for name in ["ann", "bob"] {
        app.signed_in(name).await;
    }
    let aside = app.data("aside");
    fs::rename(&path, &aside).unwrap();
    let error = start_again(&app).await.unwrap_err();
    for says in [&*format!("the pepper {id} is missing from "), "is 2; ", "backup", "forget"] {
        assert!(error.contains(says), "{says}: {error}");
    }
    let known = Peppers::read(&app.data("keys")).unwrap().list(&app.domain.store).await;
    let missing = KnownPepper { id: id.clone(), path: None, is_current: false, passwords: 2 };
    assert_eq!(known.unwrap(), [missing], "it is listed all the same");
    let (_, other) = add(&app, 2);
    assert!(start_again(&app).await.unwrap_err().contains(&id), "another one is no help");
    assert_eq!(app.count(AGREE).await, 2, "a start that is refused changes nothing");
    fs::remove_file(other).unwrap();
    fs::rename(&aside, &path).unwrap();
    app.restarted().await;
    app.signed_in_again("ann").await;
}

#[tokio::test]
async fn key_08_a_running_service_keeps_a_pepper_that_is_gone_for_as_long_as_a_password_needs_it() {
    let mut app = TestApp::new().await;
    let (id, path) = add(&app, 1);
    app.restarted().await;
    app.signed_in("ann").await;
    fs::remove_file(&path).unwrap();
    tokio::time::sleep(Duration::from_millis(600)).await; // three checks of the folder
    app.signed_in_again("ann").await;
    // An invalid file changes nothing either.
    fs::write(&path, "changeme").unwrap();
    tokio::time::sleep(Duration::from_millis(600)).await;
    app.signed_in_again("ann").await;
    assert!(start_again(&app).await.unwrap_err().contains(&*path.to_string_lossy()));

    fs::remove_file(&path).unwrap();
    assert!(start_again(&app).await.unwrap_err().contains(&id));
}

#[tokio::test]
async fn a_node_without_the_pepper_of_a_hash_says_that_it_cannot_tell_and_counts_no_try() {
    let mut app = TestApp::new().await;
    add(&app, 1);
    app.restarted().await;
    app.signed_in("ann").await;
    let peppers = Peppers::read(&app.data("keys")).unwrap();
    app.domain.hasher.set_peppers(Peppers::default()); // its folder is not mounted yet
    for _ in 0..8 {
        let answer = app.anonymous().log_in("ann", PASSWORD).await;
        assert_eq!(answer.refusal(), (503, "unavailable".to_owned()));
        assert!(answer.header("retry-after").is_some());
    }
    app.domain.hasher.set_peppers(peppers);
    app.signed_in_again("ann").await;
}

#[tokio::test]
async fn what_a_lost_pepper_hashed_is_given_up_only_when_it_is_asked_for_by_its_name() {
    let mut app = TestApp::new().await;
    app.signed_in("eve").await;
    let (id, path) = add(&app, 1);
    app.restarted().await;
    let ann = app.signed_in("ann").await;
    app.signed_in("bob").await;
    let left_without = async |id: &str| {
        let peppers = Peppers::read(&app.data("keys")).unwrap();
        peppers.affected_users(id, &app.domain.store).await.map_err(|error| error.to_string())
    };
    assert!(left_without(&id).await.unwrap_err().contains("is not lost"));
    fs::remove_file(path).unwrap();
    assert!(
        left_without("deadbeef").await.unwrap_err().contains("no password needs a pepper deadbeef")
    );
    assert_eq!(left_without(&id).await.unwrap(), ["ann", "bob"]);
    app.signed_in_again("ann").await; // the running app has it in memory
    forget::forget_pepper(&id, &app.domain.store, CHEAP).await.unwrap();
    assert_eq!(start_again(&app).await, Ok(()));
    let wrong = (403, "invalid_credentials".to_owned());
    assert_eq!(app.anonymous().log_in("ann", PASSWORD).await.refusal(), wrong);
    assert_eq!(ann.get("/private").await.status, 200, "who is signed in stays so");
    let confirms =
        request(Method::POST, "/session/confirm/password").content_type("application/json");
    let answer = ann.send(confirms.body(json!({ "current_password": PASSWORD }).to_string())).await;
    assert_eq!(answer.refusal(), wrong);
    assert_eq!(app.count(UNPEPPERED).await, 1);
    let prices = app.count("select count(distinct hash_cost) from accounts").await;
    assert_eq!(prices, 1, "no comparison takes longer for it");
    app.signed_in_again("eve").await;
}

#[tokio::test]
async fn a_lost_pepper_is_forgotten_however_many_passwords_need_it() {
    let app = TestApp::new().await;
    // More rows than one statement changes.
    app.sql(if app.is_on_postgres() {
        "insert into accounts (id, username, password_hash, created_at, pepper)
             select 'id' || i, 'user' || i, '?', 0, 'deadbeef' from generate_series(1, 1200) i"
    } else {
        "insert into accounts (id, username, password_hash, created_at, pepper)
             with recursive n(i) as (select 1 union all select i + 1 from n where i < 1200)
             select 'id' || i, 'user' || i, '?', 0, 'deadbeef' from n"
    })
    .await;
    let names = Peppers::default().affected_users("deadbeef", &app.domain.store).await;
    assert_eq!(names.unwrap().len(), 1200);
    forget::forget_pepper("deadbeef", &app.domain.store, CHEAP).await.unwrap();
    assert_eq!(app.count("select count(*) from accounts where pepper is not null").await, 0);
}
