//! The sessions that users can list and end. The ids are those of the attack list.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cloakroom::core::clock::{Timestamp, days, hours};
use cloakroom::domain::jobs;
use cloakroom::domain::jobs::cleanup;
use poem::http::Method;
use serde_json::{Value, json};

use crate::app::{Answer, Client, PASSWORD, START, TestApp, private_with, request};
use crate::login::settle;

const NEW: &str = "quite another long password";

async fn ids(client: &Client<'_>) -> Vec<String> {
    let page = client.get("/sessions?limit=100").await.json();
    let sessions = page["sessions"].as_array().unwrap().clone();
    sessions.iter().map(|session| session["id"].as_str().unwrap().to_owned()).collect()
}

async fn current(client: &Client<'_>) -> String {
    client.get("/session").await.json()["id"].as_str().unwrap().to_owned()
}

async fn delete(client: &Client<'_>, path: &str) -> Answer {
    client.send(request(Method::DELETE, path).finish()).await
}

async fn change(client: &Client<'_>, current: &str, new: &str) -> Answer {
    let body = json!({ "current_password": current, "new_password": new }).to_string();
    let put = request(Method::PUT, "/me/password").content_type("application/json").body(body);
    client.send(put).await
}

#[tokio::test]
async fn a_listed_session_tells_what_one_recognises_it_by() {
    let app = TestApp::new().await;
    app.signed_in("ann").await;
    app.wait(hours(1));
    let firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0";
    let body = json!({ "username": "ann", "password": PASSWORD, "remember": true });
    let client = app.anonymous();
    let login = request(Method::POST, "/login")
        .content_type("application/json")
        .header("user-agent", firefox)
        .body(body.to_string());
    assert_eq!(client.send(login).await.status, 200);
    let page = client.get("/sessions").await.json();
    let [newest, oldest] = page["sessions"].as_array().unwrap().as_slice() else {
        panic!("two sessions: {page}")
    };
    assert_eq!(newest["browser"], "Firefox on Linux");
    assert_eq!((&newest["current"], &oldest["current"]), (&json!(true), &json!(false)));
    assert_eq!((&newest["remember"], &oldest["remember"]), (&json!(true), &json!(false)));
    assert_eq!(newest["created_at"], "2026-01-01T01:00:00Z");
    assert_eq!(oldest["created_at"], "2026-01-01T00:00:00Z");
    assert!(page.get("next_cursor").is_none());
}

#[tokio::test]
async fn a_list_is_read_page_by_page() {
    let app = TestApp::new().await;
    let client = app.signed_in("ann").await;
    for n in 0..6 {
        if n % 2 == 0 {
            app.wait(Duration::from_secs(1)); // some begin at the same instant
        }
        app.signed_in_again("ann").await;
    }
    let all = ids(&client).await;
    assert_eq!(all.len(), 7);
    let mut read = Vec::new();
    let mut path = "/sessions?limit=3".to_owned();
    loop {
        let page = client.get(&path).await.json();
        for session in page["sessions"].as_array().unwrap() {
            read.push(session["id"].as_str().unwrap().to_owned());
        }
        let Some(next) = page["next_cursor"].as_str() else { break };
        path = format!("/sessions?limit=3&cursor={next}");
    }
    assert_eq!(read, all);
    let exactly = client.get("/sessions?limit=7").await.json();
    assert!(exactly["next_cursor"].is_null(), "there are no more: {exactly}");
    for bad in [
        "limit=0",
        "limit=101",
        "limit=x",
        "limit=-1",
        "cursor=x",
        "cursor=AAAAAAAAAAAAAAAAAAAAAAAA",
        "cursor=1767225600000.what%20is%20no%20id",
        "cursor=1767225600000.%00",
    ] {
        let answer = client.get(&format!("/sessions?{bad}")).await;
        assert_eq!(answer.refusal(), (400, "invalid_request".into()), "{bad}");
        assert_eq!(answer.errors().len(), 1, "{bad}: {}", answer.text);
    }
}

