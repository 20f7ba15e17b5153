//! Registration with an invite.

use std::time::Duration;

use cloakroom::config::{Registration, Settings};
use cloakroom::core::clock::days;
use cloakroom::domain::jobs::cleanup;
use poem::http::Method;
use serde_json::json;

use crate::app::{Answer, PASSWORD, TestApp, request};

async fn app() -> TestApp {
    let settings = Settings { registration: Some(Registration::Invite), ..Settings::default() };
    TestApp::with(settings).await
}

async fn invite(app: &TestApp) -> String {
    app.domain.invites.invite(days(7)).await.unwrap().0.expose().to_owned()
}

async fn register(app: &TestApp, username: &str, invite: &str) -> Answer {
    let body = json!({ "username": username, "password": PASSWORD, "invite": invite });
    app.anonymous().post("/register", &body).await
}

#[tokio::test]
async fn an_invite_makes_one_account() {
    let app = app().await;
    let code = invite(&app).await;
    assert_eq!(register(&app, "ann", &code).await.status, 201);
    let again = register(&app, "bob", &code).await;
    assert_eq!(again.refusal(), (403, "invite_refused".into()));
    assert_eq!(app.anonymous().log_in("bob", PASSWORD).await.status, 403);
    assert_eq!(app.anonymous().log_in("ann", PASSWORD).await.status, 200);
}

#[tokio::test]
async fn a_missing_a_wrong_a_used_an_expired_and_a_withdrawn_invite_are_refused_alike() {
    let app = app().await;
    let (used, expired) = (invite(&app).await, invite(&app).await);
    assert_eq!(register(&app, "ann", &used).await.status, 201);
    app.wait(days(7).checked_sub(Duration::from_secs(1)).unwrap());
    let withdrawn = app.domain.invites.invite(days(1)).await.unwrap();
    assert!(app.domain.invites.withdraw_invite(&withdrawn.1.id).await.unwrap());
    assert!(!app.domain.invites.withdraw_invite(&withdrawn.1.id).await.unwrap());
    app.wait(Duration::from_secs(1));
    let body = json!({ "username": "bob", "password": PASSWORD });
    let missing = app.anonymous().post("/register", &body).await;
    assert_eq!(missing.refusal(), (403, "invite_refused".into()));
    let guessed = "0".repeat(32);
    for code in [&used, &expired, withdrawn.0.expose(), &guessed, "", "' or 1=1 --"] {
        let answer = register(&app, "bob", code).await;
        assert_eq!((answer.status, &answer.text), (missing.status, &missing.text), "{code}");
    }
    let long = register(&app, "bob", &"0".repeat(65)).await;
    assert_eq!(long.refusal(), (400, "invalid_request".into()));
}

#[tokio::test]
async fn who_has_no_invite_does_not_learn_which_names_are_taken() {
    let app = app().await;
    let code = invite(&app).await;
    assert_eq!(register(&app, "ann", &code).await.status, 201);
    assert_eq!(register(&app, "ann", "none").await.refusal().1, "invite_refused");
    let body = json!({ "username": "a b", "password": "short", "invite": "none" });
    let unfit = app.anonymous().post("/register", &body).await;
    assert_eq!(unfit.refusal().1, "invite_refused");
}

#[tokio::test]
async fn an_invite_outlives_a_name_that_is_taken_and_a_password_that_is_short() {
    let app = app().await;
    let (one, two) = (invite(&app).await, invite(&app).await);
    assert_eq!(register(&app, "ann", &one).await.status, 201);
    assert_eq!(register(&app, "ann", &two).await.refusal(), (409, "username_taken".into()));
    let body = json!({ "username": "bob", "password": "short", "invite": two });
    assert_eq!(app.anonymous().post("/register", &body).await.status, 422);
    let typed = format!(" {} ", two.to_uppercase());
    assert_eq!(register(&app, "bob", &typed).await.status, 201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_who_use_one_invite_at_once_one_wins() {
    let app = app().await;
    for round in 0..8 {
        let code = invite(&app).await;
        let names: Vec<_> = (0..16).map(|n| format!("user{round}-{n}")).collect();
        let answers = names.iter().map(|name| register(&app, name, &code));
        let answers = futures_util::future::join_all(answers).await;
        let of = |status: u16| answers.iter().filter(|answer| answer.status == status).count();
        assert_eq!((of(201), of(403)), (1, 15));
    }
    assert_eq!(app.count("select count(*) from accounts").await, 8);
    assert_eq!(app.count("select count(*) from invites").await, 0);
}

#[tokio::test]
async fn an_invite_is_not_needed_where_anybody_registers_and_of_no_use_where_nobody_does() {
    let open = TestApp::new().await;
    assert_eq!(register(&open, "ann", "whatever").await.status, 201);
    let settings = Settings { registration: Some(Registration::Closed), ..Settings::default() };
    let closed = TestApp::with(settings).await;
    let code = invite(&closed).await;
    let answer = register(&closed, "ann", &code).await;
    assert_eq!(answer.refusal(), (403, "registration_closed".into()));
}

#[tokio::test]
async fn the_store_knows_no_code_and_forgets_what_has_expired() {
    let app = app().await;
    let code = invite(&app).await;
    let stored = app
        .text(if app.is_on_postgres() {
            "select upper(encode(digest, 'hex')) || id from invites"
        } else {
            "select hex(digest) || id from invites"
        })
        .await;
    assert!(!stored.to_lowercase().contains(&code));
    app.wait(days(7));
    cleanup::remove_ended(&app.domain).await.unwrap();
    assert_eq!(app.count("select count(*) from invites").await, 0);
}

#[tokio::test]
async fn the_page_takes_the_invite_from_its_link_and_keeps_it() {
    let app = app().await;
    let code = invite(&app).await;
    let open = async |path: &str| {
        app.send(request(Method::GET, path).header("accept", "text/html").finish()).await
    };
    assert!(open("/login").await.text.contains(r#"href="/register""#));
    assert!(!open("/login").await.text.contains(r#"name="invite""#));
    assert!(open("/register").await.text.contains(r#"name="invite" value="""#));
    let page = open(&format!("/register?invite={code}")).await;
    assert!(page.text.contains(&format!(r#"name="invite" value="{code}""#)), "{}", page.text);
    let evil = open("/register?invite=%22%3E%3Cscript%3E").await;
    assert!(!evil.text.contains("<script>"), "{}", evil.text);

    let browser = app.anonymous();
    let fields = [("username", "ann"), ("password", "short"), ("invite", &code)];
    let again = browser.submit("/register", &fields).await;
    assert_eq!(again.status, 422);
    assert!(again.text.contains(&format!(r#"value="{code}""#)));
    let fields = [("username", "ann"), ("password", PASSWORD), ("invite", "wrong")];
    let refused = browser.submit("/register", &fields).await;
    assert_eq!(refused.status, 403);
    assert!(refused.text.contains("Ask the operator"), "{}", refused.text);
    let fields = [("username", "ann"), ("password", PASSWORD), ("invite", &code)];
    assert_eq!(browser.submit("/register", &fields).await.status, 303);
    assert!(!open_house_page().await.contains(r#"name="invite""#));
}

async fn open_house_page() -> String {
    let app = TestApp::new().await;
    let page = request(Method::GET, "/register?invite=x").header("accept", "text/html").finish();
    app.send(page).await.text
}
