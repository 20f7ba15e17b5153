//! The limits of changes by one account, and of its share of the audit log (row 3 of the attack
//! note of 2026-11).

use std::time::Duration;

use cloakroom::core::clock::Clock;
use cloakroom::core::usernames::Username;
use cloakroom::domain::administration::Change;
use cloakroom::domain::jobs::cleanup;
use futures_util::future::join_all;
use poem::http::Method;
use serde_json::json;

use crate::app::{Answer, Client, PASSWORD, START, TestApp, request};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);

async fn end_others(client: &Client<'_>) -> Answer {
    client.send(request(Method::DELETE, "/sessions").finish()).await
}

async fn end(client: &Client<'_>, id: &str) -> Answer {
    client.send(request(Method::DELETE, &format!("/sessions/{id}")).finish()).await
}

/// Adds this many sessions to ann's account, without logins.
async fn add_sessions(app: &TestApp) {
    app.sql(if app.is_on_postgres() {
        "insert into sessions
                 (digest, id, account_id, remember, created_at, last_seen_at, expires_at)
             select uuid_send(gen_random_uuid()), 'one' || i, id, 0, 1, 1767225600000, 1767312000000
             from accounts, generate_series(1, 200) i where username = 'ann'"
    } else {
        "insert into sessions
                 (digest, id, account_id, remember, created_at, last_seen_at, expires_at)
             with recursive n(i) as (select 1 union all select i + 1 from n where i < 200)
             select randomblob(16), 'one' || i, id, 0, 1, 1767225600000, 1767312000000
             from accounts, n where username = 'ann'"
    })
    .await;
}

/// The number of rows in each table that changes are recorded in.
async fn written(app: &TestApp) -> [i64; 3] {
    let mut before = [-1; 3];
    loop {
        app.domain.audit.write(&app.domain.store, START).await.unwrap();
        let now = [
            app.count("select count(*) from events").await,
            app.count("select count(*) from revocations").await,
            app.count("select count(*) from login_attempts").await,
        ];
        if now == before {
            return now;
        }
        before = now;
        // The service writes events in the background, so some may not be written yet.
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
}

#[tokio::test]
async fn att_17_03_nothing_is_written_when_nothing_happened() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await;
    let bob = app.signed_in("bob").await;
    let name = Username::parse("ann").unwrap();
    let account = app.domain.account_named(&name).await.unwrap().unwrap().id;
    let dead = bob.cookie().unwrap();
    assert_eq!(bob.post_nothing("/logout").await.status, 204);
    let before = written(&app).await;

    for _ in 0..40 {
        assert_eq!(end_others(&ann).await.json()["revoked"], 0);
        assert_eq!(end(&ann, &"x".repeat(22)).await.status, 404);
    }
    for session in ["others", "nonesuch"] {
        assert_eq!(ann.submit("/account/sessions", &[("session", session)]).await.status, 303);
    }
    let logout = request(Method::POST, "/logout").header("cookie", dead);
    assert_eq!(app.send(logout.finish()).await.status, 204);
    let nobody = Username::parse("nobody").unwrap();
    assert_eq!(app.domain.enable(&name).await.unwrap(), Change::Unchanged);
    assert_eq!(app.domain.enable(&nobody).await.unwrap(), Change::NoSuchAccount);
    assert_eq!(app.domain.disable(&nobody).await.unwrap(), Change::NoSuchAccount);
    assert!(!app.domain.delete(&nobody).await.unwrap());
    assert!(!app.domain.sessions.revoke(&account, "nonesuch").await.unwrap());
    assert_eq!(written(&app).await, before);

    assert_eq!(app.domain.disable(&name).await.unwrap(), Change::Done);
    let disabled = written(&app).await;
    assert_eq!(app.domain.disable(&name).await.unwrap(), Change::Unchanged);
    assert_eq!(app.domain.sessions.revoke_all(&account).await.unwrap(), 0);
    assert_eq!(written(&app).await, disabled);
    assert_eq!(app.domain.enable(&name).await.unwrap(), Change::Done);
}

#[tokio::test]
async fn att_17_03_enabling_an_enabled_account_is_written_if_it_lifts_a_wait() {
    let app = TestApp::new().await;
    app.signed_in("ann").await;
    let name = Username::parse("ann").unwrap();
    app.anonymous().log_in("ann", "a wrong password").await;
    let before = written(&app).await;
    assert_eq!(app.domain.enable(&name).await.unwrap(), Change::Done);
    assert_eq!(written(&app).await[0], before[0] + 1);
    assert_eq!(app.domain.enable(&name).await.unwrap(), Change::Unchanged);
}

