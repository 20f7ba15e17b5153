//! The display name: who sets it, which texts are names, and who sees it.

use cloakroom::core::clock::mins;
use cloakroom::domain::throttle::limits::{Gcra, Limits};
use poem::http::Method;
use serde_json::{Value, json};

use crate::app::{Client, PASSWORD, TestApp, request};

async fn set(client: &Client<'_>, name: &str) -> (u16, Value) {
    let answer = client.patch("/me", &json!({ "display_name": name })).await;
    (answer.status.as_u16(), answer.json())
}

async fn name_of(client: &Client<'_>) -> Value {
    client.get("/me").await.json().get("display_name").cloned().unwrap_or_default()
}

/// The number of events about changed profiles.
async fn events(app: &TestApp) -> i64 {
    app.domain.audit.write(&app.domain.store, app.clock.now()).await.unwrap();
    app.count("select count(*) from events where event = 'profile_updated'").await
}

#[tokio::test]
async fn a_user_sets_changes_and_removes_the_display_name() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await;
    let me = ann.get("/me").await.json();
    assert!(me.get("display_name").is_none(), "absent when unset: {me}");
    let (status, shown) = set(&ann, "  Ann Núñez 👩\u{200d}💻 ").await;
    assert_eq!((status, &shown["display_name"]), (200, &json!("Ann Núñez 👩\u{200d}💻")));
    assert_eq!(shown["id"], me["id"]);
    assert_eq!(ann.get("/me").await.json(), shown);
    assert_eq!(set(&ann, "山田").await.1["display_name"], "山田");
    for empty in ["", "  \t"] {
        set(&ann, "Ann").await;
        let (status, shown) = set(&ann, empty).await;
        assert_eq!((status, shown), (200, me.clone()));
        assert_eq!(ann.get("/me").await.json(), me);
    }
}

#[tokio::test]
async fn an_update_without_a_field_or_with_the_same_name_changes_nothing() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await;
    set(&ann, "Ann").await;
    assert_eq!(events(&app).await, 1);
    let revocations = "select count(*) from revocations";
    let before = app.count(revocations).await;
    for body in [json!({}), json!({ "display_name": "Ann" }), json!({ "display_name": " Ann " })] {
        let answer = ann.patch("/me", &body).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["display_name"]), (200, &json!("Ann")));
    }
    assert_eq!(events(&app).await, 1);
    assert_eq!(app.count(revocations).await, before);
}

#[tokio::test]
async fn null_unknown_fields_and_other_types_are_refused() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await;
    set(&ann, "Ann").await;
    for (body, error) in [
        (json!({ "display_name": null }), ("display_name", "wrong_type")),
        (json!({ "display_name": 7 }), ("display_name", "wrong_type")),
        (json!({ "display_name": ["Ann"] }), ("display_name", "wrong_type")),
        (json!({ "username": "eve" }), ("username", "unknown")),
        (json!({ "display_name": "Eve", "roles": ["admin"] }), ("roles", "unknown")),
    ] {
        let answer = ann.patch("/me", &body).await;
        assert_eq!(answer.refusal(), (400, "invalid_request".into()), "{body}");
        assert_eq!(answer.errors(), [(error.0.to_owned(), error.1.to_owned())]);
    }
    for text in ["", "null", "[]", r#"{"display_name":"a","display_name":"b"}"#] {
        let patch = request(Method::PATCH, "/me").content_type("application/json");
        let answer = ann.send(patch.body(text.to_owned())).await;
        assert_eq!(answer.refusal(), (400, "invalid_request".into()), "{text}");
    }
    assert_eq!(name_of(&ann).await, "Ann");
}

#[tokio::test]
async fn a_text_that_is_no_name_is_refused_with_the_rule() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await;
    let long = "x".repeat(65);
    for (name, code) in [
        (long.as_str(), "too_long"),
        ("a\0b", "not_allowed"),
        ("Ann\r\nRemote-User: root", "not_allowed"),
        ("a\u{2028}b", "not_allowed"),
        ("\u{202e}nna", "not_allowed"),
        ("\u{200d}", "not_allowed"),
    ] {
        let answer = ann.patch("/me", &json!({ "display_name": name })).await;
        assert_eq!(answer.refusal(), (422, "policy_violation".into()), "{name:?}");
        assert_eq!(answer.errors(), [("display_name".to_owned(), code.to_owned())]);
        let account = json!({ "username": "bob", "display_name": name, "password": PASSWORD });
        let answer = app.anonymous().post("/register", &account).await;
        assert_eq!(answer.refusal(), (422, "policy_violation".into()), "{name:?}");
        assert_eq!(answer.errors(), [("display_name".to_owned(), code.to_owned())]);
    }
    assert_eq!(name_of(&ann).await, Value::Null);
    assert_eq!(set(&ann, &"é".repeat(64)).await.0, 200);
}

