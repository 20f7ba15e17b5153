//! Rate limits and backoff. The ids are those of the attack list.

use std::time::{Duration, Instant};

use cloakroom::config::{CommaList, Settings};
use cloakroom::core::secret::Password;
use cloakroom::core::usernames::Username;
use cloakroom::domain::jobs::cleanup;
use cloakroom::domain::passwords::hasher::HashSlot;
use cloakroom::domain::passwords::queue::Share;
use cloakroom::domain::throttle::limits::Limits;
use futures_util::future::join_all;
use poem::http::{Method, header};
use serde_json::json;

use crate::app::{Answer, BusyThreads, PASSWORD, START, TestApp, coming_from, request};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

/// A login, with an optional address and device cookie.
async fn log_in(
    app: &TestApp,
    (username, password): (&str, &str),
    address: Option<&str>,
    device: Option<&str>,
) -> Answer {
    let body = json!({ "username": username, "password": password }).to_string();
    let mut login = request(Method::POST, "/login").content_type("application/json");
    if let Some(device) = device {
        login = login.header(header::COOKIE, device);
    }
    let login = login.body(body);
    let login = match address {
        Some(address) => coming_from(address, login),
        None => login,
    };
    app.send(login).await
}

/// Takes every slot of the hashing queue, for a user without an address.
fn fill_the_queue(app: &TestApp) -> Vec<HashSlot> {
    let share = Share::new(None, Some("ann"));
    std::iter::from_fn(|| app.domain.hasher.reserve_slot(&share).ok()).collect()
}

/// Fails to log in once. Returns the status and the value of `Retry-After`.
async fn fail(app: &TestApp, username: &str) -> (u16, Option<u64>) {
    answered(&log_in(app, (username, "a wrong password"), None, None).await)
}

fn answered(answer: &Answer) -> (u16, Option<u64>) {
    let seconds = answer.header("retry-after").map(|seconds| seconds.parse().unwrap());
    (answer.status.as_u16(), seconds)
}

/// The device cookie of a successful login, as a client returns it.
async fn device_of(app: &TestApp, username: &str) -> String {
    let answer = app.anonymous().log_in(username, PASSWORD).await;
    answer.sets("device").unwrap().split_once(';').unwrap().0.to_owned()
}

/// Makes clients without a device cookie wait for at least a second.
async fn throttle(app: &TestApp, username: &str) {
    for _ in 0..5 {
        assert_eq!(fail(app, username).await.0, 403);
    }
    assert_eq!(fail(app, username).await.0, 429);
}

#[tokio::test]
async fn thr_01_after_five_failures_one_waits_longer_each_time() {
    let app = TestApp::new().await;
    app.signed_in("ann").await;
    for _ in 0..5 {
        assert_eq!(fail(&app, "ann").await, (403, None));
    }
    for seconds in [1, 2, 4, 8, 16, 900, 900] {
        assert_eq!(fail(&app, "ann").await, (429, Some(seconds)));
        app.wait(SECOND * u32::try_from(seconds - 1).unwrap());
        assert_eq!(fail(&app, "ann").await, (429, Some(1)), "a second early");
        app.wait(SECOND);
        assert_eq!(fail(&app, "ann").await, (403, None), "after {seconds} s");
    }
}

#[tokio::test]
async fn thr_01_a_good_sign_in_makes_failures_forgotten() {
    let app = TestApp::new().await;
    app.signed_in("ann").await;
    for _ in 0..3 {
        for _ in 0..4 {
            assert_eq!(fail(&app, "ann").await.0, 403);
        }
        assert_eq!(app.anonymous().log_in("ann", PASSWORD).await.status, 200);
    }
}

#[tokio::test]
async fn thr_01_failures_are_forgotten_after_a_day_and_not_before() {
    for (pause, next) in [(HOUR * 24, 429), (HOUR * 24 + Duration::from_millis(1), 403)] {
        let app = TestApp::new().await;
        for _ in 0..5 {
            assert_eq!(fail(&app, "ann").await.0, 403);
        }
        app.wait(pause);
        assert_eq!(fail(&app, "ann").await.0, 403);
        assert_eq!(fail(&app, "ann").await.0, next, "after {pause:?}");
    }
}

