//! The device cookie: all presented ones are checked, and signing out can delete it.

use cloakroom::config::Settings;
use cloakroom::core::clock::days;
use cloakroom::domain::keys::claims::DeviceClaims;
use poem::http::{Method, header};
use serde_json::{Value, json};

use crate::app::{Answer, PASSWORD, START, TestApp, coming_from, request};

const FORM: &str = "application/x-www-form-urlencoded";
const CLEARED: &str = "device=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0";

async fn log_in(app: &TestApp, password: &str, cookies: &str) -> Answer {
    let body = json!({ "username": "ann", "password": password }).to_string();
    let login = request(Method::POST, "/login").content_type("application/json");
    let login = login.header(header::COOKIE, cookies).body(body);
    app.send(coming_from("198.51.100.7", login)).await
}

async fn device_of(app: &TestApp, username: &str) -> String {
    let answer = app.anonymous().log_in(username, PASSWORD).await;
    answer.sets("device").unwrap().split(';').next().unwrap().to_owned()
}

/// Makes unknown clients of the account wait.
async fn throttle(app: &TestApp) {
    for _ in 0..5 {
        app.anonymous().log_in("ann", "something else entirely").await;
    }
    assert_eq!(app.anonymous().log_in("ann", PASSWORD).await.status, 429);
}

/// A device token that this service signed, for any account.
fn signed_device(app: &TestApp, account: &str, id: &str) -> String {
    let claims = DeviceClaims {
        account: account.to_owned().into(),
        version: 1,
        id: id.to_owned(),
        issued_at: START,
        expires_at: START.plus(days(90)),
    };
    app.domain.keys.sign_device(&claims).expose().to_owned()
}

#[tokio::test]
async fn att_17_05_a_header_full_of_planted_devices_hides_no_real_one() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await.get("/me").await.json();
    let ann = ann["id"].as_str().unwrap();
    let real = device_of(&app, "ann").await;
    let elsewhere = TestApp::new().await;
    let planted: Vec<String> = (0..30)
        .map(|n| match n % 3 {
            0 => signed_device(&app, "an account of the attacker", &format!("planted{n}")),
            1 => signed_device(&elsewhere, ann, &format!("planted{n}")), // by another key
            _ => format!("planted{n}"),
        })
        .collect();
    let planted: Vec<String> = planted.iter().map(|token| format!("device={token}")).collect();
    throttle(&app).await;
    for at in [0, planted.len() / 2, planted.len()] {
        let mut cookies = planted.clone();
        cookies.insert(at, real.clone());
        let cookies = cookies.join("; ");
        assert!(cookies.len() < 16 * 1024, "more does not fit a header");
        let answer = log_in(&app, PASSWORD, &cookies).await;
        assert_eq!(answer.status, 200, "behind {at} planted ones: {}", answer.text);
    }
    throttle(&app).await; // the successful logins have reset the count
    let only_planted = planted.join("; ");
    assert_eq!(log_in(&app, PASSWORD, &only_planted).await.status, 429);
}

