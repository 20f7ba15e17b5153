//! Notices: the user of an account with a confirmed address is told by mail what happened to it.

use std::time::Duration;

use cloakroom::core::clock::{days, hours};
use cloakroom::core::secret::Password;
use cloakroom::core::usernames::Username;
use cloakroom::domain::throttle::limits::Limits;
use poem::Request;
use poem::http::{Method, header};
use serde_json::json;

use crate::app::{Client, PASSWORD, TestApp, coming_from, request};
use crate::email::{all_sent, app_with_mail, limited_app_with_mail, mails_to, set_address};

const ADDRESS: &str = "ann@example.org";
const NEW: &str = "a long walk by the river";
const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0";

/// The notices that Ann got with this end of the subject, when everything is sent.
async fn notices(app: &TestApp, about: &str) -> Vec<String> {
    app.domain.outbox.wake();
    all_sent(app).await;
    let mut mails = mails_to(app, ADDRESS);
    mails.retain(|mail| mail.contains(&format!("\r\nSubject: Cloakroom: {about}\r\n")));
    for mail in &mails {
        assert!(mail.contains("\r\nAuto-Submitted: auto-generated\r\n"), "{mail}");
        assert!(mail.is_ascii() && !mail.contains(PASSWORD) && !mail.contains(NEW), "{mail}");
        let links = mail.matches("http").count();
        assert_eq!((links, mail.matches("\r\nhttp://127.0.0.1:8000").count()), (1, 1), "{mail}");
    }
    mails
}

/// Ann with a confirmed address, and Bob without one.
async fn ann_and_bob(app: &TestApp) -> [Client<'_>; 2] {
    let ann = app.signed_in("ann").await;
    set_address(app, &ann, ADDRESS).await;
    [ann, app.signed_in("bob").await]
}

fn sign_in(username: &str, more: &[(header::HeaderName, &str)]) -> Request {
    let body = json!({ "username": username, "password": PASSWORD }).to_string();
    let request = request(Method::POST, "/login").content_type("application/json");
    let request = more.iter().fold(request, |request, (name, value)| request.header(name, *value));
    request.body(body)
}

#[tokio::test]
async fn a_changed_password_is_told_and_so_is_one_that_the_operator_sets() {
    let app = app_with_mail().await;
    let [ann, bob] = ann_and_bob(&app).await;
    let change = json!({ "current_password": PASSWORD, "new_password": NEW });
    let wrong = json!({ "current_password": "wrong", "new_password": NEW });
    assert_eq!(ann.put("/me/password", &wrong).await.status, 403);
    assert!(notices(&app, "your password was changed").await.is_empty());
    assert_eq!(ann.post("/api-tokens", &json!({ "name": "x" })).await.status, 201);
    for client in [&ann, &bob] {
        assert_eq!(client.put("/me/password", &change).await.status, 204);
    }
    let told = notices(&app, "your password was changed").await;
    assert_eq!(told.len(), 1);
    assert!(told[0].contains("\r\n\r\nann\r\n"), "{}", told[0]);
    let tokens = "API tokens of the account that still work: 1\r\n";
    assert!(told[0].contains(tokens), "{}", told[0]);

    let ann = Username::parse("ann").unwrap();
    let password = Password::new(PASSWORD.to_owned());
    let password = app.domain.rules.passwords.check(&password, None).unwrap();
    app.domain.reset_password(&ann, password).await.unwrap();
    let told = notices(&app, "your password was changed").await;
    let without_tokens = told.iter().filter(|mail| !mail.contains(tokens)).count();
    assert_eq!((told.len(), without_tokens), (2, 1), "the operator's change revoked it");
}

