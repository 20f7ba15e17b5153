//! Every response that the document lists is reached here at least once: a status or a code that no
//! request can reach must not be documented.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

use cloakroom::config::{ApiTokenSettings, CommaList, Registration, Settings, TokenSettings};
use cloakroom::core::clock::mins;
use cloakroom::core::display_names::DisplayName;
use cloakroom::core::usernames::Username;
use cloakroom::domain::api_tokens::{MAX_API_TOKENS, NewApiToken};
use cloakroom::domain::passwords::queue::Share;
use cloakroom::domain::roles::Roles;
use cloakroom::domain::throttle::limits::{BackoffSchedule, Gcra, Limits};
use poem::http::{Method, header};
use poem::{Request, RequestBuilder};
use serde_json::{Value, json};

use crate::app::{Answer, CHEAP, Client, PASSWORD, TestApp, coming_from, request};
use crate::contract::{self, DOCUMENT};
use crate::email::{mailed_code, mailed_codes};
use crate::password_reset::created_token;

/// An operation, a status, and the code of the problem, or an empty string.
type Reached = (String, String, String);

/// Operations that fail only if they panic. The catcher's own tests check that a panic becomes a
/// 500.
const NEVER_BREAK: [&str; 2] = ["getJwks", "getLiveness"];

const CONFIRM: &str = "/session/confirm/password";
const CONFIRM_EMAIL: &str = "/me/email/confirm";
const RESET: &str = "/password-reset/confirm";

/// Settings with which the service sends mail, to files.
fn with_mail() -> Settings {
    Settings::from_toml("mail.server = 'file'").unwrap()
}

/// The operations, and the responses that were reached.
#[derive(Default)]
struct Tour(Mutex<BTreeSet<Reached>>);

impl Tour {
    fn note(&self, method: &Method, path: &str, answer: &Answer) {
        let operation = contract::operation(method, path).expect("an operation of the document");
        let id = operation["operationId"].as_str().unwrap().to_owned();
        let is_problem = answer.status.as_u16() >= 400;
        let code = if is_problem { answer.refusal().1 } else { String::new() };
        self.0.lock().unwrap().insert((id, answer.status.as_str().to_owned(), code));
    }

    async fn send(&self, app: &TestApp, request: Request) -> Answer {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let answer = app.send(request).await;
        self.note(&method, &path, &answer);
        answer
    }

    /// Sends a request with the cookie of a signed-in user.
    async fn send_as(&self, client: &Client<'_>, request: Request) -> Answer {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let answer = client.send(request).await;
        self.note(&method, &path, &answer);
        answer
    }
}

/// All operations: method, path with a made-up id, and description.
pub fn operations() -> Vec<(Method, String, &'static Value)> {
    let paths = DOCUMENT["paths"].as_object().unwrap();
    let all = paths.iter().flat_map(|(path, methods)| {
        let path = path.replace("{id}", &"x".repeat(22));
        methods.as_object().unwrap().iter().map(move |(method, operation)| {
            (method.to_uppercase().parse().unwrap(), path.clone(), operation)
        })
    });
    all.collect()
}

/// Whether the document lists the code `role_needed` for an operation.
pub fn can_need_a_role(operation: &Value) -> bool {
    let refused = &operation["responses"]["403"]["content"]["application/problem+json"];
    refused["examples"].get("role_needed").is_some()
}

/// A valid request for an operation: its body is an example of the document.
pub fn example(method: &Method, path: &str, operation: &Value) -> Request {
    let schema = &operation["requestBody"]["content"]["application/json"]["schema"]["$ref"];
    let Some(schema) = schema.as_str() else { return request(method.clone(), path).finish() };
    let schema = schema.rsplit('/').next().unwrap();
    let body = &DOCUMENT["components"]["schemas"][schema]["example"];
    post(method, path, body)
}

fn post(method: &Method, path: &str, body: &Value) -> Request {
    request(method.clone(), path).content_type("application/json").body(body.to_string())
}

/// Whether the document lists this problem for an operation.
pub fn accepts(operation: &Value, status: &str, code: &str) -> bool {
    let problem = &operation["responses"][status]["content"]["application/problem+json"];
    problem["examples"].get(code).is_some()
}

