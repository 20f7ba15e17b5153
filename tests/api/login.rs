//! Signing in and out, and the sessions in between.

use std::sync::Arc;
use std::time::Duration;

use cloakroom::core::clock::{days, hours};
use serde_json::json;

use crate::app::{PASSWORD, TestApp, private_with};

const SECOND: Duration = Duration::from_secs(1);

/// A second less.
fn almost(time: Duration) -> Duration {
    time.checked_sub(SECOND).unwrap()
}

#[tokio::test]
async fn a_good_login_gives_a_session_that_opens_private() {
    let app = TestApp::new().await;
    app.signed_in("ann").await;
    let client = app.anonymous();
    let answer = client.log_in("ann", PASSWORD).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["ok"], true);
    assert_eq!(answer.json()["session"]["current"], true);

    let private = client.get("/private").await;
    assert_eq!(private.json(), json!({ "username": "ann", "private": "get some private data" }));
    assert_eq!(client.get("/session").await.json(), answer.json()["session"]);
    assert_eq!(client.get("/me").await.json()["username"], "ann");
}

#[tokio::test]
async fn wrong_password_and_unknown_user_answer_the_same_bytes() {
    let app = TestApp::new().await;
    app.signed_in("ann").await;
    let wrong = app.anonymous().log_in("ann", "something else entirely").await;
    let unknown = app.anonymous().log_in("bob", "something else entirely").await;
    let impossible = app.anonymous().log_in("no name at all!", "something else entirely").await;
    assert_eq!(wrong.refusal(), (403, "invalid_credentials".into()));
    assert_eq!(wrong.json()["detail"], "Invalid user or password");
    for other in [unknown, impossible] {
        assert_eq!(other.text, wrong.text);
        let names = |answer: &crate::app::Answer| {
            let mut names: Vec<_> = answer.headers.keys().map(ToString::to_string).collect();
            names.sort();
            names
        };
        assert_eq!(names(&other), names(&wrong));
    }
}

#[tokio::test]
async fn a_password_is_read_to_its_1024th_character_and_no_further() {
    let app = TestApp::new().await;
    for (length, status) in [(1024, 403), (1025, 400)] {
        assert_eq!(app.anonymous().log_in("ann", &"x".repeat(length)).await.status, status);
    }
}

#[tokio::test]
async fn a_name_in_capitals_signs_in_to_the_same_account() {
    let app = TestApp::new().await;
    app.signed_in("Ann").await;
    let client = app.anonymous();
    assert_eq!(client.log_in("ANN", PASSWORD).await.status, 200);
    assert_eq!(client.get("/me").await.json()["username"], "ann");
}

#[tokio::test]
async fn logging_out_ends_every_copy_of_the_cookie() {
    let app = TestApp::new().await;
    let client = app.signed_in("ann").await;
    let copy = client.cookie().unwrap();
    let answer = client.post_nothing("/logout").await;
    assert_eq!(answer.status, 204);
    assert_eq!(
        answer.header("set-cookie"),
        Some("session=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0")
    );
    let refused = app.send(private_with(&[&copy])).await;
    assert_eq!(refused.refusal(), (403, "session_refused".into()));
    assert_eq!(refused.json()["detail"], "Invalid authentication");
    let again = crate::app::request(poem::http::Method::POST, "/logout").header("cookie", &copy);
    assert_eq!(app.send(again.finish()).await.status, 204, "it has ended already");
    assert_eq!(client.get("/private").await.refusal(), (401, "not_authenticated".into()));
}

#[tokio::test]
async fn ses_12_logging_out_without_a_session_answers_the_same() {
    let app = TestApp::new().await;
    let client = app.signed_in("ann").await;
    let first = client.post_nothing("/logout").await;
    for cookie in [None, Some("session=made.up.one"), Some("session=a; session=b")] {
        let mut request = crate::app::request(poem::http::Method::POST, "/logout").finish();
        if let Some(cookie) = cookie {
            request.headers_mut().insert("cookie", cookie.parse().unwrap());
        }
        let again = app.send(request).await;
        assert_eq!(again.status, 204);
        assert_eq!(again.header("set-cookie"), first.header("set-cookie"));
    }
}

