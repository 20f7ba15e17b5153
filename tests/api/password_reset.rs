//! Forgotten passwords: a link from a mail, or from an operator, sets a new password.

use std::fs;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use cloakroom::config::Settings;
use cloakroom::core::clock::{hours, mins};
use cloakroom::core::usernames::Username;
use cloakroom::domain::jobs::cleanup::remove_ended;
use cloakroom::domain::mail::kind::MailKind;
use cloakroom::domain::mail::outbox::Round;
use cloakroom::domain::passwords::queue::Share;
use cloakroom::domain::reset_links::CreateLinkError;
use cloakroom::domain::throttle::limits::{Gcra, Limits};
use futures_util::future::join_all;
use poem::Request;
use poem::http::{Method, header};
use serde_json::json;

use crate::app::{Answer, CHEAP, PASSWORD, TestApp, coming_from, request};
use crate::email::{all_sent, app_with_mail, limited_app_with_mail, mails_to, set_address};

const ADDRESS: &str = "ann@example.org";
pub const NEW: &str = "a long walk by the river";
/// A token that no service has made.
const UNKNOWN: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
/// Settings with a mail server that does not exist.
const UNREACHABLE: &str = "mail.server = 'smtp://127.0.0.1:9'";
const LINK: &str = "/password-reset/confirm?token=";

fn request_for(name: &str) -> Request {
    let body = json!({ "username": name }).to_string();
    request(Method::POST, "/password-reset").content_type("application/json").body(body)
}

/// Requests a link, and lets the worker look for mail at once.
async fn request_link(app: &TestApp, name: &str) {
    let answer = app.send(request_for(name)).await;
    assert_eq!((answer.status.as_u16(), &*answer.text), (202, ""));
    app.domain.outbox.wake();
    all_sent(app).await;
}

/// The tokens that were mailed to an address, in any order.
pub fn mailed_tokens(app: &TestApp, address: &str) -> Vec<String> {
    let mails = mails_to(app, address);
    let tokens = mails.iter().filter_map(|mail| Some(mail.split_once(LINK)?.1));
    tokens.map(|rest| rest.split_once("\r\n").unwrap().0.to_owned()).collect()
}

/// Requests a link by mail, and returns its token.
pub async fn mailed_token(app: &TestApp, name: &str, address: &str) -> String {
    let before = mailed_tokens(app, address);
    request_link(app, name).await;
    let mut after = mailed_tokens(app, address);
    after.retain(|token| !before.contains(token));
    assert_eq!(after.len(), 1, "{name} got {} links", after.len());
    after.remove(0)
}

/// A token that an operator hands over.
pub async fn created_token(app: &TestApp, username: &str) -> String {
    let username = Username::parse(username).unwrap();
    let link = app.domain.reset_links.create(&username).await.unwrap();
    link.token.expose().to_string()
}

async fn reset(app: &TestApp, token: &str, password: &str) -> Answer {
    let body = json!({ "token": token, "new_password": password });
    app.anonymous().post("/password-reset/confirm", &body).await
}

/// Follows a link like a browser.
async fn follow(app: &TestApp, token: &str) -> Answer {
    let page = request(Method::GET, &format!("{LINK}{token}"));
    app.send(page.header(header::ACCEPT, "text/html,*/*;q=0.8").finish()).await
}

async fn is_refused(app: &TestApp, token: &str) {
    let answer = reset(app, token, NEW).await;
    assert_eq!(answer.refusal(), (403, "reset_refused".to_owned()));
    let page = follow(app, token).await;
    assert_eq!(page.status, 403);
    assert!(page.text.contains("<h1>Link refused</h1>"), "{}", page.text);
    let program = app.anonymous().get(&format!("{LINK}{token}")).await;
    assert_eq!(program.refusal(), (403, "reset_refused".to_owned()));
}

/// An app with the user ann, who has confirmed an address.
async fn app_with_ann(limits: Limits) -> TestApp {
    let app = limited_app_with_mail(limits).await;
    let ann = app.signed_in("ann").await;
    set_address(&app, &ann, ADDRESS).await;
    app
}

async fn events(app: &TestApp, count: &'static str) -> i64 {
    app.domain.audit.write(&app.domain.store, app.clock.now()).await.unwrap();
    app.count(count).await
}