fn documented() -> BTreeSet<Reached> {
    let mut all = BTreeSet::new();
    for (_, _, operation) in operations() {
        let id = operation["operationId"].as_str().unwrap();
        for (status, response) in operation["responses"].as_object().unwrap() {
            let problem = &response["content"]["application/problem+json"]["examples"];
            let codes = problem.as_object().map(|codes| codes.keys().cloned().collect());
            for code in codes.unwrap_or_else(|| vec![String::new()]) {
                all.insert((id.to_owned(), status.clone(), code));
            }
        }
    }
    all
}

#[tokio::test]
async fn every_documented_answer_is_reached_and_no_other() {
    let tour = Tour::default();
    refusals_at_the_door(&tour).await;
    what_goes_well(&tour).await;
    what_is_refused(&tour).await;
    registrations(&tour).await;
    addresses(&tour).await;
    too_often(&tour).await;
    too_many_changes(&tour).await;
    too_many_at_once(&tour).await;
    a_database_that_is_gone(&tour).await;
    a_table_that_is_missing(&tour).await;

    let reached = tour.0.into_inner().unwrap();
    let mut documented = documented();
    let panics_only = |(id, status, _): &Reached| status == "500" && NEVER_BREAK.contains(&&**id);
    documented.retain(|answer| !panics_only(answer));
    let missed: Vec<_> = documented.difference(&reached).collect();
    assert!(missed.is_empty(), "documented, but never answered: {missed:?}");
    let surprising: Vec<_> = reached.difference(&documented).collect();
    assert!(surprising.is_empty(), "answered, but not documented: {surprising:?}");
}

/// Refusals that do not depend on the operation.
async fn refusals_at_the_door(tour: &Tour) {
    let app = TestApp::new().await;
    let client = app.signed_in("ann").await;
    for (method, path, operation) in operations() {
        let mut twice = request(method.clone(), &path).header("host", "a.example").finish();
        twice.headers_mut().append("host", "b.example".parse().unwrap());
        tour.send(&app, twice).await;
        let elsewhere = request(method.clone(), &path).header("host", "evil.example");
        tour.send(&app, elsewhere.finish()).await;
        if operation["security"] != json!([]) {
            tour.send(&app, example(&method, &path, operation)).await;
            let mut forged = example(&method, &path, operation);
            forged.headers_mut().insert(header::COOKIE, "session=made.up".parse().unwrap());
            tour.send(&app, forged).await;
            let mut unknown = example(&method, &path, operation);
            let token = "Bearer clk_00000000000000000000000000000000000000000012H4qbl";
            unknown.headers_mut().insert(header::AUTHORIZATION, token.parse().unwrap());
            tour.send(&app, unknown).await;
        }
        if can_need_a_role(operation) {
            // `forwardAuth` takes the role from the proxy; others have it in `x-required-roles`.
            let query = if operation["x-required-roles"].is_null() { "?role=editor" } else { "" };
            let asked = example(&method, &format!("{path}{query}"), operation);
            tour.send_as(&client, asked).await;
        }
        if method != Method::GET {
            let mut elsewhere = example(&method, &path, operation);
            let evil = "https://evil.example".parse().unwrap();
            elsewhere.headers_mut().insert(header::ORIGIN, evil);
            tour.send(&app, elsewhere).await;
        }
        if !operation["requestBody"].is_null() {
            let with = |kind: &str, body: String| {
                request(method.clone(), &path).content_type(kind).body(body)
            };
            tour.send_as(&client, with("text/plain", "{}".to_owned())).await;
            tour.send_as(&client, with("application/json", "x".repeat(17_000))).await;
        }
    }
}

