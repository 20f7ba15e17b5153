//! API tokens: what they authorize, what they never authorize, and how they end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use cloakroom::config::{ApiTokenSettings, CommaList, Settings, TokenSettings};
use cloakroom::core::api_token_secret::ApiTokenSecret;
use cloakroom::core::clock::{days, mins};
use cloakroom::core::display_names::DisplayName;
use cloakroom::core::usernames::Username;
use cloakroom::domain::accounts::Account;
use cloakroom::domain::api_tokens::NewApiToken;
use cloakroom::domain::jobs::cleanup;
use cloakroom::domain::passwords::rules::PasswordRules;
use cloakroom::domain::requester::Requester;
use cloakroom::domain::roles::{Role, Roles};
use futures_util::future::join_all;
use poem::Request;
use poem::http::{Method, header};
use serde_json::{Value, json};

use crate::app::{Answer, Client, PASSWORD, START, TestApp, request};
use crate::completeness::{accepts, example, operations};

const REFUSED: (u16, &str) = (401, "token_refused");
/// A token with a valid checksum that no service has created.
const UNKNOWN: &str = "clk_00000000000000000000000000000000000000000012H4qbl";
/// The time within which all nodes know of a change.
const BOUND: Duration = Duration::from_secs(1);

fn code(expected: (u16, &str)) -> (u16, String) {
    (expected.0, expected.1.to_owned())
}

async fn account(app: &TestApp, username: &str) -> Account {
    let username = Username::parse(username).unwrap();
    app.domain.account_named(&username).await.unwrap().unwrap()
}

async fn give(app: &TestApp, username: &str, role: &str) {
    let id = account(app, username).await.id;
    app.domain.roles.give_role(&id, &Role::parse(role).unwrap()).await.unwrap();
}

async fn take(app: &TestApp, username: &str, role: &str) {
    let id = account(app, username).await.id;
    app.domain.roles.take_role(&id, &Role::parse(role).unwrap()).await.unwrap();
}

/// Creates a token and returns it and its id.
async fn create(client: &Client<'_>, body: Value) -> (String, String) {
    let answer = client.post("/api-tokens", &body).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    let created = answer.json();
    let text = |name: &str| created[name].as_str().unwrap().to_owned();
    (text("token"), text("id"))
}

fn with_token(mut request: Request, token: &str) -> Request {
    let value = format!("Bearer {token}").parse().unwrap();
    request.headers_mut().append(header::AUTHORIZATION, value);
    request
}

/// A guarded read with this token.
async fn read(app: &TestApp, token: &str) -> Answer {
    app.send(with_token(request(Method::GET, "/private").finish(), token)).await
}

async fn me(app: &TestApp, token: &str) -> Answer {
    app.send(with_token(request(Method::GET, "/me").finish(), token)).await
}

/// The ids in the list of the client's tokens, and whether each was used.
async fn listed(client: &Client<'_>) -> Vec<(String, Option<String>)> {
    let tokens = client.get("/api-tokens").await.json()["api_tokens"].as_array().unwrap().clone();
    let used = |token: &Value| token["last_used_at"].as_str().map(str::to_owned);
    tokens.iter().map(|token| (token["id"].as_str().unwrap().to_owned(), used(token))).collect()
}

