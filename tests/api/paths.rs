//! Paths and methods: which exist, which do not, and the headers of all responses.

use cloakroom::config::{CommaList, Settings};
use poem::http::Method;

use crate::app::{TestApp, request};
use crate::contract::DOCUMENT;

#[tokio::test]
async fn a_path_that_is_not_there_is_a_problem() {
    let app = TestApp::new().await;
    for path in ["/nothing", "/login/", "/private/x", "/.env", "/docs/../x", "/%00"] {
        let answer = app.anonymous().get(path).await;
        assert_eq!(answer.refusal(), (404, "not_found".into()), "{path}");
    }
}

#[tokio::test]
async fn a_method_that_is_not_there_is_refused_with_those_that_are() {
    let app = TestApp::new().await;
    for (path, allow) in [
        ("/private", "GET, HEAD"),
        ("/logout", "POST"),
        ("/login", "GET, HEAD, POST"),
        ("/openapi.json", "GET, HEAD"),
    ] {
        for method in ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"] {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let answer = app.send(request(method, path).finish()).await;
            assert_eq!(answer.refusal(), (405, "method_not_allowed".into()), "{path}");
            assert_eq!(answer.header("allow"), Some(allow), "{path}");
        }
    }
}

#[tokio::test]
async fn head_is_answered_wherever_get_is() {
    let app = TestApp::new().await;
    for path in ["/livez", "/readyz", "/docs", "/login", "/openapi.json"] {
        let answer = app.send(request(Method::HEAD, path).finish()).await;
        assert_eq!(answer.status, 200, "{path}");
    }
    assert_eq!(app.send(request(Method::HEAD, "/private").finish()).await.status, 401);
}

#[tokio::test]
async fn inj_02_two_hosts_are_refused_everywhere() {
    let app = TestApp::new().await;
    for (path, method) in operations(|_| true) {
        let request = request(method, &path).header("host", "a").header("host", "b").finish();
        assert_eq!(app.send(request).await.refusal(), (400, "invalid_request".into()), "{path}");
    }
}

#[tokio::test]
async fn inj_02_a_host_that_is_none_is_refused() {
    let app = TestApp::new().await;
    for host in ["", "a b", "a/b", "me@x"] {
        let request = request(Method::GET, "/livez").header("host", host).finish();
        assert_eq!(app.send(request).await.refusal(), (400, "invalid_request".into()), "{host:?}");
    }
    for host in ["localhost", "localhost:8000", "[::1]:8000", "10.1.2.3:8000"] {
        let request = request(Method::GET, "/livez").header("host", host).finish();
        assert_eq!(app.send(request).await.status, 200, "{host:?}");
    }
}

#[tokio::test]
async fn inj_02_a_host_that_is_not_ours_is_refused_everywhere() {
    let settings = Settings {
        public_url: Some("https://id.example.org".to_owned()),
        allowed_hosts: Some(CommaList::from("cloakroom, .apps.example.org")),
        ..Settings::default()
    };
    let app = TestApp::with(settings).await;
    for (path, method) in operations(|_| true) {
        let request = request(method, &path).header("host", "evil.example").finish();
        assert_eq!(app.send(request).await.refusal(), (421, "unknown_host".into()), "{path}");
    }
    let to = |uri: &str, host: &str| request(Method::GET, uri).header("host", host).finish();
    for page in ["/", "/login", "/docs", "/openapi.json", "/nothing"] {
        assert_eq!(app.send(to(page, "evil.example")).await.status, 421, "{page}");
    }
    let absolute = to("http://evil.example/livez", "id.example.org");
    assert_eq!(app.send(absolute).await.status, 421, "the target counts, not `Host`");
    for host in ["id.example.org", "id.example.org:443", "cloakroom:8000", "a.apps.example.org"] {
        assert_eq!(app.send(to("/livez", host)).await.status, 200, "{host}");
    }
}

#[tokio::test]
async fn the_probes_answer() {
    let app = TestApp::new().await;
    assert_eq!(app.anonymous().get("/livez").await.json()["status"], "live");
    assert_eq!(app.anonymous().get("/readyz").await.json()["status"], "ready");
    app.domain.begin_shutdown();
    let leaving = app.anonymous().get("/readyz").await;
    assert_eq!(leaving.refusal(), (503, "unavailable".into()));
    assert_eq!(app.anonymous().get("/livez").await.status, 200, "it answers what is asked");
}

#[tokio::test]
async fn swagger_ui_can_be_turned_off_and_the_document_stays() {
    let settings = Settings { docs: Some(false), ..Settings::default() };
    let app = TestApp::with(settings).await;
    let client = app.signed_in("ann").await;
    for path in ["/docs", "/docs/init.js", "/docs/swagger-ui-bundle.js"] {
        assert_eq!(client.get(path).await.status, 404, "{path}");
    }
    assert_eq!(client.get("/openapi.json").await.status, 200);
    assert!(!client.get("/account").await.text.contains("/docs"));
    assert_eq!(TestApp::new().await.anonymous().get("/docs").await.status, 200);
}

#[tokio::test]
async fn the_documentation_page_names_who_is_signed_in_and_is_kept_by_no_cache() {
    let app = TestApp::new().await;
    let page = app.signed_in("ann").await.get("/docs").await;
    assert!(page.text.contains("Signed in as <strong>ann</strong>."));
    assert_eq!(page.header("cache-control"), Some("no-store"));
    assert!(app.anonymous().get("/docs").await.text.contains("Not signed in."));
}