#[tokio::test]
async fn a_link_from_a_mail_sets_a_new_password_once_and_signs_nobody_in() {
    let app = app_with_ann(Limits::production()).await;
    let mails = mails_to(&app, ADDRESS).len();
    let token = mailed_token(&app, " ANN ", ADDRESS).await;
    let mail = mails_to(&app, ADDRESS).into_iter().find(|mail| mail.contains(LINK)).unwrap();
    assert!(
        mail.contains("\r\n\r\nann\r\n\r\n") && mail.contains("works once, and for 30 minutes")
    );
    assert!(mail.contains("Auto-Submitted: auto-generated"), "{mail}");
    let answer = reset(&app, &token, NEW).await;
    assert_eq!((answer.status.as_u16(), answer.headers.get("set-cookie")), (204, None));
    is_refused(&app, &token).await;
    assert_eq!(app.anonymous().log_in("ann", PASSWORD).await.status, 403);
    assert_eq!(app.anonymous().log_in("ann", NEW).await.status, 200);
    all_sent(&app).await;
    let mut told = mails_to(&app, ADDRESS);
    told.retain(|mail| !mail.contains("Somebody signed in"));
    assert_eq!(told.len(), mails + 2, "a link, and a notice");
    let notice = told.iter().find(|mail| mail.contains("A new password was set")).unwrap();
    assert!(notice.contains("\r\nann\r\n") && !notice.contains(LINK), "{notice}");
    for (event, count) in [
        ("select count(*) from events where event = 'reset_requested' and account_id is null", 1),
        ("select count(*) from events where event = 'reset_refused'", 1),
        (
            "select count(*) from events where event = 'password_recovered' and account_id is not null",
            1,
        ),
    ] {
        assert_eq!(events(&app, event).await, count, "{event}");
    }
    let metrics = app.metrics().await;
    for line in [
        "cloakroom_password_recoveries_total{outcome=\"succeeded\"} 1\n",
        "cloakroom_password_recoveries_total{outcome=\"refused\"} 1\n",
        "cloakroom_mails_total{kind=\"reset_password\",outcome=\"sent\"} 1\n",
        "cloakroom_mails_total{kind=\"password_recovered\",outcome=\"sent\"} 1\n",
    ] {
        assert!(metrics.contains(line), "{line} is not in {metrics}");
    }
}

#[tokio::test]
async fn a_user_name_and_a_confirmed_address_get_a_link_and_no_other_name_does() {
    let app = app_with_ann(Limits::none()).await;
    let bob = app.signed_in("bob").await;
    let answer = bob.put("/me/email", &json!({ "email": "bob@example.org" })).await;
    assert_eq!(answer.status, 202);
    all_sent(&app).await;
    for (name, address) in [("ann", ADDRESS), ("ANN@example.org", ADDRESS)] {
        mailed_token(&app, name, address).await;
    }
    for name in ["bob", "bob@example.org", "nobody", "nobody@example.org", "a b", "@", "Ａ", "-"] {
        request_link(&app, name).await;
    }
    assert_eq!(mailed_tokens(&app, "bob@example.org").len(), 0, "it is not confirmed");
    assert_eq!(mails_to(&app, "nobody@example.org").len(), 0);
    app.domain.disable(&Username::parse("ann").unwrap()).await.unwrap();
    request_link(&app, "ann").await;
    assert_eq!(mailed_tokens(&app, ADDRESS).len(), 2);
    for (wrong, code) in [(String::new(), "too_short"), ("x".repeat(257), "too_long")] {
        let answer = app.send(request_for(&wrong)).await;
        assert_eq!(answer.status, 400);
        assert_eq!(answer.errors(), [("username".to_owned(), code.to_owned())]);
    }
}

#[tokio::test]
async fn a_text_that_is_no_name_is_not_written_to_the_outbox() {
    let app = app_with_mail().await;
    for text in ["my secret password!", "ann＠example.org"] {
        assert_eq!(app.send(request_for(text)).await.status, 202);
    }
    let stored = "select count(*) from mails where recipient <> ''";
    assert_eq!(app.count(stored).await, 0);
    if !app.is_on_postgres() {
        let log = fs::read(app.data("cloakroom.db-wal")).unwrap();
        assert!(!log.windows(9).any(|bytes| bytes == b"my secret"));
    }
}

