//! A browser without cookies gets a message about them, instead of an empty form.

use poem::http::{Method, header};

use crate::app::{Answer, PASSWORD, TestApp, request};

const FORM: &str = "application/x-www-form-urlencoded";
const WORDS: &str = "your browser did not store the cookie of this page";

async fn open(app: &TestApp, path: &str, cookie: &str) -> Answer {
    let page = request(Method::GET, path).header(header::ACCEPT, "text/html");
    app.send(page.header(header::COOKIE, cookie).finish()).await
}

async fn submit(app: &TestApp, path: &str, cookie: &str) -> Answer {
    let form = request(Method::POST, path).content_type(FORM).header(header::ACCEPT, "text/html");
    let fields = format!("cookie_check=1&username=ann&password={}", PASSWORD.replace(' ', "+"));
    app.send(form.header(header::COOKIE, cookie).body(fields)).await
}

#[tokio::test]
async fn a_browser_that_keeps_no_cookie_is_told_so_and_leaves_no_session_and_no_account_behind() {
    let app = TestApp::new().await;
    for path in ["/login", "/register"] {
        let page = open(&app, path, "").await;
        assert!(page.text.contains(r#"<input type="hidden" name="cookie_check""#), "{}", page.text);
        let answer = submit(&app, path, "").await;
        assert_eq!(answer.status, 400, "{path}");
        assert!(answer.text.contains(WORDS) && answer.text.contains(r#"value="ann""#), "{path}");
        assert!(answer.sets("session").is_none() && answer.header("location").is_none(), "{path}");
        assert!(!answer.text.contains(PASSWORD), "{path}");
    }
    assert_eq!(app.count("select count(*) from accounts").await, 0);
    assert_eq!(app.count("select count(*) from sessions").await, 0);
}

#[tokio::test]
async fn a_browser_that_sends_the_cookie_of_the_form_back_signs_in() {
    let app = TestApp::new().await;
    app.signed_in("ann").await;
    let page = open(&app, "/login", "").await;
    let check = page.sets("session-check").unwrap();
    assert_eq!(check, "session-check=1; Path=/; HttpOnly; SameSite=Lax");
    let check = check.split(';').next().unwrap();
    assert!(open(&app, "/login", check).await.header("set-cookie").is_none(), "it is there");
    let answer = submit(&app, "/login", check).await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (303, Some("/account")));
    // The response with the message sets the cookie, too, so that a user who allows cookies then
    // signs in immediately.
    let told = submit(&app, "/login", "").await;
    let check = told.sets("session-check").unwrap().split(';').next().unwrap().to_owned();
    assert_eq!(submit(&app, "/login", &check).await.status, 303);
    // A browser that sends a session cookie keeps cookies.
    assert_eq!(submit(&app, "/login", "session=stale").await.status, 303);
}

#[tokio::test]
async fn no_link_makes_a_page_say_that_cookies_are_blocked() {
    let app = TestApp::new().await;
    for path in ["/login?cookie_check=1", "/account?cookie_check=1", "/register?cookie_check=1"] {
        let answer = open(&app, path, "").await;
        assert!(!answer.text.contains(WORDS), "{path}");
    }
}

#[tokio::test]
async fn a_form_that_sets_no_cookie_signs_in_as_ever() {
    let app = TestApp::new().await;
    app.signed_in("ann").await;
    let browser = app.anonymous();
    let answer = browser.submit("/login", &[("username", "ann"), ("password", PASSWORD)]).await;
    assert_eq!(answer.header("location"), Some("/account"));
}
