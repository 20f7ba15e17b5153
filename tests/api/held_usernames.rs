//! User names of closed and deleted accounts are reserved for a time.

use std::time::Duration;

use cloakroom::config::{AccountSettings, Period, Registration, Settings};
use cloakroom::core::clock::days;
use cloakroom::core::secret::Password;
use cloakroom::core::usernames::Username;
use cloakroom::domain::Rules;
use cloakroom::domain::administration::NewUser;
use cloakroom::domain::imports::{ImportedPassword, ImportedUser};
use cloakroom::domain::jobs::cleanup;
use cloakroom::domain::roles::Roles;
use poem::http::Method;
use serde_json::json;

use crate::app::{Answer, Client, PASSWORD, TestApp, request};

const HELD: &str = "select count(*) from held_usernames";

async fn register(app: &TestApp, username: &str) -> Answer {
    let body = json!({ "username": username, "password": PASSWORD });
    app.anonymous().post("/register", &body).await
}

async fn close(client: &Client<'_>) {
    let answer = client.send(request(Method::DELETE, "/me").finish()).await;
    assert_eq!(answer.status, 204, "{}", answer.text);
}

fn name(text: &str) -> Username {
    Username::parse(text).unwrap()
}

/// Adds a user like an operator.
async fn add(app: &TestApp, username: &str) {
    let username = name(username);
    let password = Password::new(PASSWORD.to_owned());
    let Rules { passwords, .. } = &app.domain.rules;
    let password = passwords.check(&password, Some(&username)).unwrap();
    app.domain.add_account(NewUser::new(username), Some(password)).await.unwrap();
}

/// Counts the written events that the SQL selects.
async fn events(app: &TestApp, sql: &'static str) -> i64 {
    app.domain.audit.write(&app.domain.store, app.clock.now()).await.unwrap();
    app.count(sql).await
}

#[tokio::test]
async fn att_17_02_no_registration_gets_the_user_name_of_a_closed_account_for_a_year() {
    let app = TestApp::new().await;
    app.signed_in("bob").await;
    close(&app.signed_in("ann").await).await;
    let taken = register(&app, "bob").await;
    for typed in ["ann", "ANN", "ａｎｎ"] {
        let answer = register(&app, typed).await;
        assert_eq!(answer.refusal(), (409, "username_taken".into()), "{typed}");
        assert_eq!(answer.text, taken.text, "the same bytes as a name that a user has");
    }
    app.signed_in("anna").await;
    let page = [("username", "ann"), ("password", PASSWORD)];
    let page = app.anonymous().submit("/register", &page).await;
    let taken = [("username", "bob"), ("password", PASSWORD)];
    let taken = app.anonymous().submit("/register", &taken).await;
    assert_eq!(page.status, 409);
    assert_eq!(page.text, taken.text.replace("bob", "ann"), "the page says the same");

    app.wait(days(365).checked_sub(Duration::from_millis(1)).unwrap());
    assert_eq!(register(&app, "ann").await.status, 409);
    cleanup::remove_ended(&app.domain).await.unwrap();
    assert_eq!(app.count(HELD).await, 1, "the cleaner leaves it");
    app.wait(Duration::from_millis(1));
    app.signed_in("ann").await;
    cleanup::remove_ended(&app.domain).await.unwrap();
    assert_eq!(app.count(HELD).await, 0, "the cleaner removes what is no longer held");
}

#[tokio::test]
async fn att_17_02_an_invite_does_not_get_a_held_name_and_stays_usable() {
    let settings = Settings { registration: Some(Registration::Invite), ..Settings::default() };
    let app = TestApp::with(settings).await;
    add(&app, "ann").await;
    assert!(app.domain.delete(&name("ann")).await.unwrap());
    let code = app.domain.invites.invite(days(7)).await.unwrap().0.expose().to_owned();
    let with = async |username: &str| {
        let body = json!({ "username": username, "password": PASSWORD, "invite": code });
        app.anonymous().post("/register", &body).await
    };
    assert_eq!(with("ann").await.refusal(), (409, "username_taken".into()));
    assert_eq!(with("bob").await.status, 201);
}

#[tokio::test]
async fn att_17_02_an_operator_releases_a_held_name_or_gives_it_to_a_user() {
    const RELEASED: &str = "select count(*) from events where event = 'username_released'";
    let app = TestApp::new().await;
    for username in ["ann", "bob", "eve"] {
        add(&app, username).await;
        assert!(app.domain.delete(&name(username)).await.unwrap());
        assert!(!app.domain.delete(&name(username)).await.unwrap(), "it is gone already");
    }
    assert_eq!(app.count(HELD).await, 3);
    assert!(app.domain.release_username(&name("ann")).await.unwrap());
    assert!(!app.domain.release_username(&name("ann")).await.unwrap());
    assert_eq!(events(&app, RELEASED).await, 1);
    app.signed_in("ann").await;

    add(&app, "bob").await;
    assert_eq!(events(&app, RELEASED).await, 2, "`user add` takes it");
    let user = |username| ImportedUser {
        username: name(username),
        email: None,
        display_name: None,
        password: ImportedPassword::parse("").unwrap(),
        created_at: None,
        is_disabled: false,
        roles: Roles::default(),
    };
    assert_eq!(app.domain.import(&[user("eve"), user("zoe")]).await.unwrap(), 2);
    assert_eq!(events(&app, RELEASED).await, 3, "an import takes it");
    assert_eq!(app.count(HELD).await, 0);
}

#[tokio::test]
async fn without_a_hold_a_user_name_can_be_registered_at_once() {
    let accounts = AccountSettings { username_hold: Some(Period::of(Duration::ZERO)) };
    let app = TestApp::with(Settings { accounts, ..Settings::default() }).await;
    close(&app.signed_in("ann").await).await;
    assert_eq!(app.count(HELD).await, 0);
    app.signed_in("ann").await;
}

#[tokio::test]
async fn att_17_02_a_registration_at_the_moment_of_a_close_does_not_get_the_name() {
    let app = TestApp::new().await;
    for round in 0..20 {
        let username = format!("ann{round}");
        let ann = app.signed_in(&username).await;
        let (answer, ()) = tokio::join!(register(&app, &username), close(&ann));
        assert_eq!(answer.refusal(), (409, "username_taken".into()), "round {round}");
        assert_eq!(register(&app, &username).await.status, 409);
    }
    assert_eq!(app.count("select count(*) from accounts").await, 0);
}

#[tokio::test]
async fn att_17_02_on_postgresql_a_registration_waits_for_a_close_and_sees_what_it_holds() {
    let app = TestApp::new().await;
    if !app.is_on_postgres() {
        return; // SQLite has one writer at a time
    }
    close(&app.signed_in("ann").await).await;
    app.sql("update held_usernames set held_until = 0").await;
    app.signed_in("ann").await;
    let mut closes = app
        .hold(
            "with gone as (delete from accounts where username = 'ann')
             update held_usernames set held_until = 9000000000000000",
        )
        .await;
    let commit = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        sqlx::query("commit").execute(&mut closes).await.unwrap();
    };
    let (answer, ()) = tokio::join!(register(&app, "ann"), commit);
    assert_eq!(answer.refusal(), (409, "username_taken".into()));
}