async fn what_goes_well(tour: &Tour) {
    let audiences = Some(CommaList::from("https://api.example.org"));
    let tokens = TokenSettings { audiences };
    let app = TestApp::with(Settings { tokens, ..with_mail() }).await;
    let registration = json!({ "username": "ann", "password": PASSWORD });
    let client = app.anonymous();
    tour.send_as(&client, post(&Method::POST, "/register", &registration)).await;
    tour.send_as(&client, post(&Method::POST, "/login", &registration)).await;
    let other = app.signed_in_again("ann").await.get("/session").await.json();
    let other = format!("/sessions/{}", other["id"].as_str().unwrap());
    tour.send_as(&client, request(Method::DELETE, &other).finish()).await;
    for (method, path, operation) in operations() {
        if method == Method::GET || path == "/sessions" || path == "/token" {
            tour.send_as(&client, example(&method, &path, operation)).await;
        }
    }
    let token = json!({ "name": "Nightly build" });
    let token = tour.send_as(&client, post(&Method::POST, "/api-tokens", &token)).await.json();
    let token = format!("/api-tokens/{}", token["id"].as_str().unwrap());
    tour.send_as(&client, request(Method::DELETE, &token).finish()).await;
    let name = json!({ "display_name": "Ann" });
    tour.send_as(&client, post(&Method::PATCH, "/me", &name)).await;
    let confirmation = json!({ "current_password": PASSWORD });
    tour.send_as(&client, post(&Method::POST, CONFIRM, &confirmation)).await;
    let address = json!({ "email": "ann@example.org" });
    tour.send_as(&client, post(&Method::PUT, "/me/email", &address)).await;
    let code = json!({ "code": mailed_code(&app, "ann@example.org").await });
    tour.send_as(&client, post(&Method::POST, CONFIRM_EMAIL, &code)).await;
    let change =
        json!({ "current_password": PASSWORD, "new_password": "a long walk by the river" });
    tour.send_as(&client, post(&Method::PUT, "/me/password", &change)).await;
    let ann = json!({ "username": "ann" });
    tour.send(&app, post(&Method::POST, "/password-reset", &ann)).await;
    let token = created_token(&app, "ann").await;
    let reset = json!({ "token": token, "new_password": PASSWORD });
    tour.send(&app, post(&Method::POST, RESET, &reset)).await;
    tour.send_as(&client, post(&Method::POST, "/login", &registration)).await;
    tour.send_as(&client, request(Method::DELETE, "/me").finish()).await;
    tour.send_as(&client, request(Method::POST, "/logout").finish()).await;

    let form = |path: &str, fields: String| {
        let form: RequestBuilder =
            request(Method::POST, path).content_type("application/x-www-form-urlencoded");
        form.header(header::ACCEPT, "text/html").body(fields)
    };
    let fields = "username=bob&password=canary+correct+horse+battery";
    for (path, fields) in [
        ("/register", fields),
        ("/login", fields),
        ("/logout", ""),
        ("/password-reset", "username=bob"),
    ] {
        tour.send(&app, form(path, fields.to_owned())).await;
    }
    let token = created_token(&app, "bob").await;
    let fields = format!("token={token}&new_password=a+long+walk+by+the+river");
    tour.send(&app, form(RESET, fields)).await;
}

