//! The lifetimes of sessions, which the settings define.

use std::time::Duration;

use cloakroom::config::{Period, SessionSettings, Settings};
use cloakroom::core::clock::{days, hours, mins};
use cloakroom::domain::jobs::cleanup;
use serde_json::{Value, json};

use crate::app::{Answer, Client, PASSWORD, START, TestApp, private_with};

/// Lifetimes that all differ from the defaults and from each other.
fn settings() -> Settings {
    let sessions = SessionSettings {
        idle: Some(Period::of(mins(30))),
        absolute: Some(Period::of(hours(2))),
        remember_idle: Some(Period::of(days(1))),
        remember_absolute: Some(Period::of(days(3))),
        remember: None,
    };
    Settings { sessions, ..Settings::default() }
}

async fn remembered(client: &Client<'_>) -> Answer {
    let body = json!({ "username": "ann", "password": PASSWORD, "remember": true });
    let answer = client.post("/login", &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer
}

/// A second less.
fn almost(time: Duration) -> Duration {
    time.checked_sub(Duration::from_secs(1)).unwrap()
}

/// Waits until the use of a session at the present time is recorded.
async fn recorded(app: &TestApp) {
    const SEEN: &str = "select coalesce(max(last_seen_at), 0) from sessions";
    assert!(app.eventually(async || app.count(SEEN).await == app.clock.now().millis()).await);
}

async fn session(client: &Client<'_>) -> Value {
    client.get("/session").await.json()
}

/// The status of a guarded request with the client's cookie.
async fn status(client: &Client<'_>) -> u16 {
    client.get("/private").await.status.as_u16()
}

/// A client of another node, or of the same one after a restart, with the cookie of this client.
async fn status_at(app: &TestApp, cookie: &str) -> u16 {
    app.send(private_with(&[cookie])).await.status.as_u16()
}

#[tokio::test]
async fn the_settings_decide_how_long_sessions_last() {
    let app = TestApp::with(settings()).await;
    let ann = app.signed_in("ann").await;
    let shown = session(&ann).await;
    assert_eq!(shown["idle_expires_at"], "2026-01-01T00:30:00Z");
    assert_eq!(shown["expires_at"], "2026-01-01T02:00:00Z");
    app.wait(almost(mins(30)));
    assert_eq!(status(&ann).await, 200);
    recorded(&app).await;
    app.wait(mins(30));
    assert_eq!(status(&ann).await, 403);

    let ann = app.anonymous();
    let answer = remembered(&ann).await;
    let shown = &answer.json()["session"];
    assert_eq!(shown["idle_expires_at"], "2026-01-02T00:59:59Z");
    assert_eq!(shown["expires_at"], "2026-01-04T00:59:59Z");
    let set = answer.sets("session").unwrap();
    assert!(set.ends_with("; Expires=Sun, 04 Jan 2026 00:59:59 GMT; Max-Age=259200"), "{set}");
    for _ in 0..3 {
        assert_eq!(status(&ann).await, 200);
        recorded(&app).await;
        app.wait(almost(days(1)));
    }
    assert_eq!(status(&ann).await, 200, "a few seconds before the absolute end");
    app.wait(mins(1));
    assert_eq!(status(&ann).await, 403);
}

#[tokio::test]
async fn use_does_not_extend_a_session_beyond_its_absolute_end() {
    let app = TestApp::with(settings()).await;
    let ann = app.signed_in("ann").await;
    for _ in 0..4 {
        app.wait(almost(mins(30)));
        let shown = session(&ann).await;
        assert!(shown["idle_expires_at"].as_str() <= shown["expires_at"].as_str(), "{shown}");
        recorded(&app).await;
    }
    assert_eq!(session(&ann).await["idle_expires_at"], "2026-01-01T02:00:00Z");
    app.clock.set(START.plus(hours(2)));
    assert_eq!(status(&ann).await, 403);
}

#[tokio::test]
async fn a_shorter_inactivity_timeout_holds_for_existing_sessions_at_once() {
    let mut app = TestApp::new().await;
    let cookie = app.signed_in("ann").await.cookie().unwrap();
    let unused = app.signed_in_again("ann").await.cookie().unwrap();
    app.wait(mins(20));
    assert_eq!(status_at(&app, &cookie).await, 200);
    recorded(&app).await;
    app.wait(mins(15));
    app.config.sessions.idle = Period::of(mins(30));
    app.restarted().await;
    assert_eq!(status_at(&app, &unused).await, 403, "unused for 35 minutes");
    assert_eq!(status_at(&app, &cookie).await, 200, "unused for 15 minutes");
    recorded(&app).await;
    let page = app.signed_in_again("ann").await.get("/sessions").await.json();
    let listed = page["sessions"].as_array().unwrap();
    assert_eq!(listed.len(), 2, "the expired one is not listed: {page}");
    assert_eq!(listed[1]["idle_expires_at"], "2026-01-01T01:05:00Z");
    app.wait(mins(30));
    assert_eq!(status_at(&app, &cookie).await, 403, "the cached session, too");
}

#[tokio::test]
async fn expired_sessions_are_neither_listed_nor_counted_by_the_new_settings() {
    let mut app = TestApp::new().await;
    app.signed_in("ann").await;
    app.wait(hours(3));
    for (sql, idle, absolute) in [
        ("select 1", hours(2), hours(24)),
        ("update sessions set last_seen_at = 1767236400000", hours(2), hours(2)), // used now
    ] {
        app.sql(sql).await;
        app.config.sessions.idle = Period::of(idle);
        app.config.sessions.absolute = Period::of(absolute);
        app.restarted().await;
        let ann = app.signed_in_again("ann").await;
        let count = app.domain.store.count_sessions(app.domain.sessions.cutoffs(app.clock.now()));
        assert_eq!(count.await.unwrap(), 1);
        assert_eq!(ann.get("/sessions").await.json()["sessions"].as_array().unwrap().len(), 1);
        ann.post_nothing("/logout").await;
    }
}

#[tokio::test]
async fn a_shorter_maximum_age_holds_for_existing_sessions_at_once() {
    let mut app = TestApp::new().await;
    let cookie = app.signed_in("ann").await.cookie().unwrap();
    app.wait(hours(2));
    assert_eq!(status_at(&app, &cookie).await, 200);
    recorded(&app).await;
    app.wait(mins(1));
    app.config.sessions.absolute = Period::of(hours(2));
    app.config.sessions.idle = Period::of(hours(2));
    app.restarted().await;
    assert_eq!(status_at(&app, &cookie).await, 403);
}

#[tokio::test]
async fn longer_lifetimes_revive_no_session() {
    let mut app = TestApp::with(settings()).await;
    let unused = app.signed_in("ann").await.cookie().unwrap();
    app.config.sessions.idle = Period::of(hours(12));
    app.config.sessions.absolute = Period::of(hours(24));
    app.wait(mins(30));
    app.restarted().await; // no clean-up has seen that the session expired
    let page = app.signed_in_again("ann").await.get("/sessions").await.json();
    assert_eq!(page["sessions"].as_array().unwrap().len(), 1, "{page}");
    assert_eq!(status_at(&app, &unused).await, 403);

    let mut app = TestApp::with(settings()).await;
    let used = app.signed_in("ann").await.cookie().unwrap();
    app.wait(mins(25));
    app.config.sessions.idle = Period::of(hours(12));
    app.config.sessions.absolute = Period::of(hours(24));
    app.restarted().await;
    assert_eq!(status_at(&app, &used).await, 200, "the longer timeout holds from this use on");
    recorded(&app).await;
    app.wait(mins(90));
    assert_eq!(status_at(&app, &used).await, 200);
    recorded(&app).await;
    app.wait(mins(5));
    assert_eq!(status_at(&app, &used).await, 403, "its absolute end is that of its beginning");
}

#[tokio::test]
async fn a_session_of_an_earlier_version_gets_the_lifetime_of_the_settings() {
    let app = TestApp::with(settings()).await;
    let ann = app.signed_in("ann").await;
    app.sql("update sessions set idle_timeout = null").await;
    app.wait(almost(mins(30)));
    assert_eq!(status(&ann).await, 200);
    recorded(&app).await;
    assert_eq!(app.count("select idle_timeout from sessions").await, 1_800_000);
    app.sql("update sessions set idle_timeout = null").await;
    app.wait(mins(30));
    assert_eq!(status(&ann).await, 403);
}

#[tokio::test]
async fn of_two_nodes_with_different_settings_the_stricter_one_ends_the_session_for_both() {
    let app = TestApp::new().await;
    let cookie = app.signed_in("ann").await.cookie().unwrap();
    let mut strict = app.second_node().await;
    strict.config.sessions.idle = Period::of(mins(30));
    strict.restarted().await;
    app.wait(mins(45));
    assert_eq!(status_at(&app, &cookie).await, 200);
    recorded(&app).await;
    assert_eq!(status_at(&strict, &cookie).await, 200, "it was used a moment ago");
    app.wait(mins(30));
    assert_eq!(status_at(&strict, &cookie).await, 403);
    assert_eq!(status_at(&app, &cookie).await, 403);
}

#[tokio::test]
async fn without_remember_the_choice_is_ignored_and_reported_as_false() {
    let remember = SessionSettings { remember: Some(false), ..SessionSettings::default() };
    let app = TestApp::with(Settings { sessions: remember, ..Settings::default() }).await;
    app.signed_in("ann").await;
    let ann = app.anonymous();
    let answer = remembered(&ann).await;
    assert!(!answer.sets("session").unwrap().contains("Max-Age"), "a browser-session cookie");
    let shown = &answer.json()["session"];
    assert_eq!(shown["remember"], false);
    assert_eq!(shown["idle_expires_at"], "2026-01-01T08:00:00Z");
    assert_eq!(shown["expires_at"], "2026-01-02T00:00:00Z");
    let account = json!({ "username": "bob", "password": PASSWORD, "remember": true });
    let answer = app.anonymous().post("/register", &account).await;
    assert!(!answer.sets("session").unwrap().contains("Max-Age"));
    for page in ["/login", "/register"] {
        let page = app.anonymous().get(page).await.text;
        assert!(page.contains("password") && !page.contains("remember"), "{page}");
    }
    let fields = [("username", "ann"), ("password", PASSWORD), ("remember", "true"), ("next", "/")];
    let answer = app.anonymous().submit("/login", &fields).await;
    assert_eq!(answer.status, 303);
    assert!(!answer.sets("session").unwrap().contains("Max-Age"));
}

#[tokio::test]
async fn switching_remember_off_holds_for_existing_sessions_at_once() {
    let mut app = TestApp::new().await;
    app.signed_in("ann").await;
    let ann = app.anonymous();
    remembered(&ann).await;
    let cookie = ann.cookie().unwrap();
    app.wait(hours(2));
    app.config.sessions.remember = false;
    app.restarted().await;
    assert_eq!(status_at(&app, &cookie).await, 200);
    recorded(&app).await;
    let current = app.signed_in_again("ann").await;
    let page = current.get("/sessions").await.json();
    assert!(page["sessions"].as_array().unwrap().iter().all(|one| one["remember"] == false));
    app.wait(hours(8));
    cleanup::remove_ended(&app.domain).await.unwrap();
    assert_eq!(status_at(&app, &cookie).await, 403);
    app.config.sessions.remember = true;
    app.restarted().await;
    assert_eq!(status_at(&app, &cookie).await, 403, "switching it on again revives none");
}
