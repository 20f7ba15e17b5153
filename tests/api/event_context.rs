//! Security events contain the request that caused them.

use poem::http::{Method, header};
use serde_json::{Value, json};

use crate::app::{Answer, Client, PASSWORD, TestApp, coming_from, request};

const ADDRESS: &str = "203.0.113.9";
const NEW_PASSWORD: &str = "another sentence of words";

async fn send(client: &Client<'_>, method: Method, path: &str, body: Value) -> Answer {
    let request = request(method, path).content_type("application/json").body(body.to_string());
    client.send(coming_from(ADDRESS, request)).await
}

async fn submit(client: &Client<'_>, path: &str, form: &'static str) -> Answer {
    let request = request(Method::POST, path)
        .content_type("application/x-www-form-urlencoded")
        .header(header::ACCEPT, "text/html,*/*;q=0.8")
        .body(form);
    client.send(coming_from(ADDRESS, request)).await
}

/// Signs in with a new cookie jar. Returns the id of the session.
async fn log_in<'h>(app: &'h TestApp, password: &str) -> (Client<'h>, String) {
    let client = app.anonymous();
    let body = json!({ "username": "ann", "password": password });
    let answer = send(&client, Method::POST, "/login", body).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let id = answer.json()["session"]["id"].as_str().unwrap().to_owned();
    (client, id)
}

#[tokio::test]
async fn each_event_of_a_request_has_the_address_of_its_client_and_the_request_id() {
    let app = TestApp::without_limits().await;
    let account = json!({ "username": "ann", "password": PASSWORD });
    let ann = app.anonymous();
    assert_eq!(send(&ann, Method::POST, "/register", account).await.status, 201);
    let wrong = json!({ "username": "ann", "password": "a wrong password" });
    assert_eq!(send(&app.anonymous(), Method::POST, "/login", wrong).await.status, 403);

    let (_, second) = log_in(&app, PASSWORD).await;
    let path = format!("/sessions/{second}");
    assert_eq!(send(&ann, Method::DELETE, &path, Value::Null).await.status, 204);
    log_in(&app, PASSWORD).await;
    assert_eq!(send(&ann, Method::DELETE, "/sessions", Value::Null).await.status, 200);
    log_in(&app, PASSWORD).await;
    assert_eq!(submit(&ann, "/account/sessions", "session=others").await.status, 303);

    let change = json!({ "current_password": "a wrong one", "new_password": NEW_PASSWORD });
    assert_eq!(send(&ann, Method::PUT, "/me/password", change).await.status, 403);
    let change = json!({ "current_password": PASSWORD, "new_password": NEW_PASSWORD });
    assert_eq!(send(&ann, Method::PUT, "/me/password", change).await.status, 204);

    let (other, _) = log_in(&app, NEW_PASSWORD).await;
    assert_eq!(submit(&other, "/logout", "").await.status, 303);
    let foreign = request(Method::POST, "/logout").header(header::ORIGIN, "https://evil.example");
    assert_eq!(ann.send(coming_from(ADDRESS, foreign.finish())).await.status, 403);
    let confirm = json!({ "current_password": NEW_PASSWORD });
    assert_eq!(send(&ann, Method::POST, "/session/confirm/password", confirm).await.status, 200);
    assert_eq!(send(&ann, Method::DELETE, "/me", Value::Null).await.status, 204);

    app.domain.audit.write(&app.domain.store, app.clock.now()).await.unwrap();
    let kinds = "select count(distinct event) from events";
    assert!(
        app.eventually(async || app.count(kinds).await == 12).await,
        "{}",
        app.count(kinds).await
    );
    let with_context =
        "select count(*) from events where address = '203.0.113.9' and length(request_id) > 16";
    let all = app.count("select count(*) from events").await;
    assert_eq!(app.count(with_context).await, all);
}