#[tokio::test]
async fn att_17_05_distrusted_devices_of_the_account_itself_hide_no_trusted_one() {
    let app = TestApp::new().await;
    let client = app.signed_in("ann").await;
    let ann = client.get("/me").await.json()["id"].as_str().unwrap().to_owned();
    let real = device_of(&app, "ann").await;
    let stolen: Vec<String> = (0..12)
        .map(|n| format!("device={}", signed_device(&app, &ann, &format!("n{n}"))))
        .collect();
    let forget = request(Method::POST, "/logout").header(header::COOKIE, stolen.join("; "));
    let forget = forget.content_type("application/json").body(r#"{"forget_device":true}"#);
    assert_eq!(app.send(forget).await.status, 204);
    throttle(&app).await;
    assert_eq!(log_in(&app, PASSWORD, &stolen.join("; ")).await.status, 429);
    let cookies = format!("{}; {real}", stolen.join("; "));
    assert_eq!(log_in(&app, PASSWORD, &cookies).await.status, 200);
}

#[tokio::test]
async fn att_17_05_behind_https_the_device_cookie_is_bound_to_its_host() {
    let public_url = Some("https://id.example.org".to_owned());
    let app = TestApp::with(Settings { public_url, ..Settings::default() }).await;
    app.signed_in("ann").await;
    let answer = app.anonymous().log_in("ann", PASSWORD).await;
    let set = answer.sets("__Host-device").unwrap();
    assert!(set.contains("; Path=/; ") && set.contains("; Secure"), "{set}");
    assert!(!set.contains("Domain"), "{set}");
    // The previous name of the cookie is no longer read.
    let device = set.split(';').next().unwrap();
    throttle(&app).await;
    let old = device.replace("__Host-device", "__Secure-device");
    assert_eq!(log_in(&app, PASSWORD, &old).await.status, 429);
    assert_eq!(log_in(&app, PASSWORD, device).await.status, 200);
}

/// Signs out in one of several ways, and returns the response.
async fn log_out(app: &TestApp, cookies: &str, body: Option<(&str, &str)>, accept: &str) -> Answer {
    let logout = request(Method::POST, "/logout").header(header::COOKIE, cookies);
    let logout = logout.header(header::ACCEPT, accept);
    let logout = match body {
        Some((kind, body)) => logout.content_type(kind).body(body.to_owned()),
        None => logout.finish(),
    };
    app.send(logout).await
}

#[tokio::test]
async fn att_17_13_signing_out_forgets_the_device_on_demand_and_every_copy_of_its_cookie() {
    const PAGE: &str = "text/html,*/*;q=0.8";
    for (kind, body, accept) in [
        ("application/json", r#"{"forget_device":true}"#, "*/*"),
        (FORM, "forget_device=true", "*/*"),
        (FORM, "forget_device=on", PAGE),
    ] {
        let app = TestApp::new().await;
        app.signed_in("ann").await;
        let device = device_of(&app, "ann").await;
        let client = app.signed_in_again("ann").await;
        let session = client.cookie().unwrap();
        let answer =
            log_out(&app, &format!("{session}; {device}"), Some((kind, body)), accept).await;
        assert_eq!(answer.status, if accept == PAGE { 303 } else { 204 }, "{body}");
        assert_eq!(answer.sets("device"), Some(CLEARED), "{body}");
        assert!(answer.sets("session").unwrap().ends_with("Max-Age=0"), "{body}");
        throttle(&app).await;
        assert_eq!(log_in(&app, PASSWORD, &device).await.status, 429, "a copy of it: {body}");
        let told = app.domain.audit.write(&app.domain.store, app.clock.now());
        told.await.unwrap();
        let count = "select count(*) from events where event = 'device_distrusted'";
        assert!(app.eventually(async || app.count(count).await == 1).await, "{body}");
    }
}

#[tokio::test]
async fn att_17_13_signing_out_without_that_keeps_the_device_with_and_without_a_body() {
    let app = TestApp::new().await;
    app.signed_in("ann").await;
    let device = device_of(&app, "ann").await;
    for body in [
        None,
        Some(("application/json", "{}")),
        Some(("application/json", "")),
        Some(("application/json", "null")), // from a client in Go
        Some((FORM, "")),
        Some(("text/plain", "")),
        Some(("application/json", r#"{"forget_device":false}"#)),
    ] {
        let session = app.signed_in_again("ann").await.cookie().unwrap();
        let answer = log_out(&app, &format!("{session}; {device}"), body, "*/*").await;
        assert_eq!(answer.status, 204, "{body:?}");
        assert_eq!(answer.sets("device"), None, "{body:?}");
        assert_eq!(app.send(crate::app::private_with(&[&session])).await.status, 403);
    }
    throttle(&app).await;
    assert_eq!(log_in(&app, PASSWORD, &device).await.status, 200);
}

#[tokio::test]
async fn att_17_13_a_body_that_is_not_as_documented_is_refused_and_ends_nothing() {
    let app = TestApp::new().await;
    let session = app.signed_in("ann").await.cookie().unwrap();
    for (kind, body, expected) in [
        ("application/json", "[]", (400, "invalid_request")),
        ("application/json", r#"{"forget_device":"yes"}"#, (400, "invalid_request")),
        ("application/json", r#"{"forget":true}"#, (400, "invalid_request")),
        ("text/plain", "forget_device", (415, "unsupported_media_type")),
    ] {
        let answer = log_out(&app, &session, Some((kind, body)), "*/*").await;
        assert_eq!(answer.refusal(), (expected.0, expected.1.to_owned()), "{body}");
    }
    let large = format!(r#"{{"forget_device":{}true}}"#, " ".repeat(17 * 1024));
    let answer = log_out(&app, &session, Some(("application/json", &large)), "*/*").await;
    assert_eq!(answer.refusal(), (413, "payload_too_large".into()));
    assert_eq!(app.send(crate::app::private_with(&[&session])).await.status, 200);
}

#[tokio::test]
async fn att_17_13_each_page_that_signs_out_offers_to_forget_the_browser() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await;
    let mut pages = Vec::new();
    for path in ["/account", "/account/password", "/account/close"] {
        pages.push(ann.get(path).await);
    }
    let logout = request(Method::GET, "/logout").header(header::ACCEPT, "text/html");
    pages.push(ann.send(logout.finish()).await);
    for page in pages {
        let forms = page.text.matches(r#"action="/logout""#).count();
        assert!(forms > 0, "{}", page.text);
        assert_eq!(page.text.matches(r#"name="forget_device""#).count(), forms, "{}", page.text);
    }
}

#[tokio::test]
async fn att_17_13_the_document_says_that_the_body_of_logout_is_optional() {
    let document: &Value = &crate::contract::DOCUMENT;
    let body = &document["paths"]["/logout"]["post"]["requestBody"];
    assert_ne!(body["required"], true);
    assert!(body["content"].as_object().unwrap().keys().eq(["application/json"]));
}
