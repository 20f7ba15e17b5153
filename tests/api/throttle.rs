//! Rate limits and backoff. The ids are those of the attack list.

use std::time::Duration;

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

use crate::house::{Answer, BusyThreads, House, PASSWORD, START, coming_from, request};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

/// A login, with an optional address and device cookie.
async fn log_in(
    house: &House,
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
    house.send(login).await
}

/// Takes every slot of the hashing queue, for a user without an address.
fn fill_the_queue(house: &House) -> Vec<HashSlot> {
    let share = Share::new(None, Some("ann"));
    std::iter::from_fn(|| house.domain.hasher.reserve_slot(&share).ok()).collect()
}

/// Fails to log in once. Returns the status and the value of `Retry-After`.
async fn fail(house: &House, username: &str) -> (u16, Option<u64>) {
    answered(&log_in(house, (username, "a wrong password"), None, None).await)
}

fn answered(answer: &Answer) -> (u16, Option<u64>) {
    let seconds = answer.header("retry-after").map(|seconds| seconds.parse().unwrap());
    (answer.status.as_u16(), seconds)
}

/// The device cookie of a successful login, as a client returns it.
async fn device_of(house: &House, username: &str) -> String {
    let answer = house.stranger().log_in(username, PASSWORD).await;
    answer.sets("device").unwrap().split_once(';').unwrap().0.to_owned()
}

/// Makes clients without a device cookie wait for at least a second.
async fn throttle(house: &House, username: &str) {
    for _ in 0..5 {
        assert_eq!(fail(house, username).await.0, 403);
    }
    assert_eq!(fail(house, username).await.0, 429);
}

#[tokio::test]
async fn thr_01_after_five_failures_one_waits_longer_each_time() {
    let house = House::new().await;
    house.signed_in("ann").await;
    for _ in 0..5 {
        assert_eq!(fail(&house, "ann").await, (403, None));
    }
    for seconds in [1, 2, 4, 8, 16, 900, 900] {
        assert_eq!(fail(&house, "ann").await, (429, Some(seconds)));
        house.wait(SECOND * u32::try_from(seconds - 1).unwrap());
        assert_eq!(fail(&house, "ann").await, (429, Some(1)), "a second early");
        house.wait(SECOND);
        assert_eq!(fail(&house, "ann").await, (403, None), "after {seconds} s");
    }
}

#[tokio::test]
async fn thr_01_a_good_sign_in_makes_failures_forgotten() {
    let house = House::new().await;
    house.signed_in("ann").await;
    for _ in 0..3 {
        for _ in 0..4 {
            assert_eq!(fail(&house, "ann").await.0, 403);
        }
        assert_eq!(house.stranger().log_in("ann", PASSWORD).await.status, 200);
    }
}

#[tokio::test]
async fn thr_01_failures_are_forgotten_after_a_day_and_not_before() {
    for (pause, next) in [(HOUR * 24, 429), (HOUR * 24 + Duration::from_millis(1), 403)] {
        let house = House::new().await;
        for _ in 0..5 {
            assert_eq!(fail(&house, "ann").await.0, 403);
        }
        house.wait(pause);
        assert_eq!(fail(&house, "ann").await.0, 403);
        assert_eq!(fail(&house, "ann").await.0, next, "after {pause:?}");
    }
}

#[tokio::test]
async fn thr_02_the_right_password_tells_nothing_while_throttled_and_is_not_hashed() {
    let house = House::new().await;
    house.signed_in("ann").await;
    throttle(&house, "ann").await;
    // Requests that hash a password would wait for a thread.
    let threads = BusyThreads::start(&house).await;
    let right = house.stranger().log_in("ann", PASSWORD).await;
    let wrong = house.stranger().log_in("ann", "a wrong password").await;
    assert_eq!(right.refusal(), (429, "too_many_attempts".into()));
    assert_eq!((right.text, right.status), (wrong.text, wrong.status));
    let another = house.stranger();
    let another = another.log_in("bob", "a wrong password");
    let release = async {
        house.hash_requests_arrive(1).await;
        threads.release().await;
    };
    assert_eq!(tokio::join!(another, release).0.status, 403, "one that is hashed waits");
}