/// Waits until this node refuses the token, for at most a second after it ended elsewhere.
async fn wait_for_refusal(node: &TestApp, token: &str) {
    let ended_at = Instant::now();
    loop {
        let asked = ended_at.elapsed();
        if read(node, token).await.status == 401 {
            return;
        }
        assert!(asked < BOUND, "the other node still accepts the token");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_user_creates_a_token_sees_it_once_and_a_program_calls_with_it() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await;
    give(&app, "ann", "reader").await;
    give(&app, "ann", "admin").await;
    let body = json!({ "name": "  Nightly build ", "roles": ["reader"], "expires_in_days": 30 });
    let answer = ann.post("/api-tokens", &body).await;
    assert_eq!(answer.status, 201);
    let created = answer.json();
    assert_eq!(created["name"], "Nightly build");
    assert_eq!(created["roles"], json!(["reader"]));
    assert_eq!(created["created_at"], "2026-01-01T00:00:00Z");
    assert_eq!(created["expires_at"], "2026-01-31T00:00:00Z");
    let token = created["token"].as_str().unwrap();

    let seen = read(&app, token).await;
    assert_eq!((seen.status.as_u16(), &seen.json()["username"]), (200, &json!("ann")));
    assert_eq!(seen.header("set-cookie"), None);
    let seen = me(&app, token).await.json();
    assert_eq!(seen["roles"], json!(["reader"]), "and not admin");

    let list = ann.get("/api-tokens").await;
    assert!(!list.text.contains(token) && !list.text.contains(&token[4..47]), "{}", list.text);
    let mut known = created.clone();
    known.as_object_mut().unwrap().remove("token");
    known["last_used_at"] = json!("2026-01-01T00:00:00Z");
    let is_listed = async || ann.get("/api-tokens").await.json()["api_tokens"] == json!([known]);
    assert!(app.eventually(is_listed).await, "{}", ann.get("/api-tokens").await.text);
}

#[tokio::test]
async fn a_token_lasts_90_days_by_default_and_has_no_roles() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await;
    give(&app, "ann", "reader").await;
    let created = ann.post("/api-tokens", &json!({ "name": "x" })).await.json();
    assert_eq!(created["expires_at"], "2026-04-01T00:00:00Z");
    assert_eq!(created["roles"], json!([]));
    assert_eq!(me(&app, created["token"].as_str().unwrap()).await.json()["roles"], json!([]));
}

#[tokio::test]
async fn tok_01_and_05_a_token_works_exactly_where_the_document_says_so() {
    for (method, path, operation) in operations() {
        let security = operation["security"].as_array().unwrap();
        let accepts_tokens = security.iter().any(|one| one.get("apiToken").is_some());
        let app = TestApp::new().await;
        let ann = app.signed_in("ann").await;
        let (token, _) = create(&ann, json!({ "name": "x" })).await;
        let query = if operation["operationId"] == "forwardAuth" { "?token=yes" } else { "" };
        let asked = example(&method, &format!("{path}{query}"), operation);
        let answer = app.send(with_token(asked, &token)).await;
        let context = format!("{method} {path}: {}", answer.text);
        let refusal = (answer.status.as_u16() >= 400).then(|| answer.refusal().1);
        let is_public = *security == Vec::<Value>::new();
        let is_refused = refusal.as_deref() == Some("token_refused");
        assert_eq!(is_refused, !is_public && !accepts_tokens, "{context}");
        assert_eq!(accepts(operation, "401", "token_refused"), !is_public, "{context}");
        if is_refused {
            // Also with the cookie of a confirmed session, and nothing has changed.
            let asked = example(&method, &path, operation);
            let answer = ann.send(with_token(asked, &token)).await;
            assert_eq!(answer.refusal(), code(REFUSED), "{context}");
            assert_eq!(ann.get("/me").await.status, 200, "{context}");
            assert_eq!(read(&app, &token).await.status, 200, "{context}");
            assert_eq!(app.count("select count(*) from api_tokens").await, 1, "{context}");
        }
    }
}

#[tokio::test]
async fn tok_02_the_token_alone_decides_and_there_is_no_way_back_to_the_cookie() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await;
    let eve = app.signed_in("eve").await;
    let (token, _) = create(&ann, json!({ "name": "x" })).await;
    let private = || request(Method::GET, "/private");

    let of_token = eve.send(with_token(private().finish(), &token)).await;
    assert_eq!(of_token.json()["username"], "ann", "not the user of the cookie");
    let bad_cookie = private().header("cookie", "session=made.up.one").finish();
    assert_eq!(app.send(with_token(bad_cookie, &token)).await.status, 200);
    let bad_token = ann.send(with_token(private().finish(), UNKNOWN)).await;
    assert_eq!(bad_token.refusal(), code(REFUSED));
    assert_eq!(bad_token.header("set-cookie"), None);

    let mut twice = with_token(private().finish(), &token);
    twice = with_token(twice, &token);
    assert_eq!(ann.send(twice).await.refusal(), code(REFUSED));
    for (value, status) in [
        (format!("bearer {token}"), 200),
        (format!("BEARER {token}"), 200),
        (format!("Bearer  {token}"), 200),
        (format!("Bearer {token} "), 200),
        (format!("Bearer\t{token}"), 401),
        (format!("Bearer {token}, Bearer {token}"), 401),
        (format!("Bearer {token}x"), 401),
        (format!("Bearer clk_{}", "x".repeat(10_000)), 401),
        ("Bearer clk_".to_owned(), 401),
    ] {
        let answer = app.send(private().header("authorization", &value).finish()).await;
        assert_eq!(answer.status, status, "{value}");
    }
    // Other credentials are ignored, as if there were none.
    for value in ["Basic Y2xrX3g6", "Bearer eyJhbGciOiJFZERTQSJ9.e30.c2ln", "clk_x", "Digest x"] {
        let alone = app.send(private().header("authorization", value).finish()).await;
        assert_eq!(alone.refusal(), (401, "not_authenticated".into()), "{value}");
        let cookie = ann.cookie().unwrap();
        let both = private().header("authorization", value).header("cookie", cookie).finish();
        assert_eq!(app.send(both).await.status, 200, "{value}");
    }
}

