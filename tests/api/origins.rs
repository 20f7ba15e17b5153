//! Requests from other origins. The ids are those of the attack list.

use cloakroom::config::{CommaList, Settings};
use poem::http::Method;
use serde_json::json;

use crate::app::{PASSWORD, TestApp, coming_from, request};

async fn login_from(app: &TestApp, headers: &[(&str, &str)]) -> u16 {
    let body = json!({ "username": "ann", "password": PASSWORD });
    let mut request = request(Method::POST, "/login").content_type("application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = app.send(request.body(body.to_string())).await;
    if answer.status == 403 {
        assert_eq!(answer.refusal().1, "cross_origin", "{headers:?}");
        assert!(answer.header("set-cookie").is_none());
    }
    answer.status.as_u16()
}

#[tokio::test]
async fn csrf_01_and_02_the_browser_says_where_a_request_comes_from() {
    let app = TestApp::new().await;
    app.signed_in("ann").await;
    for (site, status) in [
        ("same-origin", 200),
        ("none", 200),
        ("same-site", 403),
        ("cross-site", 403),
        ("", 403),
        ("nonsense", 403),
    ] {
        assert_eq!(login_from(&app, &[("sec-fetch-site", site)]).await, status, "{site}");
    }
}

#[tokio::test]
async fn csrf_02_origin_decides_whatever_sec_fetch_site_says() {
    let app = TestApp::new().await;
    app.signed_in("ann").await;
    for site in ["same-origin", "none", "same-site", "cross-site", "nonsense"] {
        for (origin, status) in [
            ("http://127.0.0.1:8000", 200),
            ("http://localhost:8000", 200), // another name, which is another site
            ("https://evil.example", 403),
            ("http://127.0.0.1:5173", 403),
            ("https://127.0.0.1:8000", 403),
            ("null", 403),
        ] {
            let headers = [("sec-fetch-site", site), ("origin", origin)];
            assert_eq!(login_from(&app, &headers).await, status, "{site} {origin}");
        }
    }
    let two = [("origin", "http://127.0.0.1:8000"), ("origin", "http://127.0.0.1:8000")];
    assert_eq!(login_from(&app, &two).await, 403, "a browser sends one");
}

#[tokio::test]
async fn csrf_10_over_http_the_address_that_was_opened_is_the_own_origin() {
    let settings = Settings {
        listen: Some("0.0.0.0:8000".parse().unwrap()),
        insecure_http: Some(true),
        allowed_hosts: Some(CommaList::from("cloakroom.internal, .lan")),
        ..Settings::default()
    };
    let app = TestApp::with(settings).await;
    app.signed_in("ann").await;
    for (host, origin, status) in [
        ("192.168.1.5:8000", "http://192.168.1.5:8000", 200),
        ("localhost:9000", "http://localhost:9000", 200), // a mapped port
        ("127.0.0.1", "http://127.0.0.1", 200),
        ("127.0.0.1:80", "http://127.0.0.1", 200),
        ("cloakroom.internal:8000", "http://cloakroom.internal:8000", 200),
        ("id.lan", "http://id.lan", 200),
        ("ID.lan", "http://id.lan", 200),
        ("[fd00::5]:8000", "http://[fd00::5]:8000", 200),
        ("192.168.1.5:8000", "http://192.168.1.5:8001", 403),
        ("192.168.1.5:8000", "https://192.168.1.5:8000", 403),
        ("192.168.1.5:8000", "http://192.168.1.6:8000", 403),
        ("id.lan", "http://id.lan.evil.example", 403),
        ("id.lan", "http://evil.example", 403),
        ("evil.example", "http://evil.example", 421), // a name that was rebound to this address
        ("192.168.1.5.evil.example", "http://192.168.1.5.evil.example", 421),
    ] {
        let headers = [("host", host), ("origin", origin)];
        assert_eq!(login_from(&app, &headers).await, status, "{host} {origin}");
    }
}

/// The refusal of a browser's login, as JSON and as a page.
async fn refusal_of(app: &TestApp, headers: &[(&str, &str)]) -> String {
    let mut texts = Vec::new();
    for accept in ["*/*", "text/html,application/xhtml+xml,*/*;q=0.8"] {
        let mut login = request(Method::POST, "/login")
            .content_type("application/x-www-form-urlencoded")
            .header("accept", accept);
        for (name, value) in headers {
            login = login.header(*name, *value);
        }
        let answer = app.send(login.body("username=ann&password=x")).await;
        assert_eq!(answer.status, 403);
        let is_page = answer.header("content-type").unwrap().starts_with("text/html");
        assert_eq!(is_page, accept != "*/*", "{}", answer.text);
        texts.push(answer);
    }
    let detail = texts[0].json()["detail"].as_str().unwrap().to_owned();
    let on_the_page = texts[1].text.replace("<code>", "`").replace("</code>", "`");
    assert!(on_the_page.contains(&detail.replace('"', "&#34;")), "{on_the_page}");
    detail
}

#[tokio::test]
async fn att_17_07_a_proxy_that_terminates_tls_in_front_of_default_settings_is_told_what_to_set() {
    let app = TestApp::new().await;
    app.signed_in("ann").await;
    let set = "set `public_url = \"https://id.example.org\"`";
    for headers in [
        // nginx with a bare `proxy_pass`, and the same with an older browser.
        vec![("origin", "https://id.example.org"), ("sec-fetch-site", "same-origin")],
        vec![("origin", "https://id.example.org")],
    ] {
        let detail = refusal_of(&app, &headers).await;
        assert!(detail.contains(set), "{detail}");
        assert!(detail.contains("http://127.0.0.1:8000"), "{detail}");
    }
    // A proxy that passes `Host` on.
    let host = request(Method::GET, "/login").header("host", "id.example.org").finish();
    let answer = app.send(host).await;
    assert_eq!(answer.refusal(), (421, "unknown_host".into()));
    assert!(answer.text.contains("public_url"), "{}", answer.text);
    let settings =
        Settings { allowed_hosts: Some(CommaList::from("id.example.org")), ..Settings::default() };
    let app = TestApp::with(settings).await;
    for site in ["same-origin", "cross-site"] {
        let headers = [
            ("host", "id.example.org"),
            ("origin", "https://id.example.org"),
            ("sec-fetch-site", site),
        ];
        assert!(refusal_of(&app, &headers).await.contains(set), "{site}");
    }
}

#[tokio::test]
async fn a_refusal_names_both_origins_and_for_a_development_server_the_setting() {
    let app = TestApp::new().await;
    for (origin, site, told) in [
        ("http://localhost:5173", "same-site", "`allowed_origins = [\"http://localhost:5173\"]`"),
        ("http://127.0.0.1:3000", "same-origin", "`allowed_origins = [\"http://127.0.0.1:3000\"]`"),
        ("https://evil.example", "cross-site", "requests from pages at https://evil.example"),
    ] {
        let detail = refusal_of(&app, &[("origin", origin), ("sec-fetch-site", site)]).await;
        assert!(detail.contains(told) && detail.contains("http://127.0.0.1:8000"), "{detail}");
        assert!(!detail.contains("public_url"), "{detail}");
    }
    let long = format!("https://{}.example", "a".repeat(500));
    for nothing_to_repeat in ["null", "", "javascript:alert(1)", "https://a.example/<b>", &long] {
        let detail = refusal_of(&app, &[("origin", nothing_to_repeat)]).await;
        assert!(detail.contains("pages whose origin is unknown"), "{detail}");
    }
}

#[tokio::test]
async fn behind_https_a_page_opened_in_clear_text_is_led_to_the_public_url() {
    let public_url = Some("https://id.example.org".to_owned());
    let app = TestApp::with(Settings { public_url, ..Settings::default() }).await;
    let headers = [("host", "192.168.1.5:8000"), ("origin", "http://192.168.1.5:8000")];
    let detail = refusal_of(&app, &headers).await;
    assert!(detail.contains("Open https://id.example.org instead"), "{detail}");
}

#[tokio::test]
async fn csrf_03_an_old_browser_is_known_by_its_origin() {
    let app = TestApp::new().await;
    app.signed_in("ann").await;
    for (origin, status) in [
        ("http://127.0.0.1:8000", 200),
        ("http://localhost:8000", 200),
        ("http://[::1]:8000", 200),
        ("http://127.0.0.1:8001", 403),
        ("https://127.0.0.1:8000", 403),
        ("http://evil.example", 403),
        ("null", 403),
        ("garbage", 403),
        ("", 403),
    ] {
        assert_eq!(login_from(&app, &[("origin", origin)]).await, status, "{origin}");
    }
}

#[tokio::test]
async fn csrf_04_a_program_that_sends_neither_is_let_in() {
    let app = TestApp::new().await;
    app.signed_in("ann").await;
    assert_eq!(login_from(&app, &[]).await, 200);
    let form = [("username", "ann"), ("password", PASSWORD)];
    assert_eq!(app.anonymous().post_form("/login", &form).await.status, 200);
}

#[tokio::test]
async fn csrf_05_nobody_is_signed_in_as_the_attacker() {
    let app = TestApp::new().await;
    app.signed_in("mallory").await;
    let form = format!("username=mallory&password={}", PASSWORD.replace(' ', "+"));
    for site in ["cross-site", "same-site"] {
        let login = request(Method::POST, "/login")
            .content_type("application/x-www-form-urlencoded")
            .header("accept", "text/html,*/*;q=0.8")
            .header("origin", "https://evil.example")
            .header("sec-fetch-site", site);
        let answer = app.send(login.body(form.clone())).await;
        assert_eq!(answer.status, 403);
        assert!(answer.header("set-cookie").is_none());
    }
}

#[tokio::test]
async fn csrf_06_nobody_is_signed_out_from_elsewhere() {
    let app = TestApp::new().await;
    let client = app.signed_in("ann").await;
    let elsewhere =
        request(Method::POST, "/logout").header("sec-fetch-site", "cross-site").finish();
    assert_eq!(client.send(elsewhere).await.refusal(), (403, "cross_origin".into()));
    assert_eq!(client.get("/logout").await.refusal(), (405, "method_not_allowed".into()));
    assert_eq!(client.get("/private").await.status, 200);
}

#[tokio::test]
async fn csrf_08_a_method_cannot_be_overridden() {
    let app = TestApp::new().await;
    let client = app.signed_in("ann").await;
    let overridden = request(Method::GET, "/session?_method=DELETE")
        .header("x-http-method-override", "DELETE")
        .finish();
    assert_eq!(client.send(overridden).await.status, 200);
    assert_eq!(client.get("/private").await.status, 200);
}

#[tokio::test]
async fn csrf_10_the_host_header_makes_no_origin_ours() {
    let app = TestApp::new().await;
    app.signed_in("ann").await;
    let rebound = [("host", "evil.example"), ("origin", "http://evil.example")];
    assert_eq!(login_from(&app, &rebound).await, 421);
}

#[tokio::test]
async fn the_public_url_is_the_one_origin_of_a_service_behind_https() {
    let public_url = Some("https://id.example.org".to_owned());
    let app = TestApp::with(Settings { public_url, ..Settings::default() }).await;
    app.signed_in("ann").await;
    assert_eq!(login_from(&app, &[("origin", "https://id.example.org")]).await, 200);
    assert_eq!(login_from(&app, &[("origin", "http://127.0.0.1:8000")]).await, 403);
    assert_eq!(login_from(&app, &[("origin", "http://id.example.org")]).await, 403);
}

#[tokio::test]
async fn the_page_of_an_allowed_origin_may_call_with_the_cookie_and_read_the_answer() {
    let allowed = "https://app.example.org";
    let allowed_origins = Some(CommaList::from(allowed));
    let app = TestApp::with(Settings { allowed_origins, ..Settings::default() }).await;
    let client = app.signed_in("ann").await;

    let page = [("sec-fetch-site", "cross-site"), ("origin", allowed)];
    assert_eq!(login_from(&app, &page).await, 200);
    assert_eq!(login_from(&app, &[("origin", allowed)]).await, 200);
    let read = request(Method::GET, "/private").header("origin", allowed).finish();
    let answer = client.send(read).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("access-control-allow-origin"), Some(allowed));
    assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
    assert!(answer.header("vary").is_some_and(|vary| vary.contains("Origin")));
    let refused = request(Method::GET, "/private").header("origin", allowed).finish();
    let answer = app.send(refused).await;
    assert_eq!(answer.status, 401, "a refusal can be read, too");
    assert_eq!(answer.header("access-control-allow-origin"), Some(allowed));

    let preflight = |origin: &str| {
        request(Method::OPTIONS, "/login")
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "content-type")
            .finish()
    };
    let answer = app.send(preflight(allowed)).await;
    assert_eq!(answer.status, 204);
    let headers = Some("Authorization, Content-Type");
    assert_eq!(answer.header("access-control-allow-headers"), headers);
    assert_eq!(answer.header("access-control-allow-origin"), Some(allowed));

    for other in [
        "https://app.example.org.evil.example",
        "http://app.example.org",
        "https://app.example.org:8443",
        "https://sub.app.example.org",
        "null",
    ] {
        let headers = [("sec-fetch-site", "cross-site"), ("origin", other)];
        assert_eq!(login_from(&app, &headers).await, 403, "{other}");
        let answer = app.send(preflight(other)).await;
        assert_eq!(answer.status, 405, "{other}");
        assert!(answer.header("access-control-allow-origin").is_none(), "{other}");
        let read = request(Method::GET, "/private").header("origin", other).finish();
        let answer = client.send(read).await;
        assert!(answer.header("access-control-allow-origin").is_none(), "{other}");
    }
}

#[tokio::test]
async fn xff_01_to_03_a_session_names_the_address_that_a_trusted_proxy_saw() {
    let trusted_proxies = Some(CommaList::from("10.0.0.0/8"));
    let app = TestApp::with(Settings { trusted_proxies, ..Settings::default() }).await;
    app.signed_in("ann").await;
    for (peer, forwarded_for, seen) in [
        ("192.0.2.1", "1.1.1.1", "192.0.2.1"),
        ("10.0.0.1", "1.1.1.1, 203.0.113.5", "203.0.113.5"),
        ("10.0.0.1", "nonsense", "10.0.0.1"),
        ("::ffff:10.0.0.1", "203.0.113.5, 10.9.9.9", "203.0.113.5"),
    ] {
        let body = json!({ "username": "ann", "password": PASSWORD });
        let login = request(Method::POST, "/login")
            .content_type("application/json")
            .header("x-forwarded-for", forwarded_for)
            .header("x-real-ip", "1.1.1.1");
        let answer = app.send(coming_from(peer, login.body(body.to_string()))).await;
        assert_eq!(answer.json()["session"]["address"], seen, "{peer} {forwarded_for}");
    }
}