#[tokio::test]
async fn a_sign_in_by_an_unknown_browser_in_an_unknown_network_is_told() {
    let app = app_with_mail().await;
    let [ann, _] = ann_and_bob(&app).await;
    let send = async |from: &str, more: &[(header::HeaderName, &str)]| {
        let answer = app.send(coming_from(from, sign_in("ann", more))).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let device = answer.sets("device").unwrap().split(';').next().unwrap().to_owned();
        app.domain.audit.write(&app.domain.store, app.clock.now()).await.unwrap();
        (notices(&app, "new sign-in").await, device)
    };
    let (told, device) = send("192.0.2.1", &[(header::USER_AGENT, FIREFOX)]).await;
    assert_eq!(told.len(), 1);
    let text = "\r\n\r\nann\r\n\r\nTime: 2026-01-01T00:00:00Z\r\nBrowser: Firefox on Linux\r\n\
                IP address: 192.0.2.1\r\n\r\n";
    assert!(told[0].contains(text), "{}", told[0]);

    // The browser is known elsewhere, and the network is known to other browsers.
    let known = [(header::COOKIE, &*device)];
    assert_eq!(send("198.51.100.7", &known).await.0.len(), 1);
    assert_eq!(send("198.51.100.7", &[]).await.0.len(), 1);
    // An IPv6 network counts as a whole.
    assert_eq!(send("2001:db8::1", &[]).await.0.len(), 2);
    assert_eq!(send("2001:db8::2:1", &[]).await.0.len(), 2);
    // Also after the session has ended, but not for longer than 30 days.
    assert_eq!(ann.send(request(Method::DELETE, "/sessions").finish()).await.status, 200);
    app.wait(days(29));
    assert_eq!(send("192.0.2.1", &[]).await.0.len(), 2);
    app.wait(days(31));
    assert_eq!(send("192.0.2.1", &[]).await.0.len(), 3);
}

#[tokio::test]
async fn a_failed_sign_in_is_not_told_and_neither_is_one_without_an_address() {
    let app = app_with_mail().await;
    ann_and_bob(&app).await;
    let answer = app.anonymous().log_in("ann", "wrong").await;
    assert_eq!(answer.status, 403);
    app.signed_in_again("bob").await;
    assert!(notices(&app, "new sign-in").await.is_empty());
    app.signed_in_again(ADDRESS).await;
    let told = notices(&app, "new sign-in").await;
    assert_eq!(told.len(), 1, "the address names the same account");
    assert!(!told[0].contains("Browser:"), "a program has none: {}", told[0]);
}

#[tokio::test]
async fn mail_13_a_mailbox_gets_three_notices_of_sign_ins_and_then_one_an_hour() {
    let limits = Limits { mailbox: Limits::production().mailbox, ..Limits::none() };
    let app = limited_app_with_mail(limits).await;
    ann_and_bob(&app).await;
    for _ in 0..6 {
        app.signed_in_again("ann").await;
    }
    assert_eq!(notices(&app, "new sign-in").await.len(), 3);
    app.wait(hours(1));
    for _ in 0..2 {
        app.signed_in_again("ann").await;
    }
    assert_eq!(notices(&app, "new sign-in").await.len(), 4);
}

#[tokio::test]
async fn a_user_whom_the_embedding_service_signs_in_is_told_as_well() {
    use cloakroom::domain::external_login::ExternalLogin;
    use cloakroom::domain::requester::Requester;
    use cloakroom::domain::sessions::{ClientInfo, LoginContext, Remember};

    let app = app_with_mail().await;
    ann_and_bob(&app).await;
    let ann = app.domain.account_named(&Username::parse("ann").unwrap()).await.unwrap().unwrap();
    let client = ClientInfo { address: Some("192.0.2.1".to_owned()), browser: None };
    let context = || LoginContext {
        remember: Remember::No,
        client: client.clone(),
        requester: Requester {
            address: Some("192.0.2.1".parse().unwrap()),
            mailed: client.clone(),
            ..Requester::default()
        },
    };
    for _ in 0..2 {
        let outcome = app.domain.external_logins.log_in(&ann.id, context()).await.unwrap();
        assert!(matches!(outcome, ExternalLogin::Done(_)));
    }
    let told = notices(&app, "new sign-in").await;
    assert_eq!(told.len(), 1, "the second one comes from a known network");
    assert!(told[0].contains("\r\nIP address: 192.0.2.1\r\n"), "{}", told[0]);
}

#[tokio::test]
async fn a_new_api_token_is_told_without_its_name_and_secret() {
    let app = app_with_mail().await;
    let [ann, bob] = ann_and_bob(&app).await;
    for client in [&ann, &bob] {
        let answer = client.post("/api-tokens", &json!({ "name": "nightly-build" })).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
    }
    let told = notices(&app, "an API token was created").await;
    assert_eq!(told.len(), 1);
    assert!(!told[0].contains("clk_") && !told[0].contains("nightly-build"), "{}", told[0]);
    assert!(told[0].contains("\r\nhttp://127.0.0.1:8000/account/tokens"), "{}", told[0]);
}

