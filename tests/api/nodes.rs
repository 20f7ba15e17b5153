//! Several nodes on one database. Each test runs on both engines: on SQLite the nodes are processes
//! on one machine, on PostgreSQL they may be on different machines.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use poem::http::Method;
use serde_json::json;

use crate::app::{PASSWORD, START, TestApp, private_with, request};
use crate::races::rounds;

/// The time within which all nodes know of a revocation.
const BOUND: Duration = Duration::from_secs(1);

async fn is_known(app: &TestApp, cookie: &str) -> bool {
    app.send(private_with(&[cookie])).await.status == 200
}

/// Whether the node answers from its cache.
async fn remembers(app: &TestApp, cookie: &str) -> bool {
    let hits = async || {
        let metrics = app.metrics().await;
        let hits = metrics.lines().find(|line| line.contains("result=\"hit\"")).unwrap();
        hits.rsplit(' ').next().unwrap().parse::<u64>().unwrap()
    };
    let before = hits().await;
    is_known(app, cookie).await && hits().await > before
}

/// How long a node accepts a session that was ended at another node.
async fn stale(node: &TestApp, cookie: &str) -> Duration {
    let ended = Instant::now();
    loop {
        let asked = ended.elapsed();
        if !is_known(node, cookie).await {
            return asked;
        }
        assert!(asked < BOUND, "still accepted");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_15_what_ends_at_one_node_is_refused_at_the_other_within_a_second() {
    const AT_ONCE: usize = 4; // they commit in any order
    let here = TestApp::without_limits().await;
    let there = here.second_node().await;
    for n in 0..AT_ONCE {
        here.signed_in(&format!("ann{n}")).await;
    }
    let mut waits = Vec::new();
    for round in 0..rounds(100).div_ceil(AT_ONCE) {
        let ended = (0..AT_ONCE).map(async |n| {
            let client = here.signed_in_again(&format!("ann{n}")).await;
            let cookie = client.cookie().unwrap();
            assert!(is_known(&here, &cookie).await && is_known(&there, &cookie).await);
            let status = match round % 3 {
                0 => client.post_nothing("/logout").await.status,
                1 => {
                    let id = client.get("/session").await.json()["id"].as_str().unwrap().to_owned();
                    let path = format!("/sessions/{id}");
                    client.send(request(Method::DELETE, &path).finish()).await.status
                }
                _ => {
                    let other = here.signed_in_again(&format!("ann{n}")).await;
                    other.send(request(Method::DELETE, "/sessions").finish()).await.status
                }
            };
            assert!(status.is_success(), "{status}");
            assert!(!is_known(&here, &cookie).await, "where it was ended it is refused at once");
            stale(&there, &cookie).await
        });
        waits.extend(join_all(ended).await);
    }
    waits.sort();
    let at = |share: usize| waits[(waits.len() * share / 100).min(waits.len() - 1)];
    println!(
        "{} revocations; stale elsewhere: median {:?}, p99 {:?}, most {:?}",
        waits.len(),
        at(50),
        at(99),
        waits[waits.len() - 1]
    );
}

#[tokio::test]
async fn r_15_an_ending_is_heard_within_a_second_behind_ten_thousand_others() {
    let here = TestApp::new().await;
    let there = here.second_node().await;
    let ann = here.signed_in("ann").await;
    let cookie = ann.cookie().unwrap();
    assert!(there.eventually(async || remembers(&there, &cookie).await).await);
    let others = if here.is_on_postgres() {
        "insert into revocations (account_id, at) select 'x', i from generate_series(1, 10000) i"
    } else {
        "insert into revocations (account_id, at)
         with recursive n(i) as (select 1 union all select i + 1 from n where i < 10000)
         select 'x', i from n"
    };
    here.sql(others).await;
    ann.post_nothing("/logout").await;
    stale(&there, &cookie).await;
}

#[tokio::test]
async fn who_is_locked_out_at_one_node_is_so_at_the_other() {
    let here = TestApp::new().await;
    let there = here.second_node().await;
    here.signed_in("ann").await;
    for node in [&here, &there, &here, &there, &here] {
        assert_eq!(node.anonymous().log_in("ann", "something else entirely").await.status, 403);
    }
    for node in [&here, &there] {
        assert_eq!(node.anonymous().log_in("ann", PASSWORD).await.status, 429);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thr_09_no_more_tries_are_let_in_by_two_nodes_than_by_one() {
    let here = TestApp::new().await;
    let there = here.second_node().await;
    here.signed_in("ann").await;
    let tries = (0..32).map(|n| {
        let node = if n % 2 == 0 { &here } else { &there };
        async { node.anonymous().log_in("ann", "something else entirely").await.status.as_u16() }
    });
    let answers = join_all(tries).await;
    let hashed = answers.iter().filter(|status| **status == 403).count();
    assert!((1..=5).contains(&hashed), "{answers:?}");
    assert!(answers.iter().all(|status| [403, 429, 503].contains(status)), "{answers:?}");
}

#[tokio::test]
async fn a_browser_that_one_node_knows_is_known_to_the_other() {
    let here = TestApp::new().await;
    let there = here.second_node().await;
    here.signed_in("ann").await;
    let signed_in = here.anonymous().log_in("ann", PASSWORD).await;
    let device = signed_in.sets("device").unwrap().split(';').next().unwrap().to_owned();
    for _ in 0..5 {
        here.anonymous().log_in("ann", "something else entirely").await;
    }
    let body = json!({ "username": "ann", "password": PASSWORD }).to_string();
    let login = || request(Method::POST, "/login").content_type("application/json");
    assert_eq!(there.send(login().body(body.clone())).await.status, 429);
    assert_eq!(there.send(login().header("cookie", device).body(body)).await.status, 200);
}

#[tokio::test]
async fn an_invite_is_used_up_once_by_whichever_node() {
    use cloakroom::config::{Registration, Settings};
    let invited = Settings { registration: Some(Registration::Invite), ..Settings::default() };
    let here = TestApp::with(invited).await;
    let there = here.second_node().await;
    for round in 0..5 {
        let code = here
            .domain
            .invites
            .invite(Duration::from_hours(1))
            .await
            .unwrap()
            .0
            .expose()
            .to_owned();
        let answers = [&here, &there].map(|node| {
            let name = format!("user{round}");
            let body = json!({ "username": name, "password": PASSWORD, "invite": code });
            async move { node.anonymous().post("/register", &body).await.status.as_u16() }
        });
        let mut statuses = join_all(answers).await;
        statuses.sort_unstable();
        assert!([[201, 403], [201, 409]].contains(&[statuses[0], statuses[1]]), "{statuses:?}");
    }
}

#[tokio::test]
async fn r_19_a_key_made_beside_one_node_is_taken_up_by_both_and_logs_nobody_out() {
    let here = TestApp::new().await;
    let there = here.second_node().await;
    let ann = here.signed_in("ann").await;
    let kid = |cookie: String| cookie.split('.').next().unwrap().to_owned();
    let old = kid(ann.cookie().unwrap());
    let later = START.plus(Duration::from_secs(1));
    cloakroom::domain::keys::tokens::KeyRing::create(&here.data("keys"), later).unwrap();
    for (signing, verifying) in [(&here, &there), (&there, &here)] {
        let is_new = async || {
            let cookie = signing.signed_in_again("ann").await.cookie().unwrap();
            // The other node may load the key a moment later.
            kid(cookie.clone()) != old
                && verifying.eventually(async || is_known(verifying, &cookie).await).await
        };
        assert!(signing.eventually(is_new).await);
        assert!(is_known(verifying, &ann.cookie().unwrap()).await, "nobody is logged out");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_cannot_hear_the_feed_asks_the_database() {
    let app = TestApp::new().await;
    if !app.is_on_postgres() {
        return; // SQLite's feed is a file
    }
    let cookie = app.signed_in("ann").await.cookie().unwrap();
    assert!(is_known(&app, &cookie).await);
    let held = app.hold("lock table revocations in access exclusive mode").await;
    tokio::time::sleep(BOUND).await;
    app.sql("update sessions set ended_at = 1").await; // the feed does not report this
    assert!(!is_known(&app, &cookie).await, "its memory is not trusted");
    drop(held);
    let cookie = app.signed_in_again("ann").await.cookie().unwrap();
    assert!(app.eventually(async || remembers(&app, &cookie).await).await, "it hears again");
}

#[tokio::test]
async fn att_17_08_nodes_whose_clocks_differ_by_up_to_a_minute_accept_each_others_sessions() {
    for difference in [300, 999, 30_000, 60_000].map(Duration::from_millis) {
        let here = TestApp::without_limits().await;
        let ahead = here.second_node_ahead_by(difference).await;
        here.signed_in("ann").await;
        for (from, to) in [(&ahead, &here), (&here, &ahead)] {
            let browser = from.signed_in_again("ann").await;
            let cookie = browser.cookie().unwrap();
            let read = to.send(private_with(&[&cookie])).await;
            assert_eq!((read.status.as_u16(), read.header("set-cookie")), (200, None));
            assert_eq!(browser.post_nothing("/logout").await.status, 204);
            stale(to, &cookie).await;
        }
    }
    let here = TestApp::without_limits().await;
    let too_far = here.second_node_ahead_by(Duration::from_secs(61)).await;
    let cookie = too_far.signed_in("ann").await.cookie().unwrap();
    let refused = here.send(private_with(&[&cookie])).await;
    assert_eq!((refused.status.as_u16(), refused.header("set-cookie")), (403, None), "it is kept");
    here.wait(Duration::from_secs(1));
    assert!(is_known(&here, &cookie).await);
}

#[tokio::test]
async fn att_17_08_a_device_of_a_node_whose_clock_is_ahead_is_known() {
    for difference in [300, 60_000].map(Duration::from_millis) {
        let here = TestApp::new().await;
        let ahead = here.second_node_ahead_by(difference).await;
        here.signed_in("ann").await;
        let signed_in = ahead.anonymous().log_in("ann", PASSWORD).await;
        let device = signed_in.sets("device").unwrap().split(';').next().unwrap().to_owned();
        for _ in 0..5 {
            here.anonymous().log_in("ann", "something else entirely").await;
        }
        let body = json!({ "username": "ann", "password": PASSWORD }).to_string();
        let login = || request(Method::POST, "/login").content_type("application/json");
        assert_eq!(here.send(login().body(body.clone())).await.status, 429);
        assert_eq!(here.send(login().header("cookie", device).body(body)).await.status, 200);
    }
}