#[tokio::test]
async fn ses_13_one_ends_ones_own_sessions_and_no_others() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await;
    let other = app.signed_in_again("ann").await;
    let bob = app.signed_in("bob").await;
    let path = |id: String| format!("/sessions/{id}");
    let not_found = (404, "not_found".to_owned());
    assert_eq!(delete(&ann, &path(current(&bob).await)).await.refusal(), not_found);
    for id in ["AAAAAAAAAAAAAAAAAAAAAA", "x", "%00", "..%2f", "%ff"] {
        let status = delete(&ann, &format!("/sessions/{id}")).await.status;
        assert!(status == 404 || status == 400, "{id}: {status}");
    }
    assert_eq!(bob.get("/private").await.status, 200);

    let gone = current(&other).await;
    assert_eq!(delete(&ann, &path(gone.clone())).await.status, 204);
    assert_eq!(other.get("/private").await.refusal(), (403, "session_refused".into()));
    assert_eq!(delete(&ann, &path(gone)).await.refusal(), not_found);
    let own = ann.cookie().unwrap();
    assert_eq!(delete(&ann, &path(current(&ann).await)).await.status, 204);
    assert_eq!(app.send(private_with(&[&own])).await.status, 403);
}

#[tokio::test]
async fn ending_all_others_says_how_many_and_keeps_this_one() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await;
    let others = [app.signed_in_again("ann").await, app.signed_in_again("ann").await];
    let bob = app.signed_in("bob").await;
    assert_eq!(delete(&ann, "/sessions").await.json(), json!({ "revoked": 2 }));
    assert_eq!(delete(&ann, "/sessions").await.json(), json!({ "revoked": 0 }));
    for other in others {
        assert_eq!(other.get("/private").await.status, 403);
    }
    assert_eq!(ann.get("/private").await.status, 200);
    assert_eq!(bob.get("/private").await.status, 200);
}

#[tokio::test]
async fn ses_14_a_list_leaks_nothing_that_opens_a_session() {
    let app = TestApp::new().await;
    let client = app.signed_in("ann").await;
    let cookie = client.cookie().unwrap();
    let list = client.get("/sessions").await.text;
    for part in cookie.strip_prefix("session=").unwrap().split('.') {
        assert!(!list.contains(part));
    }
    let id = current(&client).await;
    assert_eq!(app.send(private_with(&[&format!("session={id}")])).await.status, 403);
}

#[tokio::test]
async fn ses_04_changing_the_password_ends_every_session_and_gives_a_new_one() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await;
    let other = app.signed_in_again("ann").await;
    let old = ann.cookie().unwrap();
    let answer = change(&ann, PASSWORD, NEW).await;
    assert_eq!(answer.status, 204);
    assert_ne!(ann.cookie().unwrap(), old);
    assert_eq!(ann.get("/private").await.status, 200);
    assert_eq!(app.send(private_with(&[&old])).await.status, 403);
    assert_eq!(other.get("/private").await.status, 403);
    assert_eq!(app.anonymous().log_in("ann", PASSWORD).await.status, 403);
    assert_eq!(app.anonymous().log_in("ann", NEW).await.status, 200);
}

#[tokio::test]
async fn pwd_11_a_change_that_is_refused_changes_nothing() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await;
    let wrong = change(&ann, "not the password at all", NEW).await;
    assert_eq!(wrong.refusal(), (403, "invalid_credentials".into()));
    assert!(wrong.header("set-cookie").is_none(), "the session goes on");
    for (new, code) in
        [("short", "too_short"), ("passwordpassword", "common"), (PASSWORD, "unchanged")]
    {
        let answer = change(&ann, PASSWORD, new).await;
        assert_eq!(answer.refusal(), (422, "policy_violation".into()));
        assert_eq!(answer.errors(), [("new_password".to_owned(), code.to_owned())]);
    }
    assert_eq!(ann.get("/private").await.status, 200);
    assert_eq!(app.anonymous().log_in("ann", PASSWORD).await.status, 200);
}

