//! The pages, as a browser without scripts shows them.

use cloakroom::config::{AccountSettings, Period, Registration, Settings, SiteSettings};
use cloakroom::core::clock::{hours, mins};
use poem::http::Method;

use crate::app::{Answer, PASSWORD, TestApp, request};

async fn open(app: &TestApp, path: &str) -> Answer {
    app.send(request(Method::GET, path).header("accept", "text/html").finish()).await
}

#[tokio::test]
async fn a_form_registers_and_leads_to_the_account() {
    let app = TestApp::new().await;
    let page = open(&app, "/register").await;
    assert_eq!(page.status, 200);
    assert!(page.text.contains(r#"<form method="post" action="/register">"#));

    let browser = app.anonymous();
    let fields = [("username", "Ann"), ("password", PASSWORD)];
    let answer = browser.submit("/register", &fields).await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (303, Some("/account")));
    let account = browser.get("/account").await;
    assert!(account.text.contains(r#"<p class="name" id="who">ann</p>"#), "{}", account.text);

    let answer = browser.submit("/logout", &[]).await;
    assert_eq!(answer.header("location"), Some("/signed-out"));
    assert!(browser.cookie().is_none());
    assert_eq!(browser.get("/account").await.header("location"), Some("/login?next=%2Faccount"));
    let page = browser.get("/signed-out").await;
    assert!(page.text.contains("<h1>You are signed out</h1>"), "{}", page.text);
}

#[tokio::test]
async fn a_failed_login_shows_the_form_again_with_its_status_and_the_typed_name() {
    let app = TestApp::new().await;
    app.signed_in("ann").await;
    let browser = app.anonymous();
    let fields = [("username", "Ann"), ("password", "something else"), ("remember", "true")];
    let answer = browser.submit("/login", &fields).await;
    assert_eq!(answer.status, 403);
    assert!(answer.text.contains("Invalid user or password"));
    assert!(answer.text.contains(r#"value="Ann""#));
    assert!(answer.text.contains("checked"));
    assert!(!answer.text.contains("something else"));
    assert!(browser.cookie().is_none());
}

#[tokio::test]
async fn what_is_wrong_stands_beside_its_field() {
    let app = TestApp::new().await;
    let fields = [("username", "a b"), ("password", "short")];
    let answer = app.anonymous().submit("/register", &fields).await;
    assert_eq!(answer.status, 422);
    assert!(answer.text.contains(r#"id="username-wrong""#));
    assert!(answer.text.contains(r#"id="password-wrong""#));
    assert!(answer.text.contains("at least 15 characters"));
    let missing = app.anonymous().submit("/login", &[("username", "ann")]).await;
    assert_eq!(missing.status, 400);
    assert!(missing.text.contains("This field is required."));
    let broken = request(Method::POST, "/login")
        .content_type("application/x-www-form-urlencoded")
        .header("accept", "text/html")
        .body("username=%ff");
    assert_eq!(app.send(broken).await.status, 400);
}

#[tokio::test]
async fn a_common_password_is_said_beside_its_field_and_the_name_is_kept() {
    let app = TestApp::new().await;
    let fields = [("username", "Ann"), ("password", "passwordpassword")];
    let answer = app.anonymous().submit("/register", &fields).await;
    assert_eq!(answer.status, 422);
    let (_, beside) =
        answer.text.split_once(r#"<span id="password-wrong" class="wrong">"#).unwrap();
    assert!(beside.starts_with("This password is widely used"), "{beside}");
    assert!(answer.text.contains(r#"value="Ann""#));
    assert!(!answer.text.contains("passwordpassword"));
}

#[tokio::test]
async fn a_taken_name_is_said_and_the_form_is_kept() {
    let app = TestApp::new().await;
    app.signed_in("ann").await;
    let fields = [("username", "ann"), ("password", PASSWORD)];
    let answer = app.anonymous().submit("/register", &fields).await;
    assert_eq!(answer.status, 409);
    assert!(answer.text.contains("This user name is taken. Choose another one."));
}

#[tokio::test]
async fn inj_04_what_was_typed_is_shown_as_text() {
    let app = TestApp::new().await;
    let name = r#""><script>alert(1)</script>"#;
    let answer = app.anonymous().submit("/login", &[("username", name), ("password", "x")]).await;
    assert!(!answer.text.contains("<script>"), "{}", answer.text);
    let next = open(&app, "/login?next=/%22%3E%3Cscript%3E").await;
    assert!(!next.text.contains("<script>"), "{}", next.text);
    // Stored values, too: a program chooses its own name.
    let bytes = format!("username=ann&password={}", PASSWORD.replace(' ', "+"));
    let register = request(Method::POST, "/register")
        .content_type("application/x-www-form-urlencoded")
        .header("user-agent", "<script>alert(1)</script>")
        .body(bytes);
    let ann = app.anonymous();
    assert_eq!(ann.send(register).await.status, 201);
    let account = ann.get("/account").await.text;
    assert!(account.contains("&#60;script&#62;alert"), "{account}");
}

#[tokio::test]
async fn red_01_and_02_a_login_goes_on_at_a_path_of_this_service_only() {
    let app = TestApp::new().await;
    app.signed_in("ann").await;
    for (next, location) in [
        ("/ok?a=b#c", "/ok?a=b#c"),
        ("//evil", "/account"),
        (r"/\evil", "/account"),
        ("https://evil.example/", "/account"),
        ("javascript:alert(1)", "/account"),
        ("/\r\nSet-Cookie: a=b", "/account"),
        ("", "/account"),
    ] {
        let fields = [("username", "ann"), ("password", PASSWORD), ("next", next)];
        let answer = app.anonymous().submit("/login", &fields).await;
        assert_eq!(answer.header("location"), Some(location), "{next:?}");
    }
    let page = open(&app, "/login?next=/ok").await;
    assert!(page.text.contains(r#"name="next" value="/ok""#));
    assert!(!open(&app, "/login?next=//evil").await.text.contains("evil"));
}

#[tokio::test]
async fn the_root_leads_where_it_should() {
    let app = TestApp::new().await;
    assert_eq!(open(&app, "/").await.header("location"), Some("/login"));
    let client = app.signed_in("ann").await;
    assert_eq!(client.get("/").await.header("location"), Some("/account"));
}

#[tokio::test]
async fn every_problem_type_leads_to_its_explanation() {
    let app = TestApp::new().await;
    let codes =
        crate::contract::DOCUMENT["components"]["schemas"]["ProblemCode"]["x-extensible-enum"]
            .as_array()
            .unwrap();
    for code in codes {
        let code = code.as_str().unwrap();
        let page = open(&app, &format!("/problems/{code}")).await;
        assert_eq!(page.status, 200, "{code}");
        assert!(page.text.contains(code));
        assert!(page.text.contains("This page explains a problem code."), "no link makes it true");
    }
    assert_eq!(open(&app, "/problems/nothing").await.status, 404);
}

#[tokio::test]
async fn the_account_page_lists_the_sessions_and_ends_them() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await;
    let (second, third) = (app.signed_in_again("ann").await, app.signed_in_again("ann").await);
    let page = ann.get("/account").await;
    assert_eq!(page.text.matches("This session").count(), 1);
    assert_eq!(
        page.text.matches("Sign out<span").count(),
        2,
        "this one is signed out of, not ended"
    );

    let id = second.get("/session").await.json()["id"].as_str().unwrap().to_owned();
    let ended = ann.submit("/account/sessions", &[("session", &id)]).await;
    assert_eq!(ended.header("location"), Some("/account"));
    assert_eq!(
        (second.get("/me").await.status, third.get("/me").await.status.as_u16()),
        (poem::http::StatusCode::FORBIDDEN, 200)
    );
    let ended = ann.submit("/account/sessions", &[("session", "others")]).await;
    assert_eq!(ended.header("location"), Some("/account"));
    assert_eq!(third.get("/me").await.status, 403);
    let page = ann.get("/account").await;
    assert!(page.text.contains("You are signed out everywhere else."), "{}", page.text);
    assert!(!page.text.contains("Sign out everywhere else"), "there are none");
}

#[tokio::test]
async fn nobody_ends_the_session_of_somebody_else() {
    let app = TestApp::new().await;
    let (ann, bob) = (app.signed_in("ann").await, app.signed_in("bob").await);
    let id = bob.get("/session").await.json()["id"].as_str().unwrap().to_owned();
    ann.submit("/account/sessions", &[("session", &id)]).await;
    assert_eq!(bob.get("/me").await.status, 200);
}

#[tokio::test]
async fn a_form_changes_the_password_and_says_what_is_wrong_beside_its_field() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await;
    let other = app.signed_in_again("ann").await;
    let new = "a long walk by the river";
    for (current, new, status, beside) in [
        ("wrong", new, 403, "current_password-wrong"),
        (PASSWORD, "short", 422, "new_password-wrong"),
        ("", new, 403, "current_password-wrong"),
    ] {
        let fields = [("current_password", current), ("new_password", new)];
        let answer = ann.submit("/account/password", &fields).await;
        assert_eq!(answer.status, status, "{}", answer.text);
        assert!(answer.text.contains(&format!(r#"<span id="{beside}""#)), "{}", answer.text);
        assert!(!answer.text.contains(PASSWORD) && !answer.text.contains("river"));
    }
    assert_eq!(other.get("/me").await.status, 200);
    let fields = [("current_password", PASSWORD), ("new_password", new)];
    let answer = ann.submit("/account/password", &fields).await;
    assert_eq!(answer.header("location"), Some("/account"));
    assert!(answer.sets("device").is_some());
    assert_eq!(other.get("/me").await.status, 403);
    assert!(ann.get("/account").await.text.contains("Your password was changed."));
}

#[tokio::test]
async fn a_form_closes_the_account() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await;
    let answer = ann.submit("/account/close", &[("current_password", "wrong")]).await;
    assert_eq!(answer.status, 403);
    assert!(answer.text.contains("The current password is wrong."));
    assert_eq!(ann.get("/me").await.status, 200);
    let answer = ann.submit("/account/close", &[("current_password", PASSWORD)]).await;
    assert_eq!(answer.header("location"), Some("/signed-out"));
    assert!(ann.cookie().is_none());
    assert!(ann.get("/signed-out").await.text.contains("<h1>Your account is closed</h1>"));
    assert_eq!(app.anonymous().log_in("ann", PASSWORD).await.status, 403);
}

#[tokio::test]
async fn mfa_35_forms_ask_for_the_password_and_confirm_and_complete_in_one_request() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await;
    let other = app.signed_in_again("ann").await;
    let id = other.get("/session").await.json()["id"].as_str().unwrap().to_owned();
    assert!(!ann.get("/account").await.text.contains("name=\"current_password\""));
    assert!(!ann.get("/account/close").await.text.contains("name=\"current_password\""));
    app.wait(mins(15)); // after the page was shown
    for form in [&[("session", "others")][..], &[("session", &id)]] {
        let answer = ann.submit("/account/sessions", form).await;
        assert_eq!((answer.status.as_u16(), answer.header("set-cookie")), (403, None));
        assert!(answer.text.contains("Enter your password to confirm that it is you."));
        let opened = answer.text.split("<details name=\"sign-out\" open>").nth(1).unwrap();
        assert!(opened.contains(&format!("value=\"{}\"", form[0].1)), "{opened}");
        let wrong = [form, &[("current_password", "wrong")]].concat();
        let answer = ann.submit("/account/sessions", &wrong).await;
        assert_eq!(answer.status, 403);
        assert!(answer.text.contains("The current password is wrong."));
        assert_eq!(answer.text.matches("aria-invalid").count(), 1);
    }
    assert_eq!(other.get("/private").await.status, 200);
    assert_eq!(ann.get("/account").await.text.matches("name=\"current_password\"").count(), 2);

    let former = ann.cookie().unwrap();
    let form = [("session", id.as_str()), ("current_password", PASSWORD)];
    let answer = ann.submit("/account/sessions", &form).await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (303, Some("/account")));
    assert_eq!(other.get("/private").await.status, 403);
    assert_ne!(ann.cookie().unwrap(), former, "the form has confirmed the session");
    assert!(ann.get("/account").await.text.contains("The session was signed out."));
    assert_eq!(ann.submit("/account/sessions", &[("session", "others")]).await.status, 303);

    app.wait(mins(15));
    assert!(ann.get("/account/close").await.text.contains("name=\"current_password\""));
    assert_eq!(ann.submit("/account/close", &[]).await.status, 403);
    assert_eq!(ann.get("/me").await.status, 200);
    let answer = ann.submit("/account/close", &[("current_password", PASSWORD)]).await;
    assert_eq!(answer.header("location"), Some("/signed-out"));
    assert_eq!(app.count("select count(*) from accounts").await, 0);
}

#[tokio::test]
async fn the_page_that_confirms_leads_back_to_where_the_user_came_from_and_to_no_other_origin() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await;
    app.wait(mins(15));
    let page = ann.get("/account/confirm?next=/private%3Fa%3D%22b%22").await.text;
    assert!(page.contains("name=\"next\" value=\"/private?a=%22b%22\""), "{page}");
    for (next, there) in [
        ("/private", "/private"),
        ("https://evil.example/", "/account"),
        ("//evil.example", "/account"),
        ("", "/account"),
    ] {
        let form = [("next", next), ("current_password", PASSWORD)];
        let answer = ann.submit("/account/confirm", &form).await;
        assert_eq!((answer.status.as_u16(), answer.header("location")), (303, Some(there)));
    }
    let wrong = [("next", "/private"), ("current_password", "wrong")];
    let answer = ann.submit("/account/confirm", &wrong).await;
    assert_eq!(answer.status, 403);
    assert!(answer.text.contains("The current password is wrong."));
    assert!(answer.text.contains("data-address=\"/account/confirm?next=%2Fprivate\""));
    let sign_in = Some("/login?next=%2Fprivate%3Fa%3D1%26b%3D2");
    let answer = app.anonymous().get("/account/confirm?next=/private%3Fa%3D1%26b%3D2").await;
    assert_eq!(answer.header("location"), sign_in, "a sign-in counts as a confirmation");
    let form = [("next", "/private?a=1&b=2"), ("current_password", PASSWORD)];
    let answer = app.anonymous().submit("/account/confirm", &form).await;
    assert_eq!(answer.header("location"), sign_in);
    let form = [("username", "ann"), ("password", PASSWORD), ("next", "/private?a=1&b=2")];
    let answer = app.anonymous().submit("/login", &form).await;
    assert_eq!(answer.header("location"), Some("/private?a=1&b=2"));
}

#[tokio::test]
async fn the_pages_of_an_account_lead_strangers_to_the_way_in_and_other_origins_nowhere() {
    let app = TestApp::new().await;
    for path in ["/account", "/account/password", "/account/close"] {
        let location = format!("/login?next={}", path.replace('/', "%2F"));
        assert_eq!(open(&app, path).await.header("location"), Some(location.as_str()));
    }
    let ann = app.signed_in("ann").await;
    for path in ["/account/sessions", "/account/password", "/account/close"] {
        let answer = app.anonymous().submit(path, &[("session", "others")]).await;
        assert!(answer.header("location").unwrap().starts_with("/login?next=%2Faccount"), "{path}");
        let elsewhere = request(Method::POST, path)
            .content_type("application/x-www-form-urlencoded")
            .header("origin", "https://evil.example")
            .body("session=others");
        assert_eq!(ann.send(elsewhere).await.refusal(), (403, "cross_origin".into()), "{path}");
    }
}

#[tokio::test]
async fn what_breaks_is_said_on_a_page_to_who_wants_one() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await;
    app.corrupt_database().await;
    let page = request(Method::GET, "/account").header("accept", "text/html").finish();
    let answer = ann.send(page).await;
    assert!(answer.status.is_server_error());
    assert!(answer.text.contains("<h1>") && answer.text.contains("page.css"), "{}", answer.text);
    let answer = ann.get("/account").await;
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
}

#[tokio::test]
async fn the_pages_have_the_name_the_colour_and_the_logo_of_the_settings() {
    let app = TestApp::new().await;
    let page = open(&app, "/login").await.text;
    assert!(page.contains("<title>Sign in · Cloakroom</title>"));
    assert!(open(&app, "/assets/page.css").await.text.contains("--accent: #0b5f5a;"));
    assert_eq!(open(&app, "/assets/logo").await.header("content-type"), Some("image/svg+xml"));

    let folder = tempfile::tempdir().unwrap();
    let logo = folder.path().join("Logo.PNG");
    std::fs::write(&logo, b"a picture").unwrap();
    let site = SiteSettings {
        name: Some("Ann & Bob".to_owned()),
        color: Some("#8A2be2".to_owned()),
        logo: Some(logo),
    };
    let app = TestApp::with(Settings { site, ..Settings::default() }).await;
    let page = open(&app, "/login").await.text;
    assert!(page.contains("<title>Sign in · Ann &#38; Bob</title>"), "{page}");
    assert!(open(&app, "/assets/page.css").await.text.contains("--accent: #8a2be2;"));
    let picture = open(&app, "/assets/logo").await;
    assert_eq!(picture.header("content-type"), Some("image/png"));
    assert_eq!(picture.text, "a picture");
    let taken = [("username", "carl"), ("password", "ann & bob 12345")];
    let answer = app.anonymous().submit("/register", &taken).await;
    assert!(
        answer.text.contains(r#"id="password-wrong""#),
        "the name of the place is guessed first"
    );
}

/// Messages about completed actions.
const STATEMENTS: [&str; 5] = [
    "Your password was changed",
    "The session was signed out",
    "signed out everywhere else.</p>",
    "Your account is closed",
    "You are signed out",
];

#[tokio::test]
async fn att_18_07_no_link_makes_a_page_say_what_is_not_true() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await;
    let queries =
        ["", "?done=password", "?done=session", "?done=others", "?closed=1", "?closed=yes"];
    let more = ["?notice=password_changed", "?done=password_changed", "?closed=account_closed"];
    for query in queries.into_iter().chain(more) {
        for (who, path) in [(&ann, "/account"), (&app.anonymous(), "/signed-out")] {
            let page = who.get(&format!("{path}{query}")).await;
            assert_eq!(page.status, 200, "{path}{query}");
            for statement in STATEMENTS {
                assert!(!page.text.contains(statement), "{path}{query}: {}", page.text);
            }
        }
    }
    for planted in ["notice=<b>", "notice=", "notice=password_changed; notice=signed_out"] {
        let account = request(Method::GET, "/account").header("cookie", planted).finish();
        let page = ann.send(account).await;
        assert!(!page.text.contains("role=\"status\""), "{planted}: {}", page.text);
        assert_eq!(page.header("set-cookie"), None, "{planted} is not ours to delete");
    }
}

#[tokio::test]
async fn att_18_07_what_was_done_is_said_once_by_a_cookie_that_no_other_site_sends() {
    for (public_url, name, secure) in [
        ("http://127.0.0.1:8000", "notice", ""),
        ("https://id.example.org", "__Host-notice", "; Secure"),
    ] {
        let settings = Settings { public_url: Some(public_url.to_owned()), ..Settings::default() };
        let app = TestApp::with(settings).await;
        let host = public_url.split_once("//").unwrap().1;
        let logout = request(Method::POST, "/logout")
            .content_type("application/x-www-form-urlencoded")
            .header("accept", "text/html")
            .header("host", host)
            .header("cookie", "session=a; __Host-session=a")
            .body("");
        let answer = app.send(logout).await;
        let attributes = format!("Path=/; HttpOnly; SameSite=Strict{secure}");
        let set = format!("{name}=signed_out; {attributes}; Max-Age=60");
        assert_eq!(answer.sets(name), Some(set.as_str()));
        let page = request(Method::GET, "/signed-out")
            .header("host", host)
            .header("cookie", format!("{name}=signed_out"))
            .finish();
        let page = app.send(page).await;
        assert!(page.text.contains("You are signed out"), "{}", page.text);
        let deleted = format!("{name}=; {attributes}; Max-Age=0");
        assert_eq!(page.sets(name), Some(deleted.as_str()));
    }
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await;
    ann.submit("/account/sessions", &[("session", "others")]).await;
    let said = |page: &Answer| page.text.contains("signed out everywhere else.</p>");
    assert!(said(&ann.get("/account").await));
    assert!(!said(&ann.get("/account").await), "it is said once");
}

#[tokio::test]
async fn a_notice_of_another_page_is_dropped() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await;
    ann.submit("/account/sessions", &[("session", "others")]).await;
    ann.submit("/logout", &[]).await; // its notice replaces the first one
    ann.log_in("ann", PASSWORD).await;
    let page = ann.get("/account").await;
    assert!(!page.text.contains("role=\"status\""), "{}", page.text);
    let page = app.anonymous().get("/signed-out").await;
    assert!(page.text.contains("<h1>You are not signed in</h1>"), "{}", page.text);
}

/// The `name` of the field that has the focus.
fn focused(page: &Answer) -> &str {
    let (before, _) = page.text.split_once(" autofocus").expect("a field has the focus");
    let (_, field) = before.rsplit_once("name=\"").unwrap();
    field.split_once('"').unwrap().0
}

#[tokio::test]
async fn att_18_08_a_refused_field_is_marked_focused_and_kept() {
    let invite = Settings { registration: Some(Registration::Invite), ..Settings::default() };
    let app = TestApp::with(invite).await;
    let fields = [("invite", "WRONG-CODE"), ("username", "Ann"), ("password", PASSWORD)];
    let page = app.anonymous().submit("/register", &fields).await;
    assert_eq!(page.status, 403);
    assert_eq!(focused(&page), "invite");
    let marked = r#"value="WRONG-CODE" autocomplete="off" autocapitalize="none" spellcheck="false" required autofocus aria-invalid="true" aria-describedby="invite-wrong""#;
    assert!(page.text.contains(marked), "{}", page.text);
    let beside =
        r#"<span id="invite-wrong" class="wrong">Registration requires a valid invite code."#;
    assert!(page.text.contains(beside), "{}", page.text);
    assert!(page.text.contains("Please check the highlighted field."), "{}", page.text);
    assert!(page.text.contains(r#"value="Ann""#) && !page.text.contains(PASSWORD));

    let app = TestApp::new().await;
    app.signed_in("ann").await;
    let fields = [("username", "Ann"), ("password", PASSWORD)];
    let page = app.anonymous().submit("/register", &fields).await;
    assert_eq!((page.status.as_u16(), focused(&page)), (409, "username"));
    assert!(page.text.contains(r#"<span id="username-wrong" class="wrong">"#), "{}", page.text);
    let fields = [("username", "b b"), ("password", "short")];
    let page = app.anonymous().submit("/register", &fields).await;
    assert_eq!((page.status.as_u16(), focused(&page)), (422, "username"));
    assert!(page.text.contains("Please check the highlighted fields."), "{}", page.text);
}

#[tokio::test]
async fn att_18_08_the_sign_in_page_offers_an_account_only_where_one_can_be_made() {
    let with = async |registration: Registration| {
        let registration = Some(registration);
        TestApp::with(Settings { registration, ..Settings::default() }).await
    };
    let page = open(&with(Registration::Open).await, "/login?next=/private").await;
    assert!(page.text.contains(r#"<a href="/register?next=%2Fprivate">Create an account</a>"#));
    let page = open(&with(Registration::Invite).await, "/login?next=/private").await;
    assert!(!page.text.contains("Create an account"), "{}", page.text);
    let offer = r#"Have an invite code? <a href="/register?next=%2Fprivate">Use it</a>"#;
    assert!(page.text.contains(offer), "{}", page.text);
    let closed = with(Registration::Closed).await;
    assert!(!open(&closed, "/login").await.text.contains("/register"));
    let fields = [("username", "ann"), ("password", PASSWORD)];
    for page in
        [open(&closed, "/register").await, closed.anonymous().submit("/register", &fields).await]
    {
        assert_eq!(page.status, 403);
        assert!(page.text.contains("Registration is closed."), "{}", page.text);
        assert!(!page.text.contains("<form"), "no form that nobody can send: {}", page.text);
    }
}

#[tokio::test]
async fn att_18_09_many_sessions_are_paged_with_the_current_one_on_each_page() {
    let app = TestApp::without_limits().await;
    let mut others = Vec::new();
    app.signed_in("ann").await;
    for _ in 0..24 {
        app.wait(mins(2));
        others.push(app.signed_in_again("ann").await);
    }
    app.wait(hours(3));
    let ann = app.signed_in_again("ann").await;
    app.wait(mins(5));
    // 25 other sessions, ten on each page, most recently used first.
    let mut last_used = Vec::new();
    for (page, count) in [(1, 10), (2, 10), (3, 5)] {
        let text = ann.get(&format!("/account?page={page}")).await.text;
        assert_eq!(text.matches("This session").count(), 1, "page {page}");
        assert_eq!(text.matches("Sign out<span").count(), count, "page {page}");
        assert_eq!(text.matches("Sign out everywhere else</button>").count(), 1);
        assert!(text.contains(&format!("Page {page} of 3 · 25 other sessions")), "{text}");
        assert!(text.contains(">3 hours ago</time>"), "{text}");
        let times = text.split("Last used <time datetime=\"").skip(1);
        last_used.extend(times.map(|time| time[..17].to_owned()));
        let (_, list) = text.split_once("<ul class=\"sessions\">").unwrap();
        let (first, _) = list.split_once("</li>").unwrap();
        assert!(first.contains("This session") && first.contains("Active now"), "{first}");
    }
    assert_eq!(last_used.len(), 25);
    assert!(last_used.is_sorted_by(|one, next| one >= next), "{last_used:?}");
    for (odd, page) in [("0", 1), ("99", 3), ("x", 1), ("-1", 1), ("%3Cb%3E", 1)] {
        let text = ann.get(&format!("/account?page={odd}")).await.text;
        assert!(text.contains(&format!("Page {page} of 3")), "{odd}: {text}");
    }
    let newest = others.last().unwrap().get("/session").await;
    let id = newest.json()["id"].as_str().unwrap().to_owned();
    let fields = [("session", id.as_str()), ("page", "3")];
    let ended = ann.submit("/account/sessions", &fields).await;
    assert_eq!(ended.header("location"), Some("/account?page=3"), "one goes on where one was");
    let text = ann.get("/account?page=3").await.text;
    assert!(text.contains("The session was signed out."), "{text}");
    assert!(text.contains("Page 3 of 3 · 24 other sessions"), "{text}");
    ann.submit("/account/sessions", &[("session", "others")]).await;
    let text = ann.get("/account").await.text;
    assert!(!text.contains("Page 1") && !text.contains("Sign out<span"), "{text}");
}

#[tokio::test]
async fn att_18_09_times_are_said_in_words_with_the_exact_time_behind_them() {
    let app = TestApp::new().await;
    app.signed_in("ann").await;
    app.wait(hours(5));
    let ann = app.signed_in_again("ann").await;
    app.wait(mins(62));
    let text = ann.get("/account").await.text;
    for time in [
        r#"Account created <time datetime="2026-01-01T00:00Z" title="January 1, 2026 at 00:00 UTC">January 1, 2026</time>"#,
        r#"Last used <time datetime="2026-01-01T00:00Z" title="January 1, 2026 at 00:00 UTC">6 hours ago</time>"#,
        r#"Active now · signed in <time datetime="2026-01-01T05:00Z" title="January 1, 2026 at 05:00 UTC">1 hour ago</time>"#,
    ] {
        assert!(text.contains(time), "{time} in {text}");
    }
}

#[tokio::test]
async fn att_18_09_every_page_of_an_account_has_a_sign_out() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await;
    for path in
        ["/account", "/account/password", "/account/tokens", "/account/confirm", "/account/close"]
    {
        let page = ann.get(path).await.text;
        assert_eq!(page.matches(r#"<form method="post" action="/logout">"#).count(), 1, "{path}");
    }
    for (path, fields) in [
        ("/account/password", vec![("current_password", "wrong"), ("new_password", "short")]),
        ("/account/tokens", vec![("name", ""), ("expires_in_days", "1")]),
        ("/account/tokens", vec![("name", "x"), ("expires_in_days", "1")]),
        ("/account/close", vec![("current_password", "wrong")]),
    ] {
        let page = ann.submit(path, &fields).await.text;
        assert!(page.contains(r#"action="/logout""#), "{path}: {page}");
    }
}

/// ATT-18-14
#[tokio::test]
async fn att_18_14_forgetting_a_browser_is_confirmed() {
    let app = TestApp::new().await;
    app.signed_in("ann").await;
    for (has_session, fields, title, says_forgotten) in [
        (true, &[("forget_device", "true")][..], "You are signed out", true),
        (true, &[], "You are signed out", false),
        (false, &[("forget_device", "true")], "You are not signed in", true),
        (false, &[], "You are not signed in", false),
    ] {
        let browser = if has_session { app.signed_in_again("ann").await } else { app.anonymous() };
        browser.submit("/logout", fields).await;
        let page = browser.get("/signed-out").await;
        assert!(page.text.contains(&format!("<h1>{title}</h1>")), "{}", page.text);
        assert_eq!(
            page.text.contains("This browser was forgotten"),
            says_forgotten,
            "{}",
            page.text
        );
    }
}

/// ATT-18-14
#[tokio::test]
async fn att_18_14_registering_while_signed_in_says_as_whom_and_leads_to_the_account() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await;
    let says = |page: &Answer| {
        page.text.contains(r#"You are signed in as <strong id="who">ann</strong>"#)
            && page.text.contains(r#"<a href="/account">"#)
            && page.text.contains(r#"action="/logout""#)
            && !page.text.contains("Already have an account?")
    };
    assert!(says(&ann.get("/register").await));
    let refused = ann.submit("/register", &[("username", "bob"), ("password", "short")]).await;
    assert_eq!(refused.status, 422);
    assert!(says(&refused), "{}", refused.text);
    let anonymous = app.anonymous().get("/register").await;
    assert!(anonymous.text.contains("Already have an account?"), "{}", anonymous.text);
    assert!(!anonymous.text.contains("signed in as"), "{}", anonymous.text);
    let made = ann.submit("/register", &[("username", "bob"), ("password", PASSWORD)]).await;
    assert_eq!(made.header("location"), Some("/account"));
    assert!(ann.get("/account").await.text.contains("bob"));
}

/// ATT-18-14
#[tokio::test]
async fn att_18_14_closing_an_account_says_that_its_name_stays_taken() {
    for (hold, words) in [
        (None, Some("The user name is on hold for 365 days")),
        (Some(hours(24)), Some("The user name is on hold for 1 day after that:")),
        (Some(mins(0)), None),
    ] {
        let hold = hold.map(Period::of);
        let accounts = AccountSettings { username_hold: hold };
        let app = TestApp::with(Settings { accounts, ..Settings::default() }).await;
        let ann = app.signed_in("ann").await;
        let page = ann.get("/account/close").await.text;
        assert_eq!(page.contains("on hold"), words.is_some(), "{page}");
        assert!(page.contains(words.unwrap_or("It cannot be undone.")), "{page}");
    }
}

/// Phrases that readers had to read twice, and similar ones.
const STUMBLED_OVER: [&str; 22] = [
    "Account made",
    "You have an account?",
    "Leave it as it is",
    "Keep it<",
    "for good",
    ">End",
    "Whoever",
    "whoever",
    "Somebody",
    "somebody",
    "anybody",
    "nobody",
    "Nobody",
    "go on to",
    "It must be",
    "That is not",
    "will do",
    "stands for",
    "No copy of its cookie",
    "Nothing was checked",
    "sends you back here",
    "Not authenticated",
];

#[tokio::test]
async fn att_18_10_pages_speak_plain_english() {
    let invite = Settings { registration: Some(Registration::Invite), ..Settings::default() };
    let (app, invited) = (TestApp::new().await, TestApp::with(invite).await);
    let ann = app.signed_in("ann").await;
    app.signed_in_again("ann").await;
    let mut pages = Vec::new();
    let tokens = "/account/tokens";
    for path in ["/account", "/account/password", tokens, "/account/close", "/login?next=/private"]
    {
        pages.push(ann.get(path).await);
    }
    for name in ["", "x", "y"] {
        pages.push(ann.submit(tokens, &[("name", name), ("expires_in_days", "1")]).await);
        pages.push(ann.get(tokens).await);
    }
    let bad = [("username", "a b"), ("password", "short"), ("remember", "maybe"), ("x", "y")];
    let taken = [("username", "ann"), ("password", PASSWORD)];
    let reserved = [("username", "admin"), ("password", "aaaaaaaaaaaaaaaaaaaaaa")];
    for path in ["/login", "/register", "/signed-out"] {
        pages.push(open(&app, path).await);
        pages.push(open(&invited, path).await);
    }
    for path in ["/login", "/register"] {
        for fields in [&bad[..], &taken, &reserved, &[("username", "ann"), ("password", "")]] {
            pages.push(app.anonymous().submit(path, fields).await);
            pages.push(invited.anonymous().submit(path, fields).await);
        }
    }
    for (current, new) in [("x", "y"), (PASSWORD, "abcdefghijklmnop"), (PASSWORD, PASSWORD)] {
        let fields = [("current_password", current), ("new_password", new)];
        pages.push(ann.submit("/account/password", &fields).await);
    }
    pages.push(ann.submit("/account/close", &[("current_password", "wrong")]).await);
    ann.submit("/account/close", &[("current_password", PASSWORD)]).await;
    pages.push(ann.get("/signed-out").await);
    pages.push(open(&app, "/signed-out").await);
    for page in &pages {
        for words in STUMBLED_OVER {
            assert!(!page.text.contains(words), "{words:?} in {}", page.text);
        }
    }
    for code in
        crate::contract::DOCUMENT["components"]["schemas"]["ProblemCode"]["x-extensible-enum"]
            .as_array()
            .unwrap()
    {
        let page = open(&app, &format!("/problems/{}", code.as_str().unwrap())).await;
        for words in STUMBLED_OVER {
            assert!(!page.text.contains(words), "{words:?} in {}", page.text);
        }
    }
}
