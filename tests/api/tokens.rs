//! Forged tokens, some of them signed with the service's own key. The ids are those of the attack
//! list.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::app::{START, TestApp, private_with};

/// An attacker who has the signing key.
struct Forger {
    key: Ed25519KeyPair,
    header: Value,
    claims: Value,
    signature: String,
}

fn decoded(part: &str) -> Value {
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

fn encoded(text: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(text)
}

impl Forger {
    /// Parses a valid token.
    fn new(app: &TestApp, cookie: &str) -> Self {
        let mut files = std::fs::read_dir(app.data("keys")).unwrap().map(|f| f.unwrap().path());
        let pem = files.find(|path| path.extension().is_some_and(|e| e == "pem")).unwrap();
        let (_, der) = pem_rfc7468::decode_vec(&std::fs::read(pem).unwrap()).unwrap();
        let parts: Vec<&str> = cookie.strip_prefix("session=").unwrap().split('.').collect();
        Self {
            key: Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).unwrap(),
            header: decoded(parts[0]),
            claims: decoded(parts[1]),
            signature: parts[2].to_owned(),
        }
    }

    /// Signs a token of exactly these texts.
    fn signed(&self, header: &str, claims: &str) -> String {
        let message = format!("{}.{}", encoded(header), encoded(claims));
        let signature = BASE64_URL_SAFE_NO_PAD.encode(self.key.sign(message.as_bytes()));
        format!("{message}.{signature}")
    }

    fn with_header(&self, name: &str, value: Value) -> String {
        let mut header = self.header.clone();
        header[name] = value;
        self.signed(&header.to_string(), &self.claims.to_string())
    }

    fn without_header(&self, name: &str) -> String {
        let mut header = self.header.clone();
        header.as_object_mut().unwrap().remove(name);
        self.signed(&header.to_string(), &self.claims.to_string())
    }

    fn with_claim(&self, name: &str, value: Value) -> String {
        let mut claims = self.claims.clone();
        claims[name] = value;
        self.signed(&self.header.to_string(), &claims.to_string())
    }

    fn without_claim(&self, name: &str) -> String {
        let mut claims = self.claims.clone();
        claims.as_object_mut().unwrap().remove(name);
        self.signed(&self.header.to_string(), &claims.to_string())
    }
}

async fn refused(app: &TestApp, token: &str) {
    let cookie = format!("session={token}");
    if poem::http::HeaderValue::try_from(&cookie).is_err() {
        return; // no header can contain it
    }
    let answer = app.send(private_with(&[&cookie])).await;
    assert_eq!(answer.refusal(), (403, "session_refused".into()), "{token}");
}

async fn house_and_forger() -> (TestApp, Forger) {
    let app = TestApp::new().await;
    let cookie = app.signed_in("ann").await.cookie().unwrap();
    let forger = Forger::new(&app, &cookie);
    // The forger's token is accepted if nothing in it is wrong.
    let honest = forger.signed(&forger.header.to_string(), &forger.claims.to_string());
    let answer = app.send(private_with(&[&format!("session={honest}")])).await;
    assert_eq!(answer.status, 200);
    (app, forger)
}

#[tokio::test]
async fn the_token_is_the_one_of_the_contract() {
    let (_, forger) = house_and_forger().await;
    let names = |value: &Value| {
        let mut names: Vec<_> = value.as_object().unwrap().keys().cloned().collect();
        names.sort();
        names
    };
    assert_eq!(names(&forger.header), ["alg", "kid", "typ"]);
    assert_eq!(names(&forger.claims), ["aud", "exp", "iat", "iss", "sid", "sub"]);
    assert_eq!(
        (&forger.header["alg"], &forger.header["typ"]),
        (&json!("EdDSA"), &json!("session+jwt"))
    );
    assert_eq!(forger.claims["iat"], START.seconds());
    assert_eq!(forger.claims["exp"], START.seconds() + 24 * 60 * 60);
}

