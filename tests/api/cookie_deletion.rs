//! A refusal deletes the cookies of this service whose session ended at least a minute ago, and no
//! others. ATT-17-15 in `tests/CHECKS.md`.

use std::time::Duration;

use cloakroom::core::clock::{days, hours, mins};
use cloakroom::domain::jobs::cleanup;
use poem::http::Method;
use serde_json::json;

use crate::app::{Answer, Client, PASSWORD, START, TestApp, private_with, request};
use crate::confirmation::confirm;

const CLEARED: &str = "session=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0";
const NEW: &str = "another horse, another battery";

async fn ask(app: &TestApp, cookie: &str) -> Answer {
    let answer = app.send(private_with(&[cookie])).await;
    assert_eq!(answer.refusal(), (403, "session_refused".into()), "{cookie}");
    answer
}

/// Asserts that the cookie is refused, and not deleted.
async fn is_kept(app: &TestApp, cookie: &str) {
    assert_eq!(ask(app, cookie).await.header("set-cookie"), None, "{cookie}");
}

/// Asserts that the cookie is refused and deleted.
async fn is_deleted(app: &TestApp, cookie: &str) {
    assert_eq!(ask(app, cookie).await.header("set-cookie"), Some(CLEARED), "{cookie}");
}

async fn change_password(client: &Client<'_>) {
    let body = json!({ "current_password": PASSWORD, "new_password": NEW });
    assert_eq!(client.put("/me/password", &body).await.status, 204);
}

/// Ends the session of `client` by one of several ways. `other` is another session of the same
/// account.
async fn end(app: &TestApp, client: &Client<'_>, other: &Client<'_>, how: &str) {
    let delete = async |path: &str| {
        assert_eq!(confirm(other).await.status, 200);
        other.send(request(Method::DELETE, path).finish()).await.status
    };
    let status = match how {
        "logout" => client.post_nothing("/logout").await.status,
        "revoke" => {
            let id = client.get("/session").await.json()["id"].as_str().unwrap().to_owned();
            delete(&format!("/sessions/{id}")).await
        }
        "others" => delete("/sessions").await,
        "own password" => {
            change_password(client).await;
            return;
        }
        "password elsewhere" => {
            change_password(other).await;
            return;
        }
        "close" => {
            confirm(client).await;
            client.send(request(Method::DELETE, "/me").finish()).await.status
        }
        "delete" => {
            let name = client.get("/me").await.json()["username"].as_str().unwrap().to_owned();
            let name = cloakroom::core::usernames::Username::parse(&name).unwrap();
            assert!(app.domain.delete(&name).await.unwrap());
            return;
        }
        how => unreachable!("{how}"),
    };
    assert!(status.is_success(), "{how}: {status}");
}

const WAYS: [&str; 7] =
    ["logout", "revoke", "others", "own password", "password elsewhere", "close", "delete"];

#[tokio::test]
async fn att_17_15_cookie_of_an_hours_old_session_stays_for_a_minute_after_its_end_however_often_is_cleaned()
 {
    let app = TestApp::new().await;
    for how in WAYS {
        let name = format!("ann.{}", how.replace(' ', "."));
        let client = app.signed_in(&name).await;
        let other = app.signed_in_again(&name).await;
        let cookie = client.cookie().unwrap();
        app.wait(hours(3));
        assert_eq!(app.send(private_with(&[&cookie])).await.status, 200, "{how}");
        end(&app, &client, &other, how).await;
        // A request that was on its way meanwhile.
        is_kept(&app, &cookie).await;
        for _ in 0..3 {
            cleanup::remove_ended(&app.domain).await.unwrap();
            is_kept(&app, &cookie).await;
            app.wait(Duration::from_secs(19));
        }
        cleanup::remove_ended(&app.domain).await.unwrap();
        is_kept(&app, &cookie).await;
        app.wait(Duration::from_secs(3));
        is_deleted(&app, &cookie).await;
        cleanup::remove_ended(&app.domain).await.unwrap();
        is_deleted(&app, &cookie).await;
    }
    let rows = app.count("select count(*) from ended_tokens").await;
    assert_eq!(rows, 0, "a record is removed after its minute");
}

#[tokio::test]
async fn att_17_15_a_password_change_signs_nobody_out_whose_requests_are_on_their_way() {
    let app = TestApp::new().await;
    let browser = app.signed_in("ann").await;
    app.wait(hours(5));
    let before = browser.cookie().unwrap();
    change_password(&browser).await;
    let late = app.send(private_with(&[&before])).await;
    assert_eq!((late.status.as_u16(), late.header("set-cookie")), (403, None));
    assert_eq!(browser.get("/private").await.status, 200);
    // The same for the page.
    let page = request(Method::GET, "/account").header("accept", "text/html");
    let page = app.send(page.header("cookie", &before).finish()).await;
    assert_eq!((page.status.as_u16(), page.header("set-cookie")), (303, None));
}

#[tokio::test]
async fn att_17_15_cookie_of_a_session_that_ended_by_itself_is_deleted_a_minute_later() {
    let app = TestApp::new().await;
    let idle = app.signed_in("ann").await.cookie().unwrap();
    let cleaned = app.signed_in("bob").await.cookie().unwrap();
    app.wait(hours(8));
    is_kept(&app, &idle).await;
    cleanup::remove_ended(&app.domain).await.unwrap();
    for cookie in [&idle, &cleaned] {
        is_kept(&app, cookie).await;
    }
    app.wait(Duration::from_secs(59));
    cleanup::remove_ended(&app.domain).await.unwrap();
    for cookie in [&idle, &cleaned] {
        is_kept(&app, cookie).await;
    }
    app.wait(Duration::from_secs(1));
    for cookie in [&idle, &cleaned] {
        is_deleted(&app, cookie).await;
    }
    cleanup::remove_ended(&app.domain).await.unwrap();
    assert_eq!(app.count("select count(*) from sessions").await, 0);
    for cookie in [&idle, &cleaned] {
        is_deleted(&app, cookie).await;
    }
}