#[tokio::test]
async fn thr_03_a_thousand_addresses_get_ten_tries_in_a_quarter_of_an_hour() {
    let house = House::new().await;
    house.signed_in("ann").await;
    let mut hashed = 0;
    for second in (0..900).step_by(5) {
        let address = format!("198.51.{}.{}", 100 + second / 256, second % 256);
        let answer = log_in(&house, ("ann", "a wrong password"), Some(&address), None).await;
        hashed += u32::from(answer.status == 403);
        house.wait(SECOND * 5);
    }
    assert_eq!(hashed, 10);
}

#[tokio::test]
async fn thr_04_a_hundred_failures_in_a_row_close_the_name_to_strangers_even_over_a_restart() {
    let mut house = House::new().await;
    house.signed_in("ann").await;
    let device = device_of(&house, "ann").await;
    let mut failures = 0;
    while failures < 100 {
        match fail(&house, "ann").await {
            (403, _) => failures += 1,
            (429, Some(seconds)) => house.wait(Duration::from_secs(seconds)),
            other => panic!("{other:?}"),
        }
        if failures == 50 {
            house.restarted().await;
        }
    }
    house.restarted().await;
    house.wait(HOUR * 23);
    assert_eq!(fail(&house, "ann").await, (429, Some(3600)));
    assert_eq!(house.stranger().log_in("ann", PASSWORD).await.status, 429);
    assert_eq!(log_in(&house, ("ann", PASSWORD), None, Some(&device)).await.status, 200);
    assert_eq!(house.stranger().log_in("ann", PASSWORD).await.status, 200, "its owner was there");
}

#[tokio::test]
async fn thr_05_a_known_device_signs_in_while_the_name_is_under_attack() {
    let house = House::new().await;
    house.signed_in("ann").await;
    let device = device_of(&house, "ann").await;
    for _ in 0..20 {
        throttle(&house, "ann").await;
        let known = log_in(&house, ("ann", PASSWORD), Some("192.0.2.7"), Some(&device)).await;
        assert_eq!(known.status, 200);
    }
    house.signed_in("bob").await;
    throttle(&house, "bob").await;
    let of_another = log_in(&house, ("bob", PASSWORD), None, Some(&device)).await;
    assert_eq!(of_another.status, 429, "ann's device is a stranger to bob's account");
}

#[tokio::test]
async fn thr_05_the_browser_that_registered_is_known() {
    let house = House::new().await;
    let body = json!({ "username": "ann", "password": PASSWORD });
    let registered = house.stranger().post("/register", &body).await;
    let device = registered.sets("device").unwrap().split_once(';').unwrap().0.to_owned();
    throttle(&house, "ann").await;
    assert_eq!(log_in(&house, ("ann", PASSWORD), None, Some(&device)).await.status, 200);
}

#[tokio::test]
async fn thr_06_a_stolen_device_gets_ten_tries_and_is_a_stranger_then() {
    let house = House::new().await;
    house.signed_in("ann").await;
    let stolen = device_of(&house, "ann").await;
    let other = device_of(&house, "ann").await;
    let wrong = ("ann", "a wrong password");
    for _ in 0..10 {
        assert_eq!(log_in(&house, wrong, None, Some(&stolen)).await.status, 403);
    }
    for _ in 0..5 {
        assert_eq!(log_in(&house, wrong, None, Some(&stolen)).await.status, 403);
    }
    assert_eq!(log_in(&house, wrong, None, Some(&stolen)).await.status, 429);
    assert_eq!(log_in(&house, ("ann", PASSWORD), None, Some(&other)).await.status, 200);
    house.wait(HOUR * 24 * 60);
    cleanup::remove_ended(&house.domain).await.unwrap();
    throttle(&house, "ann").await;
    assert_eq!(log_in(&house, wrong, None, Some(&stolen)).await.status, 429, "two months later");
}