#[tokio::test]
async fn a_refusal_names_the_scheme_and_a_request_without_credentials_gets_both_challenges() {
    let app = TestApp::new().await;
    let challenges = |answer: &Answer| -> Vec<String> {
        let all = answer.headers.get_all("www-authenticate").iter();
        all.map(|value| value.to_str().unwrap().to_owned()).collect()
    };
    let cookie = r#"Cookie realm="cloakroom", form-action="/login", cookie-name=session"#;
    let none = app.anonymous().get("/private").await;
    assert_eq!(challenges(&none), [cookie, r#"Bearer realm="cloakroom""#]);
    let session_only = app.anonymous().get("/session").await;
    assert_eq!(challenges(&session_only), [cookie]);
    let refused = read(&app, UNKNOWN).await;
    assert_eq!(challenges(&refused), [r#"Bearer realm="cloakroom", error="invalid_token""#]);
}

#[tokio::test]
async fn tok_03_a_token_with_a_wrong_checksum_costs_no_query() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await;
    let (token, _) = create(&ann, json!({ "name": "x" })).await;
    app.corrupt_database().await;
    let other = if token.ends_with('0') { "1" } else { "0" };
    for wrong in [
        format!("{}{other}", &token[..52]),
        token.to_lowercase(),
        token[..52].to_owned(),
        format!("{token}0"),
        UNKNOWN.replace('1', "2"),
        "clk_".to_owned(),
        "clk_%00".to_owned(),
    ] {
        assert_eq!(read(&app, &wrong).await.refusal(), code(REFUSED), "{wrong}");
    }
    // A right checksum needs the database, which is gone.
    let unknown = read(&app, ApiTokenSecret::random().expose()).await.status.as_u16();
    assert!([500, 503].contains(&unknown), "{unknown}");
}

#[tokio::test]
async fn tok_04_and_15_many_requests_share_a_look_up_and_record_one_use_a_minute() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await;
    let (token, id) = create(&ann, json!({ "name": "x" })).await;
    assert_eq!(listed(&ann).await, [(id.clone(), None)], "it was never used");
    let storm = join_all((0..200).map(|_| read(&app, &token))).await;
    assert!(storm.iter().all(|answer| answer.status == 200));
    let used = |at: &str| vec![(id.clone(), Some(at.to_owned()))];
    let first = used("2026-01-01T00:00:00Z");
    assert!(app.eventually(async || listed(&ann).await == first).await);

    let checks = |metrics: &str, result: &str| -> u64 {
        let name = format!("cloakroom_api_token_checks_total{{result=\"{result}\"}} ");
        let line = metrics.lines().find_map(|line| line.strip_prefix(&name));
        line.unwrap().parse().unwrap()
    };
    let metrics = app.metrics().await;
    let [hit, miss, shared] = ["hit", "miss", "shared"].map(|result| checks(&metrics, result));
    assert_eq!(hit + miss + shared, 200);
    let (before, missed) = (hit, miss);

    app.wait(Duration::from_secs(59));
    assert_eq!(read(&app, &token).await.status, 200);
    let metrics = app.metrics().await;
    assert_eq!(checks(&metrics, "hit"), before + 1, "within the minute it is not read again");
    assert_eq!(listed(&ann).await, first);
    app.wait(Duration::from_secs(1));
    assert_eq!(read(&app, &token).await.status, 200);
    assert_eq!(checks(&app.metrics().await, "miss"), missed + 1);
    let second = used("2026-01-01T00:01:00Z");
    assert!(app.eventually(async || listed(&ann).await == second).await);
}

#[tokio::test]
async fn tok_06_a_role_that_the_account_lost_is_without_effect_in_its_token_at_once() {
    let app = TestApp::new().await;
    let there = app.second_node().await;
    let ann = app.signed_in("ann").await;
    for role in ["admin", "reader"] {
        give(&app, "ann", role).await;
    }
    let (token, _) = create(&ann, json!({ "name": "x", "roles": ["reader", "admin"] })).await;
    for node in [&app, &there] {
        assert_eq!(me(node, &token).await.json()["roles"], json!(["admin", "reader"]));
    }
    let ask = async |node: &TestApp| {
        let asked = request(Method::GET, "/forward-auth?role=admin&token=yes").finish();
        node.send(with_token(asked, &token)).await
    };
    assert_eq!(ask(&app).await.status, 200);
    take(&app, "ann", "admin").await;
    assert_eq!(me(&app, &token).await.json()["roles"], json!(["reader"]));
    assert_eq!(ask(&app).await.refusal(), (403, "role_needed".into()));
    let taken_at = Instant::now();
    while me(&there, &token).await.json()["roles"] != json!(["reader"]) {
        assert!(taken_at.elapsed() < BOUND, "the other node still knows the role");
    }
    // The token keeps its list, so a role that is given back counts again.
    assert_eq!(
        ann.get("/api-tokens").await.json()["api_tokens"][0]["roles"],
        json!(["admin", "reader"])
    );
    give(&app, "ann", "admin").await;
    assert_eq!(me(&app, &token).await.json()["roles"], json!(["admin", "reader"]));
    let event = app.eventually(async || {
        app.count("select count(*) from events where event = 'role_refused' and session_id is null and thing is not null").await == 1
    });
    assert!(event.await);
}

#[tokio::test]
async fn tok_07_what_a_token_cannot_be_created_with_is_refused() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await;
    give(&app, "ann", "reader").await;
    let refused = async |body: Value| {
        let answer = ann.post("/api-tokens", &body).await;
        (answer.refusal(), answer.errors())
    };
    let error = |field: &str, code: &str| vec![(field.to_owned(), code.to_owned())];
    let policy = || (422, "policy_violation".to_owned());
    let invalid = || (400, "invalid_request".to_owned());
    for (body, expected, errors) in [
        (json!({ "name": "x", "roles": ["admin"] }), policy(), error("roles", "not_allowed")),
        (
            json!({ "name": "x", "roles": ["reader", "Admin"] }),
            policy(),
            error("roles", "not_allowed"),
        ),
        (json!({ "name": " " }), policy(), error("name", "too_short")),
        (json!({ "name": "a\nb" }), policy(), error("name", "not_allowed")),
        (json!({ "name": "x".repeat(65) }), policy(), error("name", "too_long")),
        (
            json!({ "name": "x", "expires_in_days": 367 }),
            invalid(),
            error("expires_in_days", "not_allowed"),
        ),
        (
            json!({ "name": "x", "expires_in_days": 0 }),
            invalid(),
            error("expires_in_days", "not_allowed"),
        ),
        (
            json!({ "name": "x", "expires_in_days": 1.5 }),
            invalid(),
            error("expires_in_days", "not_allowed"),
        ),
        (
            json!({ "name": "x", "expires_in_days": "30" }),
            invalid(),
            error("expires_in_days", "not_allowed"),
        ),
        (json!({ "name": "x", "roles": "reader" }), invalid(), error("roles", "wrong_type")),
        (json!({ "name": "x", "roles": [1] }), invalid(), error("roles", "wrong_type")),
        (
            json!({ "name": "x", "roles": vec!["reader"; 33] }),
            invalid(),
            error("roles", "too_long"),
        ),
        (json!({}), invalid(), error("name", "missing")),
        (json!({ "name": "x", "token": UNKNOWN }), invalid(), error("token", "unknown")),
    ] {
        assert_eq!(refused(body.clone()).await, (expected, errors), "{body}");
    }
    app.wait(mins(15));
    let unconfirmed = refused(json!({ "name": "x" })).await.0;
    assert_eq!(unconfirmed, (403, "confirmation_required".into()));
    assert_eq!(app.count("select count(*) from api_tokens").await, 0);
}

#[tokio::test]
async fn tok_07_an_account_has_at_most_50_tokens_also_if_they_are_created_at_once() {
    let app = TestApp::without_limits().await;
    let ann = app.signed_in("ann").await;
    for _ in 0..45 {
        create(&ann, json!({ "name": "x" })).await;
    }
    let cookie = ann.cookie().unwrap();
    let create_one = || {
        let post = request(Method::POST, "/api-tokens").content_type("application/json");
        app.send(post.header("cookie", &cookie).body(json!({ "name": "x" }).to_string()))
    };
    let answers = join_all((0..20).map(|_| create_one())).await;
    let created = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(created, 5);
    for answer in answers.iter().filter(|answer| answer.status != 201) {
        assert_eq!(answer.refusal(), (409, "too_many_tokens".into()));
    }
    // An expired one does not count, even before it is removed.
    app.sql("update api_tokens set expires_at = 1 where id = (select min(id) from api_tokens)")
        .await;
    create(&ann, json!({ "name": "x" })).await;
    assert_eq!(listed(&ann).await.len(), 50);
}

#[tokio::test]
async fn tok_08_a_token_that_ended_is_refused_on_every_node_within_a_second() {
    for how in ["revoked", "disabled", "deleted", "closed", "password reset", "revoked by command"]
    {
        let app = TestApp::new().await;
        let there = app.second_node().await;
        let ann = app.signed_in("ann").await;
        let (token, id) = create(&ann, json!({ "name": "x" })).await;
        for node in [&app, &there] {
            assert_eq!(read(node, &token).await.status, 200, "{how}");
        }
        let username = Username::parse("ann").unwrap();
        match how {
            "revoked" => {
                let delete = request(Method::DELETE, &format!("/api-tokens/{id}")).finish();
                assert_eq!(ann.send(delete).await.status, 204);
            }
            "disabled" => {
                app.domain.disable(&username).await.unwrap();
            }
            "deleted" => assert!(app.domain.delete(&username).await.unwrap()),
            "closed" => {
                let close = request(Method::DELETE, "/me").finish();
                assert_eq!(ann.send(close).await.status, 204);
            }
            "password reset" => {
                let rules: &PasswordRules = &app.domain.rules.passwords;
                let typed = cloakroom::core::secret::Password::new("a long walk by the sea".into());
                let password = rules.check(&typed, Some(&username)).unwrap();
                app.domain.reset_password(&username, password).await.unwrap();
                // The command line is another process: its change arrives with the feed.
                wait_for_refusal(&app, &token).await;
            }
            _ => assert!(app.domain.api_tokens.revoke(&id).await.unwrap()),
        }
        assert_eq!(read(&app, &token).await.refusal(), code(REFUSED), "{how}");
        wait_for_refusal(&there, &token).await;
        assert_eq!(app.count("select count(*) from api_tokens").await, 0, "{how}");
        if how == "disabled" {
            app.domain.enable(&username).await.unwrap();
            assert_eq!(read(&app, &token).await.refusal(), code(REFUSED), "it does not revive");
        }
    }
}

#[tokio::test]
async fn tok_08_a_token_expires_and_does_not_revive_when_the_clock_is_set_back() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await;
    let (token, _) = create(&ann, json!({ "name": "x", "expires_in_days": 1 })).await;
    let (other, _) = create(&ann, json!({ "name": "y", "expires_in_days": 2 })).await;
    app.wait(days(1).saturating_sub(Duration::from_millis(1)));
    assert_eq!(read(&app, &token).await.status, 200);
    app.wait(Duration::from_millis(1));
    assert_eq!(read(&app, &token).await.refusal(), code(REFUSED));
    assert_eq!(read(&app, &other).await.status, 200);
    app.clock.set(START);
    assert_eq!(read(&app, &token).await.refusal(), code(REFUSED));
    // The cleaner removes what expired without being used.
    app.clock.set(START.plus(days(3)));
    cleanup::remove_ended(&app.domain).await.unwrap();
    assert_eq!(app.count("select count(*) from api_tokens").await, 0);
}

