//! No client can occupy the whole password hasher (row 9 of the attack note of 2026-11).

use std::iter;

use cloakroom::domain::passwords::queue::Share;
use futures_util::future::join_all;
use poem::http::Method;
use serde_json::json;

use crate::app::{BusyThreads, PASSWORD, TestApp, coming_from, request};

/// Logs in from an address, and returns the status.
async fn log_in(app: &TestApp, username: &str, address: &str) -> u16 {
    let body = json!({ "username": username, "password": PASSWORD }).to_string();
    let login = request(Method::POST, "/login").content_type("application/json");
    app.send(coming_from(address, login.body(body))).await.status.as_u16()
}

#[tokio::test]
async fn att_17_09_sign_ins_succeed_while_sixty_four_from_another_address_are_in_flight() {
    let app = TestApp::without_limits().await;
    for n in 0..12 {
        app.signed_in(&format!("user{n}")).await;
    }
    let threads = BusyThreads::start(&app).await;
    let hasher = &app.domain.hasher;
    let share = Share::new(Some([192, 0, 2, 66].into()), Some("mallory"));
    let crowd = join_all((0..64).map(async |_| hasher.reserve_slot(&share)?.run(|_| ()).await));
    let others = async {
        app.hash_requests_arrive(64).await;
        let others =
            (0..12).map(async |n| log_in(&app, &format!("user{n}"), &format!("192.0.2.{n}")).await);
        let release = async {
            app.hash_requests_arrive(64 + 12).await;
            threads.release().await;
        };
        tokio::join!(join_all(others), release).0
    };
    let (crowd, others) = tokio::join!(crowd, others);
    assert_eq!(others, [200; 12]);
    let served = crowd.iter().filter(|outcome| outcome.is_ok()).count();
    assert_eq!(served, 64 - app.config.passwords.threads - 12, "it keeps the rest");
}

#[tokio::test]
async fn att_17_09_slots_of_one_account_are_given_up_to_other_users_without_an_address() {
    let app = TestApp::without_limits().await; // its hashes take no time, so 64 fit
    for n in 0..12 {
        app.signed_in(&format!("user{n}")).await;
    }
    let share = Share::new(None, Some("mallory"));
    let mut held: Vec<_> = iter::from_fn(|| app.domain.hasher.reserve_slot(&share).ok()).collect();
    assert_eq!(held.len(), 64);
    for n in 0..12 {
        let answer = app.anonymous().log_in(&format!("user{n}"), PASSWORD).await;
        assert_eq!(answer.status, 200, "{n}");
        held.push(app.domain.hasher.reserve_slot(&share).unwrap()); // it is full again
    }
    assert_eq!(
        app.anonymous().log_in("mallory", "wrong").await.refusal(),
        (503, "overloaded".into())
    );
}

#[tokio::test]
async fn att_17_09_slots_of_one_address_are_given_up_to_users_of_other_addresses() {
    let app = TestApp::without_limits().await;
    for n in 0..12 {
        app.signed_in(&format!("user{n}")).await;
    }
    // With many different user names.
    let share = |n| Share::new(Some([192, 0, 2, 66].into()), Some(&format!("mallory{n}")));
    let held: Vec<_> =
        (0..).map_while(|n| app.domain.hasher.reserve_slot(&share(n)).ok()).collect();
    assert_eq!(held.len(), 64);
    let others = join_all(
        (0..12).map(async |n| log_in(&app, &format!("user{n}"), &format!("192.0.2.{n}")).await),
    );
    assert_eq!(others.await, [200; 12]);
}

// The capacity with production hash parameters is tested in the queue itself.
#[tokio::test]
async fn att_17_09_users_from_twenty_four_addresses_sign_in_at_the_same_moment() {
    let app = TestApp::without_limits().await;
    for n in 0..24 {
        app.signed_in(&format!("user{n}")).await;
    }
    let threads = BusyThreads::start(&app).await;
    let all = join_all(
        (0..24).map(async |n| log_in(&app, &format!("user{n}"), &format!("192.0.2.{n}")).await),
    );
    let release = async {
        app.hash_requests_arrive(24).await;
        threads.release().await;
    };
    let (all, ()) = tokio::join!(all, release);
    assert_eq!(all, [200; 24]);
}