/// The probability that a time of the first list is longer than one of the second.
fn area_under_curve(first: &[Duration], second: &[Duration]) -> f64 {
    let mut wins = 0.0;
    for one in first {
        for other in second {
            wins += match one.cmp(other) {
                std::cmp::Ordering::Less => 0.0,
                std::cmp::Ordering::Equal => 0.5,
                std::cmp::Ordering::Greater => 1.0,
            };
        }
    }
    let pairs = u32::try_from(first.len() * second.len()).unwrap();
    wins / f64::from(pairs)
}

/// Times requests for four names from many addresses, in turns. Returns the times of each name.
async fn time_requests(app: &TestApp, round: u32) -> [Vec<Duration>; 4] {
    let mut times: [Vec<Duration>; 4] = Default::default();
    let mut expected = None;
    for n in 0..400_u32 {
        for step in 0..4 {
            let kind = usize::try_from((n * 7 + step) % 4).unwrap(); // another one begins each time
            let name = ["ann", "nobody", "dora", "bob"][kind];
            let address = Ipv4Addr::from_bits(0xc633_0000 + (round * 400 + n) * 4 + step);
            let request = coming_from(&address.to_string(), request_for(name));
            let begun = Instant::now();
            let answer = app.send(request).await;
            times[kind].push(begun.elapsed());
            assert_eq!((answer.status.as_u16(), &*answer.text), (202, ""), "{name}");
            let mut headers = answer.headers;
            headers.remove("x-request-id").unwrap();
            assert_eq!(*expected.get_or_insert_with(|| headers.clone()), headers, "{name}");
        }
    }
    times
}

/// Compares the times of a known name with those of the others.
async fn compare_times(settings: &str) {
    let limits = Limits { mailbox: Limits::production().mailbox, ..Limits::none() };
    let app = TestApp::build(Settings::from_toml(settings).unwrap(), CHEAP, limits).await;
    for name in ["ann", "bob", "dora"] {
        app.signed_in(name).await;
    }
    app.sql(
        "update accounts set email = username || '@example.org',
                             email_key = username || '@example.org' where username <> 'bob'",
    )
    .await;
    app.sql("update accounts set unconfirmed_email = 'bob@example.org' where username = 'bob'")
        .await;
    app.domain.disable(&Username::parse("dora").unwrap()).await.unwrap();
    let mut rounds = Vec::new();
    // A loaded machine disturbs a round. A difference between the names shows in each.
    for round in 0..4 {
        let [known, rest @ ..] = time_requests(&app, round).await;
        let areas = rest.map(|other| area_under_curve(&known, &other));
        if areas.iter().all(|area| (area - 0.5).abs() <= 0.05) {
            return;
        }
        rounds.push(areas);
    }
    panic!("the times differ with {settings}: {rounds:?}");
}

#[tokio::test]
async fn mail_01_the_response_and_its_time_are_the_same_for_every_name() {
    compare_times("mail.server = 'file'").await;
}

#[tokio::test]
async fn mail_01_they_are_the_same_while_the_mail_server_cannot_be_reached() {
    compare_times(UNREACHABLE).await;
}

#[tokio::test]
async fn mail_02_a_link_begins_with_the_public_url_whatever_the_request_says() {
    let app = app_with_ann(Limits::production()).await;
    let mut foreign = request_for("ann");
    foreign.headers_mut().insert(header::HOST, "evil.example".parse().unwrap());
    assert_eq!(app.send(foreign).await.refusal(), (421, "unknown_host".to_owned()));
    let mut forwarded = request_for("ann");
    for (name, value) in [
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-server", "evil.example"),
        ("x-original-host", "evil.example"),
        ("forwarded", "host=evil.example;proto=https"),
        ("user-agent", "http://evil.example/ (Linux)"),
    ] {
        forwarded.headers_mut().insert(name, value.parse().unwrap());
    }
    assert_eq!(app.send(forwarded).await.status, 202);
    app.domain.outbox.wake();
    all_sent(&app).await;
    let mails = mails_to(&app, ADDRESS);
    let links: Vec<_> = mails.iter().filter(|mail| mail.contains(LINK)).collect();
    assert_eq!(links.len(), 1);
    assert!(links[0].contains(&format!("\r\nhttp://127.0.0.1:8000{LINK}")), "{}", links[0]);
    assert!(!links[0].contains("evil"), "{}", links[0]);
}

