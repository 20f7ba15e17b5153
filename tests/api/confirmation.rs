//! The confirmation of a session with the password. MFA-35 to MFA-37 in `tests/CHECKS.md`.

use std::time::Duration;

use cloakroom::core::clock::{days, hours, mins};
use cloakroom::domain::jobs::cleanup;
use futures_util::future::join_all;
use poem::http::Method;
use serde_json::{Value, json};

use crate::access_tokens;
use crate::app::{Answer, Client, PASSWORD, START, TestApp, private_with, request};
use crate::completeness::{accepts, example, operations};
use crate::races::rounds;

const CLEARED: &str = "session=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0";
const REFUSED: (u16, &str) = (403, "session_refused");

pub async fn confirm(client: &Client<'_>) -> Answer {
    client.post("/session/confirm/password", &json!({ "current_password": PASSWORD })).await
}

/// A confirmation with this cookie.
async fn confirm_with(app: &TestApp, cookie: &str) -> Answer {
    let body = json!({ "current_password": PASSWORD }).to_string();
    let post = request(Method::POST, "/session/confirm/password").content_type("application/json");
    app.send(post.header("cookie", cookie).body(body)).await
}

/// Another browser, whose cookie is 20 minutes old.
async fn unconfirmed<'a>(app: &'a TestApp, name: &str) -> Client<'a> {
    let client = app.signed_in(name).await;
    app.wait(mins(20));
    client
}

/// The session of this cookie, as `getSession` shows it.
async fn session(app: &TestApp, cookie: &str) -> Value {
    let get = request(Method::GET, "/session").header("cookie", cookie).finish();
    let answer = app.send(get).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()
}

async fn is_confirmed(app: &TestApp, cookie: &str) -> bool {
    session(app, cookie).await.get("confirmed_until").is_some()
}

async fn read(app: &TestApp, cookie: &str) -> Answer {
    app.send(private_with(&[cookie])).await
}

async fn is_refused(app: &TestApp, cookie: &str) {
    let answer = read(app, cookie).await;
    assert_eq!(answer.refusal(), (REFUSED.0, REFUSED.1.to_owned()));
    assert_eq!(answer.header("set-cookie"), None, "it must not delete the present cookie");
}

#[tokio::test]
async fn mfa_35_a_session_is_confirmed_for_15_minutes_after_a_sign_in_or_a_confirmation() {
    let app = TestApp::new().await;
    app.signed_in("ann").await;
    let ann = app.anonymous();
    let logged_in = ann.log_in("ann", PASSWORD).await.json();
    assert_eq!(logged_in["session"]["authenticated_at"], "2026-01-01T00:00:00Z");
    assert_eq!(logged_in["session"]["confirmed_until"], "2026-01-01T00:15:00Z");
    app.wait(Duration::from_millis(899_999));
    assert!(is_confirmed(&app, &ann.cookie().unwrap()).await);
    app.wait(Duration::from_millis(1));
    assert!(!is_confirmed(&app, &ann.cookie().unwrap()).await);

    let answer = confirm(&ann).await;
    assert_eq!(answer.status, 200);
    let confirmed = answer.json();
    assert_eq!(confirmed["authenticated_at"], "2026-01-01T00:15:00Z");
    assert_eq!(confirmed["confirmed_until"], "2026-01-01T00:30:00Z");
    assert_eq!(session(&app, &ann.cookie().unwrap()).await, confirmed);
    let listed = ann.get("/sessions").await.json();
    let listed = listed["sessions"].as_array().unwrap();
    let confirmed: Vec<bool> =
        listed.iter().map(|session| session.get("confirmed_until").is_some()).collect();
    assert_eq!(confirmed.iter().filter(|is_confirmed| **is_confirmed).count(), 1, "{listed:?}");
    app.wait(mins(15));
    assert!(!is_confirmed(&app, &ann.cookie().unwrap()).await);
}

/// The rows that the operations change.
async fn rows(app: &TestApp) -> [i64; 3] {
    [
        app.count("select count(*) from accounts").await,
        app.count("select count(*) from sessions where ended_at is null").await,
        app.count("select count(*) from events where event = 'account_closed'").await,
    ]
}