#[tokio::test]
async fn a_voluntary_password_change_keeps_the_tokens() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await;
    let (token, _) = create(&ann, json!({ "name": "x" })).await;
    let change =
        json!({ "current_password": PASSWORD, "new_password": "a long walk by the river" });
    assert_eq!(ann.put("/me/password", &change).await.status, 204);
    assert_eq!(read(&app, &token).await.status, 200);
    assert_eq!(listed(&ann).await.len(), 1);
}

#[tokio::test]
async fn a_session_that_ended_meanwhile_creates_no_token() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await;
    let who = ann.cookie().unwrap();
    let who = who.strip_prefix("session=").unwrap();
    let found = app.domain.sessions.authenticate(who).await.unwrap();
    let cloakroom::domain::sessions::Authentication::SignedIn(who) = found else { panic!() };
    let change =
        json!({ "current_password": PASSWORD, "new_password": "a long walk by the river" });
    assert_eq!(ann.put("/me/password", &change).await.status, 204);
    let name = DisplayName::parse("x").unwrap().unwrap();
    let new = NewApiToken { name, roles: Roles::default(), days: 1 };
    let created = app.domain.api_tokens.create_own(&who, new, &Requester::default()).await;
    assert!(created.is_err(), "its request began before the password was changed");
    assert_eq!(app.count("select count(*) from api_tokens").await, 0);
}