#[tokio::test]
async fn thr_06_a_device_stays_the_same_one_when_its_owner_signs_in_again() {
    let house = House::new().await;
    house.signed_in("ann").await;
    let stolen = device_of(&house, "ann").await;
    let again = log_in(&house, ("ann", PASSWORD), None, Some(&stolen)).await;
    let renewed = again.sets("device").unwrap().split_once(';').unwrap().0.to_owned();
    for _ in 0..10 {
        let failed = log_in(&house, ("ann", "a wrong password"), None, Some(&stolen)).await;
        assert_eq!(failed.status, 403);
    }
    throttle(&house, "ann").await;
    assert_eq!(log_in(&house, ("ann", PASSWORD), None, Some(&renewed)).await.status, 429);
}

#[tokio::test]
async fn thr_06_a_device_is_forgotten_after_ninety_days() {
    let house = House::new().await;
    house.signed_in("ann").await;
    let device = device_of(&house, "ann").await;
    house.wait(HOUR * 24 * 90);
    throttle(&house, "ann").await;
    assert_eq!(log_in(&house, ("ann", PASSWORD), None, Some(&device)).await.status, 429);
}

#[tokio::test]
async fn thr_06_whoever_collected_devices_gets_twenty_tries_with_all_of_them() {
    let house = House::new().await;
    house.signed_in("ann").await;
    let mut collected = Vec::new();
    for _ in 0..10 {
        collected.push(device_of(&house, "ann").await);
    }
    let mut hashed = 0;
    for device in collected.iter().cycle().take(100) {
        let answer = log_in(&house, ("ann", "a wrong password"), None, Some(device)).await;
        hashed += u32::from(answer.status == 403);
    }
    assert_eq!(hashed, 25, "twenty as a device, five as anybody");
}

#[tokio::test]
async fn thr_06_a_new_password_ends_what_devices_are_known_and_makes_this_one_known() {
    let house = House::new().await;
    let ann = house.signed_in("ann").await;
    let old = device_of(&house, "ann").await;
    let new = "another long password";
    let body = json!({ "current_password": PASSWORD, "new_password": new }).to_string();
    let change = request(Method::PUT, "/me/password").content_type("application/json").body(body);
    let changed = ann.send(change).await;
    let device = changed.sets("device").unwrap().split_once(';').unwrap().0.to_owned();
    throttle(&house, "ann").await;
    assert_eq!(log_in(&house, ("ann", new), None, Some(&old)).await.status, 429);
    assert_eq!(log_in(&house, ("ann", new), None, Some(&device)).await.status, 200);
}

#[tokio::test]
async fn thr_05_a_planted_device_cookie_hides_no_real_one() {
    let house = House::new().await;
    house.signed_in("ann").await;
    let device = device_of(&house, "ann").await;
    throttle(&house, "ann").await;
    let both = format!("device=planted; {device}; device=another");
    assert_eq!(log_in(&house, ("ann", PASSWORD), None, Some(&both)).await.status, 200);
}

#[tokio::test]
async fn thr_04_the_operator_lifts_the_wait() {
    let house = House::new().await;
    house.signed_in("ann").await;
    let ann = Username::parse("ann").unwrap();
    throttle(&house, "ann").await;
    house.domain.enable(&ann).await.unwrap();
    assert_eq!(fail(&house, "ann").await.0, 403);
    for _ in 0..4 {
        fail(&house, "ann").await;
    }
    assert_eq!(fail(&house, "ann").await.0, 429);
    let typed = Password::new("another long password".to_owned());
    let password = house.domain.rules.passwords.check(&typed, Some(&ann)).unwrap();
    house.domain.reset_password(&ann, password).await.unwrap();
    assert_eq!(house.stranger().log_in("ann", "another long password").await.status, 200);
}