#[tokio::test]
async fn mfa_35_and_37_exactly_the_documented_operations_require_a_confirmed_session() {
    let mut confirmed = Vec::new();
    for (method, path, operation) in operations() {
        if operation["security"] == json!([]) {
            continue;
        }
        let is_required = accepts(operation, "403", "confirmation_required");
        confirmed.extend(is_required.then(|| operation["operationId"].as_str().unwrap()));
        for kind in ["unconfirmed", "former token"] {
            let app = TestApp::new().await;
            let ann = app.signed_in("ann").await;
            app.signed_in_again("ann").await;
            let cookie = ann.cookie().unwrap();
            match kind {
                "unconfirmed" => app.wait(mins(15)),
                _ => assert_eq!(confirm(&ann).await.status, 200),
            }
            let before = rows(&app).await;
            let mut request = example(&method, &path, operation);
            request.headers_mut().insert("cookie", cookie.parse().unwrap());
            let answer = app.send(request).await;
            let is_refused = answer.status == 403
                && answer.refusal() == (403, "confirmation_required".to_owned());
            assert_eq!(is_refused, is_required, "{kind}: {method} {path}: {}", answer.text);
            if is_required {
                assert_eq!(answer.header("set-cookie"), None);
                assert_eq!(rows(&app).await, before, "{kind}: {method} {path}");
            }
        }
    }
    let expected =
        ["revokeOtherSessions", "revokeSession", "closeAccount", "changeEmail", "createApiToken"];
    assert_eq!(confirmed, expected);
}

#[tokio::test]
async fn an_unconfirmed_session_can_end_itself_and_after_a_confirmation_the_others() {
    let app = TestApp::new().await;
    let ann = unconfirmed(&app, "ann").await;
    let other = app.signed_in_again("ann").await;
    let delete = async |client: &Client<'_>, id: &str| {
        client.send(request(Method::DELETE, &format!("/sessions/{id}")).finish()).await
    };
    let id = other.get("/session").await.json()["id"].as_str().unwrap().to_owned();
    for id in [&*id, "xxxxxxxxxxxxxxxxxxxxxx", "unknown"] {
        let answer = delete(&ann, id).await;
        assert_eq!(answer.refusal(), (403, "confirmation_required".into()), "{id}");
    }
    assert_eq!(other.get("/private").await.status, 200);
    confirm(&ann).await;
    assert_eq!(delete(&ann, &id).await.status, 204);
    assert_eq!(other.get("/private").await.status, 403);

    app.wait(mins(15));
    let own = ann.get("/session").await.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(delete(&ann, &own).await.status, 204);
    assert_eq!(ann.get("/private").await.status, 403);
}

#[tokio::test]
async fn a_confirmed_session_that_was_revoked_on_another_node_closes_no_account() {
    let here = TestApp::new().await;
    let there = here.second_node().await;
    let stolen = here.signed_in("ann").await.cookie().unwrap();
    assert_eq!(read(&there, &stolen).await.status, 200, "it is cached there");
    let owner = here.signed_in_again("ann").await;
    let others = owner.send(request(Method::DELETE, "/sessions").finish()).await;
    assert_eq!(others.status, 200);
    let close = request(Method::DELETE, "/me").header("cookie", &stolen).finish();
    let answer = there.send(close).await;
    assert_eq!(answer.refusal(), (REFUSED.0, REFUSED.1.to_owned()), "not from the cache");
    assert_eq!(owner.get("/me").await.status, 200);
}

#[tokio::test]
async fn a_clock_that_is_set_back_prolongs_no_confirmation() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await.cookie().unwrap();
    app.clock.set(START.minus(Duration::from_secs(50)));
    assert!(is_confirmed(&app, &ann).await);
    app.clock.set(START.plus(hours(3)));
    let confirmed = confirm_with(&app, &ann).await.cookie().unwrap();
    app.clock.set(START.plus(hours(2)));
    assert_eq!(read(&app, &confirmed).await.status, 403, "the token is not valid yet");
}

#[tokio::test]
async fn a_confirmed_session_is_the_same_one_and_has_a_new_token_with_the_same_end() {
    let app = TestApp::new().await;
    app.signed_in("ann").await;
    let ann = app.anonymous();
    let login = json!({ "username": "ann", "password": PASSWORD, "remember": true });
    ann.post("/login", &login).await;
    let former = ann.cookie().unwrap();
    let before = session(&app, &former).await;
    app.wait(days(3));
    let answer = confirm(&ann).await;
    let (token, attributes) = answer.sets("session").unwrap().split_once("; ").unwrap();
    assert_ne!(token, former);
    let (end, rest) = ("Expires=Sat, 31 Jan 2026 00:00:00 GMT", "Max-Age=2332800");
    assert_eq!(attributes, format!("Path=/; HttpOnly; SameSite=Lax; {end}; {rest}"), "27 days");
    let after = answer.json();
    for field in ["id", "created_at", "expires_at", "remember"] {
        assert_eq!(after[field], before[field], "{field}");
    }
    assert_eq!(app.count("select count(*) from sessions where account_id is not null").await, 2);
    let claims = |token: &str| access_tokens::part(token, 1);
    let [was, is] = [claims(&former), claims(token)];
    assert_ne!(is["sid"], was["sid"]);
    assert_eq!((&is["exp"], &is["sub"]), (&was["exp"], &was["sub"]));
    assert_eq!(is["iat"], START.plus(days(3)).seconds());
}