#[tokio::test]
async fn thr_02_the_right_password_tells_nothing_while_throttled_and_is_not_hashed() {
    let app = TestApp::new().await;
    app.signed_in("ann").await;
    throttle(&app, "ann").await;
    // Requests that hash a password would wait for a thread.
    let threads = BusyThreads::start(&app).await;
    let right = app.anonymous().log_in("ann", PASSWORD).await;
    let wrong = app.anonymous().log_in("ann", "a wrong password").await;
    assert_eq!(right.refusal(), (429, "too_many_attempts".into()));
    assert_eq!((right.text, right.status), (wrong.text, wrong.status));
    let another = app.anonymous();
    let another = another.log_in("bob", "a wrong password");
    let release = async {
        app.hash_requests_arrive(1).await;
        threads.release().await;
    };
    assert_eq!(tokio::join!(another, release).0.status, 403, "one that is hashed waits");
}

#[tokio::test]
async fn thr_03_a_thousand_addresses_get_ten_tries_in_a_quarter_of_an_hour() {
    let app = TestApp::new().await;
    app.signed_in("ann").await;
    let mut hashed = 0;
    for second in (0..900).step_by(5) {
        let address = format!("198.51.{}.{}", 100 + second / 256, second % 256);
        let answer = log_in(&app, ("ann", "a wrong password"), Some(&address), None).await;
        hashed += u32::from(answer.status == 403);
        app.wait(SECOND * 5);
    }
    assert_eq!(hashed, 10);
}

#[tokio::test]
async fn thr_04_fifty_failures_in_a_row_close_the_name_to_strangers_even_over_a_restart() {
    let mut app = TestApp::new().await;
    app.signed_in("ann").await;
    let device = device_of(&app, "ann").await;
    let mut failures = 0;
    while failures < 50 {
        match fail(&app, "ann").await {
            (403, _) => failures += 1,
            (429, Some(seconds)) => app.wait(Duration::from_secs(seconds)),
            other => panic!("{other:?}"),
        }
        if failures == 25 {
            app.restarted().await;
        }
    }
    app.restarted().await;
    app.wait(HOUR * 23);
    assert_eq!(fail(&app, "ann").await, (429, Some(3600)));
    assert_eq!(app.anonymous().log_in("ann", PASSWORD).await.status, 429);
    assert_eq!(log_in(&app, ("ann", PASSWORD), None, Some(&device)).await.status, 200);
    assert_eq!(app.anonymous().log_in("ann", PASSWORD).await.status, 200, "its owner was there");
}

#[tokio::test]
async fn thr_05_a_known_device_signs_in_while_the_name_is_under_attack() {
    let app = TestApp::new().await;
    app.signed_in("ann").await;
    let device = device_of(&app, "ann").await;
    for _ in 0..20 {
        throttle(&app, "ann").await;
        let known = log_in(&app, ("ann", PASSWORD), Some("192.0.2.7"), Some(&device)).await;
        assert_eq!(known.status, 200);
    }
    app.signed_in("bob").await;
    throttle(&app, "bob").await;
    let of_another = log_in(&app, ("bob", PASSWORD), None, Some(&device)).await;
    assert_eq!(of_another.status, 429, "ann's device is a anonymous to bob's account");
}

#[tokio::test]
async fn thr_05_the_browser_that_registered_is_known() {
    let app = TestApp::new().await;
    let body = json!({ "username": "ann", "password": PASSWORD });
    let registered = app.anonymous().post("/register", &body).await;
    let device = registered.sets("device").unwrap().split_once(';').unwrap().0.to_owned();
    throttle(&app, "ann").await;
    assert_eq!(log_in(&app, ("ann", PASSWORD), None, Some(&device)).await.status, 200);
}

#[tokio::test]
async fn thr_06_a_stolen_device_gets_ten_tries_and_is_a_stranger_then() {
    let app = TestApp::new().await;
    app.signed_in("ann").await;
    let stolen = device_of(&app, "ann").await;
    let other = device_of(&app, "ann").await;
    let wrong = ("ann", "a wrong password");
    for _ in 0..10 {
        assert_eq!(log_in(&app, wrong, None, Some(&stolen)).await.status, 403);
    }
    for _ in 0..5 {
        assert_eq!(log_in(&app, wrong, None, Some(&stolen)).await.status, 403);
    }
    assert_eq!(log_in(&app, wrong, None, Some(&stolen)).await.status, 429);
    assert_eq!(log_in(&app, ("ann", PASSWORD), None, Some(&other)).await.status, 200);
    app.wait(HOUR * 24 * 60);
    cleanup::remove_ended(&app.domain).await.unwrap();
    throttle(&app, "ann").await;
    assert_eq!(log_in(&app, wrong, None, Some(&stolen)).await.status, 429, "two months later");
}