#[tokio::test]
async fn jwt_01_no_algorithm_is_no_signature() {
    let (app, forger) = house_and_forger().await;
    for alg in [json!("none"), json!("None"), json!("NONE"), json!("nOnE"), json!(""), json!(null)]
    {
        let signed = forger.with_header("alg", alg);
        refused(&app, &signed).await;
        let unsigned = &signed[..=signed.rfind('.').unwrap()];
        refused(&app, unsigned).await;
    }
    refused(&app, &forger.without_header("alg")).await;
}

#[tokio::test]
async fn jwt_02_and_04_the_public_key_is_no_shared_secret() {
    let (app, forger) = house_and_forger().await;
    let public = forger.key.public_key().as_ref().to_vec();
    let jwk = app.anonymous().get("/.well-known/jwks.json").await.text;
    for secret in
        [public.clone(), BASE64_URL_SAFE_NO_PAD.encode(&public).into_bytes(), jwk.into_bytes()]
    {
        for alg in ["HS256", "EdDSA"] {
            let mut header = forger.header.clone();
            header["alg"] = json!(alg);
            let message =
                format!("{}.{}", encoded(&header.to_string()), encoded(&forger.claims.to_string()));
            let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &secret);
            let tag = aws_lc_rs::hmac::sign(&key, message.as_bytes());
            refused(&app, &format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(tag))).await;
        }
    }
}

#[tokio::test]
async fn jwt_03_other_keys_and_algorithms_do_not_sign_for_us() {
    let (app, forger) = house_and_forger().await;
    let own = Forger {
        key: Ed25519KeyPair::generate().unwrap(),
        header: forger.header.clone(),
        claims: forger.claims.clone(),
        signature: String::new(),
    };
    refused(&app, &own.with_claim("iat", forger.claims["iat"].clone())).await;
    for alg in ["RS256", "ES256", "PS256", "ES384", "Ed25519", "eddsa"] {
        refused(&app, &forger.with_header("alg", json!(alg))).await;
    }
    let message =
        format!("{}.{}", encoded(&forger.header.to_string()), encoded(&forger.claims.to_string()));
    for signature in [vec![0; 64], vec![0; 32], vec![], vec![0xff; 64]] {
        refused(&app, &format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))).await;
    }
}

#[tokio::test]
async fn jwt_05_and_07_header_members_beyond_the_three_are_refused() {
    let (app, forger) = house_and_forger().await;
    let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" });
    for (name, value) in [
        ("jwk", jwk),
        ("jku", json!("http://127.0.0.1:1/keys")),
        ("x5u", json!("http://127.0.0.1:1/cert")),
        ("x5c", json!(["AAAA"])),
        ("crit", json!(["exp"])),
        ("b64", json!(false)),
        ("zip", json!("DEF")),
        ("cty", json!("JWT")),
        ("x", json!(null)),
    ] {
        refused(&app, &forger.with_header(name, value)).await;
    }
}

#[tokio::test]
async fn jwt_06_a_key_name_is_looked_up_and_nothing_else() {
    let (app, forger) = house_and_forger().await;
    let long = "a".repeat(10_000);
    for kid in [
        json!("unknown"),
        json!(long),
        json!("../../etc/passwd"),
        json!("' OR 1=1--"),
        json!("\u{0}"),
        json!([]),
        json!(1),
        json!(null),
        json!(""),
    ] {
        refused(&app, &forger.with_header("kid", kid)).await;
    }
    refused(&app, &forger.without_header("kid")).await;
}

#[tokio::test]
async fn jwt_08_a_token_ends_on_the_second() {
    let (app, forger) = house_and_forger().await;
    let now = START.seconds();
    for exp in [now - 30, now - 1, now] {
        let cookie = app.signed_in_again("ann").await.cookie().unwrap();
        let own = Forger::new(&app, &cookie);
        refused(&app, &own.with_claim("exp", json!(exp))).await;
    }
    refused(&app, &forger.with_claim("exp", json!(0))).await;
}