#[tokio::test]
async fn sta_05_a_clock_that_was_ahead_closes_nothing() {
    let house = House::new().await;
    house.signed_in("ann").await;
    house.clock.set(START.plus(HOUR * 24 * 3650));
    throttle(&house, "ann").await;
    let register = async |name: &str| {
        let body = json!({ "username": name, "password": PASSWORD }).to_string();
        let register = request(Method::POST, "/register").content_type("application/json");
        house.send(coming_from("192.0.2.7", register.body(body))).await.status.as_u16()
    };
    for n in 0..10 {
        assert_eq!(register(&format!("user{n}")).await, 201);
    }
    assert_eq!(register("late").await, 429);
    house.clock.set(START);
    assert_eq!(register("late").await, 201);
    assert_eq!(fail(&house, "ann").await.0, 403);
    assert_eq!(fail(&house, "ann").await.0, 429, "the failures count, the wait starts anew");
    house.wait(SECOND * 2);
    assert_eq!(house.stranger().log_in("ann", PASSWORD).await.status, 200);
}

#[tokio::test]
async fn thr_07_an_address_fails_at_most_twenty_times_in_ten_minutes_at_whatever_names() {
    let house = House::new().await;
    house.signed_in("ann").await;
    let mut hashed = Vec::new();
    for second in (0..1200).step_by(5) {
        let name = format!("user{second}");
        let answer = log_in(&house, (&name, "Winter2026Winter2026"), Some("192.0.2.7"), None).await;
        if answer.status == 403 {
            hashed.push(second);
        }
        house.wait(SECOND * 5);
    }
    for second in 0..1200 {
        let within = |at: &&i32| (second..second + 600).contains(*at);
        assert!(hashed.iter().filter(within).count() <= 20, "from second {second} on");
    }
    assert!(hashed.len() > 20, "time heals");
    let elsewhere = log_in(&house, ("ann", PASSWORD), Some("192.0.2.8"), None).await;
    assert_eq!(elsewhere.status, 200);
}

#[tokio::test]
async fn thr_07_good_sign_ins_from_one_address_cost_it_nothing() {
    let house = House::new().await;
    house.signed_in("ann").await;
    for _ in 0..30 {
        assert_eq!(log_in(&house, ("ann", PASSWORD), Some("192.0.2.7"), None).await.status, 200);
    }
}

#[tokio::test]
async fn thr_08_ever_new_names_leave_a_bounded_table_and_the_hot_ones_in_it() {
    let house = House::limited(Limits { keys: 1000, ..Limits::production() }).await;
    house.signed_in("ann").await;
    house
        .sql(if house.is_on_postgres() {
            "insert into attempts (key, failures, free_at, last_at)
             select uuid_send(gen_random_uuid()), 1, 0, 1767225600000 - 60000 + i
             from generate_series(1, 5000) i"
        } else {
            "insert into attempts (key, failures, free_at, last_at)
             with recursive n(i) as (select 1 union all select i + 1 from n where i < 5000)
             select randomblob(16), 1, 0, 1767225600000 - 60000 + i from n"
        })
        .await;
    throttle(&house, "ann").await;
    cleanup::remove_ended(&house.domain).await.unwrap();
    let left = house.count("select count(*) from attempts").await;
    assert!((501..=1000).contains(&left), "{left} are left");
    assert_eq!(fail(&house, "ann").await.0, 429, "what is hot stays");
    house.wait(HOUR * 25);
    assert_eq!(fail(&house, "ann").await.0, 403, "a day later it starts anew");
}