#[tokio::test]
async fn ses_11_logging_in_again_ends_the_session_of_the_same_browser() {
    let app = TestApp::new().await;
    app.signed_in("ann").await;
    let browser = app.signed_in("bob").await;
    let before = browser.cookie().unwrap();
    assert_eq!(browser.log_in("ann", PASSWORD).await.status, 200);
    assert_ne!(browser.cookie().unwrap(), before);
    assert_eq!(browser.get("/me").await.json()["username"], "ann");
    assert_eq!(app.send(private_with(&[&before])).await.status, 403);
}

#[tokio::test]
async fn a_failed_login_keeps_the_session_of_the_same_browser() {
    let app = TestApp::new().await;
    let browser = app.signed_in("ann").await;
    assert_eq!(browser.log_in("ann", "something else entirely").await.status, 403);
    assert_eq!(browser.get("/private").await.status, 200);
}

#[tokio::test]
async fn a_session_ends_eight_hours_after_its_last_use() {
    let app = TestApp::new().await;
    let client = app.signed_in("ann").await;
    app.wait(almost(hours(8)));
    assert_eq!(client.get("/private").await.status, 200);
    settle(&app).await;
    app.wait(almost(hours(8)));
    assert_eq!(client.get("/private").await.status, 200);
    settle(&app).await;
    app.wait(hours(8));
    assert_eq!(client.get("/private").await.refusal(), (403, "session_refused".into()));
}

#[tokio::test]
async fn a_session_ends_after_a_day_however_much_it_is_used() {
    let app = TestApp::new().await;
    let client = app.signed_in("ann").await;
    for _ in 0..23 {
        app.wait(hours(1));
        assert_eq!(client.get("/private").await.status, 200);
        settle(&app).await;
    }
    app.wait(almost(hours(1)));
    assert_eq!(client.get("/private").await.status, 200);
    app.wait(SECOND);
    assert_eq!(client.get("/private").await.status, 403);
}

#[tokio::test]
async fn remember_gives_thirty_days_and_a_lasting_cookie() {
    let app = TestApp::new().await;
    app.signed_in("ann").await;
    let client = app.anonymous();
    let body = json!({ "username": "ann", "password": PASSWORD, "remember": true });
    let answer = client.post("/login", &body).await;
    let set = answer.header("set-cookie").unwrap();
    // Java's CookieManager quotes the value of a cookie with `Max-Age` and without `Expires`.
    let lasting = "; Expires=Sat, 31 Jan 2026 00:00:00 GMT; Max-Age=2592000";
    assert!(set.ends_with(lasting), "{set}");
    assert_eq!(answer.json()["session"]["remember"], true);
    assert_eq!(answer.json()["session"]["idle_expires_at"], "2026-01-15T00:00:00Z");
    assert_eq!(answer.json()["session"]["expires_at"], "2026-01-31T00:00:00Z");

    app.wait(almost(days(14)));
    assert_eq!(client.get("/private").await.status, 200);
    settle(&app).await;
    app.wait(almost(days(14)));
    assert_eq!(client.get("/private").await.status, 200);
    settle(&app).await;
    app.wait(days(2) + 2 * SECOND);
    assert_eq!(client.get("/private").await.status, 403);
}

#[tokio::test]
async fn sessions_outlive_a_restart() {
    let mut app = TestApp::new().await;
    let cookie = app.signed_in("ann").await.cookie().unwrap();
    app.restarted().await;
    assert_eq!(app.send(private_with(&[&cookie])).await.status, 200);
}

#[tokio::test]
async fn a_form_logs_in_under_the_same_rules_as_json() {
    let app = TestApp::new().await;
    app.signed_in("ann").await;
    let client = app.anonymous();
    let answer = client.post_form("/login", &[("username", "ann"), ("password", PASSWORD)]).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["ok"], true);
    assert_eq!(client.get("/private").await.status, 200);

    let again = [("username", "ann"), ("password", PASSWORD), ("remember", "true")];
    let answer = app.anonymous().post_form("/login", &again).await;
    assert_eq!(answer.json()["session"]["remember"], true);
}

/// Waits for the work that continues after a response: recording when a session was seen. The task
/// that does this owns the store until it has ended.
pub async fn settle(app: &TestApp) {
    let owners = || Arc::strong_count(&app.domain.store);
    assert!(app.eventually(async || owners() == app.store_owners).await, "{}", owners());
}