#[tokio::test]
async fn att_17_03_an_account_makes_thirty_changes_at_once_and_then_one_every_two_seconds() {
    let app = TestApp::new().await;
    let there = app.node(Clock::at(START.plus(SECOND / 4))).await;
    let ann = app.signed_in("ann").await;
    add_sessions(&app).await;
    let bob = app.signed_in("bob").await;
    app.signed_in_again("bob").await;
    let node = |n: usize| if n.is_multiple_of(2) { &app } else { &there };
    let end = async |n: usize| {
        let delete = request(Method::DELETE, &format!("/sessions/one{n}"));
        let cookie = ann.cookie().unwrap();
        node(n).send(delete.header("cookie", cookie).finish()).await
    };
    let answers = join_all((0..60).map(|n| end(n + 1))).await;
    let ended = answers.iter().filter(|answer| answer.status == 204).count();
    assert_eq!(ended, 30, "on two nodes, and at once");
    for answer in answers.iter().filter(|answer| answer.status != 204) {
        assert_eq!(answer.refusal(), (429, "too_many_attempts".into()));
        assert!(matches!(answer.header("retry-after"), Some("1" | "2" | "3")));
    }
    assert_eq!(end_others(&ann).await.status, 429);
    let change =
        json!({ "current_password": PASSWORD, "new_password": "a long walk by the river" });
    assert_eq!(ann.put("/me/password", &change).await.status, 429);
    let confirm = json!({ "current_password": PASSWORD });
    assert_eq!(ann.post("/session/confirm/password", &confirm).await.status, 429);
    assert_eq!(ann.get("/me").await.status, 200, "reading is not changing");
    assert_eq!(end_others(&bob).await.json()["revoked"], 1, "nor is bob held up");

    app.wait(SECOND * 3);
    assert_eq!(end(100).await.status, 204);
    assert_eq!(end(102).await.status, 429);
    app.wait(SECOND * 2);
    assert_eq!(ann.put("/me/password", &change).await.status, 204);
    let confirm = json!({ "current_password": "a long walk by the river" });
    assert_eq!(ann.post("/session/confirm/password", &confirm).await.status, 429);
    assert_eq!(ann.post_nothing("/logout").await.status, 204, "signing out is not limited");
}

#[tokio::test]
async fn att_17_03_a_change_that_is_one_too_many_is_undone_and_costs_nothing() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await;
    add_sessions(&app).await;
    for n in 1..=30 {
        assert_eq!(end(&ann, &format!("one{n}")).await.status, 204);
    }
    let before = written(&app).await;
    for _ in 0..50 {
        assert_eq!(end_others(&ann).await.status, 429);
    }
    let after = written(&app).await;
    assert_eq!(after, [before[0] + 1, before[1], before[2]], "one event says so");
    app.wait(SECOND * 60);
    assert_eq!(end_others(&ann).await.json()["revoked"], 170, "none had ended");
}

#[tokio::test]
async fn att_17_03_the_pages_say_that_it_was_too_much() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await;
    add_sessions(&app).await;
    for n in 1..=30 {
        assert_eq!(end(&ann, &format!("one{n}")).await.status, 204);
    }
    let passwords = [("current_password", PASSWORD), ("new_password", "a long walk by the river")];
    for (page, fields) in [
        ("/account/sessions", &[("session", "others")][..]),
        ("/account/sessions", &[("session", "one50")]),
        ("/account/password", &passwords),
        ("/account/close", &passwords[..1]),
    ] {
        let answer = ann.submit(page, fields).await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("retry-after")),
            (429, Some("2")),
            "{page}"
        );
        let words = "Too many attempts. Try again in 2 seconds.";
        assert!(answer.text.contains(words) && answer.text.contains("role=\"alert\""), "{page}");
    }
}

#[tokio::test]
async fn att_17_03_an_account_keeps_ten_thousand_events_and_displaces_none_of_another() {
    let app = TestApp::new().await;
    app
        .sql(if app.is_on_postgres() {
            "insert into events (id, at, event, refusal, account_id, count)
             select decode(lpad(to_hex(1767225600000 + i), 12, '0') || lpad(to_hex(i), 20, '0'), 'hex'),
                    1767225600000 + i, 'session_revoked', i % 2, 'mallory', 1
             from generate_series(1, 20500) i"
        } else {
            "insert into events (id, at, event, refusal, account_id, count)
             with recursive n(i) as (select 1 union all select i + 1 from n where i < 20500)
             select unhex(printf('%012x%020x', 1767225600000 + i, i)), 1767225600000 + i,
                    'session_revoked', i % 2, 'mallory', 1
             from n"
        })
        .await;
    app.signed_in("ann").await;
    app.wait(HOUR);
    let before = written(&app).await[0];
    cleanup::remove_ended(&app.domain).await.unwrap();
    let of_mallory = "select count(*) from events where account_id = 'mallory' and refusal = 0";
    assert_eq!(app.count(of_mallory).await, 10_000);
    let refusals = "select count(*) from events where account_id = 'mallory' and refusal = 1";
    assert_eq!(app.count(refusals).await, 2_000);
    assert_eq!(written(&app).await[0], before - 250 - 8_250, "and all others are there");
    let newest = "select count(*) from events where account_id = 'mallory' and at = 1767225620500";
    assert_eq!(app.count(newest).await, 1, "the newest stay");
}