#[tokio::test]
async fn thr_09_no_number_of_tries_at_once_gets_past_the_limit() {
    let house = House::new().await;
    house.signed_in("ann").await;
    let answers = join_all((0..32).map(|_| fail(&house, "ann"))).await;
    let hashed = answers.iter().filter(|(status, _)| *status == 403).count();
    assert_eq!(hashed, 5, "{answers:?}");
    assert!(answers.iter().all(|(status, _)| matches!(status, 403 | 429)), "{answers:?}");

    let from_one = (0..32).map(|n| async move { format!("user{n}") });
    let names = join_all(from_one).await;
    let tries = names
        .iter()
        .map(|name| log_in(&house, (name, "a wrong password"), Some("192.0.2.7"), None));
    let hashed = join_all(tries).await.iter().filter(|answer| answer.status == 403).count();
    assert_eq!(hashed, 10);
}

#[tokio::test]
async fn thr_10_an_ipv6_network_is_one_client_and_a_mapped_address_the_ipv4_it_maps() {
    let house = House::new().await;
    let try_from = async |n: usize, address: &str| {
        let name = format!("user{n}");
        log_in(&house, (&name, "a wrong password"), Some(address), None).await.status.as_u16()
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
    let house = House::with(Settings { trusted_proxies, ..Settings::default() }).await;
    let try_from = async |n: usize, peer: &str, forwarded_for: &str| {
        let body = json!({ "username": format!("user{n}"), "password": "a wrong password" });
        let login = request(Method::POST, "/login")
            .content_type("application/json")
            .header("x-forwarded-for", forwarded_for)
            .body(body.to_string());
        house.send(coming_from(peer, login)).await.status.as_u16()
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
    let house = House::new().await;
    house.signed_in("ann").await;
    for _ in 0..12 {
        let known = log_in(&house, ("ann", "a wrong password"), None, None).await;
        let unknown = log_in(&house, ("nobody", "a wrong password"), None, None).await;
        assert_eq!(known.text, unknown.text);
        assert_eq!(answered(&known), answered(&unknown));
        if known.status == 429 {
            house.wait(SECOND);
        }
    }
}

#[tokio::test]
async fn the_current_password_of_a_stolen_session_is_guessed_five_times() {
    let house = House::new().await;
    let stolen = house.signed_in("ann").await;
    let owner = house.signed_in_again("ann").await;
    let wrong = json!({ "current_password": "a wrong password" });
    for _ in 0..5 {
        assert_eq!(stolen.post("/me/close", &wrong).await.status, 403);
    }
    assert_eq!(answered(&stolen.post("/me/close", &wrong).await), (429, Some(1)));
    let change = |current: &str| {
        let body = json!({ "current_password": current, "new_password": "another long password" });
        request(Method::PUT, "/me/password").content_type("application/json").body(body.to_string())
    };
    assert_eq!(stolen.send(change(PASSWORD)).await.status, 429);
    assert_eq!(owner.send(change(PASSWORD)).await.status, 204, "the owner is not held up");
}

#[tokio::test]
async fn the_right_current_password_makes_failures_forgotten() {
    let house = House::new().await;
    let ann = house.signed_in("ann").await;
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
    let house = House::new().await;
    house.signed_in("ann").await;
    let register = async |name: &str, address: &str| {
        let body = json!({ "username": name, "password": PASSWORD }).to_string();
        let register = request(Method::POST, "/register").content_type("application/json");
        house.send(coming_from(address, register.body(body))).await
    };
    for n in 0..5 {
        assert_eq!(register(&format!("user{n}"), "192.0.2.7").await.status, 201);
        assert_eq!(register("ann", "192.0.2.7").await.status, 409);
    }
    let refused = register("ann", "192.0.2.7").await;
    assert_eq!(answered(&refused), (429, Some(60)));
    assert_eq!(register("bob", "192.0.2.8").await.status, 201);
    house.wait(MINUTE);
    assert_eq!(register("carol", "192.0.2.7").await.status, 201);
}

#[tokio::test]
async fn the_page_says_how_long_to_wait_and_keeps_the_name() {
    let house = House::new().await;
    throttle(&house, "ann").await;
    let form = [("username", "ann"), ("password", PASSWORD)];
    let answer = house.stranger().submit("/login", &form).await;
    assert_eq!(answered(&answer), (429, Some(1)));
    assert!(answer.text.contains("Try again in a second."), "{}", answer.text);
    assert!(answer.text.contains("value=\"ann\""));
}

#[tokio::test]
async fn a_refusal_for_want_of_threads_is_no_failure() {
    let house = House::new().await;
    house.signed_in("ann").await;
    let threads = BusyThreads::start(&house).await;
    let held = threads.leave_slots(&house, 4);
    // Each finds a free slot when it arrives, and is counted before it takes the slot.
    let names: Vec<String> = (0..12).map(|n| format!("user{n}")).collect();
    let crowd = join_all(names.iter().map(|name| log_in(&house, (name, "x"), None, None)));
    let release = async {
        house.hash_requests_arrive(12).await;
        drop(held);
        threads.release().await;
    };
    let answers = tokio::join!(crowd, release).0;
    let of = |status: u16| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((of(403), of(503)), (4, 8));
    let counted = house.count("select count(*) from attempts where failures > 0").await;
    assert_eq!(counted, 4 + 1, "and the registration");
}

#[tokio::test]
async fn who_finds_no_place_is_refused_before_anything_is_looked_up() {
    let house = House::without_limits().await;
    let _all = fill_the_queue(&house);
    house.sql("alter table accounts rename to accounts_away").await;
    house.sql("alter table attempts rename to attempts_away").await;
    let answer = log_in(&house, ("ann", "x"), None, None).await;
    assert_eq!(answer.refusal(), (503, "overloaded".into()));
}

#[tokio::test]
async fn who_has_been_compared_and_waits_for_the_pace_takes_nobodys_place() {
    let house = House::without_limits().await;
    let places = || fill_the_queue(&house);
    let all = places().len();
    for _ in 0..5 {
        house.sql("delete from attempts").await;
        house.domain.hasher.set_min_verify_time(HOUR); // until the hashes are calibrated
        let is_counted = async || house.count("select count(*) from attempts").await > 0;
        let left = house.eventually(async || is_counted().await && places().len() == all);
        tokio::select! {
            answer = log_in(&house, ("ann", "x"), None, None) => assert_eq!(answer.status, 403),
            left = left => return assert!(left, "the place is left"),
        }
    }
    panic!("it does not wait for the pace");
}

#[tokio::test]
async fn a_try_that_no_thread_has_time_for_costs_an_address_no_turn() {
    let house = House::new().await;
    let address = Some("192.0.2.7");
    let threads = BusyThreads::start(&house).await;
    let tried = join_all(
        [("ann", "x"), ("bob", "x")].map(|credentials| log_in(&house, credentials, address, None)),
    );
    let release = async {
        house.hash_requests_arrive(2).await;
        // As many requests as there are slots, each with a separate share, and one more that takes
        // a slot from the larger share.
        let share = |n| Share::new(Some([198, 51, 100, n].into()), Some("carl"));
        let free = 64 - 2 - house.config.passwords.threads;
        let slots = (10..).take(free + 1).map(|n| house.domain.hasher.reserve_slot(&share(n)));
        let slots: Vec<_> = slots.map(Result::unwrap).collect();
        house.hash_requests_arrive(2).await;
        drop(slots);
        threads.release().await;
    };
    let answers = tokio::join!(tried, release).0;
    let mut statuses: Vec<_> = answers.iter().map(|answer| answer.status.as_u16()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [403, 503]);
    for n in 0..9 {
        let name = format!("user{n}");
        assert_eq!(log_in(&house, (&name, "x"), address, None).await.status, 403, "{n}");
    }
    assert_eq!(log_in(&house, ("another", "x"), address, None).await.status, 429);
}

#[test]
fn the_limits_are_the_documented_ones() {
    let limits = Limits::production();
    assert_eq!(limits.name.0.first(), Some(&(5, SECOND)));
    assert_eq!(limits.name.0.last(), Some(&(100, HOUR * 24)));
}
