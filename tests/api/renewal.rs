//! Hashes that are renewed at a login.

use cloakroom::domain::passwords::cost::Argon2Params;
use poem::http::Method;
use serde_json::json;

use crate::app::{CHEAP, PASSWORD, TestApp, private_with, request};

const DEARER: Argon2Params = Argon2Params { passes: 2, ..CHEAP };
const HASH: &str = "select password_hash from accounts";

#[tokio::test]
async fn a_login_renews_a_hash_of_another_price_and_ends_no_session() {
    let mut app = TestApp::new().await;
    let cookie = app.signed_in("ann").await.cookie().unwrap();
    app.restarted_at(DEARER).await;
    assert_eq!(app.anonymous().log_in("ann", "something else entirely").await.status, 403);
    assert!(app.text(HASH).await.contains("$m=64,t=1,p=1$"), "a wrong password renews nothing");
    // A renewal gives way to all other hashing; the next login tries again.
    let is_renewed = async || {
        app.signed_in_again("ann").await;
        app.text(HASH).await.contains("$m=64,t=2,p=1$")
    };
    assert!(app.eventually(is_renewed).await);
    assert_eq!(app.send(private_with(&[&cookie])).await.status, 200);
    let renewed = app.text(HASH).await;
    app.signed_in_again("ann").await;
    app.restarted_at(DEARER).await;
    assert_eq!(app.text(HASH).await, renewed, "once is enough");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewal_never_brings_back_a_password_that_was_changed() {
    let mut app = TestApp::new().await;
    let mut password = PASSWORD.to_owned();
    app.signed_in("ann").await;
    for round in 0..20 {
        // In each round, the stored hash has the other parameters.
        app.restarted_at(if round % 2 == 0 { DEARER } else { CHEAP }).await;
        let ann = app.anonymous();
        assert_eq!(ann.log_in("ann", &password).await.status, 200);
        let new = format!("round number {round} of the race");
        let body = json!({ "current_password": password, "new_password": new }).to_string();
        let put = request(Method::PUT, "/me/password").content_type("application/json");
        let others = (0..3).map(|_| app.anonymous()).collect::<Vec<_>>();
        let logins = others.iter().map(|other| other.log_in("ann", &password));
        let (changed, _) =
            tokio::join!(ann.send(put.body(body)), futures_util::future::join_all(logins));
        assert_eq!(changed.status, 204, "{}", changed.text);
        assert_eq!(app.anonymous().log_in("ann", &password).await.status, 403);
        assert_eq!(app.anonymous().log_in("ann", &new).await.status, 200);
        password = new;
    }
}

#[tokio::test]
async fn logins_at_once_all_succeed_while_the_first_renews_the_hash() {
    let mut app = TestApp::without_limits().await;
    app.signed_in("ann").await;
    app.restarted_at(DEARER).await;
    let clients: Vec<_> = (0..32).map(|_| app.anonymous()).collect();
    let logins = clients.iter().map(|client| client.log_in("ann", PASSWORD));
    for answer in futures_util::future::join_all(logins).await {
        assert_eq!(answer.status, 200, "{}", answer.text);
    }
}