#[tokio::test]
async fn att_17_15_a_second_cookie_of_the_name_makes_no_answer_delete_the_good_one() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await.cookie().unwrap();
    let ended = app.signed_in_again("ann").await;
    let stale = ended.cookie().unwrap();
    ended.post_nothing("/logout").await;
    app.wait(mins(2));
    is_deleted(&app, &stale).await;
    for other in ["session=x", stale.as_str()] {
        is_kept(&app, &format!("{other}; {ann}")).await;
        is_kept(&app, &format!("{ann}; {other}")).await;
        for path in ["/account", "/login", "/signed-out", "/"] {
            let page = request(Method::GET, path).header("accept", "text/html");
            let page = page.header("cookie", format!("{other}; {ann}")).finish();
            let answer = app.send(page).await;
            assert_eq!(answer.header("set-cookie"), None, "{path}");
        }
    }
    assert_eq!(app.send(private_with(&[&ann])).await.status, 200);
}

#[tokio::test]
async fn att_17_15_cookies_of_other_applications_are_not_deleted() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await.cookie().unwrap();
    let elsewhere = TestApp::new().await;
    let theirs = elsewhere.signed_in("bob").await.cookie().unwrap(); // signed by another key
    let (header, rest) = ann.split_once('.').unwrap();
    let tampered = format!("{header}.A{rest}");
    app.wait(days(400));
    for cookie in ["session=s%3Aabc.def", "session=\"x\"", "session=eyJhbGciOiJIUzI1NiJ9.e30.x"] {
        is_kept(&app, cookie).await;
    }
    is_kept(&app, &theirs).await;
    is_kept(&app, &tampered).await;
    for path in ["/account", "/login", "/signed-out", "/", "/forward-auth/redirect"] {
        let page = request(Method::GET, path).header("accept", "text/html");
        let answer = app.send(page.header("cookie", &theirs).finish()).await;
        assert!(answer.sets("session").is_none(), "{path}");
        assert!(answer.status == 303 || answer.status == 200, "{path}: as nobody");
    }
}

#[tokio::test]
async fn att_17_15_with_the_clock_behind_after_a_power_cut_a_cookie_of_30_days_is_not_deleted() {
    let app = TestApp::new().await;
    app.signed_in("ann").await;
    let browser = app.anonymous();
    let remembered = json!({ "username": "ann", "password": PASSWORD, "remember": true });
    browser.post("/login", &remembered).await;
    let cookie = browser.cookie().unwrap();
    for back in [Duration::from_secs(61), hours(1), days(400), days(365 * 56)] {
        app.clock.set(START.minus(back));
        cleanup::remove_ended(&app.domain).await.unwrap();
        is_kept(&app, &cookie).await;
    }
    app.clock.set(START.plus(mins(1)));
    cleanup::remove_ended(&app.domain).await.unwrap();
    assert_eq!(app.send(private_with(&[&cookie])).await.status, 200, "the clock is right again");
}

#[tokio::test]
async fn att_17_15_signing_out_ends_the_session_while_the_clock_is_behind() {
    let app = TestApp::new().await;
    let browser = app.signed_in("ann").await;
    let copy = browser.cookie().unwrap();
    app.clock.set(START.minus(hours(1)));
    assert_eq!(browser.post_nothing("/logout").await.status, 204);
    app.clock.set(START.plus(mins(1)));
    ask(&app, &copy).await;
}

#[tokio::test]
async fn att_17_15_a_disabled_user_keeps_the_cookie_of_a_session_that_has_not_ended() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await.cookie().unwrap();
    app.wait(mins(5));
    // the operator's own SQL ends no session
    app.sql("update accounts set disabled_at = 1").await;
    is_kept(&app, &ann).await;
    app.sql("update accounts set disabled_at = null").await;
    assert_eq!(app.send(private_with(&[&ann])).await.status, 200);
}

#[tokio::test]
async fn att_17_15_an_empty_session_cookie_is_as_good_as_none() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await.cookie().unwrap();
    let answer = app.send(private_with(&["session="])).await;
    assert_eq!(answer.refusal(), (401, "not_authenticated".into()));
    for both in [format!("session=; {ann}"), format!("{ann}; session=; session= ")] {
        assert_eq!(app.send(private_with(&[&both])).await.status, 200, "{both}");
    }
}

#[tokio::test]
async fn att_17_15_pages_delete_the_cookie_of_a_session_that_ended_a_minute_ago() {
    let app = TestApp::new().await;
    let browser = app.signed_in("ann").await;
    let cookie = browser.cookie().unwrap();
    browser.post_nothing("/logout").await;
    for (wait, deletion) in [(Duration::ZERO, None), (mins(1), Some(CLEARED))] {
        app.wait(wait);
        for path in ["/account", "/account/password", "/login", "/signed-out", "/"] {
            let page = request(Method::GET, path).header("accept", "text/html");
            let answer = app.send(page.header("cookie", &cookie).finish()).await;
            assert_eq!(answer.sets("session"), deletion, "{path}");
        }
    }
}