async fn what_is_refused(tour: &Tour) {
    let app = TestApp::new().await;
    let client = app.signed_in("ann").await;
    let wrong = json!({ "username": "ann", "password": "wrong" });
    tour.send(&app, post(&Method::POST, "/login", &wrong)).await;
    let taken = json!({ "username": "ann", "password": PASSWORD });
    tour.send(&app, post(&Method::POST, "/register", &taken)).await;
    let short = json!({ "username": "bob", "password": "short" });
    tour.send(&app, post(&Method::POST, "/register", &short)).await;
    let short = json!({ "current_password": PASSWORD, "new_password": "short" });
    tour.send_as(&client, post(&Method::PUT, "/me/password", &short)).await;
    for (method, path) in [(Method::PUT, "/me/password"), (Method::POST, CONFIRM)] {
        let mut body = json!({ "current_password": "wrong" });
        if path == "/me/password" {
            body["new_password"] = "a long walk by the river".into();
        }
        tour.send_as(&client, post(&method, path, &body)).await;
    }
    let name = json!({ "display_name": "a\nb" });
    tour.send_as(&client, post(&Method::PATCH, "/me", &name)).await;
    let role = json!({ "name": "x", "roles": ["editor"] });
    tour.send_as(&client, post(&Method::POST, "/api-tokens", &role)).await;
    let ann = app.domain.account_named(&Username::parse("ann").unwrap()).await.unwrap().unwrap();
    for _ in 0..MAX_API_TOKENS {
        let name = DisplayName::parse("x").unwrap().unwrap();
        let new = NewApiToken { name, roles: Roles::default(), days: 1 };
        app.domain.api_tokens.create(&ann, new).await.unwrap();
    }
    let new_token = json!({ "name": "x" });
    tour.send_as(&client, post(&Method::POST, "/api-tokens", &new_token)).await;
    let unknown = format!("/api-tokens/{}", "x".repeat(22));
    tour.send_as(&client, request(Method::DELETE, &unknown).finish()).await;
    let api_tokens = ApiTokenSettings { max_days: Some(0) };
    let off = TestApp::with(Settings { api_tokens, ..Settings::default() }).await;
    let off_client = off.signed_in("ann").await;
    tour.send_as(&off_client, post(&Method::POST, "/api-tokens", &new_token)).await;
    let address = json!({ "email": "ann@example.org" });
    tour.send_as(&client, post(&Method::PUT, "/me/email", &address)).await;
    let bob = json!({ "username": "bob", "password": PASSWORD, "email": "bob@example.org" });
    tour.send(&app, post(&Method::POST, "/register", &bob)).await;
    tour.send(&app, post(&Method::POST, "/password-reset", &json!({ "username": "ann" }))).await;
    let right = created_token(&app, "ann").await;
    for (used, new_password) in [("wrong", "a long walk by the river"), (&*right, "short")] {
        let reset = json!({ "token": used, "new_password": new_password });
        tour.send(&app, post(&Method::POST, RESET, &reset)).await;
    }
    // The session is no longer confirmed.
    app.wait(mins(15));
    for (method, path, operation) in operations() {
        if accepts(operation, "403", "confirmation_required") {
            tour.send_as(&client, example(&method, &path, operation)).await;
        }
    }
    let confirmation = json!({ "current_password": PASSWORD });
    assert_eq!(client.send(post(&Method::POST, CONFIRM, &confirmation)).await.status, 200);
    let audience = json!({ "audience": "https://unknown.example.org" });
    tour.send_as(&client, post(&Method::POST, "/token", &audience)).await;
    let unknown = format!("/sessions/{}", "x".repeat(22));
    tour.send_as(&client, request(Method::DELETE, &unknown).finish()).await;
}

async fn addresses(tour: &Tour) {
    let codes = BackoffSchedule(vec![(2, mins(1))]);
    let account = Gcra { burst: 2, every: Duration::from_secs(2) };
    let limits = Limits { codes, account, ..Limits::production() };
    let app = TestApp::build(with_mail(), CHEAP, limits).await;
    let (ann, bob) = (app.signed_in("ann").await, app.signed_in("bob").await);
    for who in [&ann, &bob] {
        let email = json!({ "email": "both@example.org" });
        tour.send_as(who, post(&Method::PUT, "/me/email", &email)).await;
    }
    let wrong = json!({ "email": "nobody" });
    tour.send_as(&ann, post(&Method::PUT, "/me/email", &wrong)).await;
    let codes = mailed_codes(&app, "both@example.org", 2).await;
    // Which mail is whose is not in the mail.
    for who in [&ann, &bob] {
        for code in &codes {
            let code = json!({ "code": code });
            tour.send_as(who, post(&Method::POST, CONFIRM_EMAIL, &code)).await;
        }
    }
    for _ in 0..3 {
        let wrong = json!({ "code": "00000-00000" });
        tour.send_as(&ann, post(&Method::POST, CONFIRM_EMAIL, &wrong)).await;
        let email = json!({ "email": "ann@example.com" });
        tour.send_as(&ann, post(&Method::PUT, "/me/email", &email)).await;
    }
}

async fn registrations(tour: &Tour) {
    for registration in [Registration::Closed, Registration::Invite] {
        let settings = Settings { registration: Some(registration), ..Settings::default() };
        let app = TestApp::with(settings).await;
        let body = json!({ "username": "ann", "password": PASSWORD });
        tour.send(&app, post(&Method::POST, "/register", &body)).await;
    }
}

async fn too_often(tour: &Tour) {
    let app = TestApp::with(with_mail()).await;
    let client = app.signed_in("ann").await;
    let other = app.signed_in_again("ann").await;
    for n in 0..11 {
        let wrong = json!({ "username": "nobody", "password": "wrong" });
        tour.send(&app, post(&Method::POST, "/login", &wrong)).await;
        let account = json!({ "username": format!("user{n}"), "password": PASSWORD });
        let register = post(&Method::POST, "/register", &account);
        tour.send(&app, coming_from("192.0.2.7", register)).await;
        let link = post(&Method::POST, "/password-reset", &json!({ "username": "ann" }));
        tour.send(&app, coming_from("192.0.2.7", link)).await;
        let wrong = json!({ "current_password": "wrong" });
        tour.send_as(&client, post(&Method::POST, CONFIRM, &wrong)).await;
        let wrong = json!({ "current_password": "wrong", "new_password": "a long walk, again" });
        tour.send_as(&other, post(&Method::PUT, "/me/password", &wrong)).await;
    }
}