#[tokio::test]
async fn a_wrong_password_confirms_nothing_and_is_counted() {
    let app = TestApp::new().await;
    let ann = unconfirmed(&app, "ann").await;
    let former = ann.cookie().unwrap();
    let wrong = json!({ "current_password": "not it, I fear" });
    for _ in 0..5 {
        let answer = ann.post("/session/confirm/password", &wrong).await;
        assert_eq!(answer.refusal(), (403, "invalid_credentials".into()));
        assert_eq!(answer.header("set-cookie"), None);
    }
    assert_eq!(confirm(&ann).await.refusal(), (429, "too_many_attempts".into()));
    assert_eq!(ann.cookie().unwrap(), former);
    assert!(!is_confirmed(&app, &former).await);
    app.wait(Duration::from_secs(1));
    assert_eq!(confirm(&ann).await.status, 200);
    app.domain.audit.write_all(&app.domain.store).await;
    let events = |sql| app.count(sql);
    let one = "select count(*) from events where event = 'session_confirmed'
               and session_id = (select id from sessions)";
    assert_eq!(events(one).await, 1);
    assert!(events("select count(*) from events where event = 'password_refused'").await > 0);
    let metrics = app.metrics().await;
    for line in ["succeeded\"} 1", "refused\"} 5", "throttled\"} 1", "failed\"} 0"] {
        let line = format!("cloakroom_confirmations_total{{outcome=\"{line}");
        assert!(metrics.contains(&line), "{line}");
    }
}

#[tokio::test]
async fn mfa_37_the_former_token_lives_ten_seconds_without_the_confirmation_and_deletes_no_cookie()
{
    let app = TestApp::new().await;
    let ann = unconfirmed(&app, "ann").await;
    let former = ann.cookie().unwrap();
    assert_eq!(read(&app, &former).await.status, 200);
    let id = confirm(&ann).await.json()["id"].clone();
    let present = ann.cookie().unwrap();
    for wait in [Duration::ZERO, Duration::from_millis(9_999)] {
        app.wait(wait);
        let late = session(&app, &former).await;
        assert_eq!((&late["id"], &late["current"]), (&id, &json!(true)));
        assert_eq!(late["authenticated_at"], "2026-01-01T00:00:00Z", "not the confirmation");
        assert!(late.get("confirmed_until").is_none());
        let list = request(Method::GET, "/sessions").header("cookie", &former).finish();
        assert_eq!(app.send(list).await.json()["sessions"][0], late, "the list says the same");
        assert!(is_confirmed(&app, &present).await);
    }
    for wait in [1, 1_000, 48_999] {
        app.wait(Duration::from_millis(wait));
        is_refused(&app, &former).await;
        cleanup::remove_ended(&app.domain).await.unwrap();
        is_refused(&app, &former).await;
    }
    assert_eq!(app.count("select count(*) from ended_tokens").await, 1);
    app.wait(Duration::from_millis(1));
    for _ in 0..2 {
        let answer = read(&app, &former).await;
        assert_eq!((answer.status.as_u16(), answer.header("set-cookie")), (403, Some(CLEARED)));
        cleanup::remove_ended(&app.domain).await.unwrap();
    }
    assert_eq!(app.count("select count(*) from ended_tokens").await, 0);
    assert_eq!(ann.get("/private").await.status, 200);
}

#[tokio::test]
async fn mfa_37_a_confirmation_does_not_confirm_the_former_token_that_was_confirmed_before() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await;
    let former = ann.cookie().unwrap();
    assert!(is_confirmed(&app, &former).await);
    confirm(&ann).await;
    assert!(!is_confirmed(&app, &former).await);
    assert!(is_confirmed(&app, &ann.cookie().unwrap()).await);
}

