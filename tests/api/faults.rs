//! What breaks is answered as documented and tells nothing.

use cloakroom::domain::passwords::HashCost;
use poem::http::Method;
use serde_json::json;

use crate::house::{House, PASSWORD, request};

#[tokio::test]
async fn a_database_that_is_gone_is_answered_503_and_only_the_process_is_live() {
    let house = House::new().await;
    let client = house.signed_in("ann").await;
    house.ruin_the_database().await;
    for path in ["/readyz", "/private", "/me", "/session"] {
        let answer = client.get(path).await;
        assert_eq!(answer.refusal(), (503, "unavailable".into()), "{path}");
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
    let login = house.stranger().log_in("ann", PASSWORD).await;
    assert_eq!(login.refusal(), (503, "unavailable".into()));
    for word in ["sql", "database disk", "malformed", "cloakroom.db", "accounts"] {
        assert!(!login.text.contains(word), "{}", login.text);
    }
    assert_eq!(client.get("/livez").await.status, 200);
}

#[tokio::test]
async fn pwd_12_a_stored_hash_that_is_none_is_answered_like_a_wrong_password() {
    let house = House::new().await;
    house.signed_in("ann").await;
    let unknown = house.stranger().log_in("bob", PASSWORD).await;
    assert_eq!(unknown.refusal(), (403, "invalid_credentials".into()));
    for tamper in [
        "update accounts set password_hash = 'garbage'",
        "update accounts set password_hash = ''",
        "update accounts set password_hash = '$argon2id$v=19$m=4194304,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'",
        "update accounts set password_hash = '$argon2id$v=19$m=64,t=2147483648,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'",
        "update accounts set password_hash = '$argon2d$v=19$m=64,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'",
    ] {
        house.sql(tamper).await;
        let answer = house.stranger().log_in("ann", PASSWORD).await;
        assert_eq!(answer.status, unknown.status, "{tamper}");
        assert_eq!(answer.text, unknown.text, "{tamper}");
    }
}

#[tokio::test]
async fn a_disabled_account_is_refused_like_a_wrong_password_and_its_sessions_end() {
    let house = House::new().await;
    let client = house.signed_in("ann").await;
    let unknown = house.stranger().log_in("bob", PASSWORD).await;
    house.sql("update accounts set disabled_at = 1").await;
    house.wait(std::time::Duration::from_mins(1)); // the operator's own SQL is in no feed
    let disabled = house.stranger().log_in("ann", PASSWORD).await;
    assert_eq!(disabled.text, unknown.text);
    assert_eq!(client.get("/private").await.refusal(), (403, "session_refused".into()));
}

#[tokio::test]
async fn a_burst_of_logins_is_refused_in_part_and_loses_nothing() {
    let house = House::that_hashes_at(HashCost::DEFAULT).await;
    house.signed_in("ann").await;
    let body = json!({ "username": "ann", "password": PASSWORD }).to_string();
    let logins = (0..200).map(|_| {
        let login = request(Method::POST, "/login").content_type("application/json");
        house.send(login.body(body.clone()))
    });
    let answers = futures_util::future::join_all(logins).await;
    let of = |status: u16| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!(of(200) + of(503), 200);
    assert!(of(200) > 0 && of(503) > 0, "{} were let in", of(200));
    for refused in answers.iter().filter(|answer| answer.status == 503) {
        // the database is what a machine with more to do runs out of first
        assert!(matches!(refused.refusal().1.as_str(), "overloaded" | "unavailable"));
        assert_eq!(refused.header("retry-after"), Some("1"));
    }
    assert_eq!(house.signed_in_again("ann").await.get("/private").await.status, 200);
}
