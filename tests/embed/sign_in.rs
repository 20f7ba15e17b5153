//! `Cloakroom::sign_in`: sessions for users whom the embedding service has authenticated, and the
//! lifetimes that every embedded guard keeps.

use std::time::Duration;

use cloakroom::core::clock::{days, hours};
use cloakroom::core::usernames::Username;
use cloakroom::{Cloakroom, Mounted, Public, SignIn, SignedIn, WithSessionCookies};
use poem::Request;
use poem::http::{Method, StatusCode, header};
use poem_openapi::param::Query;
use poem_openapi::payload::PlainText;
use poem_openapi::{ApiResponse, OpenApi};
use serde_json::{Value, json};

use crate::app::{Client, PASSWORD, TestApp, mounted};

/// A service that signs in whoever names an account, because its tests have authenticated them.
struct Partner(Cloakroom);

#[derive(ApiResponse)]
enum SessionAnswer {
    /// The user is signed in.
    #[oai(status = 200)]
    SignedIn(PlainText<&'static str>),
    /// The account cannot sign in.
    #[oai(status = 403)]
    Refused(PlainText<&'static str>),
}

#[OpenApi]
impl Partner {
    /// Sign in
    #[oai(path = "/partner", method = "post", operation_id = "signInAsPartner")]
    async fn sign_in(
        &self,
        _public: Public,
        request: &Request,
        account: Query<String>,
    ) -> poem::Result<WithSessionCookies<SessionAnswer>> {
        let refused = |why| WithSessionCookies::none(SessionAnswer::Refused(PlainText(why)));
        Ok(match self.0.sign_in(&account, request).await? {
            SignIn::Done(cookies) => cookies.on(SessionAnswer::SignedIn(PlainText("welcome"))),
            SignIn::NoSuchAccount => refused("no such account"),
            SignIn::AccountDisabled => refused("disabled"),
        })
    }

    /// Greet me
    #[oai(path = "/greeting", method = "get", operation_id = "greet")]
    async fn greet(&self, who: SignedIn) -> PlainText<String> {
        PlainText(who.display_name().unwrap_or(who.username()).to_owned())
    }
}

fn service(app: &TestApp) -> Mounted {
    mounted(&app.cloakroom, Partner(app.cloakroom.clone()))
}

/// The id of a new account.
async fn registered(mounted: &Mounted, username: &str) -> String {
    let me = Client::signed_in(mounted, username).await.get("/me").await.json();
    me["id"].as_str().unwrap().to_owned()
}

async fn sign_in(client: &Client<'_>, account: &str) -> crate::app::Answer {
    client.send(Method::POST, &format!("/partner?account={account}"), None).await
}

/// The `Set-Cookie` headers of a response.
fn set_cookies(answer: &crate::app::Answer) -> Vec<String> {
    let all = answer.headers.get_all(header::SET_COOKIE).iter();
    all.map(|set| set.to_str().unwrap().to_owned()).collect()
}

async fn events(app: &TestApp, event: &'static str) -> i64 {
    let domain = app.cloakroom.domain();
    domain.audit.write(&domain.store, app.clock.now()).await.unwrap();
    app.database.count(event).await
}

const SUCCEEDED: &str = "select count(*) from events where event = 'external_login_succeeded'
    and account_id is not null and session_id is not null";
const REFUSED: &str = "select count(*) from events where event = 'external_login_refused'";

#[tokio::test]
async fn an_account_is_signed_in_without_its_password() {
    let app = TestApp::new().await;
    let mounted = service(&app);
    let id = registered(&mounted, "ann").await;
    let browser = Client::of(&mounted);
    let answer = sign_in(&browser, &id).await;
    assert_eq!((answer.status, answer.text.as_str()), (StatusCode::OK, "welcome"));
    assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");
    let [session, device] = set_cookies(&answer).try_into().unwrap();
    assert!(
        session.starts_with("session=") && session.ends_with("; Path=/; HttpOnly; SameSite=Lax")
    );
    assert!(device.starts_with("device=") && device.contains("; SameSite=Strict"), "{device}");
    assert_eq!(browser.get("/greeting").await.text, "ann");
    let shown = browser.get("/session").await.json();
    assert_eq!(shown["idle_expires_at"], "2026-01-01T08:00:00Z");
    assert_eq!(shown["expires_at"], "2026-01-02T00:00:00Z");
    assert_eq!(shown["remember"], false);
    assert_eq!(events(&app, SUCCEEDED).await, 1);
}

#[tokio::test]
async fn disabled_and_unknown_accounts_are_not_signed_in() {
    let app = TestApp::new().await;
    let mounted = service(&app);
    let id = registered(&mounted, "ann").await;
    let ann = Username::parse("ann").unwrap();
    app.cloakroom.domain().disable(&ann).await.unwrap();
    let unknown = "x".repeat(22);
    for (account, words) in [
        (id.as_str(), "disabled"),
        (unknown.as_str(), "no such account"),
        ("", "no such account"),
        ("ann", "no such account"), // the user name is not the id
    ] {
        let answer = sign_in(&Client::of(&mounted), account).await;
        assert_eq!((answer.status, answer.text.as_str()), (StatusCode::FORBIDDEN, words));
        assert!(set_cookies(&answer).is_empty());
    }
    assert_eq!(events(&app, REFUSED).await, 2, "one for each account, and one for all unknown ids");
    app.cloakroom.domain().enable(&ann).await.unwrap();
    assert_eq!(sign_in(&Client::of(&mounted), &id).await.status, StatusCode::OK);
    assert_eq!(events(&app, SUCCEEDED).await, 1);
}

#[tokio::test]
async fn the_session_that_the_browser_had_ends_and_a_foreign_origin_opens_none() {
    let app = TestApp::new().await;
    let mounted = service(&app);
    let id = registered(&mounted, "ann").await;
    let browser = Client::signed_in(&mounted, "bob").await;
    let before = browser.cookie.lock().unwrap().clone().unwrap();
    let foreign = Request::builder().method(Method::POST).uri_str(format!("/partner?account={id}"));
    let refused = browser.ask(foreign.header("origin", "https://evil.example").finish()).await;
    assert_eq!(refused.refusal(), (403, "cross_origin".to_owned()));
    assert_eq!(browser.get("/greeting").await.text, "bob");
    assert_eq!(sign_in(&browser, &id).await.status, StatusCode::OK);
    assert_eq!(browser.get("/greeting").await.text, "ann");
    *browser.cookie.lock().unwrap() = Some(before);
    assert_eq!(browser.get("/greeting").await.refusal(), (403, "session_refused".to_owned()));
}

#[tokio::test]
async fn an_account_keeps_its_hundred_newest_sessions() {
    let app = TestApp::new().await;
    let mounted = service(&app);
    let oldest = Client::signed_in(&mounted, "ann").await;
    let me = oldest.get("/me").await.json();
    for _ in 0..99 {
        app.clock.advance(Duration::from_secs(1));
        let answer = sign_in(&Client::of(&mounted), me["id"].as_str().unwrap()).await;
        assert_eq!(answer.status, StatusCode::OK);
    }
    assert_eq!(oldest.get("/greeting").await.status, StatusCode::OK);
    app.clock.advance(Duration::from_secs(1));
    let newest = Client::of(&mounted);
    sign_in(&newest, me["id"].as_str().unwrap()).await;
    assert_eq!(newest.get("/greeting").await.status, StatusCode::OK);
    assert_eq!(oldest.get("/greeting").await.refusal(), (403, "session_refused".to_owned()));
}

#[tokio::test]
async fn a_request_that_no_mounted_operation_of_the_instance_received_is_an_error() {
    let app = TestApp::new().await;
    let id = registered(&service(&app), "ann").await;
    let request = Request::builder().header("host", "localhost").finish();
    let error = app.cloakroom.sign_in(&id, &request).await.unwrap_err();
    assert_eq!(error.into_response().status(), StatusCode::INTERNAL_SERVER_ERROR);

    let other = app.second_node().await;
    let mixed = mounted(&app.cloakroom, Partner(other));
    let answer = sign_in(&Client::of(&mixed), &id).await;
    assert_eq!(answer.refusal(), (500, "internal_error".to_owned()));
    assert_eq!(app.database.count("select count(*) from sessions").await, 1, "of the registration");
}

#[tokio::test]
async fn the_document_shows_the_cookie_of_a_successful_response_only() {
    let app = TestApp::new().await;
    let document: Value = serde_json::from_str(service(&app).document()).unwrap();
    let responses = &document["paths"]["/partner"]["post"]["responses"];
    assert!(responses["200"]["headers"]["Set-Cookie"].is_object(), "{responses}");
    let refused = responses["403"]["headers"].as_object();
    assert!(refused.is_none_or(|headers| !headers.contains_key("Set-Cookie")), "{responses}");
}

/// Waits until the use of a session at the present time is recorded.
async fn recorded(app: &TestApp) {
    const SEEN: &str = "select coalesce(max(last_seen_at), 0) from sessions";
    let waiting = async {
        while app.database.count(SEEN).await != app.clock.now().millis() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), waiting).await.unwrap(); // a loaded machine
}

#[tokio::test]
async fn a_guard_lets_no_session_slide_past_its_absolute_end() {
    let app = TestApp::new().await;
    let mounted = service(&app);
    let id = registered(&mounted, "ann").await;
    let start = app.clock.now();
    let browser = Client::of(&mounted);
    sign_in(&browser, &id).await;
    for hour in (7..24).step_by(7) {
        app.clock.set(start.plus(hours(hour)));
        assert_eq!(browser.get("/greeting").await.text, "ann");
        recorded(&app).await;
    }
    app.clock.set(start.plus(hours(24)).minus(Duration::from_millis(1)));
    assert_eq!(browser.get("/greeting").await.text, "ann");
    app.clock.set(start.plus(hours(24)));
    assert_eq!(browser.get("/greeting").await.refusal(), (403, "session_refused".to_owned()));
}

#[tokio::test]
async fn the_cookie_reaches_as_far_as_the_session() {
    let app = TestApp::new().await;
    let mounted = service(&app);
    registered(&mounted, "ann").await;
    let start = app.clock.now();
    let browser = Client::of(&mounted);
    let login = json!({ "username": "ann", "password": PASSWORD, "remember": true });
    let answer = browser.post("/login", &login).await;
    let cookie = set_cookies(&answer).swap_remove(0);
    assert!(
        cookie.ends_with("; Expires=Sat, 31 Jan 2026 00:00:00 GMT; Max-Age=2592000"),
        "{cookie}"
    );
    for day in [10, 20, 29] {
        app.clock.set(start.plus(days(day)));
        assert_eq!(browser.get("/greeting").await.text, "ann");
        recorded(&app).await;
    }
    app.clock.set(start.plus(days(30)).minus(Duration::from_secs(1)));
    assert_eq!(browser.get("/greeting").await.text, "ann", "as long as the browser sends it");
    app.clock.set(start.plus(days(30)));
    assert_eq!(browser.get("/greeting").await.status, StatusCode::FORBIDDEN);
}
