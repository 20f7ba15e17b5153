//! The page `/account/tokens`, as a browser without scripts shows it.

use std::collections::HashSet;
use std::time::Duration;

use cloakroom::config::{ApiTokenSettings, Settings};
use cloakroom::core::clock::{days, mins};
use cloakroom::core::ids::AccountId;
use cloakroom::core::usernames::Username;
use cloakroom::domain::roles::{MAX_ROLES, Role};
use poem::http::Method;

use crate::app::{Answer, Client, PASSWORD, TestApp, request};

const PATH: &str = "/account/tokens";
const FORM: [(&str, &str); 2] = [("name", "Nightly build"), ("expires_in_days", "30")];

/// An app whose API tokens are valid for at most this many days.
async fn with_max_days(max_days: u32) -> TestApp {
    let api_tokens = ApiTokenSettings { max_days: Some(max_days) };
    TestApp::with(Settings { api_tokens, ..Settings::default() }).await
}

async fn account_of(app: &TestApp, username: &str) -> AccountId {
    let username = Username::parse(username).unwrap();
    app.domain.account_named(&username).await.unwrap().unwrap().id
}

async fn give_roles(app: &TestApp, username: &str, roles: &[&str]) {
    let account = account_of(app, username).await;
    for role in roles {
        app.domain.roles.give_role(&account, &Role::parse(role).unwrap()).await.unwrap();
    }
}