#[tokio::test]
async fn thr_06_a_device_stays_the_same_one_when_its_owner_signs_in_again() {
    let app = TestApp::new().await;
    app.signed_in("ann").await;
    let stolen = device_of(&app, "ann").await;
    let again = log_in(&app, ("ann", PASSWORD), None, Some(&stolen)).await;
    let renewed = again.sets("device").unwrap().split_once(';').unwrap().0.to_owned();
    for _ in 0..10 {
        let failed = log_in(&app, ("ann", "a wrong password"), None, Some(&stolen)).await;
        assert_eq!(failed.status, 403);
    }
    throttle(&app, "ann").await;
    assert_eq!(log_in(&app, ("ann", PASSWORD), None, Some(&renewed)).await.status, 429);
}

#[tokio::test]
async fn thr_06_a_device_is_forgotten_after_ninety_days() {
    let app = TestApp::new().await;
    app.signed_in("ann").await;
    let device = device_of(&app, "ann").await;
    app.wait(HOUR * 24 * 90);
    throttle(&app, "ann").await;
    assert_eq!(log_in(&app, ("ann", PASSWORD), None, Some(&device)).await.status, 429);
}

#[tokio::test]
async fn thr_06_whoever_collected_devices_gets_twenty_tries_with_all_of_them() {
    let app = TestApp::new().await;
    app.signed_in("ann").await;
    let mut collected = Vec::new();
    for _ in 0..10 {
        collected.push(device_of(&app, "ann").await);
    }
    let mut hashed = 0;
    for device in collected.iter().cycle().take(100) {
        let answer = log_in(&app, ("ann", "a wrong password"), None, Some(device)).await;
        hashed += u32::from(answer.status == 403);
    }
    assert_eq!(hashed, 25, "twenty as a device, five as anybody");
}

#[tokio::test]
async fn thr_06_a_new_password_ends_what_devices_are_known_and_makes_this_one_known() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await;
    let old = device_of(&app, "ann").await;
    let new = "another long password";
    let body = json!({ "current_password": PASSWORD, "new_password": new }).to_string();
    let change = request(Method::PUT, "/me/password").content_type("application/json").body(body);
    let changed = ann.send(change).await;
    let device = changed.sets("device").unwrap().split_once(';').unwrap().0.to_owned();
    throttle(&app, "ann").await;
    assert_eq!(log_in(&app, ("ann", new), None, Some(&old)).await.status, 429);
    assert_eq!(log_in(&app, ("ann", new), None, Some(&device)).await.status, 200);
}

#[tokio::test]
async fn thr_05_a_planted_device_cookie_hides_no_real_one() {
    let app = TestApp::new().await;
    app.signed_in("ann").await;
    let device = device_of(&app, "ann").await;
    throttle(&app, "ann").await;
    let both = format!("device=planted; {device}; device=another");
    assert_eq!(log_in(&app, ("ann", PASSWORD), None, Some(&both)).await.status, 200);
}

#[tokio::test]
async fn thr_04_the_operator_lifts_the_wait() {
    let app = TestApp::new().await;
    app.signed_in("ann").await;
    let ann = Username::parse("ann").unwrap();
    throttle(&app, "ann").await;
    app.domain.enable(&ann).await.unwrap();
    assert_eq!(fail(&app, "ann").await.0, 403);
    for _ in 0..4 {
        fail(&app, "ann").await;
    }
    assert_eq!(fail(&app, "ann").await.0, 429);
    let typed = Password::new("another long password".to_owned());
    let password = app.domain.rules.passwords.check(&typed, Some(&ann)).unwrap();
    app.domain.reset_password(&ann, password).await.unwrap();
    assert_eq!(app.anonymous().log_in("ann", "another long password").await.status, 200);
}

#[tokio::test]
async fn sta_05_a_clock_that_was_ahead_closes_nothing() {
    let app = TestApp::new().await;
    app.signed_in("ann").await;
    app.clock.set(START.plus(HOUR * 24 * 3650));
    throttle(&app, "ann").await;
    let register = async |name: &str| {
        let body = json!({ "username": name, "password": PASSWORD }).to_string();
        let register = request(Method::POST, "/register").content_type("application/json");
        app.send(coming_from("192.0.2.7", register.body(body))).await.status.as_u16()
    };
    for n in 0..10 {
        assert_eq!(register(&format!("user{n}")).await, 201);
    }
    assert_eq!(register("late").await, 429);
    app.clock.set(START);
    assert_eq!(register("late").await, 201);
    assert_eq!(fail(&app, "ann").await.0, 403);
    assert_eq!(fail(&app, "ann").await.0, 429, "the failures count, the wait starts anew");
    app.wait(SECOND * 2);
    assert_eq!(app.anonymous().log_in("ann", PASSWORD).await.status, 200);
}