#[tokio::test]
async fn mail_03_following_the_link_does_not_use_it_up() {
    let app = app_with_ann(Limits::production()).await;
    let token = mailed_token(&app, "ann", ADDRESS).await;
    for _ in 0..50 {
        for method in [Method::GET, Method::HEAD] {
            let follow = request(method, &format!("{LINK}{token}")).finish();
            assert_eq!(app.send(follow).await.status, 200);
        }
    }
    assert_eq!(reset(&app, &token, NEW).await.status, 204);
    is_refused(&app, &token).await;
}

#[tokio::test]
async fn mail_04_of_two_requests_with_one_link_one_succeeds() {
    let app = TestApp::without_limits().await;
    app.signed_in("ann").await;
    let there = app.second_node().await;
    for n in 0..500 {
        let token = created_token(&app, "ann").await;
        let (first, second) = (format!("{NEW} {n}"), format!("{NEW}, {n}"));
        let both = join_all([reset(&app, &token, &first), reset(&there, &token, &second)]).await;
        let mut statuses: Vec<_> = both.iter().map(|answer| answer.status.as_u16()).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [204, 403], "{}, {}", both[0].text, both[1].text);
        let kept = if both[0].status == 204 { first } else { second };
        assert_eq!(app.anonymous().log_in("ann", &kept).await.status, 200);
    }
}

#[tokio::test]
async fn mail_05_a_link_ends_with_a_change_of_the_account_and_after_half_an_hour() {
    let app = app_with_ann(Limits::none()).await;
    let ann = app.signed_in_again("ann").await;
    let token = mailed_token(&app, "ann", ADDRESS).await;
    let change = json!({ "current_password": PASSWORD, "new_password": NEW });
    assert_eq!(ann.put("/me/password", &change).await.status, 204);
    is_refused(&app, &token).await;

    let token = mailed_token(&app, "ann", ADDRESS).await;
    let username = Username::parse("ann").unwrap();
    app.domain.disable(&username).await.unwrap();
    is_refused(&app, &token).await;
    app.domain.enable(&username).await.unwrap();
    is_refused(&app, &token).await;

    let token = mailed_token(&app, "ann", ADDRESS).await;
    let ann = app.anonymous();
    assert_eq!(ann.log_in("ann", NEW).await.status, 200);
    set_address(&app, &ann, "ann@example.com").await;
    is_refused(&app, &token).await;

    let just_before = mins(30).saturating_sub(Duration::from_millis(1));
    for (age, status) in [(mins(30), 403), (just_before, 204)] {
        let token = mailed_token(&app, "ann", "ann@example.com").await;
        app.wait(age);
        assert_eq!(reset(&app, &token, "another walk by the sea").await.status, status);
    }
}

#[tokio::test]
async fn mail_07_sessions_known_browsers_and_api_tokens_end_with_a_reset() {
    let app = app_with_ann(Limits::production()).await;
    let there = app.second_node().await;
    let ann = app.signed_in_again("ann").await;
    let created = ann.post("/api-tokens", &json!({ "name": "x" })).await.json();
    let api_token = format!("Bearer {}", created["token"].as_str().unwrap());
    let login = app.anonymous().log_in("ann", PASSWORD).await;
    let device = login.sets("device").unwrap().split(';').next().unwrap().to_owned();
    let session = ann.cookie().unwrap();
    let status = async |node: &TestApp, name: &str, value: &str| {
        let me = request(Method::GET, "/me").header(name, value).finish();
        node.send(me).await.status.as_u16()
    };
    for node in [&app, &there] {
        assert_eq!(status(node, "cookie", &session).await, 200);
        assert_eq!(status(node, "authorization", &api_token).await, 200);
    }
    let other = mailed_token(&app, "ann", ADDRESS).await;
    let token = mailed_token(&app, "ann", ADDRESS).await;
    assert_eq!(reset(&app, &token, NEW).await.status, 204);
    assert_eq!(status(&app, "cookie", &session).await, 403);
    assert_eq!(status(&app, "authorization", &api_token).await, 401);
    let ends_there = async || {
        let session = status(&there, "cookie", &session).await;
        (session, status(&there, "authorization", &api_token).await) == (403, 401)
    };
    let begun = Instant::now();
    assert!(app.eventually(ends_there).await);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    is_refused(&app, &other).await;
    assert_eq!(app.count("select count(*) from proofs").await, 0);
    assert_eq!(app.count("select count(*) from api_tokens").await, 0);
    // The browser has to pass the limits of unknown clients.
    for _ in 0..5 {
        app.anonymous().log_in("ann", "wrong").await;
    }
    let body = json!({ "username": "ann", "password": NEW }).to_string();
    let again = request(Method::POST, "/login").content_type("application/json");
    let again = again.header(header::COOKIE, device).body(body);
    assert_eq!(app.send(again).await.status, 429);
}