#[tokio::test]
async fn tok_08_no_request_that_begins_after_a_revocation_is_let_in() {
    let app = TestApp::without_limits().await;
    let ann = app.signed_in("ann").await;
    for _ in 0..20 {
        let (token, id) = create(&ann, json!({ "name": "x" })).await;
        let is_revoked = AtomicBool::new(false);
        let readers = join_all((0..4).map(|_| async {
            let mut let_in_late = 0;
            loop {
                let was_revoked = is_revoked.load(Ordering::SeqCst);
                let status = read(&app, &token).await.status;
                if was_revoked {
                    let_in_late += u32::from(status == 200);
                    return let_in_late;
                }
                tokio::task::yield_now().await;
            }
        }));
        let revoke = async {
            let delete = request(Method::DELETE, &format!("/api-tokens/{id}")).finish();
            assert_eq!(ann.send(delete).await.status, 204);
            is_revoked.store(true, Ordering::SeqCst);
        };
        let (late, ()) = tokio::join!(readers, revoke);
        assert_eq!(late, [0; 4]);
    }
}

#[tokio::test]
async fn tok_09_a_page_of_another_origin_cannot_use_a_token_and_an_allowed_one_may_send_it() {
    let app = TestApp::with(Settings {
        allowed_origins: Some(CommaList::from("https://app.example.org")),
        tokens: TokenSettings { audiences: Some(CommaList::from("https://api.example.org")) },
        ..Settings::default()
    })
    .await;
    let ann = app.signed_in("ann").await;
    let (token, _) = create(&ann, json!({ "name": "x" })).await;
    let post = |origin: &str| {
        let post = request(Method::POST, "/token").content_type("application/json");
        let post = post.header("origin", origin);
        with_token(post.body(json!({ "audience": "https://api.example.org" }).to_string()), &token)
    };
    let evil = app.send(post("https://evil.example")).await;
    assert_eq!(evil.refusal(), (403, "cross_origin".into()));
    assert_eq!(app.send(post("https://app.example.org")).await.status, 200);
    let preflight = |origin: &str| {
        let ask = request(Method::OPTIONS, "/private").header("origin", origin);
        let ask = ask.header("access-control-request-method", "GET");
        ask.header("access-control-request-headers", "authorization").finish()
    };
    let allowed = app.send(preflight("https://app.example.org")).await;
    let headers = allowed.header("access-control-allow-headers").unwrap();
    assert!(headers.split(", ").any(|name| name == "Authorization"), "{headers}");
    let foreign = app.send(preflight("https://evil.example")).await;
    assert_eq!(foreign.header("access-control-allow-origin"), None);
}