#[tokio::test]
async fn the_served_document_is_the_committed_one() {
    let app = TestApp::new().await;
    let served = app.anonymous().get("/openapi.json").await;
    assert_eq!(served.text, include_str!("../../openapi/openapi.json"));
    let in_version_3_1 = app.anonymous().get("/openapi-3.1.json").await;
    assert_eq!(in_version_3_1.text, include_str!("../../openapi/openapi-3.1.json"));
    let yaml = app.anonymous().get("/openapi.yaml").await;
    assert_eq!(yaml.text, include_str!("../../openapi/openapi.yaml"));
}

#[tokio::test]
async fn every_guarded_operation_refuses_who_has_no_session_and_who_has_a_bad_one() {
    let app = TestApp::new().await;
    let mut guarded = 0;
    for (path, method) in operations(|operation| operation["security"] != serde_json::json!([])) {
        guarded += 1;
        let answer = app.send(request(method.clone(), &path).finish()).await;
        assert_eq!(answer.refusal(), (401, "not_authenticated".into()), "{path}");
        assert!(answer.header("www-authenticate").is_some());
        let made_up = request(method, &path).header("cookie", "session=made.up.one").finish();
        // Proxies treat 401 as "sign in".
        let refusal = if path == "/forward-auth" {
            (401, "not_authenticated")
        } else {
            (403, "session_refused")
        };
        assert_eq!(app.send(made_up).await.refusal(), (refusal.0, refusal.1.into()), "{path}");
    }
    assert!(guarded >= 3);
}

#[tokio::test]
async fn every_unsafe_operation_refuses_other_origins() {
    let app = TestApp::new().await;
    let mut unsafe_ones = 0;
    for (path, method) in operations(|_| true) {
        if method == Method::GET {
            continue;
        }
        unsafe_ones += 1;
        let request = request(method, &path).header("origin", "https://evil.example").finish();
        assert_eq!(app.send(request).await.refusal(), (403, "cross_origin".into()), "{path}");
    }
    assert!(unsafe_ones >= 3);
}

#[tokio::test]
async fn every_answer_carries_the_protecting_headers() {
    let app = TestApp::new().await;
    for path in
        ["/login", "/docs", "/private", "/nothing", "/livez", "/openapi.json", "/docs/init.js"]
    {
        let answer = app.anonymous().get(path).await;
        for (name, part) in [
            ("x-content-type-options", "nosniff"),
            ("content-security-policy", "frame-ancestors 'none'"),
            ("referrer-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert!(answer.header(name).is_some_and(|value| value.contains(part)), "{path} {name}");
        }
        assert!(!answer.header("content-security-policy").unwrap().contains("unsafe"));
        assert!(answer.header("server").is_none());
        assert!(answer.header("strict-transport-security").is_none());
    }
}

/// ATT-17-12, ASVS 3.4.8. Elsewhere, browsers ignore the header and log an error to the console.
#[tokio::test]
async fn pages_send_the_opener_policy_where_browsers_heed_it() {
    let lan = "http://192.168.1.5:8000";
    for (public_url, host, policy) in [
        ("http://127.0.0.1:8000", "127.0.0.1:8000", Some("same-origin")),
        ("http://127.0.0.1:8000", "localhost:8000", Some("same-origin")),
        ("http://127.0.0.1:8000", "[::1]:8000", Some("same-origin")),
        ("http://127.0.0.1:8000", "192.168.1.5:8000", None),
        (lan, "192.168.1.5:8000", None),
        (lan, "localhost:8000", Some("same-origin")),
        ("https://id.example.org", "id.example.org", Some("same-origin")),
    ] {
        let settings = Settings {
            public_url: Some(public_url.to_owned()),
            insecure_http: Some(true),
            ..Settings::default()
        };
        let app = TestApp::with(settings).await;
        for path in ["/login", "/docs", "/nothing"] {
            let page =
                request(Method::GET, path).header("host", host).header("accept", "text/html");
            let page = app.send(page.finish()).await;
            let sent = page.header("cross-origin-opener-policy");
            assert_eq!(sent, policy, "{public_url} opened as {host}{path}");
        }
    }
}

#[tokio::test]
async fn the_files_of_swagger_ui_are_sent_packed_and_sent_once() {
    let app = TestApp::new().await;
    let path = "/docs/swagger-ui-bundle.js";
    let plain = app.anonymous().get(path).await;
    assert_eq!(plain.status, 200);
    assert!(plain.header("content-encoding").is_none());
    assert!(plain.text.contains("SwaggerUIBundle"));
    for refusal in ["gzip;q=0", "gzip;q=0, *", "br"] {
        let refusing = request(Method::GET, path).header("accept-encoding", refusal).finish();
        assert!(app.send(refusing).await.header("content-encoding").is_none(), "{refusal}");
    }
    let tag = plain.header("etag").unwrap();
    let again = request(Method::GET, path).header("if-none-match", tag).finish();
    let again = app.send(again).await;
    assert_eq!((again.status.as_u16(), again.text.as_str()), (304, ""));
}

fn operations(wanted: impl Fn(&serde_json::Value) -> bool) -> Vec<(String, Method)> {
    let mut found = Vec::new();
    for (path, methods) in DOCUMENT["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            if wanted(operation) {
                let path = path.replace("{id}", "AAAAAAAAAAAAAAAAAAAAAA");
                found.push((path, method.to_uppercase().parse().unwrap()));
            }
        }
    }
    found
}