/// Changes one account as often as its limit allows, and once more.
async fn too_many_changes(tour: &Tour) {
    let account = Gcra { burst: 1, every: Duration::from_secs(2) };
    let app = TestApp::limited(Limits { account, ..Limits::production() }).await;
    let client = app.signed_in("ann").await;
    app.signed_in("bob").await;
    for _ in 0..2 {
        app.signed_in_again("ann").await;
        tour.send_as(&client, request(Method::DELETE, "/sessions").finish()).await;
    }
    let unknown = format!("/sessions/{}", "x".repeat(22));
    tour.send_as(&client, request(Method::DELETE, &unknown).finish()).await;
    let token = json!({ "name": "x" });
    tour.send_as(&client, post(&Method::POST, "/api-tokens", &token)).await;
    let unknown = format!("/api-tokens/{}", "x".repeat(22));
    tour.send_as(&client, request(Method::DELETE, &unknown).finish()).await;
    for _ in 0..2 {
        let token = created_token(&app, "bob").await;
        let reset = json!({ "token": token, "new_password": PASSWORD });
        tour.send(&app, post(&Method::POST, RESET, &reset)).await;
    }
    for name in ["Ann", "Anna"] {
        let name = json!({ "display_name": name });
        tour.send_as(&client, post(&Method::PATCH, "/me", &name)).await;
    }
}

async fn too_many_at_once(tour: &Tour) {
    let app = TestApp::new().await;
    let client = app.signed_in("ann").await;
    // Slots of many different users: a single large share would lose slots to the requests below.
    let share = |n| Share::new(None, Some(&format!("nobody{n}")));
    let slots: Vec<_> =
        (0..).map_while(|n| app.domain.hasher.reserve_slot(&share(n)).ok()).collect();
    assert_eq!(slots.len(), 64);
    let login = json!({ "username": "ann", "password": "wrong" });
    let register = json!({ "username": "bob", "password": PASSWORD });
    let confirm = json!({ "current_password": "wrong" });
    let change = json!({ "current_password": "wrong", "new_password": "a long walk, again" });
    let reset = json!({ "token": "x", "new_password": "a long walk, again" });
    let answers = [
        tour.send(&app, post(&Method::POST, RESET, &reset)).await,
        tour.send(&app, post(&Method::POST, "/login", &login)).await,
        tour.send(&app, post(&Method::POST, "/register", &register)).await,
        tour.send_as(&client, post(&Method::POST, CONFIRM, &confirm)).await,
        tour.send_as(&client, post(&Method::PUT, "/me/password", &change)).await,
    ];
    for answer in answers {
        assert_eq!(answer.refusal(), (503, "overloaded".into()));
    }
}

/// Sends a request to every operation, with a session that is not in the cache.
async fn ask_for_everything(tour: &Tour, app: &TestApp, client: &Client<'_>) {
    for (method, path, operation) in operations() {
        let mut request = example(&method, &path, operation);
        request.headers_mut().insert(header::HOST, "127.0.0.1:8000".parse().unwrap());
        if operation["security"] == json!([]) && path != "/logout" {
            tour.send(app, request).await;
        } else {
            tour.send_as(client, request).await;
        }
    }
}

async fn a_database_that_is_gone(tour: &Tour) {
    let app = TestApp::with(with_mail()).await;
    let client = app.signed_in("ann").await;
    app.corrupt_database().await;
    ask_for_everything(tour, &app, &client).await;
}

async fn a_table_that_is_missing(tour: &Tour) {
    let app = TestApp::with(with_mail()).await;
    let client = app.signed_in("ann").await;
    for sql in [
        "alter table accounts rename to accounts_gone",
        "alter table sessions rename to sessions_gone",
        "alter table api_tokens rename to api_tokens_gone",
        "alter table login_attempts rename to login_attempts_gone",
    ] {
        app.sql(sql).await;
    }
    ask_for_everything(tour, &app, &client).await;
}