#[tokio::test]
async fn tokens_that_expire_within_a_week_are_told_once_in_one_mail_by_one_node() {
    let app = app_with_mail().await;
    let there = app.second_node().await;
    let [ann, bob] = ann_and_bob(&app).await;
    for client in [&ann, &bob] {
        for days in [7, 20, 21, 30] {
            let token = json!({ "name": "a program", "expires_in_days": days });
            assert_eq!(client.post("/api-tokens", &token).await.status, 201);
        }
    }
    let announce = async || {
        let (here, there) = tokio::join!(
            app.domain.api_tokens.announce_expiring(),
            there.domain.api_tokens.announce_expiring()
        );
        here.unwrap();
        there.unwrap();
        notices(&app, "API tokens expire soon").await.len()
    };
    assert_eq!(announce().await, 0, "a token for a week is never announced");
    app.wait(days(13));
    assert_eq!(announce().await, 1);
    assert_eq!(announce().await, 1, "it is told once");
    app.wait(days(1));
    assert_eq!(announce().await, 2);
    app.wait(days(4));
    assert_eq!(announce().await, 2);
    // A token that is revoked is not announced.
    let ann = app.signed_in_again("ann").await;
    let tokens = ann.get("/api-tokens").await.json();
    let last = tokens["api_tokens"].as_array().unwrap().iter();
    let last = last.max_by_key(|token| token["expires_at"].as_str().unwrap().to_owned()).unwrap();
    let path = format!("/api-tokens/{}", last["id"].as_str().unwrap());
    assert_eq!(ann.send(request(Method::DELETE, &path).finish()).await.status, 204);
    all_sent(&app).await; // a notice of the sign-in is not worth sending a week later
    app.wait(days(7));
    assert_eq!(announce().await, 2);
}

#[tokio::test]
async fn a_closed_account_is_told_although_it_is_gone() {
    let app = app_with_mail().await;
    let [ann, bob] = ann_and_bob(&app).await;
    for client in [&ann, &bob] {
        assert_eq!(client.send(request(Method::DELETE, "/me").finish()).await.status, 204);
    }
    assert_eq!(notices(&app, "your account was closed").await.len(), 1);
    let ann = app.signed_in("cleo").await;
    set_address(&app, &ann, ADDRESS).await;
    assert!(app.domain.delete(&Username::parse("cleo").unwrap()).await.unwrap());
    assert_eq!(notices(&app, "your account was closed").await.len(), 2, "by the operator");
}

#[tokio::test]
async fn mail_21_a_change_and_its_notice_happen_together_or_not_at_all() {
    let app = app_with_mail().await;
    let [ann, _] = ann_and_bob(&app).await;
    all_sent(&app).await;
    app.sql("alter table mails rename to no_mails").await;
    let change = json!({ "current_password": PASSWORD, "new_password": NEW });
    let status = ann.put("/me/password", &change).await.status;
    assert!(status.is_server_error(), "{status}");
    let token = ann.post("/api-tokens", &json!({ "name": "x" })).await.status;
    assert!(token.is_server_error(), "{token}");
    let closed = ann.send(request(Method::DELETE, "/me").finish()).await.status;
    assert!(closed.is_server_error(), "{closed}");
    assert_eq!(ann.get("/me").await.status, 200, "the session and the account are there");
    assert_eq!(app.count("select count(*) from api_tokens").await, 0);
    app.sql("alter table no_mails rename to mails").await;
    assert_eq!(
        ann.put("/me/password", &change).await.status,
        204,
        "the password is the former one"
    );
    assert_eq!(notices(&app, "your password was changed").await.len(), 1);
}

#[tokio::test]
async fn a_service_without_mail_queues_no_notice() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await;
    app.sql("update accounts set email = 'ann@example.org', email_key = 'ann@example.org'").await;
    app.wait(Duration::from_secs(61)); // the session is read again
    let ann_again = app.signed_in_again("ann").await;
    assert_eq!(ann_again.post("/api-tokens", &json!({ "name": "x" })).await.status, 201);
    app.wait(days(85));
    app.domain.api_tokens.announce_expiring().await.unwrap();
    assert_eq!(app.count("select count(*) from api_tokens where notified_at is null").await, 1);
    let change = json!({ "current_password": PASSWORD, "new_password": NEW });
    drop(ann);
    let ann = app.signed_in_again("ann").await;
    assert_eq!(ann.put("/me/password", &change).await.status, 204);
    assert_eq!(app.count("select count(*) from mails").await, 0);
}