#[tokio::test]
async fn mfa_37_a_former_token_that_was_refused_stays_refused_when_the_clock_is_set_back() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await;
    let former = ann.cookie().unwrap();
    confirm(&ann).await;
    app.wait(Duration::from_secs(10));
    is_refused(&app, &former).await;
    app.clock.set(START);
    is_refused(&app, &former).await;
    assert_eq!(ann.get("/private").await.status, 200);
}

#[tokio::test]
async fn mfa_37_a_node_whose_clock_is_far_behind_grants_the_former_token_nothing() {
    let app = TestApp::new().await;
    let behind = app.second_node().await;
    let ann = app.signed_in("ann").await;
    let former = ann.cookie().unwrap();
    app.wait(Duration::from_secs(20));
    confirm(&ann).await;
    app.clock.set(START.plus(Duration::from_secs(5)));
    is_refused(&behind, &former).await;
}

#[tokio::test]
async fn a_confirmation_that_is_repeated_with_the_former_token_leads_to_the_same_session() {
    let app = TestApp::new().await;
    let there = app.second_node().await;
    let ann = unconfirmed(&app, "ann").await;
    let former = ann.cookie().unwrap();
    let first = confirm_with(&app, &former).await;
    app.wait(Duration::from_secs(9));
    let second = confirm_with(&there, &former).await; // the response to the first one was lost
    assert_eq!((first.status.as_u16(), second.status.as_u16()), (200, 200));
    assert_eq!(first.json()["id"], second.json()["id"]);
    app.wait(Duration::from_secs(2));
    for cookie in [first.cookie().unwrap(), second.cookie().unwrap()] {
        assert!(is_confirmed(&app, &cookie).await, "whichever of them the browser keeps");
        assert!(is_confirmed(&there, &cookie).await);
    }
    is_refused(&app, &former).await;
    assert_eq!(app.count("select count(*) from sessions").await, 1);
}

#[tokio::test]
async fn a_token_that_was_replaced_twice_cannot_confirm_the_session() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await;
    let oldest = ann.cookie().unwrap();
    confirm(&ann).await;
    confirm(&ann).await;
    assert!(!is_confirmed(&app, &oldest).await, "both replacements were a moment ago");
    let answer = confirm_with(&app, &oldest).await;
    assert_eq!(answer.refusal(), (403, "session_refused".into()));
    assert_eq!(answer.header("set-cookie"), None);
    assert!(is_confirmed(&app, &ann.cookie().unwrap()).await);
}

#[tokio::test]
async fn a_sign_out_with_the_former_token_ends_the_confirmed_session() {
    let app = TestApp::new().await;
    let ann = unconfirmed(&app, "ann").await;
    let former = ann.cookie().unwrap();
    let confirmed = confirm_with(&app, &former).await.cookie().unwrap();
    assert_eq!(read(&app, &confirmed).await.status, 200);
    assert_eq!(ann.post_nothing("/logout").await.status, 204); // it was on its way meanwhile
    for cookie in [&former, &confirmed] {
        is_refused(&app, cookie).await;
    }
    assert_eq!(confirm_with(&app, &former).await.refusal(), (403, "session_refused".into()));
}

#[tokio::test]
async fn a_password_change_ends_the_confirmed_session_with_its_former_token() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await;
    let former = ann.cookie().unwrap();
    let confirmed = confirm_with(&app, &former).await.cookie().unwrap();
    let other = app.signed_in_again("ann").await;
    let change = json!({ "current_password": PASSWORD, "new_password": "a long walk, again" });
    assert_eq!(other.put("/me/password", &change).await.status, 204);
    for cookie in [&former, &confirmed] {
        is_refused(&app, cookie).await;
    }
    let answer = confirm_with(&app, &former).await;
    assert_eq!(answer.refusal(), (403, "session_refused".into()));
}

#[tokio::test]
async fn a_disabled_user_can_use_neither_token() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await;
    let former = ann.cookie().unwrap();
    let confirmed = confirm_with(&app, &former).await.cookie().unwrap();
    let name = cloakroom::core::usernames::Username::parse("ann").unwrap();
    app.domain.disable(&name).await.unwrap();
    for cookie in [&former, &confirmed] {
        is_refused(&app, cookie).await;
    }
}