#[tokio::test]
async fn a_change_keeps_who_asked_to_stay_signed_in() {
    let app = TestApp::new().await;
    app.signed_in("ann").await;
    let ann = app.anonymous();
    ann.post("/login", &json!({ "username": "ann", "password": PASSWORD, "remember": true })).await;
    let answer = change(&ann, PASSWORD, NEW).await;
    assert!(answer.header("set-cookie").unwrap().ends_with("; Max-Age=2592000"));
    assert_eq!(ann.get("/session").await.json()["remember"], true);
}

#[tokio::test]
async fn a_closed_account_is_gone_with_its_sessions_and_its_name_is_held() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await;
    let other = app.signed_in_again("ann").await;
    let copy = ann.cookie().unwrap();
    let closed = delete(&ann, "/me").await;
    assert_eq!(closed.status, 204);
    assert!(closed.header("set-cookie").unwrap().contains("Max-Age=0"));
    assert_eq!(app.send(private_with(&[&copy])).await.status, 403);
    assert_eq!(other.get("/private").await.status, 403);
    assert_eq!(app.anonymous().log_in("ann", PASSWORD).await.status, 403);
    app.wait(days(365));
    let again = app.signed_in("ann").await;
    assert_eq!(ids(&again).await.len(), 1);
    assert_eq!(app.send(private_with(&[&copy])).await.status, 403);
}

#[tokio::test]
async fn dos_12_an_account_has_a_hundred_sessions_and_the_oldest_go_first() {
    let app = TestApp::new().await;
    let first = app.signed_in("ann").await;
    app.wait(Duration::from_secs(1));
    let second = app.signed_in_again("ann").await;
    for _ in 0..98 {
        app.wait(Duration::from_secs(1));
        app.signed_in_again("ann").await;
    }
    assert_eq!(first.get("/private").await.status, 200);
    app.wait(Duration::from_secs(1));
    let last = app.signed_in_again("ann").await;
    assert_eq!(first.get("/private").await.status, 403);
    assert_eq!(second.get("/private").await.status, 200);
    assert_eq!(ids(&last).await.len(), 100);
}

#[tokio::test]
async fn sta_05_no_jump_of_the_clock_panics_or_revives_a_session() {
    let app = TestApp::new().await;
    let start = START.millis();
    for jump in [
        Timestamp::from_millis(start + 3_600_000),
        Timestamp::from_millis(start + 10 * 365 * 86_400_000),
        Timestamp::from_millis(start - 3_600_000),
        Timestamp::from_millis(start - 86_400_000),
        Timestamp::from_millis(2_147_558_400_000), // 2038-01-20
        Timestamp::from_millis(30_000),            // 1970-01-01T00:00:30Z
    ] {
        let name = format!("ann{}", jump.millis());
        let ann = app.signed_in(&name).await;
        app.clock.set(jump);
        let status = ann.get("/private").await.status;
        let was_refused = status == 403;
        assert!(was_refused || status == 200, "{status}");
        let cookie = ann.cookie();
        app.clock.set(START);
        if jump > START.plus(hours(8)) {
            assert!(was_refused && cookie.is_none());
        }
    }
}