#[tokio::test]
async fn a_registration_can_have_a_display_name() {
    let app = TestApp::new().await;
    for (username, given, shown) in [
        ("ann", json!("Ann Núñez"), json!("Ann Núñez")),
        ("bob", json!(""), Value::Null),
        ("eve", Value::Null, Value::Null),
    ] {
        let account = json!({ "username": username, "display_name": given, "password": PASSWORD });
        let client = app.anonymous();
        let answer = client.post("/register", &account).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        assert_eq!(answer.json().get("display_name").cloned().unwrap_or_default(), shown);
        assert_eq!(name_of(&client).await, shown);
    }
    let stored = "select coalesce(max(display_name), '') from accounts";
    assert_eq!(app.text(stored).await, "Ann Núñez");
}

#[tokio::test]
async fn other_sessions_and_other_nodes_show_a_new_name() {
    let app = TestApp::new().await;
    let other = app.second_node().await;
    let ann = app.signed_in("ann").await;
    let again = app.signed_in_again("ann").await;
    let cookie = ann.cookie().unwrap();
    let on_other = async || {
        let me = request(Method::GET, "/me").header("cookie", &cookie).finish();
        other.send(me).await.json().get("display_name").cloned().unwrap_or_default()
    };
    assert_eq!(name_of(&again).await, Value::Null); // it is in both caches now
    assert_eq!(on_other().await, Value::Null);
    set(&ann, "Ann").await;
    assert_eq!(name_of(&ann).await, "Ann", "from the moment of the response");
    assert_eq!(name_of(&again).await, "Ann");
    assert!(app.eventually(async || on_other().await == "Ann").await);
    assert_eq!(ann.get("/sessions").await.json()["sessions"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn changes_are_limited_and_recorded() {
    let account = Gcra { burst: 2, every: mins(1) };
    let app = TestApp::limited(Limits { account, ..Limits::production() }).await;
    let ann = app.signed_in("ann").await;
    assert_eq!(set(&ann, "A").await.0, 200);
    assert_eq!(set(&ann, "B").await.0, 200);
    let answer = ann.patch("/me", &json!({ "display_name": "C" })).await;
    assert_eq!(answer.refusal(), (429, "too_many_attempts".into()));
    assert_eq!(answer.header("retry-after"), Some("60"));
    assert_eq!(name_of(&ann).await, "B");
    let change =
        json!({ "current_password": PASSWORD, "new_password": "a long walk by the river" });
    let answer = ann.put("/me/password", &change).await;
    assert_eq!(answer.status, 204, "a thief of the cookie does not hold up a new password");
    app.wait(mins(1));
    assert_eq!(set(&ann, "C").await.0, 200);
    assert_eq!(events(&app).await, 3);
}

#[tokio::test]
async fn a_proxy_gets_the_name_in_utf_8_and_an_empty_one_if_there_is_none() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await;
    let header = async || {
        let answer = ann.get("/forward-auth").await;
        String::from_utf8(answer.headers["remote-name"].as_bytes().to_vec()).unwrap()
    };
    assert_eq!(header().await, "");
    set(&ann, "Ann Núñez 山").await;
    assert_eq!(header().await, "Ann Núñez 山");
}

#[tokio::test]
async fn the_pages_set_and_show_the_name() {
    let app = TestApp::new().await;
    let ann = app.anonymous();
    let form = ann.get("/register").await.text;
    assert!(form.contains("name=\"display_name\"") && form.contains("maxlength=\"64\""), "{form}");
    let fields = [("username", "ann"), ("display_name", "<b>Ann</b>"), ("password", PASSWORD)];
    assert_eq!(ann.submit("/register", &fields).await.status, 303);
    let page = ann.get("/account").await.text;
    assert!(page.contains("<bdi>&#60;b&#62;Ann&#60;/b&#62;</bdi>"), "{page}");
    assert!(page.contains("<strong id=\"who\">ann</strong>"), "{page}");

    let page = ann.get("/account/name").await.text;
    assert!(page.contains("value=\"&#60;b&#62;Ann&#60;/b&#62;\""), "{page}");
    let refused = ann.submit("/account/name", &[("display_name", "a\u{202e}b")]).await;
    assert_eq!(refused.status, 422);
    assert!(refused.text.contains("aria-invalid=\"true\""), "{}", refused.text);
    assert!(refused.text.contains("without control characters"), "{}", refused.text);
    let saved = ann.submit("/account/name", &[("display_name", "Ann")]).await;
    assert_eq!((saved.status.as_u16(), saved.header("location")), (303, Some("/account")));
    let page = ann.get("/account").await.text;
    assert!(page.contains("Your display name was saved.") && page.contains("<bdi>Ann</bdi>"));
    ann.submit("/account/name", &[("display_name", "")]).await;
    assert!(!ann.get("/account").await.text.contains("<bdi>"));

    let signed_out = app.anonymous().get("/account/name").await;
    assert_eq!(signed_out.header("location"), Some("/login?next=%2Faccount%2Fname"));
    let refused = app.anonymous();
    let fields = [("username", "eve"), ("display_name", "a\u{2029}b"), ("password", PASSWORD)];
    let refused = refused.submit("/register", &fields).await;
    assert_eq!(refused.status, 422);
    assert!(refused.text.contains("id=\"display_name-wrong\""), "{}", refused.text);
}
