//! Clients that disconnect in the middle of a request. `ABORTS` sets the number of aborts.

use std::time::Duration;

use poem::http::Method;
use serde_json::json;

use crate::app::{PASSWORD, TestApp, request};

const OPEN: &str = "select count(*) from pg_stat_activity
                    where application_name = current_setting('application_name')
                      and state like 'idle in transaction%'";

/// A pseudorandom delay, the same in each run.
fn patience(n: u64) -> Duration {
    let mixed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    Duration::from_micros(mixed % 20_000)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_16_clients_that_go_away_leave_no_transaction_and_lose_nobody_a_write() {
    let many = std::env::var("ABORTS").ok().and_then(|many| many.parse().ok()).unwrap_or(300);
    let app = TestApp::without_limits().await;
    let ann = app.signed_in("ann").await;
    for n in 0..many {
        let name = format!("gone{n}");
        let account = json!({ "username": name, "password": PASSWORD }).to_string();
        let of_ann = json!({ "username": "ann", "password": PASSWORD }).to_string();
        let post = |path: &str, body: String| {
            app.send(request(Method::POST, path).content_type("application/json").body(body))
        };
        let patience = patience(n);
        let _ = match n % 3 {
            0 => tokio::time::timeout(patience, post("/register", account)).await.is_ok(),
            1 => tokio::time::timeout(patience, post("/login", of_ann)).await.is_ok(),
            _ => {
                let ending = ann.send(request(Method::DELETE, "/sessions").finish());
                tokio::time::timeout(patience, ending).await.is_ok()
            }
        };
    }
    // All writes that are acknowledged now persist, on any connection.
    let mut stayed = Vec::new();
    for n in 0..30 {
        stayed.push(app.signed_in(&format!("stays{n}")).await);
    }
    let stays = "select count(*) from accounts where username like 'stays%'";
    assert_eq!(app.count(stays).await, 30);
    if app.is_on_postgres() {
        // A background write may be between two statements.
        assert!(app.eventually(async || app.count(OPEN).await == 0).await, "one stays open");
    }
    for client in stayed {
        assert_eq!(client.get("/private").await.status, 200);
    }
}