#[tokio::test]
async fn jwt_09_an_end_that_is_no_whole_number_is_none() {
    let (app, forger) = house_and_forger().await;
    refused(&app, &forger.without_claim("exp")).await;
    let far = START.seconds() + 3600;
    for exp in [
        json!(far.to_string()),
        json!(null),
        json!(-1),
        json!(1e300),
        json!(4_000_000_000.5),
        json!(true),
        json!([far]),
        json!(u64::MAX),
        json!(i64::MAX),
        json!(i64::MIN),
    ] {
        refused(&app, &forger.with_claim("exp", exp)).await;
    }
}

#[tokio::test]
async fn jwt_10_and_11_a_token_of_more_than_a_minute_ahead_is_refused() {
    let (app, forger) = house_and_forger().await;
    refused(&app, &forger.with_claim("nbf", json!(START.seconds() + 60))).await;
    refused(&app, &forger.with_claim("nbf", json!("0"))).await;
    let now = START.seconds();
    for iat in [json!(now + 61), json!(now + 3600), json!("0"), json!(null)] {
        refused(&app, &forger.with_claim("iat", iat)).await;
    }
    for ahead in [1, 60] {
        // from a node whose clock is ahead
        let token = forger.with_claim("iat", json!(now + ahead));
        let answer = app.send(private_with(&[&format!("session={token}")])).await;
        assert_eq!(answer.status, 200, "{ahead} s");
    }
    refused(&app, &forger.without_claim("iat")).await;
}

#[tokio::test]
async fn jwt_12_and_19_a_token_for_somebody_else_is_refused() {
    let (app, forger) = house_and_forger().await;
    let ours = forger.claims["iss"].as_str().unwrap().to_owned();
    for name in ["iss", "aud"] {
        refused(&app, &forger.without_claim(name)).await;
        for other in [
            json!("http://127.0.0.1:8001"),
            json!("other"),
            json!(""),
            json!(null),
            json!(1),
            json!([ours]),
            json!([ours, "other"]),
            json!(ours.to_uppercase()),
            json!(format!("{ours}/")),
        ] {
            refused(&app, &forger.with_claim(name, other)).await;
        }
    }
}

#[tokio::test]
async fn jwt_13_tokens_of_other_kinds_are_no_session() {
    let (app, forger) = house_and_forger().await;
    for typ in [
        json!("JWT"),
        json!("at+jwt"),
        json!("device+jwt"),
        json!("SESSION+JWT"),
        json!(""),
        json!(null),
    ] {
        refused(&app, &forger.with_header("typ", typ)).await;
    }
    refused(&app, &forger.without_header("typ")).await;

    let answer = app.anonymous().log_in("ann", crate::app::PASSWORD).await;
    let (device, _) = answer.sets("device").unwrap().split_once(';').unwrap();
    refused(&app, device.strip_prefix("device=").unwrap()).await;
}

#[tokio::test]
async fn jwt_14_a_token_stands_for_its_own_session_only() {
    let (app, forger) = house_and_forger().await;
    let bob = app.signed_in("bob").await.cookie().unwrap();
    let bob = Forger::new(&app, &bob);
    refused(&app, &forger.with_claim("sub", bob.claims["sub"].clone())).await;
    refused(&app, &forger.with_claim("sid", bob.claims["sid"].clone())).await;
    refused(&app, &forger.with_claim("sid", json!(BASE64_URL_SAFE_NO_PAD.encode([7; 32])))).await;
    for sid in [json!(""), json!("short"), json!(1), json!(null)] {
        refused(&app, &forger.with_claim("sid", sid)).await;
    }
    refused(&app, &forger.without_claim("sid")).await;
    refused(&app, &forger.without_claim("sub")).await;
}

