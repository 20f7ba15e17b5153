//! The attributes of the cookie, and which cookies are valid. The ids are those of the attack list.

use cloakroom::config::{CookieSettings, Settings};

use crate::app::{TestApp, private_with};

async fn refused(app: &TestApp, cookies: &[&str]) {
    let answer = app.send(private_with(cookies)).await;
    assert_eq!(answer.refusal(), (403, "session_refused".into()), "{cookies:?}");
    assert_eq!(answer.header("set-cookie"), None, "none that can be verified has long ended");
}

#[tokio::test]
async fn ses_01_the_cookie_has_exactly_its_documented_attributes() {
    let app = TestApp::new().await;
    app.signed_in("ann").await;
    let answer = app.anonymous().log_in("ann", crate::app::PASSWORD).await;
    let set = answer.header("set-cookie").unwrap();
    let (pair, attributes) = set.split_once("; ").unwrap();
    assert_eq!(attributes, "Path=/; HttpOnly; SameSite=Lax");
    let token = pair.strip_prefix("session=").unwrap();
    assert!(token.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)));
    assert!(token.len() <= 1024);
    let set = answer.headers.get_all("set-cookie").iter().map(|set| set.to_str().unwrap());
    assert_eq!(set.filter(|set| set.starts_with("session=")).count(), 1);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn the_device_cookie_has_exactly_its_documented_attributes() {
    let app = TestApp::new().await;
    app.signed_in("ann").await;
    let answer = app.anonymous().log_in("ann", crate::app::PASSWORD).await;
    let attributes = "Path=/; HttpOnly; SameSite=Strict; \
                      Expires=Wed, 01 Apr 2026 00:00:00 GMT; Max-Age=7776000";
    assert_eq!(answer.sets("device").unwrap().split_once("; ").unwrap().1, attributes);

    let public_url = Some("https://id.example.org".to_owned());
    let app = TestApp::with(Settings { public_url, ..Settings::default() }).await;
    app.signed_in("ann").await;
    let answer = app.anonymous().log_in("ann", crate::app::PASSWORD).await;
    let attributes = "Path=/; HttpOnly; SameSite=Strict; Secure; \
                      Expires=Wed, 01 Apr 2026 00:00:00 GMT; Max-Age=7776000";
    assert_eq!(answer.sets("__Host-device").unwrap().split_once("; ").unwrap().1, attributes);
}

#[tokio::test]
async fn behind_https_the_cookie_is_secure_and_bound_to_its_host() {
    let public_url = Some("https://id.example.org".to_owned());
    let app = TestApp::with(Settings { public_url, ..Settings::default() }).await;
    let client = app.signed_in("ann").await;
    assert!(client.cookie().unwrap().starts_with("__Host-session="));
    assert_eq!(client.get("/private").await.status, 200);
    let clearing = client.post_nothing("/logout").await;
    let expected = "__Host-session=; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=0";
    assert_eq!(clearing.header("set-cookie"), Some(expected));
    assert_eq!(clearing.header("strict-transport-security"), Some("max-age=63072000"));
}

#[tokio::test]
async fn one_name_stands_in_the_document_the_cookie_and_the_parser() {
    let name = Some("ticket".to_owned());
    let cookie = CookieSettings { name, domain: None };
    let app = TestApp::with(Settings { cookie, ..Settings::default() }).await;
    let client = app.signed_in("ann").await;
    let served = client.get("/openapi.json").await.json();
    assert_eq!(served["components"]["securitySchemes"]["session"]["name"], "ticket");
    let cookie = client.cookie().unwrap();
    assert!(cookie.starts_with("ticket="));
    assert_eq!(app.send(private_with(&[&cookie])).await.status, 200);
    let renamed = cookie.replace("ticket=", "session=");
    let answer = app.send(private_with(&[&renamed])).await;
    assert_eq!(answer.refusal(), (401, "not_authenticated".into()));
    assert!(answer.header("www-authenticate").unwrap().ends_with("cookie-name=ticket"));
}

#[tokio::test]
async fn ses_02_a_cookie_chosen_before_the_login_never_becomes_valid() {
    let app = TestApp::new().await;
    let other = app.signed_in("bob").await.cookie().unwrap();
    app.signed_in("ann").await;
    for planted in ["session=planted", other.as_str()] {
        let body = serde_json::json!({ "username": "ann", "password": crate::app::PASSWORD });
        let login = crate::app::request(poem::http::Method::POST, "/login")
            .content_type("application/json")
            .header("cookie", planted)
            .body(body.to_string());
        let answer = app.send(login).await;
        assert_eq!(answer.status, 200);
        assert_ne!(answer.cookie().as_deref(), Some(planted));
        refused(&app, &[planted]).await;
    }
}