/// The token that the page shows.
fn shown(page: &Answer) -> String {
    assert_eq!(page.status, 200, "{}", page.text);
    let (_, after) = page.text.split_once(r#"<textarea id="token""#).unwrap();
    let (_, after) = after.split_once('>').unwrap();
    after.split_once('<').unwrap().0.to_owned()
}

/// The ids of the list in its order.
fn listed(page: &Answer) -> Vec<String> {
    let ids = page.text.split(r#"name="id" value=""#).skip(1);
    ids.map(|id| id.split_once('"').unwrap().0.to_owned()).collect()
}

/// The status of a request with this API token.
async fn status_with(app: &TestApp, token: &str) -> u16 {
    let request =
        request(Method::GET, "/private").header("authorization", format!("Bearer {token}"));
    app.send(request.finish()).await.status.as_u16()
}

async fn create(client: &Client<'_>, name: &str) -> String {
    shown(&client.submit(PATH, &[("name", name), ("expires_in_days", "30")]).await)
}

#[tokio::test]
async fn a_form_creates_a_token_and_shows_it_once() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await;
    assert!(ann.get("/account").await.text.contains(r#"<a href="/account/tokens">API tokens</a>"#));
    let page = ann.get(PATH).await;
    assert!(page.text.contains("You have no API tokens."), "{}", page.text);
    assert!(!page.text.contains(r#"name="roles""#), "the account has none");
    assert!(!page.text.contains("current_password"), "the session is confirmed");
    assert!(page.text.contains(r#"max="366" value="90""#), "{}", page.text);

    let created = ann.submit(PATH, &FORM).await;
    assert_eq!(created.header("cache-control"), Some("no-store"));
    let token = shown(&created);
    assert_eq!((token.len(), &token[..4]), (53, "clk_"));
    assert!(created.text.contains("Authorization: Bearer clk_…"));
    assert!(
        created.text.contains(r#"data-address="/account/tokens""#),
        "a reload leads to the list"
    );
    assert!(created.text.contains(r#"<a href="/account/tokens">"#));
    assert_eq!(status_with(&app, &token).await, 200);

    let page = ann.get(PATH).await;
    assert!(!page.text.contains("clk_"), "{}", page.text);
    for words in ["Nightly build", "created <time", "just now", "expires <time"] {
        assert!(page.text.contains(words), "{words} in {}", page.text);
    }
}

#[tokio::test]
async fn the_list_has_the_newest_token_first_and_says_when_each_was_used() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await;
    app.signed_in("bob").await.submit(PATH, &FORM).await;
    for name in ["First", "Second", "Third"] {
        let token = create(&ann, name).await;
        app.wait(mins(5));
        if name == "Second" {
            assert_eq!(status_with(&app, &token).await, 200);
        }
    }
    let page = ann.get(PATH).await;
    let names = page.text.split("<bdi>").skip(1).map(|name| name.split_once('<').unwrap().0);
    assert_eq!(names.collect::<Vec<_>>(), ["Third", "Second", "First"]);
    assert_eq!(page.text.matches("Never used").count(), 2);
    let (_, second) = page.text.split_once("<bdi>Second").unwrap();
    let (_, used) = second.split_once("Last used <time").unwrap();
    assert!(used.split_once("</time>").unwrap().0.ends_with("5 minutes ago"), "{used}");
    // Screen readers tell the buttons apart by the names.
    for name in ["First", "Second", "Third"] {
        let button = format!(r#"Revoke<span class="unseen"> {name}</span></button>"#);
        assert_eq!(page.text.matches(&button).count(), 1, "{name}");
    }
    app.wait(days(30));
    assert!(
        app.signed_in_again("ann").await.get(PATH).await.text.contains("You have no API tokens.")
    );
}

#[tokio::test]
async fn a_token_gets_the_roles_that_are_checked_and_no_role_of_somebody_else() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await;
    give_roles(&app, "ann", &["admin", "editor", "reader"]).await;
    let page = ann.get(PATH).await;
    for role in ["admin", "editor", "reader"] {
        let checkbox = format!(r#"name="roles" type="checkbox" value="{role}""#);
        assert_eq!(page.text.matches(&checkbox).count(), 1, "{}", page.text);
    }
    let owner = [("roles", "admin"), ("roles", "owner")];
    let refused = ann.submit(PATH, &[&FORM[..], &owner].concat()).await;
    assert_eq!(refused.status, 422);
    assert!(refused.text.contains(r#"<span id="roles-wrong""#), "{}", refused.text);
    assert!(refused.text.contains("Your account does not have the role &#34;owner&#34;."));
    assert_eq!(refused.text.matches(" checked").count(), 1, "what was chosen is kept");
    assert!(
        refused.text.contains(r#"value="Nightly build""#) && refused.text.contains(r#"value="30""#)
    );

    let roles = [("roles", "editor"), ("roles", "reader")];
    let created = ann.submit(PATH, &[&FORM[..], &roles].concat()).await;
    let token = shown(&created);
    assert!(created.text.contains("<dd>editor, reader</dd>"), "{}", created.text);
    let with_token = request(Method::GET, "/me").header("authorization", format!("Bearer {token}"));
    let me = app.send(with_token.finish()).await.json();
    assert_eq!(me["roles"], serde_json::json!(["editor", "reader"]));
    assert!(ann.get(PATH).await.text.contains("Roles: editor, reader<"));
    let account = account_of(&app, "ann").await;
    app.domain.roles.take_role(&account, &Role::parse("reader").unwrap()).await.unwrap();
    let page = ann.get(PATH).await;
    assert!(page.text.contains("Roles: editor · without effect: reader<"), "{}", page.text);
}

#[tokio::test]
async fn a_form_with_as_many_roles_as_an_account_can_have_confirms_and_creates_a_token() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await;
    let roles: Vec<String> = (0..MAX_ROLES).map(|n| format!("r{n}")).collect();
    let roles: Vec<&str> = roles.iter().map(String::as_str).collect();
    give_roles(&app, "ann", &roles).await;
    let mut form = [&FORM[..], &[("current_password", PASSWORD)]].concat();
    form.extend(roles.iter().map(|role| ("roles", *role)));
    shown(&ann.submit(PATH, &form).await);
    form.push(("roles", "one-more"));
    assert_eq!(ann.submit(PATH, &form).await.status, 400);
    assert_eq!(app.count("select count(*) from api_tokens").await, 1);
}

#[tokio::test]
async fn mfa_35_the_form_for_a_token_asks_for_the_password_and_creates_it_in_one_request() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await;
    give_roles(&app, "ann", &["reader"]).await;
    app.wait(mins(15)); // after the page was shown
    let form = [&FORM[..], &[("roles", "reader")]].concat();
    let asked = ann.submit(PATH, &form).await;
    assert_eq!((asked.status.as_u16(), asked.header("set-cookie")), (403, None));
    assert!(asked.text.contains("Enter your password to confirm that it is you."));
    for kept in [r#"value="Nightly build""#, r#"value="reader" checked"#, r#"value="30""#] {
        assert!(asked.text.contains(kept), "{kept} in {}", asked.text);
    }
    let wrong = ann.submit(PATH, &[&form[..], &[("current_password", "wrong")]].concat()).await;
    assert_eq!(wrong.status, 403);
    assert!(wrong.text.contains(r#"<span id="current_password-wrong""#), "{}", wrong.text);
    assert!(wrong.text.contains("The current password is wrong."));
    assert!(ann.get(PATH).await.text.contains(r#"name="current_password""#));
    // What is wrong with other fields is said first, without the cost of a password.
    let nameless = [("name", " "), ("expires_in_days", "30"), ("current_password", "wrong")];
    let nameless = ann.submit(PATH, &nameless).await;
    assert_eq!(nameless.status, 422);
    assert!(nameless.text.contains("Enter what the token is for."));
    assert_eq!(app.count("select count(*) from api_tokens").await, 0);

    let former = ann.cookie().unwrap();
    let token =
        shown(&ann.submit(PATH, &[&form[..], &[("current_password", PASSWORD)]].concat()).await);
    assert_eq!(status_with(&app, &token).await, 200);
    assert_ne!(ann.cookie().unwrap(), former, "the form has confirmed the session");
    assert!(!ann.get(PATH).await.text.contains("current_password"));
    assert_eq!(ann.submit(PATH, &FORM).await.status, 200);
}

#[tokio::test]
async fn a_form_that_confirms_and_is_refused_keeps_the_session_confirmed() {
    let app = with_max_days(10).await;
    let ann = app.signed_in("ann").await;
    app.wait(mins(15));
    let form = [("name", "x"), ("expires_in_days", "11"), ("current_password", PASSWORD)];
    let refused = ann.submit(PATH, &form).await;
    assert_eq!(refused.status, 422);
    assert!(refused.text.contains(r#"<span id="expires_in_days-wrong""#), "{}", refused.text);
    assert!(refused.text.contains("allows at most 10 days"));
    assert!(!refused.text.contains("current_password"), "the session is confirmed now");
    assert!(refused.sets("session").is_some());
    assert_eq!(ann.submit(PATH, &[("name", "x"), ("expires_in_days", "10")]).await.status, 200);
}

#[tokio::test]
async fn what_is_wrong_with_a_token_stands_beside_its_field() {
    let app = with_max_days(30).await;
    let ann = app.signed_in("ann").await;
    assert!(ann.get(PATH).await.text.contains(r#"max="30" value="30""#));
    let long = "x".repeat(65);
    for (name, days, status, beside) in [
        ("", "30", 422, "name"),
        ("a\u{202e}b", "30", 422, "name"),
        (&*long, "30", 422, "name"),
        ("x", "0", 400, "expires_in_days"),
        ("x", "", 400, "expires_in_days"),
        ("x", "one", 400, "expires_in_days"),
        ("x", "31", 422, "expires_in_days"),
        ("x", "367", 400, "expires_in_days"),
    ] {
        let answer = ann.submit(PATH, &[("name", name), ("expires_in_days", days)]).await;
        assert_eq!(answer.status, status, "{name} {days}: {}", answer.text);
        let wrong = format!(r#"aria-invalid="true" aria-describedby="{beside}-wrong""#);
        assert_eq!(answer.text.matches(&wrong).count(), 1, "{}", answer.text);
        assert_eq!(answer.text.matches("aria-invalid").count(), 1, "{}", answer.text);
        assert!(answer.text.contains("autofocus aria-invalid"), "{}", answer.text);
        assert!(answer.text.contains("Please check the highlighted field."), "{}", answer.text);
    }
    let evil = r#""><script>alert(1)</script>"#;
    let answer =
        ann.submit(PATH, &[("name", evil), ("expires_in_days", evil), ("roles", evil)]).await;
    assert_eq!(answer.status, 400);
    assert!(!answer.text.contains("<script>"), "{}", answer.text);
    create(&ann, evil).await;
    assert!(!ann.get(PATH).await.text.contains("<script>"));
    assert_eq!(app.count("select count(*) from api_tokens").await, 1);
}

#[tokio::test]
async fn a_revoked_token_is_refused_and_only_its_owner_can_revoke_it() {
    let app = TestApp::new().await;
    let (ann, bob) = (app.signed_in("ann").await, app.signed_in("bob").await);
    let one = create(&ann, "One").await;
    app.wait(Duration::from_secs(1)); // in the same second, the order of the list is another
    let two = create(&ann, "Two").await;
    let of_ann = listed(&ann.get(PATH).await);
    app.wait(mins(15)); // revoking needs no confirmation
    let elsewhere = bob.submit("/account/tokens/revoke", &[("id", &of_ann[0])]).await;
    assert_eq!((elsewhere.status.as_u16(), elsewhere.header("location")), (303, Some(PATH)));
    assert_eq!((status_with(&app, &one).await, status_with(&app, &two).await), (200, 200));

    let revoked = ann.submit("/account/tokens/revoke", &[("id", &of_ann[0])]).await;
    assert_eq!((revoked.status.as_u16(), revoked.header("location")), (303, Some(PATH)));
    assert_eq!((status_with(&app, &one).await, status_with(&app, &two).await), (200, 401));
    let page = ann.get(PATH).await;
    assert!(page.text.contains("The API token was revoked."), "{}", page.text);
    assert_eq!(listed(&page), of_ann[1..]);
    assert!(!ann.get(PATH).await.text.contains("was revoked"), "it is said once");
    // Twice is as good as once.
    assert_eq!(ann.submit("/account/tokens/revoke", &[("id", &of_ann[0])]).await.status, 303);
    assert_eq!(ann.submit("/account/tokens/revoke", &[("id", "nonsense")]).await.status, 303);
    assert_eq!(listed(&ann.get(PATH).await), of_ann[1..]);
}

#[tokio::test]
async fn with_fifty_tokens_the_page_says_to_revoke_one_first() {
    let app = TestApp::without_limits().await;
    let ann = app.signed_in("ann").await;
    for n in 1..=49 {
        create(&ann, &format!("Token {n}")).await;
    }
    assert!(ann.get(PATH).await.text.contains(r#"name="expires_in_days""#));
    create(&ann, "Token 50").await;
    let page = ann.get(PATH).await;
    assert_eq!(listed(&page).iter().collect::<HashSet<_>>().len(), 50);
    assert!(page.text.contains("Your account has 50 API tokens, which is the maximum."));
    assert!(!page.text.contains(r#"name="expires_in_days""#), "there is no form");

    let refused = ann.submit(PATH, &FORM).await; // from a page that was shown before
    assert_eq!(refused.status, 409);
    assert!(refused.text.contains(r#"role="alert""#), "{}", refused.text);
    assert!(refused.text.contains("Revoke one that you do not need, then try again."));
    assert_eq!(app.count("select count(*) from api_tokens").await, 50);
    ann.submit("/account/tokens/revoke", &[("id", &listed(&page)[7])]).await;
    assert_eq!(ann.submit(PATH, &FORM).await.status, 200);
}

#[tokio::test]
async fn where_the_operator_allows_no_tokens_the_page_has_no_form() {
    let app = with_max_days(0).await;
    let ann = app.signed_in("ann").await;
    let page = ann.get(PATH).await;
    assert_eq!(page.status, 200);
    assert!(page.text.contains("The operator of this service allows no API tokens."));
    assert!(!page.text.contains(r#"action="/account/tokens""#), "{}", page.text);
    assert!(!ann.get("/account").await.text.contains("API tokens"));
    assert!(!ann.get("/account/password").await.text.contains("API tokens"));
    for form in [&FORM[..], &[("name", ""), ("expires_in_days", "1")]] {
        let refused = ann.submit(PATH, form).await;
        assert_eq!(refused.status, 403);
        assert!(
            refused.text.contains("The operator of this service allows no API tokens. Sign in")
        );
    }
}

#[tokio::test]
async fn too_many_changes_are_refused_on_the_page_of_the_tokens() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await;
    for n in 0..30 {
        create(&ann, &format!("Token {n}")).await;
    }
    let id = listed(&ann.get(PATH).await)[0].clone();
    for refused in
        [ann.submit(PATH, &FORM).await, ann.submit("/account/tokens/revoke", &[("id", &id)]).await]
    {
        assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (429, Some("2")));
        assert!(refused.text.contains("<h1>API tokens</h1>"), "{}", refused.text);
        assert!(refused.text.contains(r#"data-address="/account/tokens""#), "a reload works");
    }
    assert_eq!(listed(&ann.get(PATH).await).len(), 30);
}

#[tokio::test]
async fn a_change_of_the_password_says_how_many_tokens_keep_working() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await;
    let page = ann.get("/account/password").await.text;
    assert!(page.contains(r#"<a href="/account/tokens">API tokens</a> keep working"#), "{page}");
    let (first, second) = ("a long walk by the river", "a long walk by the sea");
    let mut former = PASSWORD;
    for (new, words) in [
        (first, "Your password was changed. You are signed out everywhere else.</p>"),
        (second, "signed out everywhere else. Your API token keeps working.</p>"),
        (first, "signed out everywhere else. Your 2 API tokens keep working.</p>"),
    ] {
        let fields = [("current_password", former), ("new_password", new)];
        assert_eq!(ann.submit("/account/password", &fields).await.status, 303);
        let page = ann.get("/account").await.text;
        assert!(page.contains(words), "{page}");
        former = new;
        let token = create(&ann, "Kept").await;
        assert_eq!(status_with(&app, &token).await, 200);
    }
}

#[tokio::test]
async fn the_page_of_the_tokens_leads_strangers_to_the_sign_in_and_other_origins_nowhere() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await;
    let token = create(&ann, "Kept").await;
    let sign_in = Some("/login?next=%2Faccount%2Ftokens");
    let id = listed(&ann.get(PATH).await)[0].clone();
    assert_eq!(app.anonymous().get(PATH).await.header("location"), sign_in);
    for (path, form) in [(PATH, &FORM[..]), ("/account/tokens/revoke", &[("id", &*id)])] {
        assert_eq!(app.anonymous().submit(path, form).await.header("location"), sign_in);
        let body: Vec<_> = form.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let elsewhere = request(Method::POST, path)
            .content_type("application/x-www-form-urlencoded")
            .header("origin", "https://evil.example")
            .body(body.join("&").replace(' ', "+"));
        assert_eq!(ann.send(elsewhere).await.refusal(), (403, "cross_origin".into()), "{path}");
    }
    assert_eq!(status_with(&app, &token).await, 200);
    assert_eq!(app.count("select count(*) from api_tokens").await, 1);
}