#[tokio::test]
async fn jwt_15_repeated_and_unknown_claims_are_refused() {
    let (app, forger) = house_and_forger().await;
    let claims = forger.claims.to_string();
    for name in ["iss", "aud", "sub", "sid", "iat", "exp"] {
        let twice = format!("{{\"{name}\":{},{}", forger.claims[name], &claims[1..]);
        refused(&app, &forger.signed(&forger.header.to_string(), &twice)).await;
    }
    let header = forger.header.to_string();
    let twice = format!("{{\"alg\":\"EdDSA\",{}", &header[1..]);
    refused(&app, &forger.signed(&twice, &claims)).await;
    refused(&app, &forger.with_claim("admin", json!(true))).await;
}

#[tokio::test]
async fn jwt_16_only_the_canonical_spelling_counts() {
    let (app, forger) = house_and_forger().await;
    let token = forger.signed(&forger.header.to_string(), &forger.claims.to_string());
    refused(&app, &format!("{token}=")).await;
    refused(&app, &format!("{token}==")).await;
    refused(&app, &token.replacen('.', "=.", 1)).await;
    refused(&app, &token.replacen('.', " .", 1)).await;
    refused(&app, &token.replace('_', "/").replace('-', "+").replacen("eyJ", "+eyJ", 1)).await;
    let last = token.chars().last().unwrap();
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for other in alphabet.chars().filter(|other| *other != last) {
        refused(&app, &format!("{}{other}", &token[..token.len() - 1])).await;
    }
}

#[tokio::test]
async fn jwt_17_and_18_what_has_not_three_parts_or_is_too_large_is_refused() {
    let (app, forger) = house_and_forger().await;
    let token = forger.signed(&forger.header.to_string(), &forger.claims.to_string());
    let parts: Vec<&str> = token.split('.').collect();
    for text in [
        parts[0].to_owned(),
        parts[..2].join("."),
        format!("{token}.{}", forger.signature),
        format!("{token}.x.y"),
        "...".to_owned(),
        "..".to_owned(),
        ".".repeat(10_000),
        "{\"payload\":\"x\"}".to_owned(),
    ] {
        refused(&app, &text).await;
    }
    let mut claims = forger.claims.clone();
    claims["sub"] = json!("a".repeat(64 * 1024));
    refused(&app, &forger.signed(&forger.header.to_string(), &claims.to_string())).await;
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    refused(&app, &forger.signed(&forger.header.to_string(), &deep)).await;
    let deep = "[".repeat(600);
    refused(&app, &forger.signed(&forger.header.to_string(), &deep)).await;
}

#[tokio::test]
async fn key_04_the_published_keys_are_the_public_halves() {
    let (app, forger) = house_and_forger().await;
    let answer = app.anonymous().get("/.well-known/jwks.json").await;
    assert_eq!(answer.header("cache-control"), Some("public, max-age=300"));
    let keys = answer.json();
    let key = keys["keys"][0].as_object().unwrap();
    assert!(!key.contains_key("d") && !key.contains_key("k"));
    assert_eq!(key["kid"], forger.header["kid"]);
    assert_eq!(key["x"], BASE64_URL_SAFE_NO_PAD.encode(forger.key.public_key()));
    assert_eq!(
        (&key["kty"], &key["crv"], &key["alg"]),
        (&json!("OKP"), &json!("Ed25519"), &json!("EdDSA"))
    );
    // The published key verifies the issued tokens.
    let jwk: jsonwebtoken::jwk::Jwk = serde_json::from_value(keys["keys"][0].clone()).unwrap();
    let verifying = jsonwebtoken::DecodingKey::from_jwk(&jwk).unwrap();
    let mut rules = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::EdDSA);
    rules.validate_exp = false;
    rules.set_audience(&[forger.claims["aud"].as_str().unwrap()]);
    let token = forger.signed(&forger.header.to_string(), &forger.claims.to_string());
    assert!(jsonwebtoken::decode::<Value>(&token, &verifying, &rules).is_ok());
}
