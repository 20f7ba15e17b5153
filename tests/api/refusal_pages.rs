//! What a browser gets instead of `problem+json`: a page, a redirect, or a button.

use cloakroom::config::{Registration, Settings};
use poem::http::Method;

use crate::app::{Answer, TestApp, request};

const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

async fn open(app: &TestApp, method: Method, path: &str) -> Answer {
    app.send(request(method, path).header("accept", BROWSER).finish()).await
}

fn assert_is_page(answer: &Answer, title: &str) {
    assert!(answer.header("content-type").unwrap().starts_with("text/html"), "{}", answer.text);
    assert!(answer.text.contains(&format!("<h1>{title}</h1>")), "{}", answer.text);
    assert!(answer.header("content-security-policy").unwrap().contains("style-src 'self'"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn a_browser_gets_a_refusal_as_a_page_with_the_same_status_and_headers() {
    let app = TestApp::new().await;
    for (method, path, status, title) in [
        ("GET", "/nothing", 404, "Not found"),
        ("GET", "/private", 401, "Sign-in required"),
        ("DELETE", "/private", 405, "Method not allowed"),
        ("GET", "/account/sessions", 405, "No page here"),
        ("GET", "/problems/nothing", 404, "Not found"),
        ("POST", "/nothing/", 404, "Not found"),
    ] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let page = open(&app, method.clone(), path).await;
        assert_eq!(page.status, status, "{path}");
        assert_is_page(&page, title);
        let json = app.send(request(method, path).finish()).await;
        assert_eq!(json.refusal().0, status, "{path}");
        for name in ["allow", "www-authenticate"] {
            assert_eq!(page.header(name), json.header(name), "{path} {name}");
        }
    }
    let elsewhere = request(Method::GET, "/login").header("accept", BROWSER);
    let elsewhere = app.send(elsewhere.header("host", "evil.example").finish()).await;
    assert_eq!(elsewhere.status, 421);
    assert_is_page(&elsewhere, "Not this service");
    assert!(elsewhere.text.contains("<code>public_url</code>"), "{}", elsewhere.text);
}

#[tokio::test]
async fn the_page_of_a_guarded_operation_leads_to_the_sign_in_page_and_back() {
    let app = TestApp::new().await;
    let page = open(&app, Method::GET, "/sessions?limit=5").await;
    assert_eq!(page.status, 401);
    assert!(page.text.contains(r#"href="/login?next=%2Fsessions%3Flimit%3D5""#), "{}", page.text);
    let made_up = request(Method::GET, "/private")
        .header("accept", BROWSER)
        .header("cookie", "session=made.up.one");
    let page = app.send(made_up.finish()).await;
    assert_eq!(page.status, 403);
    assert!(page.text.contains(r#"href="/login?next=%2Fprivate""#), "{}", page.text);
    let page = open(&app, Method::DELETE, "/sessions").await;
    assert!(page.text.contains(r#"href="/login""#), "{}", page.text);
}

/// ATT-18-14
#[tokio::test]
async fn the_page_of_a_refusal_leads_on_by_the_session_of_the_browser() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await;
    let cookie = ann.cookie().unwrap();
    for (path, status) in
        [("/nothing", 404), ("/account/sessions", 405), ("/sessions?limit=x", 400)]
    {
        for (cookie, link) in [
            (cookie.as_str(), r#"<a class="button" href="/account">Go to your account</a>"#),
            ("session=of.another.application", r#"<a class="button" href="/login">Sign in</a>"#),
            ("", r#"<a class="button" href="/login">Sign in</a>"#),
        ] {
            if status == 400 && cookie != ann.cookie().unwrap() {
                continue; // the guard comes first
            }
            let asked = request(Method::GET, path).header("accept", BROWSER);
            let page = app.send(asked.header("cookie", cookie).finish()).await;
            assert_eq!(page.status, status, "{path}");
            assert!(page.text.contains(link), "{path} {cookie}: {}", page.text);
        }
    }
    let closed = Settings { registration: Some(Registration::Closed), ..Settings::default() };
    let page = open(&TestApp::with(closed).await, Method::GET, "/register").await;
    assert!(page.text.contains(r#"<a class="button" href="/login">Sign in</a>"#), "{}", page.text);
}

/// ATT-18-14
#[tokio::test]
async fn the_page_of_a_refusal_says_in_a_sentence_what_to_do() {
    let app = TestApp::new().await;
    let made_up = request(Method::GET, "/private").header("cookie", "session=made.up.one");
    let refused = app.send(made_up.header("accept", BROWSER).finish()).await;
    assert_is_page(&refused, "Sign in again");
    let pages = [
        open(&app, Method::GET, "/private").await,
        refused,
        open(&app, Method::GET, "/account/sessions").await,
    ];
    for page in &pages {
        for bare in ["Not authenticated", "Invalid authentication", "Allow"] {
            assert!(!page.text.contains(bare), "{bare} in {}", page.text);
        }
        assert!(page.text.contains(r#"<a class="button""#), "{}", page.text);
    }
    assert!(pages[0].text.contains("Sign in to see this page."), "{}", pages[0].text);
    // Programs get the texts of the contract.
    let json = app.send(request(Method::GET, "/private").finish()).await.json();
    assert_eq!(json["detail"], "Not authenticated");
}

/// ATT-18-14
#[tokio::test]
async fn the_page_of_what_broke_leads_back() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await;
    app.corrupt_database().await;
    let asked = request(Method::GET, "/sessions").header("accept", BROWSER);
    let page = app.send(asked.header("cookie", ann.cookie().unwrap()).finish()).await;
    assert!(page.status.is_server_error());
    assert!(page.text.contains(r#"href="/sessions">Try again</a>"#), "{}", page.text);
}

/// ATT-18-14
#[tokio::test]
async fn the_page_of_a_post_from_another_origin_leads_to_this_service() {
    for (public_url, href) in
        [("http://127.0.0.1:8000", "/"), ("https://id.example.org", "https://id.example.org/")]
    {
        let settings = Settings { public_url: Some(public_url.to_owned()), ..Settings::default() };
        let app = TestApp::with(settings).await;
        let post = request(Method::POST, "/logout").header("accept", BROWSER);
        let page = app.send(post.header("origin", "https://evil.example").finish()).await;
        assert_eq!(page.status, 403);
        let link = format!(r#"<a class="button" href="{href}">Open this service</a>"#);
        assert!(page.text.contains(&link), "{}", page.text);
    }
}

#[tokio::test]
async fn a_browser_that_opens_logout_gets_the_button_to_sign_out() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await;
    let page = ann.send(request(Method::GET, "/logout").header("accept", BROWSER).finish()).await;
    assert_eq!((page.status.as_u16(), page.header("allow")), (405, Some("POST")));
    assert_is_page(&page, "Sign out");
    assert!(page.text.contains(r#"<form method="post" action="/logout">"#), "{}", page.text);
    assert_eq!(ann.get("/private").await.status, 200, "opening it ends nothing");
    assert_eq!(ann.get("/logout").await.refusal(), (405, "method_not_allowed".into()));
    assert_eq!(ann.submit("/logout", &[]).await.header("location"), Some("/signed-out"));
}

#[tokio::test]
async fn without_a_session_logout_says_that_nobody_is_signed_in_and_offers_to_sign_in() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await;
    let ended = ann.cookie().unwrap();
    assert_eq!(ann.submit("/logout", &[]).await.header("location"), Some("/signed-out"));
    for cookie in ["", ended.as_str(), "session=of.another.application"] {
        let asked = request(Method::GET, "/logout").header("accept", BROWSER);
        let page = app.send(asked.header("cookie", cookie).finish()).await;
        assert_eq!((page.status.as_u16(), page.header("allow")), (405, Some("POST")), "{cookie}");
        assert_is_page(&page, "You are not signed in");
        assert!(page.text.contains(r#"href="/login""#), "{}", page.text);
        assert!(!page.text.contains("<form"), "{}", page.text);
    }
    // Each of two different cookies may belong to a session, which the button ends.
    let asked = request(Method::GET, "/logout").header("accept", BROWSER);
    let page = app.send(asked.header("cookie", "session=a; session=b").finish()).await;
    assert_is_page(&page, "Sign out");
}

#[tokio::test]
async fn signing_out_without_a_session_tells_of_none_that_ended() {
    let app = TestApp::new().await;
    let browser = app.anonymous();
    assert_eq!(browser.submit("/logout", &[]).await.header("location"), Some("/signed-out"));
    let page = browser.get("/signed-out").await;
    assert!(page.text.contains("<h1>You are not signed in</h1>"), "{}", page.text);
}

#[tokio::test]
async fn a_slash_too_many_leads_a_browser_to_the_page() {
    let app = TestApp::new().await;
    for (path, location) in [
        ("/login/", "../login"),
        ("/login/?next=%2Fprivate", "../login?next=%2Fprivate"),
        ("/register/", "../register"),
        ("/docs/", "../docs"),
        ("/account/password/", "../password"),
        ("/private/", "../private"),
    ] {
        let answer = open(&app, Method::GET, path).await;
        assert_eq!(answer.status, 308, "{path}");
        assert_eq!(answer.header("location"), Some(location), "{path}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
    }
    for path in ["/nothing/", "/login//", "//", "//evil.example/", "/login/x/", "/logout/"] {
        let answer = open(&app, Method::GET, path).await;
        assert_eq!((answer.status.as_u16(), answer.header("location")), (404, None), "{path}");
    }
    assert_eq!(app.anonymous().get("/login/").await.refusal(), (404, "not_found".into()));
    assert_eq!(open(&app, Method::POST, "/login/").await.status, 404);
}

#[tokio::test]
async fn a_proxy_that_asks_with_the_headers_of_a_browser_gets_no_page() {
    let app = TestApp::new().await;
    let answer = open(&app, Method::GET, "/forward-auth").await;
    assert_eq!(answer.refusal(), (401, "not_authenticated".into()));
}

#[tokio::test]
async fn password_managers_find_the_page_to_change_the_password() {
    let app = TestApp::new().await;
    let answer = open(&app, Method::GET, "/.well-known/change-password").await;
    assert_eq!(answer.status, 303);
    assert_eq!(answer.header("location"), Some("/account/password"));
    // With this URL, password managers detect a server that answers everything with 200.
    let probe = "/.well-known/resource-that-should-not-exist-whose-status-code-should-not-be-200";
    assert_eq!(open(&app, Method::GET, probe).await.status, 404);
}

#[tokio::test]
async fn the_explanation_of_a_problem_shows_code_as_code() {
    let app = TestApp::new().await;
    for code in ["method_not_allowed", "unknown_host", "internal_error", "too_many_attempts"] {
        let page = open(&app, Method::GET, &format!("/problems/{code}")).await;
        assert_eq!(page.status, 200);
        assert!(!page.text.contains('`'), "{}", page.text);
    }
    let page = open(&app, Method::GET, "/problems/method_not_allowed").await;
    assert!(
        page.text.contains("The header <code>Allow</code> lists the supported methods."),
        "{}",
        page.text
    );
}

#[tokio::test]
async fn att_18_14_the_page_for_an_unknown_host_has_its_style() {
    let app = TestApp::new().await;
    let to = |path: &str| request(Method::GET, path).header("host", "evil.example");
    let page = app.send(to("/login").header("accept", BROWSER).finish()).await;
    assert_eq!(page.status, 421);
    let assets: Vec<&str> =
        page.text.split('"').filter(|part| part.starts_with("/assets/")).collect();
    assert!(assets.contains(&"/assets/page.css"), "{}", page.text);
    for asset in assets {
        assert_eq!(app.send(to(asset).finish()).await.status, 200, "{asset}");
    }
}