#[tokio::test]
async fn a_session_that_was_seen_to_be_over_stays_over_when_the_clock_is_set_back() {
    let app = TestApp::new().await;
    let idle = app.signed_in("ann").await.cookie().unwrap();
    let old = app.signed_in("bob").await.cookie().unwrap();
    let unseen = app.signed_in("eve").await.cookie().unwrap();
    assert_eq!(app.send(private_with(&[&idle])).await.status, 200); // it is in the cache now
    assert_eq!(app.send(private_with(&[&unseen])).await.status, 200);
    app.clock.set(START.plus(hours(8)));
    assert_eq!(app.send(private_with(&[&idle])).await.status, 403);
    app.clock.set(START.plus(days(2)));
    assert_eq!(app.send(private_with(&[&old])).await.status, 403);
    cleanup::remove_ended(&app.domain).await.unwrap(); // the cleanup has seen the third
    app.clock.set(START);
    for cookie in [idle, old, unseen] {
        assert_eq!(app.send(private_with(&[&cookie])).await.status, 403);
    }
}

#[tokio::test]
async fn what_has_ended_is_removed_and_what_is_in_force_stays() {
    let app = TestApp::new().await;
    let ended = app.signed_in("ann").await;
    ended.post_nothing("/logout").await;
    app.signed_in("bob").await;
    let kept = app.anonymous();
    app.signed_in("eve").await;
    kept.post("/login", &json!({ "username": "eve", "password": PASSWORD, "remember": true }))
        .await;
    assert_eq!(rows(&app).await, 4);
    app.wait(days(1));
    cleanup::remove_ended(&app.domain).await.unwrap();
    assert_eq!(rows(&app).await, 1);
    assert_eq!(kept.get("/private").await.status, 200);
}

#[tokio::test]
async fn what_has_ended_is_cleared_away_every_so_often_and_not_at_once() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await;
    let rows = async || app.count("select count(*) from sessions").await;
    let every = Duration::from_millis(400);
    let began = Instant::now();
    tokio::spawn(jobs::cleanup::run_cleanup(Arc::downgrade(&app.domain), every));
    for round in 1..=2 {
        ann.post_nothing("/logout").await;
        app.wait(Duration::from_mins(1)); // how long an ended session stays recorded
        assert!(app.eventually(async || rows().await == 0).await);
        assert!(began.elapsed() >= every * round);
        tokio::time::sleep(every / 2).await; // lets it check again and find nothing left
        ann.log_in("ann", PASSWORD).await;
    }
}

#[tokio::test]
async fn whatever_has_ended_is_removed_however_much_there_is_of_it() {
    let app = TestApp::new().await;
    app.domain.invites.invite(days(7)).await.unwrap();
    // More rows than one statement removes: 1,200 each. The first ones expired and ended long ago.
    let (invites, revocations) = if app.is_on_postgres() {
        (
            "insert into invites (digest, id, created_at, expires_at)
             select uuid_send(gen_random_uuid()), 'old' || i, 0, i from generate_series(1, 1200) i",
            "insert into revocations (account_id, at) select 'x', i from generate_series(1, 1200) i",
        )
    } else {
        (
            "insert into invites (digest, id, created_at, expires_at)
             with recursive n(i) as (select 1 union all select i + 1 from n where i < 1200)
             select randomblob(32), 'old' || i, 0, i from n",
            "insert into revocations (account_id, at)
             with recursive n(i) as (select 1 union all select i + 1 from n where i < 1200)
             select 'x', i from n",
        )
    };
    app.sql(invites).await;
    app.sql(revocations).await;
    let ann = app.signed_in("ann").await;
    ann.post_nothing("/logout").await;
    cleanup::remove_ended(&app.domain).await.unwrap();
    assert_eq!(app.count("select count(*) from invites").await, 1, "the one in force");
    assert_eq!(app.count("select count(*) from revocations").await, 1, "of a moment ago");
}

#[tokio::test]
async fn what_happened_is_forgotten_after_ninety_days() {
    let app = TestApp::new().await;
    app.signed_in("ann").await;
    let events = async || app.count("select count(*) from events").await;
    app.domain.audit.write(&app.domain.store, app.clock.now()).await.unwrap();
    assert!(app.eventually(async || events().await == 1).await);
    for (time, left) in [(days(90), 1), (Duration::from_millis(1), 0)] {
        app.wait(time);
        cleanup::remove_ended(&app.domain).await.unwrap();
        assert_eq!(events().await, left);
    }
}

