//! The pages, as a browser without scripts sees them.

use poem::http::Method;

use crate::house::{Answer, House, PASSWORD, request};

async fn open(house: &House, path: &str) -> Answer {
    house.send(request(Method::GET, path).header("accept", "text/html").finish()).await
}

#[tokio::test]
async fn a_form_registers_and_leads_to_the_account() {
    let house = House::new().await;
    let page = open(&house, "/register").await;
    assert_eq!(page.status, 200);
    assert!(page.text.contains(r#"<form method="post" action="/register">"#));

    let browser = house.stranger();
    let fields = [("username", "Ann"), ("password", PASSWORD)];
    let answer = browser.submit("/register", &fields).await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (303, Some("/account")));
    let account = browser.get("/account").await;
    assert!(account.text.contains(r#"<strong id="who">ann</strong>"#), "{}", account.text);

    let answer = browser.submit("/logout", &[]).await;
    assert_eq!(answer.header("location"), Some("/login?signed_out=yes"));
    assert!(browser.cookie().is_none());
    assert_eq!(browser.get("/account").await.header("location"), Some("/login?next=/account"));
    assert!(open(&house, "/login?signed_out=yes").await.text.contains("You are signed out."));
}

#[tokio::test]
async fn a_failed_login_shows_the_form_again_with_its_status_and_the_typed_name() {
    let house = House::new().await;
    house.signed_in("ann").await;
    let browser = house.stranger();
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
    let house = House::new().await;
    let fields = [("username", "a b"), ("password", "short")];
    let answer = house.stranger().submit("/register", &fields).await;
    assert_eq!(answer.status, 422);
    assert!(answer.text.contains(r#"id="username-wrong""#));
    assert!(answer.text.contains(r#"id="password-wrong""#));
    assert!(answer.text.contains("at least 15 characters"));
    let missing = house.stranger().submit("/login", &[("username", "ann")]).await;
    assert_eq!(missing.status, 400);
    assert!(missing.text.contains("It must be there."));
    let broken = request(Method::POST, "/login")
        .content_type("application/x-www-form-urlencoded")
        .header("accept", "text/html")
        .body("username=%ff");
    assert_eq!(house.send(broken).await.status, 400);
}

#[tokio::test]
async fn a_common_password_is_said_beside_its_field_and_the_name_is_kept() {
    let house = House::new().await;
    let fields = [("username", "Ann"), ("password", "passwordpassword")];
    let answer = house.stranger().submit("/register", &fields).await;
    assert_eq!(answer.status, 422);
    let (_, beside) =
        answer.text.split_once(r#"<span id="password-wrong" class="wrong">"#).unwrap();
    assert!(beside.starts_with("Many people have chosen this password"), "{beside}");
    assert!(answer.text.contains(r#"value="Ann""#));
    assert!(!answer.text.contains("passwordpassword"));
}

#[tokio::test]
async fn a_taken_name_is_said_and_the_form_is_kept() {
    let house = House::new().await;
    house.signed_in("ann").await;
    let fields = [("username", "ann"), ("password", PASSWORD)];
    let answer = house.stranger().submit("/register", &fields).await;
    assert_eq!(answer.status, 409);
    assert!(answer.text.contains("choose another"));
}

#[tokio::test]
async fn inj_04_what_was_typed_is_shown_as_text() {
    let house = House::new().await;
    let name = r#""><script>alert(1)</script>"#;
    let answer = house.stranger().submit("/login", &[("username", name), ("password", "x")]).await;
    assert!(!answer.text.contains("<script"), "{}", answer.text);
    let next = open(&house, "/login?next=/%22%3E%3Cscript%3E").await;
    assert!(!next.text.contains("<script"), "{}", next.text);
}

#[tokio::test]
async fn red_01_and_02_a_login_goes_on_at_a_path_of_this_service_only() {
    let house = House::new().await;
    house.signed_in("ann").await;
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
        let answer = house.stranger().submit("/login", &fields).await;
        assert_eq!(answer.header("location"), Some(location), "{next:?}");
    }
    let page = open(&house, "/login?next=/ok").await;
    assert!(page.text.contains(r#"name="next" value="/ok""#));
    assert!(!open(&house, "/login?next=//evil").await.text.contains("evil"));
}

#[tokio::test]
async fn the_root_leads_where_it_should() {
    let house = House::new().await;
    assert_eq!(open(&house, "/").await.header("location"), Some("/login"));
    let client = house.signed_in("ann").await;
    assert_eq!(client.get("/").await.header("location"), Some("/account"));
}

#[tokio::test]
async fn every_problem_type_leads_to_its_explanation() {
    let house = House::new().await;
    let codes =
        crate::contract::DOCUMENT["components"]["schemas"]["ProblemCode"]["x-extensible-enum"]
            .as_array()
            .unwrap();
    for code in codes {
        let code = code.as_str().unwrap();
        let page = open(&house, &format!("/problems/{code}")).await;
        assert_eq!(page.status, 200, "{code}");
        assert!(page.text.contains(code));
    }
    assert_eq!(open(&house, "/problems/nothing").await.status, 404);
}