#[tokio::test]
async fn mail_12_a_former_address_gets_links_until_the_new_one_is_confirmed_and_not_after() {
    let app = app_with_ann(Limits::none()).await;
    let ann = app.signed_in_again("ann").await;
    assert_eq!(ann.put("/me/email", &json!({ "email": "new@example.org" })).await.status, 202);
    mailed_token(&app, "ann", ADDRESS).await;
    request_link(&app, "new@example.org").await;
    assert_eq!(mailed_tokens(&app, "new@example.org").len(), 0);
    set_address(&app, &ann, "new@example.org").await;
    mailed_token(&app, "ann", "new@example.org").await;
    request_link(&app, ADDRESS).await;
    assert_eq!(mailed_tokens(&app, ADDRESS).len(), 1);
}

#[tokio::test]
async fn mail_13_a_mailbox_gets_three_links_and_then_one_an_hour_and_no_response_tells() {
    let limits = Limits { mailbox: Limits::production().mailbox, ..Limits::none() };
    let app = app_with_ann(limits).await;
    for n in 0..1000 {
        let name = if n % 2 == 0 { "ann" } else { "Ann@example.org" };
        let answer = app.send(request_for(name)).await;
        assert_eq!((answer.status.as_u16(), &*answer.text), (202, ""));
    }
    app.domain.outbox.wake();
    all_sent(&app).await;
    assert_eq!(mailed_tokens(&app, ADDRESS).len(), 3);
    app.wait(mins(59));
    request_link(&app, "ann").await;
    assert_eq!(mailed_tokens(&app, ADDRESS).len(), 3);
    app.wait(mins(1));
    request_link(&app, "ann").await;
    request_link(&app, "ann").await;
    assert_eq!(mailed_tokens(&app, ADDRESS).len(), 4);
    // A code for another address is another kind of mail.
    let ann = app.signed_in_again("ann").await;
    set_address(&app, &ann, "ann@example.com").await;
}

#[tokio::test]
async fn mail_16_the_database_does_not_contain_a_token_that_was_mailed_or_created() {
    let app = app_with_ann(Limits::production()).await;
    let tokens = [mailed_token(&app, "ann", ADDRESS).await, created_token(&app, "ann").await];
    assert_eq!(app.count("select count(*) from proofs where purpose = 'reset_password'").await, 1);
    if app.is_on_postgres() {
        return; // the files belong to the server
    }
    for name in ["cloakroom.db", "cloakroom.db-wal"] {
        let bytes = fs::read(app.data(name)).unwrap();
        for token in &tokens {
            let is_there = bytes.windows(token.len()).any(|bytes| bytes == token.as_bytes());
            assert!(!is_there, "{name} contains a token");
        }
    }
}

#[tokio::test]
async fn a_client_address_can_request_ten_links_and_then_one_a_minute_for_any_name() {
    let app = app_with_mail().await;
    let ask = async |address: &str, name: String| {
        app.send(coming_from(address, request_for(&name))).await
    };
    for n in 0..10 {
        assert_eq!(ask("198.51.100.7", format!("user{n}")).await.status, 202);
    }
    let refused = ask("198.51.100.7", "ann".to_owned()).await;
    assert_eq!(refused.refusal(), (429, "too_many_attempts".to_owned()));
    assert_eq!(refused.header("retry-after"), Some("60"));
    assert_eq!(ask("198.51.100.8", "ann".to_owned()).await.status, 202);
    app.wait(mins(1));
    assert_eq!(ask("198.51.100.7", "ann".to_owned()).await.status, 202);
    let throttled = "select count(*) from events where event = 'reset_throttled'";
    assert_eq!(events(&app, throttled).await, 1);
}