#[tokio::test]
async fn tok_10_a_token_counts_in_no_other_place() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await;
    let (token, _) = create(&ann, json!({ "name": "x" })).await;
    let anonymous = (401, "not_authenticated".to_owned());
    for path in [format!("/private?access_token={token}"), format!("/private?token={token}")] {
        assert_eq!(app.anonymous().get(&path).await.refusal(), anonymous);
    }
    let cookie = request(Method::GET, "/private").header("cookie", format!("session={token}"));
    assert_eq!(app.send(cookie.finish()).await.refusal(), (403, "session_refused".into()));
    for name in ["x-api-key", "x-auth-token", "proxy-authorization"] {
        let asked = request(Method::GET, "/private").header(name, format!("Bearer {token}"));
        assert_eq!(app.send(asked.finish()).await.refusal(), anonymous, "{name}");
    }
    let form = [("access_token", token.as_str()), ("audience", "https://api.example.org")];
    assert_eq!(app.anonymous().post_form("/token", &form).await.refusal(), anonymous);
}

#[tokio::test]
async fn tok_11_a_token_is_stored_and_shown_nowhere() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await;
    let (token, _) = create(&ann, json!({ "name": "x" })).await;
    assert_eq!(read(&app, &token).await.status, 200);
    assert!(app.eventually(async || listed(&ann).await[0].1.is_some()).await);
    app.domain.audit.write(&app.domain.store, app.clock.now()).await.unwrap();
    let secret = &token[4..47];
    assert!(!app.metrics().await.contains(secret));
    if !app.is_on_postgres() {
        for entry in std::fs::read_dir(app.data("")).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                let bytes = std::fs::read(&path).unwrap();
                let is_in = bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
                assert!(!is_in, "{}", path.display());
            }
        }
    }
    let debug = format!("{:?}", app.domain.api_tokens);
    assert!(!debug.contains(secret));
}