#[tokio::test]
async fn thr_07_an_address_fails_at_most_twenty_times_in_ten_minutes_at_whatever_names() {
    let app = TestApp::new().await;
    app.signed_in("ann").await;
    let mut hashed = Vec::new();
    for second in (0..1200).step_by(5) {
        let name = format!("user{second}");
        let answer = log_in(&app, (&name, "Winter2026Winter2026"), Some("192.0.2.7"), None).await;
        if answer.status == 403 {
            hashed.push(second);
        }
        app.wait(SECOND * 5);
    }
    for second in 0..1200 {
        let within = |at: &&i32| (second..second + 600).contains(*at);
        assert!(hashed.iter().filter(within).count() <= 20, "from second {second} on");
    }
    assert!(hashed.len() > 20, "time heals");
    let elsewhere = log_in(&app, ("ann", PASSWORD), Some("192.0.2.8"), None).await;
    assert_eq!(elsewhere.status, 200);
}

#[tokio::test]
async fn thr_07_good_sign_ins_from_one_address_cost_it_nothing() {
    let app = TestApp::new().await;
    app.signed_in("ann").await;
    for _ in 0..30 {
        assert_eq!(log_in(&app, ("ann", PASSWORD), Some("192.0.2.7"), None).await.status, 200);
    }
}

#[tokio::test]
async fn thr_08_ever_new_names_leave_a_bounded_table_and_the_hot_ones_in_it() {
    let app = TestApp::limited(Limits { keys: 1000, ..Limits::production() }).await;
    app.signed_in("ann").await;
    app.sql(if app.is_on_postgres() {
        "insert into login_attempts (key, failures, free_at, last_at)
             select uuid_send(gen_random_uuid()), 1, 0, 1767225600000 - 60000 + i
             from generate_series(1, 5000) i"
    } else {
        "insert into login_attempts (key, failures, free_at, last_at)
             with recursive n(i) as (select 1 union all select i + 1 from n where i < 5000)
             select randomblob(16), 1, 0, 1767225600000 - 60000 + i from n"
    })
    .await;
    throttle(&app, "ann").await;
    cleanup::remove_ended(&app.domain).await.unwrap();
    let left = app.count("select count(*) from login_attempts").await;
    assert!((501..=1000).contains(&left), "{left} are left");
    assert_eq!(fail(&app, "ann").await.0, 429, "what is hot stays");
    app.wait(HOUR * 25);
    assert_eq!(fail(&app, "ann").await.0, 403, "a day later it starts anew");
}

#[tokio::test]
async fn thr_09_no_number_of_tries_at_once_gets_past_the_limit() {
    let app = TestApp::new().await;
    app.signed_in("ann").await;
    let answers = join_all((0..32).map(|_| fail(&app, "ann"))).await;
    let hashed = answers.iter().filter(|(status, _)| *status == 403).count();
    assert_eq!(hashed, 5, "{answers:?}");
    assert!(answers.iter().all(|(status, _)| matches!(status, 403 | 429)), "{answers:?}");

    let from_one = (0..32).map(|n| async move { format!("user{n}") });
    let names = join_all(from_one).await;
    let tries =
        names.iter().map(|name| log_in(&app, (name, "a wrong password"), Some("192.0.2.7"), None));
    let hashed = join_all(tries).await.iter().filter(|answer| answer.status == 403).count();
    assert_eq!(hashed, 10);
}

#[tokio::test]
async fn thr_10_an_ipv6_network_is_one_client_and_a_mapped_address_the_ipv4_it_maps() {
    let app = TestApp::new().await;
    let try_from = async |n: usize, address: &str| {
        let name = format!("user{n}");
        log_in(&app, (&name, "a wrong password"), Some(address), None).await.status.as_u16()
    };
    for n in 0..10 {
        assert_eq!(try_from(n, &format!("2001:db8:1:2:{n:x}::{n:x}")).await, 403);
    }
    assert_eq!(try_from(10, "2001:db8:1:2:ffff::1").await, 429);
    assert_eq!(try_from(11, "2001:db8:1:3::1").await, 403);
    for n in 0..10 {
        assert_eq!(try_from(n + 20, "192.0.2.9").await, 403);
    }
    assert_eq!(try_from(30, "::ffff:192.0.2.9").await, 429);
}