#[tokio::test]
async fn a_flood_from_many_addresses_fills_the_outbox_only_up_to_a_limit() {
    let all_resets = Gcra { burst: 20, every: Duration::from_secs(1) };
    let app = limited_app_with_mail(Limits { all_resets, ..Limits::production() }).await;
    let ask = async |n: u32| {
        let address = Ipv4Addr::from_bits(0xc633_6400 + n).to_string();
        app.send(coming_from(&address, request_for(&format!("user{n}")))).await.status.as_u16()
    };
    let mut accepted = 0;
    for n in 0..200 {
        accepted += u32::from(ask(n).await == 202);
    }
    assert_eq!(accepted, 20);
    assert!(app.count("select count(*) from mails").await <= 20);
    app.domain.outbox.wake();
    all_sent(&app).await;
    app.wait(Duration::from_secs(1));
    assert_eq!([ask(200).await, ask(201).await], [202, 429]);
}

#[tokio::test]
async fn a_password_that_violates_a_rule_does_not_use_the_link_up() {
    let app = app_with_ann(Limits::production()).await;
    let token = mailed_token(&app, "ann", ADDRESS).await;
    for (wrong, code) in [
        ("short", "too_short"),
        ("annannannannannann", "name_based"),
        ("abcdefghijklmnopqrs", "sequential"),
        ("with a \u{7} bell in it", "not_allowed"),
    ] {
        let answer = reset(&app, &token, wrong).await;
        assert_eq!(answer.refusal(), (422, "policy_violation".to_owned()), "{wrong}");
        assert_eq!(answer.errors(), [("new_password".to_owned(), code.to_owned())], "{wrong}");
    }
    // Without a link, the response does not say anything about the password.
    for token in [UNKNOWN, "", "x", &"A".repeat(44), &format!("{}é", "A".repeat(42))] {
        let answer = reset(&app, token, "short").await;
        assert_eq!(answer.refusal(), (403, "reset_refused".to_owned()), "{token}");
    }
    assert_eq!(reset(&app, &token, NEW).await.status, 204);
}

#[tokio::test]
async fn without_mail_no_link_is_sent_and_the_link_of_an_operator_works() {
    let app = TestApp::new().await;
    app.signed_in("ann").await;
    assert_eq!(app.send(request_for("ann")).await.refusal(), (403, "mail_off".to_owned()));
    assert_eq!(app.count("select count(*) from mails").await, 0);
    let page = app.anonymous().get("/password-reset").await;
    assert!(page.text.contains("sends no mail") && !page.text.contains("<form"), "{}", page.text);
    assert!(!app.anonymous().get("/login").await.text.contains("Forgot your password?"));
    let token = created_token(&app, "ann").await;
    assert_eq!(reset(&app, &token, NEW).await.status, 204);
    assert_eq!(app.anonymous().log_in("ann", NEW).await.status, 200);
    assert_eq!(app.count("select count(*) from mails").await, 0);
    let refused = follow(&app, &token).await;
    assert!(!refused.text.contains("Request another link"), "{}", refused.text);
}

#[tokio::test]
async fn the_link_of_an_operator_is_valid_for_a_day_and_replaces_all_earlier_ones() {
    let app = app_with_ann(Limits::none()).await;
    let mailed = mailed_token(&app, "ann", ADDRESS).await;
    let first = created_token(&app, "ann").await;
    is_refused(&app, &mailed).await;
    let username = Username::parse("ann").unwrap();
    let second = app.domain.reset_links.create(&username).await.unwrap();
    assert_eq!((second.replaced, second.is_announced), (1, true));
    assert_eq!(second.expires_at, app.clock.now().plus(hours(24)));
    is_refused(&app, &first).await;
    app.domain.outbox.wake();
    all_sent(&app).await;
    let told = mails_to(&app, ADDRESS);
    let told: Vec<_> =
        told.iter().filter(|mail| mail.contains("operator of the service")).collect();
    assert!(told.len() >= 2 && told.iter().all(|mail| mail.contains("\r\nann\r\n")), "{told:?}");
    app.wait(hours(24).saturating_sub(Duration::from_millis(1)));
    assert_eq!(reset(&app, &second.token.expose(), NEW).await.status, 204);
    let third = created_token(&app, "ann").await;
    app.wait(hours(24));
    is_refused(&app, &third).await;
    remove_ended(&app.domain).await.unwrap();
    assert_eq!(app.count("select count(*) from proofs").await, 0);
    let created = "select count(*) from events where event = 'reset_link_created'";
    assert_eq!(events(&app, created).await, 3);

    let nobody = Username::parse("nobody").unwrap();
    let none = app.domain.reset_links.create(&nobody).await;
    assert!(matches!(none, Err(CreateLinkError::NoSuchAccount)), "{none:?}");
    app.domain.disable(&username).await.unwrap();
    let none = app.domain.reset_links.create(&username).await;
    assert!(matches!(none, Err(CreateLinkError::Disabled)), "{none:?}");
}