#[tokio::test]
async fn ses_05_and_06_two_cookies_count_only_if_they_are_equal() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await.cookie().unwrap();
    let bob = app.signed_in("bob").await.cookie().unwrap();
    let both = format!("{ann}; {bob}");
    let other_way = format!("{bob}; {ann}");
    let planted = format!("session=x; {ann}");
    refused(&app, &[&both]).await;
    refused(&app, &[&other_way]).await;
    refused(&app, &[&ann, &bob]).await;
    refused(&app, &[&planted]).await;
    let twice = format!("{ann}; a=b; {ann}");
    assert_eq!(app.send(private_with(&[&twice])).await.status, 200);
    assert_eq!(app.send(private_with(&[&ann, &ann])).await.status, 200);
}

#[tokio::test]
async fn ses_07_look_alike_names_and_values_do_not_count() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await.cookie().unwrap();
    let token = ann.strip_prefix("session=").unwrap();
    for name in ["Session", "session ", "session%20", "SESSION", "xsession"] {
        let answer = app.send(private_with(&[&format!("{name}={token}")])).await;
        assert_eq!(answer.refusal(), (401, "not_authenticated".into()), "{name:?}");
    }
    let encoded = token.replacen('e', "%65", 1);
    for value in [format!("\"{token}\""), encoded, format!("{token}%00")] {
        refused(&app, &[&format!("session={value}")]).await;
    }
}

#[tokio::test]
async fn ses_09_a_cookie_cut_anywhere_is_refused() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await.cookie().unwrap();
    for length in "session=x".len()..ann.len() {
        refused(&app, &[&ann[..length]]).await;
    }
}

#[tokio::test]
async fn ses_09_a_cookie_with_any_byte_changed_is_refused() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await.cookie().unwrap();
    for at in "session=".len()..ann.len() {
        let other = if &ann[at..=at] == "A" { "B" } else { "A" };
        let mut forged = ann.clone();
        forged.replace_range(at..=at, other);
        refused(&app, &[&forged]).await;
    }
}

#[tokio::test]
async fn ses_10_a_token_counts_nowhere_but_in_the_cookie() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await.cookie().unwrap();
    let token = ann.strip_prefix("session=").unwrap();
    for (name, value) in
        [("authorization", format!("Bearer {token}")), ("x-session", token.to_owned())]
    {
        let mut request = private_with(&[]);
        request.headers_mut().insert(name, value.parse().unwrap());
        assert_eq!(app.send(request).await.refusal(), (401, "not_authenticated".into()));
    }
    let query = format!("/private?session={token}&access_token={token}");
    assert_eq!(app.anonymous().get(&query).await.status, 401);
}

// Bytes in a format that shows ASCII characters.
const ALL_ROWS: &str = "select (select string_agg(accounts::text, '') from accounts)
     || (select string_agg(sessions::text || encode(digest, 'escape'), '') from sessions)
     || (select string_agg(login_attempts::text, '') from login_attempts)";

#[tokio::test]
async fn ses_15_the_database_holds_no_token_and_no_password() {
    let app = TestApp::new().await;
    let client = app.signed_in("ann").await;
    let cookie = client.cookie().unwrap();
    let payload = cookie.split('.').nth(1).unwrap();
    let payload =
        base64::Engine::decode(&base64::prelude::BASE64_URL_SAFE_NO_PAD, payload).unwrap();
    let claims: serde_json::Value = serde_json::from_slice(&payload).unwrap();
    let sid = claims["sid"].as_str().unwrap();
    let raw = base64::Engine::decode(&base64::prelude::BASE64_URL_SAFE_NO_PAD, sid).unwrap();
    let everything = if app.is_on_postgres() {
        vec![app.text(ALL_ROWS).await.into_bytes()]
    } else {
        let files = ["cloakroom.db", "cloakroom.db-wal"].map(|name| app.data(name));
        files.map(|file| std::fs::read(file).unwrap()).into()
    };
    assert!(everything.iter().any(|bytes| memchr::memmem::find(bytes, b"ann").is_some()));
    for bytes in everything {
        let password = crate::app::PASSWORD.as_bytes();
        for secret in [cookie.as_bytes(), sid.as_bytes(), &raw, password] {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret));
        }
    }
    assert_ne!(claims["sub"], "ann");
    assert!(!client.get("/session").await.text.contains(sid));
}

#[tokio::test]
async fn a_planted_cookie_does_not_keep_a_session_alive_through_its_logout() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await.cookie().unwrap();
    let both = format!("session=planted; {ann}");
    let logout = crate::app::request(poem::http::Method::POST, "/logout");
    assert_eq!(app.send(logout.header("cookie", both).finish()).await.status, 204);
    refused(&app, &[&ann]).await;
}