#[tokio::test]
async fn xff_01_to_03_limits_count_the_client_behind_a_trusted_proxy() {
    let trusted_proxies = Some(CommaList::from("127.0.0.1"));
    let app = TestApp::with(Settings { trusted_proxies, ..Settings::default() }).await;
    let try_from = async |n: usize, peer: &str, forwarded_for: &str| {
        let body = json!({ "username": format!("user{n}"), "password": "a wrong password" });
        let login = request(Method::POST, "/login")
            .content_type("application/json")
            .header("x-forwarded-for", forwarded_for)
            .body(body.to_string());
        app.send(coming_from(peer, login)).await.status.as_u16()
    };
    for n in 0..10 {
        assert_eq!(try_from(n, "127.0.0.1", &format!("1.1.1.{n}, 203.0.113.5")).await, 403);
    }
    assert_eq!(try_from(10, "127.0.0.1", "1.1.1.99, 203.0.113.5").await, 429);
    for n in 0..10 {
        assert_eq!(try_from(n + 40, "127.0.0.1", "nonsense").await, 403);
    }
    assert_eq!(try_from(50, "127.0.0.1", "nonsense").await, 429, "what cannot be read counts, too");
    assert_eq!(try_from(11, "127.0.0.1", "203.0.113.6").await, 403);
    for n in 0..10 {
        assert_eq!(try_from(n + 20, "203.0.113.7", &format!("1.1.1.{n}")).await, 403);
    }
    assert_eq!(try_from(30, "203.0.113.7", "1.1.1.99").await, 429, "it is no proxy of ours");
}

#[tokio::test]
async fn enu_03_names_that_nobody_has_are_throttled_with_the_same_bytes_at_the_same_counts() {
    let app = TestApp::new().await;
    app.signed_in("ann").await;
    for _ in 0..12 {
        let known = log_in(&app, ("ann", "a wrong password"), None, None).await;
        let unknown = log_in(&app, ("nobody", "a wrong password"), None, None).await;
        assert_eq!(known.text, unknown.text);
        assert_eq!(answered(&known), answered(&unknown));
        if known.status == 429 {
            app.wait(SECOND);
        }
    }
}

#[tokio::test]
async fn the_current_password_of_a_stolen_session_is_guessed_five_times() {
    let app = TestApp::new().await;
    let stolen = app.signed_in("ann").await;
    let owner = app.signed_in_again("ann").await;
    let wrong = json!({ "current_password": "a wrong password" });
    for _ in 0..5 {
        assert_eq!(stolen.post("/session/confirm/password", &wrong).await.status, 403);
    }
    assert_eq!(answered(&stolen.post("/session/confirm/password", &wrong).await), (429, Some(1)));
    let change = |current: &str| {
        let body = json!({ "current_password": current, "new_password": "another long password" });
        request(Method::PUT, "/me/password").content_type("application/json").body(body.to_string())
    };
    assert_eq!(stolen.send(change(PASSWORD)).await.status, 429);
    assert_eq!(owner.send(change(PASSWORD)).await.status, 204, "the owner is not held up");
}

#[tokio::test]
async fn the_right_current_password_makes_failures_forgotten() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await;
    let change = |current: &str, new: &str| {
        let body = json!({ "current_password": current, "new_password": new });
        request(Method::PUT, "/me/password").content_type("application/json").body(body.to_string())
    };
    for _ in 0..2 {
        for _ in 0..4 {
            let wrong = change("a wrong password", "another long password");
            assert_eq!(ann.send(wrong).await.status, 403);
        }
        assert_eq!(
            ann.send(change(PASSWORD, "short")).await.status,
            422,
            "only the new one is bad"
        );
    }
}

#[tokio::test]
async fn enu_04_an_address_makes_ten_accounts_and_asks_for_ten_names_at_once() {
    let app = TestApp::new().await;
    app.signed_in("ann").await;
    let register = async |name: &str, address: &str| {
        let body = json!({ "username": name, "password": PASSWORD }).to_string();
        let register = request(Method::POST, "/register").content_type("application/json");
        app.send(coming_from(address, register.body(body))).await
    };
    for n in 0..5 {
        assert_eq!(register(&format!("user{n}"), "192.0.2.7").await.status, 201);
        assert_eq!(register("ann", "192.0.2.7").await.status, 409);
    }
    let refused = register("ann", "192.0.2.7").await;
    assert_eq!(answered(&refused), (429, Some(60)));
    assert_eq!(register("bob", "192.0.2.8").await.status, 201);
    app.wait(MINUTE);
    assert_eq!(register("carol", "192.0.2.7").await.status, 201);
}