#[tokio::test]
async fn the_cleaner_removes_a_link_when_it_expires_and_no_earlier() {
    let app = app_with_ann(Limits::production()).await;
    mailed_token(&app, "ann", ADDRESS).await;
    app.wait(mins(30).saturating_sub(Duration::from_millis(1)));
    remove_ended(&app.domain).await.unwrap();
    assert_eq!(app.count("select count(*) from proofs").await, 1);
    app.wait(Duration::from_millis(1));
    remove_ended(&app.domain).await.unwrap();
    assert_eq!(app.count("select count(*) from proofs").await, 0);
}

#[tokio::test]
async fn a_reset_ends_the_wait_after_failed_sign_ins() {
    let app = app_with_ann(Limits::production()).await;
    for name in ["ann", ADDRESS] {
        for _ in 0..5 {
            app.anonymous().log_in(name, "wrong").await;
        }
        assert_eq!(app.anonymous().log_in(name, PASSWORD).await.status, 429);
    }
    let token = mailed_token(&app, "ann", ADDRESS).await;
    assert_eq!(reset(&app, &token, NEW).await.status, 204);
    for name in ["ann", ADDRESS] {
        assert_eq!(app.anonymous().log_in(name, NEW).await.status, 200);
    }
}

#[tokio::test]
async fn an_account_hashes_a_limited_number_of_passwords_for_links() {
    let account = Gcra { burst: 2, every: Duration::from_secs(2) };
    let app = app_with_ann(Limits { account, ..Limits::production() }).await;
    for _ in 0..2 {
        let token = created_token(&app, "ann").await;
        assert_eq!(reset(&app, &token, NEW).await.status, 204);
    }
    let token = created_token(&app, "ann").await;
    let answer = reset(&app, &token, NEW).await;
    assert_eq!(answer.refusal(), (429, "too_many_attempts".to_owned()));
    let form = [("token", &*token), ("new_password", NEW)];
    let page = app.anonymous().submit("/password-reset/confirm", &form).await;
    assert_eq!((page.status.as_u16(), page.header("retry-after")), (429, Some("2")));
    assert!(page.text.contains("Set a new password"), "{}", page.text);
    app.wait(Duration::from_secs(2));
    assert_eq!(reset(&app, &token, NEW).await.status, 204);
    let throttled = "select count(*) from events where event = 'recovery_throttled'";
    assert_eq!(events(&app, throttled).await, 1, "refusals are counted together");
}

#[tokio::test]
async fn while_the_hash_queue_is_full_a_link_stays_valid() {
    let app = app_with_ann(Limits::production()).await;
    let token = mailed_token(&app, "ann", ADDRESS).await;
    let share = |n| Share::new(None, Some(&format!("nobody{n}")));
    let slots: Vec<_> =
        (0..).map_while(|n| app.domain.hasher.reserve_slot(&share(n)).ok()).collect();
    let form = [("token", &*token), ("new_password", NEW)];
    let page = app.anonymous().submit("/password-reset/confirm", &form).await;
    assert_eq!((page.status.as_u16(), page.header("retry-after").is_some()), (503, true));
    assert_eq!(reset(&app, &token, NEW).await.refusal().1, "overloaded");
    drop(slots);
    assert_eq!(reset(&app, &token, NEW).await.status, 204);
}