#[tokio::test]
async fn a_confirmation_at_one_node_holds_at_the_other_within_a_second() {
    let here = TestApp::new().await;
    let there = here.second_node().await;
    for n in 0..rounds(10) {
        let ann = here.signed_in(&format!("ann{n}")).await;
        let former = ann.cookie().unwrap();
        assert!(is_confirmed(&there, &former).await, "it is cached there");
        confirm(&ann).await;
        assert!(is_confirmed(&there, &ann.cookie().unwrap()).await, "a new token is not cached");
        let started = std::time::Instant::now();
        loop {
            let asked = started.elapsed();
            if !is_confirmed(&there, &former).await {
                break;
            }
            assert!(asked < Duration::from_secs(1), "still confirmed");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        here.wait(Duration::from_secs(10));
        is_refused(&there, &former).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mfa_36_no_request_with_the_former_token_deletes_the_cookie_or_is_confirmed_afterwards() {
    let here = TestApp::without_limits().await;
    let there = here.second_node().await;
    for n in 0..rounds(3) {
        let ann = unconfirmed(&here, &format!("ann{n}")).await;
        let former = ann.cookie().unwrap();
        let requests = join_all((0..200).map(async |n| {
            let node = if n % 2 == 0 { &here } else { &there };
            let get = request(Method::GET, "/session").header("cookie", &former).finish();
            node.send(get).await
        }));
        let (confirmed, answers) = tokio::join!(confirm(&ann), requests);
        assert_eq!(confirmed.status, 200);
        for answer in answers {
            assert_eq!(answer.status, 200, "{}", answer.text);
            assert_eq!(answer.header("set-cookie"), None);
            assert!(answer.json().get("confirmed_until").is_none());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn confirmations_race_on_two_nodes_and_each_answered_token_works() {
    let here = TestApp::without_limits().await;
    let there = here.second_node().await;
    for n in 0..rounds(5) {
        let former = unconfirmed(&here, &format!("ann{n}")).await.cookie().unwrap();
        let confirmations = join_all((0..4).map(|n| {
            let node = if n % 2 == 0 { &here } else { &there };
            confirm_with(node, &former)
        }));
        for answer in confirmations.await {
            assert_eq!(answer.status, 200, "{}", answer.text);
            assert!(is_confirmed(&here, &answer.cookie().unwrap()).await);
        }
        here.wait(Duration::from_secs(10));
        is_refused(&here, &former).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_confirmation_revives_a_session_that_ends_at_the_same_time_on_another_node() {
    const NEW: &str = "a long walk, again and again";
    let here = TestApp::without_limits().await;
    let there = here.second_node().await;
    for round in 0..rounds(12) {
        let name = format!("ann{round}");
        let ann = unconfirmed(&here, &name).await;
        let cookie = ann.cookie().unwrap();
        let other = here.signed_in_again(&name).await.cookie().unwrap();
        let ending = async {
            let (method, path, cookie, body) = match round % 4 {
                0 => (Method::POST, "/logout", &cookie, json!({})),
                1 => (Method::DELETE, "/sessions", &other, Value::Null),
                2 => (
                    Method::PUT,
                    "/me/password",
                    &other,
                    json!({ "current_password": PASSWORD, "new_password": NEW }),
                ),
                _ => {
                    let name = cloakroom::core::usernames::Username::parse(&name).unwrap();
                    assert!(there.domain.delete(&name).await.unwrap());
                    return;
                }
            };
            let request = request(method, path).header("cookie", cookie);
            let request = match body {
                Value::Null => request.finish(),
                body => request.content_type("application/json").body(body.to_string()),
            };
            let answer = there.send(request).await;
            assert!(answer.status.is_success(), "{}", answer.text);
        };
        let (confirmed, ()) = tokio::join!(confirm(&ann), ending);
        let status = confirmed.status.as_u16();
        assert!([200, 403].contains(&status), "{}", confirmed.text);
        for cookie in [Some(cookie), confirmed.cookie()].into_iter().flatten() {
            is_refused(&there, &cookie).await; // where it has ended
        }
    }
    let orphans = "select count(*) from sessions where account_id not in (select id from accounts)";
    assert_eq!(here.count(orphans).await, 0);
}

#[tokio::test]
async fn an_older_node_refuses_the_former_token_at_once_and_deletes_no_cookie() {
    // It knows `ended_tokens` without the column `session_id`.
    let app = TestApp::new().await;
    let ann = unconfirmed(&app, "ann").await;
    let former = ann.cookie().unwrap();
    confirm(&ann).await;
    app.sql("update ended_tokens set session_id = null").await;
    is_refused(&app, &former).await;
    assert_eq!(ann.get("/private").await.status, 200);
}