#[tokio::test]
async fn last_seen_is_told_to_the_minute_and_written_once() {
    let app = TestApp::new().await;
    let client = app.signed_in("ann").await;
    app.wait(Duration::from_secs(59));
    assert_eq!(client.get("/session").await.json()["last_seen_at"], "2026-01-01T00:00:00Z");
    app.wait(Duration::from_secs(1));
    let session = client.get("/session").await.json();
    assert_eq!(session["last_seen_at"], "2026-01-01T00:01:00Z");
    assert_eq!(session["idle_expires_at"], "2026-01-01T08:01:00Z");
    settle(&app).await;
    let list = client.get("/sessions").await.json();
    assert_eq!(list["sessions"][0]["last_seen_at"], "2026-01-01T00:01:00Z");
}

#[tokio::test]
async fn ses_03_an_ended_session_is_refused_by_whatever_ended_it() {
    let app = TestApp::new().await;
    for how in ["logout", "revoke", "others", "password", "close", "disable"] {
        let name = format!("ann.{how}");
        let ann = app.signed_in(&name).await;
        let other = app.signed_in_again(&name).await;
        let copy = other.cookie().unwrap();
        assert_eq!(app.send(private_with(&[&copy])).await.status, 200);
        let id = current(&other).await;
        let status = match how {
            "logout" => other.post_nothing("/logout").await.status,
            "revoke" => delete(&ann, &format!("/sessions/{id}")).await.status,
            "others" => delete(&ann, "/sessions").await.status,
            "password" => change(&ann, PASSWORD, NEW).await.status,
            "close" => delete(&ann, "/me").await.status,
            _ => {
                app.sql("update accounts set disabled_at = 1").await;
                // The feed has no changes by other SQL: they are noticed within a minute.
                app.wait(Duration::from_mins(1));
                poem::http::StatusCode::NO_CONTENT
            }
        };
        assert!(status.is_success(), "{how}: {status}");
        for _ in 0..3 {
            let answer = app.send(private_with(&[&copy])).await;
            assert_eq!(answer.refusal(), (403, "session_refused".into()), "{how}");
        }
    }
}

#[tokio::test]
async fn key_05_and_06_rotation_logs_nobody_out_and_removal_refuses_at_once() {
    let app = TestApp::new().await;
    let before = app.signed_in("ann").await;
    let folder = app.data("keys");
    let pems = || {
        let files = std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path());
        let mut pems: Vec<_> =
            files.filter(|p| p.extension().is_some_and(|e| e == "pem")).collect();
        pems.sort();
        pems
    };
    let [old] = pems().try_into().unwrap();
    let later = START.plus(Duration::from_secs(1));
    cloakroom::domain::keys::tokens::KeyRing::create(&folder, later).unwrap();
    assert!(app.eventually(async || keys(&app).await.len() == 2).await);
    let after = app.signed_in_again("ann").await;
    let kid = |cookie: String| cookie.split('.').next().unwrap().to_owned();
    assert_ne!(kid(before.cookie().unwrap()), kid(after.cookie().unwrap()));
    assert_eq!(before.get("/private").await.status, 200);
    assert_eq!(after.get("/private").await.status, 200);

    std::fs::remove_file(old).unwrap();
    let copy = before.cookie().unwrap();
    assert!(app.eventually(async || app.send(private_with(&[&copy])).await.status == 403).await);
    assert_eq!(after.get("/private").await.status, 200);
    assert_eq!(keys(&app).await.len(), 1);
}

async fn keys(app: &TestApp) -> Vec<Value> {
    let jwks = app.anonymous().get("/.well-known/jwks.json").await.json();
    jwks["keys"].as_array().unwrap().clone()
}

async fn rows(app: &TestApp) -> i64 {
    app.count("select count(*) from sessions").await
}