#[tokio::test]
async fn requests_do_not_wait_longer_than_half_an_hour_for_the_mail_server() {
    assert_eq!(MailKind::ResetPassword.max_age(), mins(30));
    let app = TestApp::with(Settings::from_toml(UNREACHABLE).unwrap()).await;
    app.signed_in("ann").await;
    app.sql("update accounts set email = 'ann@example.org', email_key = 'ann@example.org'").await;
    for name in ["ann", "ann", "nobody"] {
        assert_eq!(app.send(request_for(name)).await.status, 202);
    }
    let failed = app.domain.outbox.send_due().await.unwrap();
    assert!(matches!(failed, Round::ServerFailed(_)), "{failed:?}");
    assert_eq!(app.count("select count(*) from mails where recipient = 'ann'").await, 2);
    assert_eq!(app.count("select count(*) from proofs").await, 0, "no secret without a mail");
    app.wait(mins(30).saturating_sub(Duration::from_millis(1)));
    app.domain.outbox.send_due().await.unwrap();
    assert_eq!(app.count("select count(*) from mails where recipient = 'ann'").await, 2);
    app.wait(Duration::from_millis(1));
    app.domain.outbox.send_due().await.unwrap();
    assert_eq!(app.count("select count(*) from mails").await, 0);
}

#[tokio::test]
async fn the_pages_of_a_forgotten_password_lead_from_the_sign_in_to_the_sign_in() {
    let app = app_with_ann(Limits::production()).await;
    let browser = app.anonymous();
    assert!(browser.get("/login").await.text.contains("href=\"/password-reset\""));
    assert!(!browser.get("/register").await.text.contains("/password-reset"));
    let page = browser.get("/password-reset").await;
    assert!(page.text.contains("autocomplete=\"username\""), "{}", page.text);
    let wrong = browser.submit("/password-reset", &[("username", "")]).await;
    assert_eq!(wrong.status, 400);
    assert!(wrong.text.contains("username-wrong"), "{}", wrong.text);
    for name in ["ann", "<b>nobody</b>"] {
        let sent = browser.submit("/password-reset", &[("username", name)]).await;
        let there = sent.header("location");
        assert_eq!((sent.status.as_u16(), there), (303, Some("/password-reset/done")), "{name}");
        let page = browser.get("/password-reset/done").await;
        assert!(page.text.contains("<h1>Check your mail</h1>") && !page.text.contains("nobody"));
    }
    let again = browser.get("/password-reset/done").await;
    assert_eq!(again.header("location"), Some("/login"), "a link to it claims nothing");
    app.domain.outbox.wake();
    all_sent(&app).await;
    let token = mailed_tokens(&app, ADDRESS).remove(0);

    let page = browser.get(&format!("{LINK}{token}")).await;
    assert_eq!(page.status, 200);
    assert_eq!(page.header("referrer-policy"), Some("strict-origin"));
    assert_eq!(page.header("cache-control"), Some("no-store"));
    assert_eq!(page.headers.get("set-cookie"), None);
    for part in [
        "action=\"/password-reset/confirm\"",
        &format!("name=\"token\" value=\"{token}\""),
        "value=\"ann\" autocomplete=\"username\"",
        "autocomplete=\"new-password\"",
    ] {
        assert!(page.text.contains(part), "{part} is not in {}", page.text);
    }
    assert_eq!(page.text.matches(&token).count(), 1, "the token is in the form only");
    let form = [("token", &*token), ("new_password", "short")];
    let wrong = browser.submit("/password-reset/confirm", &form).await;
    assert_eq!(
        (wrong.status.as_u16(), wrong.header("referrer-policy")),
        (422, Some("strict-origin"))
    );
    assert!(wrong.text.contains("new_password-wrong") && wrong.text.contains(&token));
    let missing = browser.submit("/password-reset/confirm", &[("token", &token)]).await;
    assert_eq!(missing.status, 400);
    let form = [("token", &*token), ("new_password", NEW)];
    let done = browser.submit("/password-reset/confirm", &form).await;
    let there = done.header("location");
    assert_eq!((done.status.as_u16(), there), (303, Some("/password-reset/done")));
    assert_eq!(done.cookie(), None, "nobody is signed in");
    let page = browser.get("/password-reset/done").await;
    assert!(
        page.text.contains("Your new password is set") && page.text.contains("href=\"/login\"")
    );
    let refused = browser.submit("/password-reset/confirm", &form).await;
    assert_eq!(refused.status, 403);
    assert!(refused.text.contains("Request another link") && !refused.text.contains(&token));
    let fields = [("username", "ann"), ("password", NEW)];
    assert_eq!(browser.submit("/login", &fields).await.header("location"), Some("/account"));
}
