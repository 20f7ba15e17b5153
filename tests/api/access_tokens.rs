//! Access tokens for other services: their claims, how they are verified, and that Cloakroom itself
//! refuses them.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use cloakroom::config::{CommaList, Settings, TokenSettings};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use poem::http::Method;
use serde_json::{Value, json};

use crate::app::{Answer, Client, PASSWORD, START, TestApp, private_with, request};

const API: &str = "https://api.example.org";

async fn app() -> TestApp {
    let audiences = Some(CommaList::from("https://api.example.org, reports"));
    TestApp::with(Settings { tokens: TokenSettings { audiences }, ..Settings::default() }).await
}

async fn ask(client: &Client<'_>, audience: &str) -> Answer {
    client.post("/token", &json!({ "audience": audience })).await
}

pub fn part(token: &str, n: usize) -> Value {
    let part = token.split('.').nth(n).unwrap();
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

async fn token(client: &Client<'_>) -> String {
    ask(client, API).await.json()["access_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_token_says_who_for_whom_and_for_how_long_as_rfc_9068_has_it() {
    let app = app().await;
    let ann = app.signed_in("ann").await;
    let answer = ask(&ann, API).await;
    assert_eq!(answer.status, 200);
    let body = answer.json();
    assert_eq!((&body["token_type"], &body["expires_in"]), (&json!("Bearer"), &json!(300)));
    let token = body["access_token"].as_str().unwrap();

    let header = part(token, 0);
    let kid = app.domain.keys.public()[0].kid.clone();
    assert_eq!(header, json!({ "typ": "at+jwt", "alg": "EdDSA", "kid": kid }));
    let mut claims = part(token, 1);
    let jti = claims.as_object_mut().unwrap().remove("jti").unwrap();
    assert_eq!(jti.as_str().unwrap().len(), 22);
    let here = "http://127.0.0.1:8000";
    let me = ann.get("/me").await.json();
    let now = START.seconds();
    let expected = json!({
        "iss": here, "aud": API, "sub": me["id"], "client_id": here, "roles": [], "iat": now,
        "exp": now + 300, "auth_time": now,
    });
    assert_eq!(claims, expected);
    let other = self::token(&ann).await;
    assert_ne!(part(&other, 1)["jti"], jti, "each has a name of its own");
    ann.patch("/me", &json!({ "display_name": "Anna Ø" })).await;
    assert_eq!(part(&self::token(&ann).await, 1)["name"], "Anna Ø");
}

#[tokio::test]
async fn auth_time_is_when_the_user_last_showed_the_password_and_a_former_token_does_not_move_it() {
    let app = app().await;
    let ann = app.signed_in("ann").await;
    let former = ann.cookie().unwrap();
    let auth_time = async || part(&token(&ann).await, 1)["auth_time"].as_i64().unwrap();
    app.wait(Duration::from_mins(20));
    assert_eq!(auth_time().await, START.seconds());
    let current = json!({ "current_password": PASSWORD });
    assert_eq!(ann.post("/session/confirm/password", &current).await.status, 200);
    assert_eq!(auth_time().await, START.seconds() + 1200);
    let late = request(Method::POST, "/token").content_type("application/json");
    let late = late.header("cookie", former).body(json!({ "audience": API }).to_string());
    let late = app.send(late).await.json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(part(&late, 1)["auth_time"], START.seconds());
}

#[tokio::test]
async fn the_published_keys_verify_it_for_its_audience_alone() {
    let app = app().await;
    let ann = app.signed_in("ann").await;
    let token = token(&ann).await;
    let keys = app.anonymous().get("/.well-known/jwks.json").await.json();
    let jwk: jsonwebtoken::jwk::Jwk = serde_json::from_value(keys["keys"][0].clone()).unwrap();
    let key = DecodingKey::from_jwk(&jwk).unwrap();
    let verified = |audience: &str| {
        let mut rules = Validation::new(Algorithm::EdDSA);
        rules.validate_exp = false; // the test's clock stands still
        rules.set_audience(&[audience]);
        rules.set_issuer(&["http://127.0.0.1:8000"]);
        jsonwebtoken::decode::<Value>(&token, &key, &rules).is_ok()
    };
    assert!(verified(API));
    assert!(!verified("reports"));
}

#[tokio::test]
async fn only_audiences_of_the_settings_are_served() {
    let app = app().await;
    let ann = app.signed_in("ann").await;
    assert_eq!(ask(&ann, "reports").await.status, 200);
    for audience in ["https://api.example.org/", "https://API.example.org", "", " reports", "x"] {
        let refusal = ask(&ann, audience).await.refusal();
        assert_eq!(refusal, (403, "audience_refused".into()), "{audience}");
    }
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await;
    assert_eq!(ask(&ann, API).await.status, 403, "there are none unless somebody names one");
}

#[tokio::test]
async fn a_token_does_not_outlive_its_session() {
    let app = app().await;
    let ann = app.signed_in("ann").await;
    // A minute after START.
    app.sql("update sessions set expires_at = 1767225660000").await;
    app.wait(Duration::from_secs(10));
    let answer = ask(&ann, API).await.json();
    assert_eq!(answer["expires_in"], 50);
    let claims = part(answer["access_token"].as_str().unwrap(), 1);
    assert_eq!(claims["exp"], START.seconds() + 60);
    app.wait(Duration::from_secs(50));
    assert_eq!(ask(&ann, API).await.refusal(), (403, "session_refused".into()));
}

#[tokio::test]
async fn jwt_13_a_token_for_others_is_no_session() {
    let app = app().await;
    let ann = app.signed_in("ann").await;
    let token = token(&ann).await;
    let cookie = format!("session={token}");
    let answer = app.send(private_with(&[&cookie])).await;
    assert_eq!(answer.refusal(), (403, "session_refused".into()));
    let bearer = format!("Bearer {token}");
    let bearer = request(Method::GET, "/private").header("authorization", bearer).finish();
    assert_eq!(app.send(bearer).await.refusal(), (401, "not_authenticated".into()));
    let asked = request(Method::GET, "/forward-auth").header("cookie", cookie).finish();
    assert_eq!(app.send(asked).await.refusal(), (401, "not_authenticated".into()));
    let device = request(Method::GET, "/me").header("cookie", format!("device={token}")).finish();
    assert_eq!(app.send(device).await.status, 401);
}
