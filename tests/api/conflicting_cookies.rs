//! A browser that sends two different session cookies gets a message about them on every page, and
//! is never redirected.

use poem::http::Method;

use crate::app::{Answer, PASSWORD, TestApp, request};

const FORM: &str = "application/x-www-form-urlencoded";
const PAGES: [&str; 8] = [
    "/",
    "/login",
    "/login?next=/account",
    "/register",
    "/signed-out",
    "/account",
    "/account/password",
    "/account/close",
];

async fn open(app: &TestApp, path: &str, cookies: &str) -> Answer {
    let page = request(Method::GET, path).header("accept", "text/html,*/*;q=0.8");
    app.send(page.header("cookie", cookies).finish()).await
}

async fn submit(app: &TestApp, path: &str, cookies: &str) -> Answer {
    let form = request(Method::POST, path)
        .content_type(FORM)
        .header("accept", "text/html,*/*;q=0.8")
        .header("cookie", cookies);
    let fields = format!("username=ann&password={}", PASSWORD.replace(' ', "+"));
    app.send(form.body(fields)).await
}

fn names_the_cause(answer: &Answer, what: &str) {
    assert_eq!(answer.status, 403, "{what}: {}", answer.text);
    assert!(answer.header("location").is_none() && answer.header("set-cookie").is_none(), "{what}");
    for words in ["<h1>Two session cookies</h1>", "two different cookies named", "cookie.name"] {
        assert!(answer.text.contains(words), "{what}: {}", answer.text);
    }
    assert!(!answer.text.contains("href=\"/login"), "{what}: it would lead back here");
}

#[tokio::test]
async fn two_session_cookies_are_named_on_every_page_and_lead_nowhere() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await.cookie().unwrap();
    let elsewhere = TestApp::new().await.signed_in("bob").await.cookie().unwrap();
    for cookies in [
        format!("session=x; {ann}"),
        format!("{ann}; session=x"),
        format!("{elsewhere}; {ann}"),
        "session=x; session=y".to_owned(),
    ] {
        for path in PAGES {
            names_the_cause(&open(&app, path, &cookies).await, path);
        }
        for path in ["/account/sessions", "/account/password", "/account/close"] {
            names_the_cause(&submit(&app, path, &cookies).await, path);
        }
        let asked = open(&app, "/forward-auth/redirect", &cookies).await;
        names_the_cause(&asked, "/forward-auth/redirect");
    }
}

#[tokio::test]
async fn two_session_cookies_let_no_form_leave_a_session_behind() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await.cookie().unwrap();
    let sessions = async || app.count("select count(*) from sessions").await;
    let cookies = format!("session=x; {ann}");
    for path in ["/login", "/register"] {
        names_the_cause(&submit(&app, path, &cookies).await, path);
    }
    assert_eq!(sessions().await, 1);
    // Signing out ends the session and deletes the cookie of this service.
    let logout = request(Method::POST, "/logout").content_type(FORM).header("accept", "text/html");
    let answer = app.send(logout.header("cookie", &cookies).finish()).await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (303, Some("/signed-out")));
    assert_eq!(open(&app, "/signed-out", "session=x").await.status, 200);
    assert_eq!(app.send(crate::app::private_with(&[&ann])).await.status, 403);
}

#[tokio::test]
async fn programs_with_two_session_cookies_are_refused_as_ever() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await.cookie().unwrap();
    let cookies = format!("session=x; {ann}");
    let refused = app.send(crate::app::private_with(&[&cookies])).await;
    assert_eq!(refused.refusal(), (403, "session_refused".into()));
    let proxy = request(Method::GET, "/forward-auth/redirect").header("cookie", &cookies);
    assert_eq!(app.send(proxy.finish()).await.refusal(), (401, "not_authenticated".into()));
    let page = request(Method::GET, "/account").header("cookie", &cookies);
    let page = app.send(page.finish()).await;
    assert_eq!(page.refusal(), (403, "session_refused".into()), "for curl");
    assert!(page.json()["detail"].as_str().unwrap().contains("two different cookies"));
}

#[tokio::test]
async fn the_cookie_of_another_application_is_none_to_the_pages() {
    let app = TestApp::new().await;
    let theirs = TestApp::new().await.signed_in("bob").await.cookie().unwrap();
    for cookie in ["session=s%3Aabc.def", theirs.as_str()] {
        let page = open(&app, "/login", cookie).await;
        assert_eq!((page.status.as_u16(), page.sets("session")), (200, None));
        assert!(page.text.contains("<h1>Sign in</h1>"));
        let away = open(&app, "/account", cookie).await;
        assert_eq!(away.header("location"), Some("/login?next=%2Faccount"));
        app.signed_in(&format!("ann{}", cookie.len())).await;
        let fields =
            format!("username=ann{}&password={}", cookie.len(), PASSWORD.replace(' ', "+"));
        let form = request(Method::POST, "/login").content_type(FORM).header("accept", "text/html");
        let answer = app.send(form.header("cookie", cookie).body(fields)).await;
        assert_eq!(answer.header("location"), Some("/account"), "it takes the place of theirs");
    }
}