#[tokio::test]
async fn tok_12_a_proxy_accepts_tokens_only_if_its_address_says_so() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await;
    give(&app, "ann", "reader").await;
    let (token, _) = create(&ann, json!({ "name": "x", "roles": ["reader"] })).await;
    for path in ["/forward-auth", "/forward-auth/redirect"] {
        let ask = |query: &str| {
            with_token(request(Method::GET, &format!("{path}{query}")).finish(), &token)
        };
        assert_eq!(app.send(ask("")).await.refusal(), code(REFUSED), "{path}");
        assert_eq!(ann.send(ask("")).await.refusal(), code(REFUSED), "{path} with the cookie");
        let answer = app.send(ask("?token=yes&role=reader")).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.header("remote-user"), Some("ann"));
        assert_eq!(answer.header("remote-groups"), Some("reader"));
        assert_eq!(answer.header("remote-session"), Some(""));
        let lacking = app.send(ask("?token=yes&role=admin")).await;
        assert_eq!(lacking.refusal(), (403, "role_needed".into()));
        // The session cookie still works where tokens are accepted.
        assert_eq!(ann.get(&format!("{path}?token=yes")).await.status, 200);
        let bad = with_token(request(Method::GET, &format!("{path}?token=yes")).finish(), UNKNOWN);
        assert_eq!(app.send(bad).await.refusal(), code(REFUSED));
        for query in ["?token=no", "?token=", "?token", "?Token=yes", "?roles=reader", "?x="] {
            let answer = ann.get(&format!("{path}{query}")).await;
            assert_eq!(answer.refusal(), (400, "invalid_request".into()), "{path}{query}");
        }
    }
}

#[tokio::test]
async fn tok_17_a_token_is_revoked_only_by_its_owner_and_its_spelling_is_exact() {
    let app = TestApp::new().await;
    let (ann, eve) = (app.signed_in("ann").await, app.signed_in("eve").await);
    let (token, id) = create(&ann, json!({ "name": "x" })).await;
    let delete = |id: &str| request(Method::DELETE, &format!("/api-tokens/{id}")).finish();
    for unknown in [&*id, "xxxxxxxxxxxxxxxxxxxxxx", "a%00b", "..", "%2e%2e"] {
        let answer = eve.send(delete(unknown)).await;
        assert_eq!(answer.status, 404, "{unknown}");
    }
    let twin = token.to_lowercase();
    assert_ne!(twin, token);
    assert_eq!(read(&app, &twin).await.refusal(), code(REFUSED));
    assert_eq!(read(&app, &token).await.status, 200);
    // Revoking needs no confirmation: ending something must be easy.
    app.wait(mins(20));
    assert_eq!(ann.send(delete(&id)).await.status, 204);
    assert_eq!(ann.send(delete(&id)).await.status, 404);
}