#[tokio::test]
async fn the_page_says_how_long_to_wait_and_keeps_the_name() {
    let app = TestApp::new().await;
    throttle(&app, "ann").await;
    let form = [("username", "ann"), ("password", PASSWORD)];
    let answer = app.anonymous().submit("/login", &form).await;
    assert_eq!(answered(&answer), (429, Some(1)));
    assert!(answer.text.contains("Try again in a second."), "{}", answer.text);
    assert!(answer.text.contains("value=\"ann\""));
}

#[tokio::test]
async fn a_refusal_for_want_of_threads_is_no_failure() {
    let app = TestApp::new().await;
    app.signed_in("ann").await;
    let threads = BusyThreads::start(&app).await;
    let held = threads.leave_slots(&app, 4);
    // Each finds a free slot when it arrives, and is counted before it takes the slot.
    let names: Vec<String> = (0..12).map(|n| format!("user{n}")).collect();
    let crowd = join_all(names.iter().map(|name| log_in(&app, (name, "x"), None, None)));
    let release = async {
        app.hash_requests_arrive(12).await;
        drop(held);
        threads.release().await;
    };
    let answers = tokio::join!(crowd, release).0;
    let of = |status: u16| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((of(403), of(503)), (4, 8));
    let counted = app.count("select count(*) from login_attempts where failures > 0").await;
    assert_eq!(counted, 4 + 1, "and the registration");
}

#[tokio::test]
async fn who_finds_no_place_is_refused_before_anything_is_looked_up() {
    let app = TestApp::without_limits().await;
    let _all = fill_the_queue(&app);
    app.sql("alter table accounts rename to accounts_away").await;
    app.sql("alter table login_attempts rename to login_attempts_away").await;
    let answer = log_in(&app, ("ann", "x"), None, None).await;
    assert_eq!(answer.refusal(), (503, "overloaded".into()));
}

#[tokio::test]
async fn who_has_been_compared_and_waits_for_the_pace_takes_nobodys_place() {
    let app = TestApp::without_limits().await;
    let places = || fill_the_queue(&app);
    let all = places().len();
    let start = Instant::now();
    while start.elapsed() < Duration::from_mins(2) {
        app.sql("delete from login_attempts").await;
        app.domain.hasher.set_min_verify_time(HOUR); // until the hashes are calibrated
        let is_counted = async || app.count("select count(*) from login_attempts").await > 0;
        let left = app.eventually(async || is_counted().await && places().len() == all);
        tokio::select! {
            answer = log_in(&app, ("ann", "x"), None, None) => assert_eq!(answer.status, 403),
            left = left => return assert!(left, "the place is left"),
        }
    }
    panic!("it does not wait for the pace");
}

#[tokio::test]
async fn a_try_that_no_thread_has_time_for_costs_an_address_no_turn() {
    let app = TestApp::new().await;
    let address = Some("192.0.2.7");
    let threads = BusyThreads::start(&app).await;
    let tried = join_all(
        [("ann", "x"), ("bob", "x")].map(|credentials| log_in(&app, credentials, address, None)),
    );
    let release = async {
        app.hash_requests_arrive(2).await;
        // As many requests as there are slots, each with a separate share, and one more that takes
        // a slot from the larger share.
        let share = |n| Share::new(Some([198, 51, 100, n].into()), Some("carl"));
        let free = 64 - 2 - app.config.passwords.threads;
        let slots = (10..).take(free + 1).map(|n| app.domain.hasher.reserve_slot(&share(n)));
        let slots: Vec<_> = slots.map(Result::unwrap).collect();
        app.hash_requests_arrive(2).await;
        drop(slots);
        threads.release().await;
    };
    let answers = tokio::join!(tried, release).0;
    let mut statuses: Vec<_> = answers.iter().map(|answer| answer.status.as_u16()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [403, 503]);
    for n in 0..9 {
        let name = format!("user{n}");
        assert_eq!(log_in(&app, (&name, "x"), address, None).await.status, 403, "{n}");
    }
    assert_eq!(log_in(&app, ("another", "x"), address, None).await.status, 429);
}

#[test]
fn the_limits_are_the_documented_ones() {
    let limits = Limits::production();
    assert_eq!(limits.name.0.first(), Some(&(5, SECOND)));
    assert_eq!(limits.name.0.last(), Some(&(50, HOUR * 24)));
}
