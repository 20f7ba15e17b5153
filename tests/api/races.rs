//! Invariants under concurrent requests. `ROUNDS` sets the number of rounds.

use std::sync::Arc;

use futures_util::future::join_all;
use poem::http::Method;
use serde_json::json;

use crate::app::{PASSWORD, TestApp, private_with, request};

pub fn rounds(few: usize) -> usize {
    std::env::var("ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(few)
}

/// Uses a cookie until it is told to stop. Returns how often it was accepted by a request that
/// started after the revocation was acknowledged.
async fn use_it(
    app: Arc<TestApp>,
    cookie: String,
    ended: Arc<std::sync::atomic::AtomicBool>,
) -> usize {
    use std::sync::atomic::Ordering;
    let mut stale = 0;
    let mut after = 0;
    while after < 3 {
        let had_ended = ended.load(Ordering::SeqCst);
        let status = app.send(private_with(&[&cookie])).await.status;
        if had_ended {
            after += 1;
            stale += usize::from(status == 200);
        }
        tokio::task::yield_now().await;
    }
    stale
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_15_nothing_ended_is_accepted_after_the_answer() {
    let app = Arc::new(TestApp::without_limits().await);
    app.signed_in("ann").await;
    let mut password = PASSWORD.to_owned();
    let mut stale = 0;
    for round in 0..rounds(150) {
        let client = app.anonymous();
        assert_eq!(client.log_in("ann", &password).await.status, 200);
        let cookie = client.cookie().unwrap();
        let ended = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let uses: Vec<_> = (0..3)
            .map(|_| tokio::spawn(use_it(Arc::clone(&app), cookie.clone(), Arc::clone(&ended))))
            .collect();
        let status = match round % 3 {
            0 => client.post_nothing("/logout").await.status,
            1 => {
                let id = client.get("/session").await.json()["id"].as_str().unwrap().to_owned();
                client
                    .send(request(Method::DELETE, &format!("/sessions/{id}")).finish())
                    .await
                    .status
            }
            _ => {
                let new = format!("round number {round} of the race");
                let body = json!({ "current_password": password, "new_password": new });
                password = new;
                let put = request(Method::PUT, "/me/password").content_type("application/json");
                client.send(put.body(body.to_string())).await.status
            }
        };
        assert_eq!(status, 204);
        ended.store(true, std::sync::atomic::Ordering::SeqCst);
        for one in uses {
            stale += one.await.unwrap();
        }
    }
    assert_eq!(stale, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sta_01_no_session_made_with_the_old_password_survives_its_change() {
    let app = Arc::new(TestApp::without_limits().await);
    let mut password = PASSWORD.to_owned();
    let ann = app.signed_in("ann").await;
    for round in 0..rounds(60).div_ceil(10) {
        let logins: Vec<_> = (0..32)
            .map(|_| {
                let (app, password) = (Arc::clone(&app), password.clone());
                tokio::spawn(async move {
                    let client = app.anonymous();
                    let answer = client.log_in("ann", &password).await;
                    assert!([200, 403, 503].contains(&answer.status.as_u16()), "{}", answer.text);
                    client.cookie()
                })
            })
            .collect();
        let new = format!("round number {round} of the race");
        let body = json!({ "current_password": password, "new_password": new }).to_string();
        loop {
            let put = request(Method::PUT, "/me/password").content_type("application/json");
            let answer = ann.send(put.body(body.clone())).await;
            if answer.status == 204 {
                break;
            }
            assert_eq!(answer.status, 503, "{}", answer.text); // overloaded: try again
        }
        password = new;
        for cookie in join_all(logins).await {
            if let Some(cookie) = cookie.unwrap() {
                assert_eq!(app.send(private_with(&[&cookie])).await.status, 403);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sta_03_and_04_ending_and_closing_race_with_logins_and_leave_nothing() {
    let app = Arc::new(TestApp::without_limits().await);
    for round in 0..rounds(60).div_ceil(10) {
        let name = format!("ann{round}");
        let ann = app.signed_in(&name).await;
        let logins: Vec<_> = (0..8)
            .map(|_| {
                let (app, name) = (Arc::clone(&app), name.clone());
                tokio::spawn(async move {
                    let client = app.anonymous();
                    client.log_in(&name, PASSWORD).await;
                    client.cookie()
                })
            })
            .collect();
        let closed = ann.send(request(Method::DELETE, "/me").finish()).await;
        assert_eq!(closed.status, 204);
        for cookie in join_all(logins).await {
            if let Some(cookie) = cookie.unwrap() {
                assert_eq!(app.send(private_with(&[&cookie])).await.status, 403);
            }
        }
    }
    let orphans = "select count(*) from sessions where account_id not in (select id from accounts)";
    assert_eq!(app.count(orphans).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sta_02_of_two_password_changes_at_once_one_wins_and_its_session_lives() {
    let app = Arc::new(TestApp::without_limits().await);
    for round in 0..rounds(60).div_ceil(10) {
        let name = format!("ann{round}");
        let ann = app.signed_in(&name).await;
        let cookie = ann.cookie().unwrap();
        let changes = (0..2).map(|n| {
            let new = format!("the new password of number {n}");
            let body = json!({ "current_password": PASSWORD, "new_password": new }).to_string();
            let put = request(Method::PUT, "/me/password")
                .content_type("application/json")
                .header("cookie", &cookie)
                .body(body);
            app.send(put)
        });
        let answers = join_all(changes).await;
        let winners: Vec<_> = answers.iter().filter(|answer| answer.status == 204).collect();
        assert_eq!(winners.len(), 1, "{answers:?}");
        let new = winners[0].cookie().unwrap();
        assert_eq!(app.send(private_with(&[&new])).await.status, 200);
    }
}