#[tokio::test]
async fn the_operator_can_limit_the_lifetime_and_allow_no_tokens() {
    let with = async |max_days| {
        let api_tokens = ApiTokenSettings { max_days: Some(max_days) };
        TestApp::with(Settings { api_tokens, ..Settings::default() }).await
    };
    let app = with(30).await;
    let ann = app.signed_in("ann").await;
    let created = ann.post("/api-tokens", &json!({ "name": "x" })).await.json();
    assert_eq!(created["expires_at"], "2026-01-31T00:00:00Z", "30 days instead of 90");
    let long = ann.post("/api-tokens", &json!({ "name": "x", "expires_in_days": 31 })).await;
    assert_eq!(long.refusal(), (422, "policy_violation".into()));
    assert_eq!(long.errors(), [("expires_in_days".to_owned(), "too_long".to_owned())]);

    let app = with(0).await;
    let ann = app.signed_in("ann").await;
    let off = ann.post("/api-tokens", &json!({ "name": "x" })).await;
    assert_eq!(off.refusal(), (403, "api_tokens_off".into()));
    assert_eq!(listed(&ann).await, []);
    let refused = read(&app, ApiTokenSecret::random().expose()).await;
    assert_eq!(refused.refusal(), code(REFUSED));
}

#[tokio::test]
async fn tokens_are_listed_in_pages_newest_first() {
    let app = TestApp::without_limits().await;
    let ann = app.signed_in("ann").await;
    let mut ids = Vec::new();
    for n in 0..5 {
        app.wait(Duration::from_secs(n / 2)); // two are created at the same time
        ids.push(create(&ann, json!({ "name": format!("{n}") })).await.1);
    }
    let mut seen = Vec::new();
    let mut path = "/api-tokens?limit=2".to_owned();
    loop {
        let page = ann.get(&path).await.json();
        let tokens = page["api_tokens"].as_array().unwrap();
        seen.extend(tokens.iter().map(|token| token["id"].as_str().unwrap().to_owned()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/api-tokens?limit=2&cursor={cursor}");
    }
    let whole: Vec<_> = listed(&ann).await.into_iter().map(|(id, _)| id).collect();
    assert_eq!(seen, whole);
    assert_eq!(seen.len(), 5);
    assert_eq!(seen[0], ids[4]);
    for wrong in ["limit=0", "limit=101", "cursor=x", "cursor=1.%00", "x=1"] {
        let answer = ann.get(&format!("/api-tokens?{wrong}")).await;
        assert!(wrong == "x=1" || answer.refusal() == (400, "invalid_request".into()), "{wrong}");
    }
}

#[tokio::test]
async fn events_name_the_token_and_who_created_and_revoked_it() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await;
    let (_, id) = create(&ann, json!({ "name": "x" })).await;
    let delete = request(Method::DELETE, &format!("/api-tokens/{id}")).finish();
    ann.send(delete).await;
    for _ in 0..3 {
        read(&app, UNKNOWN).await;
    }
    app.domain.audit.write(&app.domain.store, app.clock.now()).await.unwrap();
    for count in [
        "select count(*) from events where event = 'api_token_created' and session_id is not null and thing is not null",
        "select count(*) from events where event = 'api_token_revoked' and account_id is not null and thing is not null",
        "select count(*) from events where event = 'api_token_refused' and refusal = 1",
    ] {
        assert_eq!(app.count(count).await, 1, "{count}");
    }
}

#[tokio::test]
async fn an_access_token_that_a_program_bought_has_its_roles_and_no_time_of_a_sign_in() {
    let app = TestApp::with(Settings {
        tokens: TokenSettings { audiences: Some(CommaList::from("https://api.example.org")) },
        ..Settings::default()
    })
    .await;
    let ann = app.signed_in("ann").await;
    for role in ["admin", "reader"] {
        give(&app, "ann", role).await;
    }
    let body = json!({ "name": "x", "roles": ["reader"], "expires_in_days": 1 });
    let (token, _) = create(&ann, body).await;
    let buy = async || {
        let post = request(Method::POST, "/token").content_type("application/json");
        let post = post.body(json!({ "audience": "https://api.example.org" }).to_string());
        app.send(with_token(post, &token)).await.json()
    };
    let claims = |bought: &Value| -> Value {
        let jwt = bought["access_token"].as_str().unwrap();
        let claims = BASE64_URL_SAFE_NO_PAD.decode(jwt.split('.').nth(1).unwrap()).unwrap();
        serde_json::from_slice(&claims).unwrap()
    };
    let bought = buy().await;
    assert_eq!(bought["expires_in"], 300);
    assert_eq!(claims(&bought)["roles"], json!(["reader"]));
    assert_eq!(claims(&bought).get("auth_time"), None);
    app.wait(days(1).saturating_sub(mins(2)));
    assert_eq!(buy().await["expires_in"], 120, "it does not outlive the API token");
}
