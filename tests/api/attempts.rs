//! No attempt bypasses a limit, with clocks that differ and with concurrent requests (row 1 of the
//! attack note of 2026-11), and no attempt is lost for its client.

use std::sync::Arc;
use std::time::Duration;

use cloakroom::core::clock::Clock;
use cloakroom::core::secret::Password;
use cloakroom::core::usernames::Username;
use cloakroom::domain::login::{Credentials, LogInError};
use cloakroom::domain::registration::{RegisterError, RegistrationRequest};
use cloakroom::domain::requester::Requester;
use cloakroom::domain::sessions::{ClientInfo, LoginContext, Remember};
use cloakroom::domain::throttle::limits::Limits;
use cloakroom::store::{
    AttemptKey, AttemptReset, AttemptRow, BackoffRow, GcraRow, NodeTime, ResetRow, Store,
};
use poem::http::{Method, header};
use serde_json::json;

use crate::app::{PASSWORD, START, TestApp, coming_from, request};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
/// The difference between the clocks of two nodes.
const SKEW: Duration = Duration::from_millis(300);
const KEY: AttemptKey = [7; 16];

/// Logs in with a wrong password, and returns the status.
async fn fail_from(node: &TestApp, username: &str, address: &str) -> u16 {
    let body = json!({ "username": username, "password": "a wrong password" }).to_string();
    let login = request(Method::POST, "/login").content_type("application/json").body(body);
    node.send(coming_from(address, login)).await.status.as_u16()
}

async fn fail(node: &TestApp, username: &str) -> u16 {
    node.anonymous().log_in(username, "a wrong password").await.status.as_u16()
}

async fn register(node: &TestApp, username: &str, address: &str) -> u16 {
    let body = json!({ "username": username, "password": PASSWORD }).to_string();
    let register = request(Method::POST, "/register").content_type("application/json").body(body);
    node.send(coming_from(address, register)).await.status.as_u16()
}

fn login_context_from(address: [u8; 4]) -> LoginContext {
    let requester = Requester { address: Some(address.into()), ..Requester::default() };
    LoginContext { remember: Remember::No, client: ClientInfo::default(), requester }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn att_17_01_forty_requests_at_once_get_no_more_than_the_limit_while_the_clock_runs() {
    const ROUNDS: u8 = 50;
    let app = TestApp::with_running_clock().await;
    for round in 0..ROUNDS {
        let tries = (0..40).map(|n| {
            let domain = Arc::clone(&app.domain);
            tokio::spawn(async move {
                let password = Password::new("a wrong password".to_owned());
                let credentials = Credentials::parse(&format!("user{n}"), password).unwrap();
                let outcome =
                    domain.log_in(credentials, login_context_from([192, 0, 2, round])).await;
                match outcome.unwrap_err() {
                    LogInError::WrongCredentials => true,
                    LogInError::TooManyAttempts { .. } => false,
                    other => panic!("{other:?}"),
                }
            })
        });
        let mut checked = 0;
        for attempt in tries.collect::<Vec<_>>() {
            checked += u32::from(attempt.await.unwrap());
        }
        assert_eq!(checked, 10, "in round {round}");
        app.sql("delete from login_attempts").await; // user names have a separate limit
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn att_17_01_forty_registrations_at_once_get_no_more_than_the_limit_while_the_clock_runs() {
    let app = TestApp::with_running_clock().await;
    for round in 0..5 {
        let tries = (0..40).map(|n| {
            let (domain, password) = (Arc::clone(&app.domain), Password::new(PASSWORD.to_owned()));
            tokio::spawn(async move {
                let username = Username::parse(&format!("user{round}-{n}"));
                let request = RegistrationRequest {
                    username,
                    display_name: Ok(None),
                    email: None,
                    password,
                    invite: None,
                };
                match domain.register(request, login_context_from([192, 0, 2, round])).await {
                    Ok(_) => true,
                    Err(RegisterError::TooManyAttempts { .. }) => false,
                    Err(other) => panic!("{other:?}"),
                }
            })
        });
        let mut made = 0;
        for attempt in tries.collect::<Vec<_>>() {
            made += u32::from(attempt.await.unwrap());
        }
        assert_eq!(made, 10, "in round {round}");
    }
}

#[tokio::test]
async fn att_17_01_two_nodes_whose_clocks_differ_keep_one_limit_between_them() {
    let here = TestApp::new().await;
    let there = here.node(Clock::at(START.plus(SKEW))).await;
    let mut checked = 0;
    for n in 0..120 {
        let node = if n % 2 == 0 { &there } else { &here };
        checked += u32::from(fail_from(node, &format!("user{n}"), "192.0.2.7").await == 403);
    }
    assert_eq!(checked, 10, "of one address");

    let mut made = 0;
    for n in 0..120 {
        let node = if n % 2 == 0 { &there } else { &here };
        made += u32::from(register(node, &format!("new{n}"), "192.0.2.7").await == 201);
    }
    assert_eq!(made, 10, "registrations");

    let mut tried = 0;
    for n in 0..120 {
        let node = if n % 2 == 0 { &there } else { &here };
        tried += u32::from(fail(node, "ann").await == 403);
    }
    assert_eq!(tried, 5, "of one name");
}

#[tokio::test]
async fn att_17_01_a_clock_that_is_behind_waits_until_it_is_time_by_its_own() {
    let here = TestApp::new().await;
    let there = here.node(Clock::at(START.plus(SKEW))).await;
    for _ in 0..5 {
        assert_eq!(fail(&there, "ann").await, 403);
    }
    assert_eq!(fail(&here, "ann").await, 429);
    here.wait(SECOND + SKEW);
    assert_eq!(fail(&here, "ann").await, 403);
}

#[tokio::test]
async fn att_17_01_a_clock_that_was_more_than_five_minutes_ahead_holds_up_no_client() {
    for (ahead, next) in [(5 * MINUTE, 429), (5 * MINUTE + SKEW, 403)] {
        let here = TestApp::new().await;
        let there = here.node(Clock::at(START.plus(ahead))).await;
        for n in 0..10 {
            assert_eq!(fail_from(&there, &format!("user{n}"), "192.0.2.7").await, 403);
        }
        assert_eq!(fail_from(&here, "another", "192.0.2.7").await, next, "{ahead:?}");
    }
}

#[tokio::test]
async fn att_17_16_one_attempt_a_day_does_not_keep_a_name_closed() {
    let app = TestApp::new().await;
    app.signed_in("ann").await;
    let lock = async || {
        let mut failures = 0;
        while failures < 50 {
            if fail(&app, "ann").await == 403 {
                failures += 1;
            } else {
                app.wait(15 * MINUTE);
            }
        }
        assert_eq!(app.anonymous().log_in("ann", PASSWORD).await.status, 429);
    };
    lock().await;
    for _ in 0..3 {
        app.wait(23 * HOUR);
        assert_eq!(fail(&app, "ann").await, 429, "the day is not over");
        app.wait(HOUR);
        assert_eq!(fail(&app, "ann").await, 403, "one attempt, as soon as it may be");
        assert_eq!(fail(&app, "ann").await, 403);
        assert_eq!(app.anonymous().log_in("ann", PASSWORD).await.status, 200);
        lock().await; // that takes fifty more failures
    }
}

#[tokio::test]
async fn att_17_16_one_attempt_a_day_does_not_keep_the_devices_of_an_account_closed() {
    let app = TestApp::new().await;
    app.signed_in("ann").await;
    let mut devices = Vec::new();
    for _ in 0..20 {
        let answer = app.anonymous().log_in("ann", PASSWORD).await;
        devices.push(answer.sets("device").unwrap().split_once(';').unwrap().0.to_owned());
    }
    let log_in = async |device: &str, password: &str| {
        let body = json!({ "username": "ann", "password": password }).to_string();
        let login = request(Method::POST, "/login").content_type("application/json");
        app.send(login.header(header::COOKIE, device).body(body)).await.status.as_u16()
    };
    // Five failures of each of twenty devices, all of which are known.
    let mut failures = 0;
    'all: for round in 0.. {
        for device in &devices {
            if failures == 100 {
                break 'all;
            }
            assert_eq!(log_in(device, "a wrong password").await, 403, "in round {round}");
            failures += 1;
            app.wait(if failures < 20 { SECOND } else { 15 * MINUTE });
        }
    }
    app.wait(23 * HOUR + 45 * MINUTE);
    for _ in 0..6 {
        fail(&app, "ann").await;
    }
    assert_eq!(log_in("", PASSWORD).await, 429, "a anonymous waits");
    assert_eq!(log_in(&devices[0], "a wrong password").await, 403);
    assert_eq!(log_in(&devices[1], PASSWORD).await, 200, "and devices do not");
}

/// The counts of a key after one more failure, without a wait.
fn step(from: AttemptRow, at: i64) -> BackoffRow {
    let numbered = if from.counted == 0 { at * 1024 } else { from.counted };
    let (failures, counted) = (from.failures + 1, numbered + 1);
    let to = AttemptRow { failures, free_at: at, last_at: at, counted, forgiven: from.forgiven };
    BackoffRow { key: KEY, from, to }
}

fn time(now: i64) -> NodeTime {
    NodeTime { now, trusted_until: now + 300_000 }
}

async fn count(store: &Store, at: i64) -> BackoffRow {
    let step = step(store.attempts_of(&KEY).await.unwrap(), at);
    assert!(store.count_attempt(&[], &[step], time(at)).await.unwrap());
    step
}

async fn failures(store: &Store) -> i64 {
    store.attempts_of(&KEY).await.unwrap().failures
}

async fn succeed(store: &Store, step: &BackoffRow) {
    let resets = vec![ResetRow { key: KEY, up_to: step.to.counted }];
    store.reset_attempts(AttemptReset { resets, turns: Vec::new() }).await.unwrap();
}

#[tokio::test]
async fn att_17_01_a_good_sign_in_forgets_what_was_counted_before_it_and_nothing_later() {
    let app = TestApp::limited(Limits::none()).await;
    let store = &app.domain.store;
    let earlier = count(store, 1000).await;
    let good = count(store, 1000).await;
    count(store, 1001).await;
    count(store, 1002).await;
    succeed(store, &good).await;
    assert_eq!(failures(store).await, 2, "those that came after it");
    store.undo_step(&earlier).await.unwrap();
    succeed(store, &earlier).await;
    assert_eq!(failures(store).await, 2, "what was forgotten is not given back once more");
    let last = count(store, 1003).await;
    succeed(store, &last).await;
    assert_eq!(failures(store).await, 0);

    count(store, 2000).await;
    succeed(store, &last).await;
    store.undo_step(&last).await.unwrap();
    assert_eq!(failures(store).await, 1, "an attempt of before the row was gone is none of it");
}

#[tokio::test]
async fn att_17_01_an_attempt_that_came_to_nothing_is_taken_back_though_others_were_counted_since()
{
    let app = TestApp::limited(Limits::none()).await;
    let store = &app.domain.store;
    let first = count(store, 1000).await;
    let second = count(store, 1001).await;
    let third = count(store, 1002).await;
    for (step, left) in [(second, 2), (first, 1), (third, 0), (third, 0)] {
        store.undo_step(&step).await.unwrap();
        assert_eq!(failures(store).await, left);
    }
    let before = store.attempts_of(&KEY).await.unwrap();
    let last = count(store, 2000).await;
    store.undo_step(&last).await.unwrap();
    assert_eq!(store.attempts_of(&KEY).await.unwrap(), before, "as if it had never been counted");
}

#[tokio::test]
async fn att_17_01_a_turn_that_is_given_back_is_one_turn() {
    let app = TestApp::limited(Limits::none()).await;
    let store = &app.domain.store;
    let turn = GcraRow { key: KEY, burst: 9_000, every: 1_000 };
    let take = async |at: i64| store.count_attempt(&[turn], &[], time(at)).await.unwrap();
    for n in 0..10 {
        assert!(take(1_000_000 - n).await, "whichever node's clock is behind");
    }
    assert!(!take(1_000_000).await);
    let back = AttemptReset { resets: Vec::new(), turns: vec![turn] };
    store.reset_attempts(back).await.unwrap();
    assert!(take(999_700).await);
    assert!(!take(1_000_000).await);
    assert!(!take(1_000_000 - 300_000).await, "five minutes behind it is still believed");
    assert!(take(1_000_000 - 300_001).await, "and behind that it is not");
}
