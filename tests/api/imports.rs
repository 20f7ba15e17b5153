//! Imported users sign in with their existing password, and cannot be distinguished from others.

use std::iter;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cloakroom::app::{self, Environment};
use cloakroom::core::usernames::Username;
use cloakroom::domain::administration::Change;
use cloakroom::domain::imports::{ImportedPassword, ImportedUser};
use cloakroom::domain::jobs;
use cloakroom::domain::passwords::cost::Argon2Params;
use cloakroom::domain::passwords::queue::Share;
use cloakroom::domain::roles::Roles;

use crate::app::{Answer, CHEAP, PASSWORD, TestApp};

/// Hashes of this password by Django 5.2, passlib 1.7, argon2-cffi 25.1, bcrypt 5.0 for Python and
/// Better Auth.
const THEIRS: &str = "Pässwörter sind 15+ lang";
const HASHES: [(&str, &str); 12] = [
    ("django", "pbkdf2_sha256$1000$seasalt2$PjQINa9dbaTdd4o8YX3lhb4miqbbj1XpHPhNM4kSaYE="),
    ("django-sha1", "pbkdf2_sha1$1000$seasalt2$NEjWNAXb+iIqAek1kKmbXBhMLYo="),
    (
        "django-argon2",
        "argon2$argon2id$v=19$m=512,t=2,p=2$c2Vhc2FsdDI$hLHg43quEJ9fMP/cYjBu3AKvSMKa1aBj4Fx51ZaST7Y",
    ),
    (
        "django-bcrypt-sha256",
        "bcrypt_sha256$$2b$04$i2kyNSfkdRMGnMFdkh1A1.mXJOtdMlVRcgzmVCAqVkU4FjKIBlI.e",
    ),
    ("django-bcrypt", "bcrypt$$2b$04$17GRRPUFRXcuB/at8S7mvOvcr8pkgQHR2Vbuk.J4Xgo92A41QxU1S"),
    (
        "django-scrypt",
        "scrypt$1024$seasalt2$8$5$aQKZS8o3Wnln11Z6rE+RoU4Wx3ewnp2x6rWrhQ1O/uRnsGDIw/G12rtwdNHXQoblPepj5Pv/nEBNee2SliLQtw==",
    ),
    (
        "phc-pbkdf2",
        "$pbkdf2-sha256$1000$yPlfC6G09n5PSUkp5fz/Pw$l5F.SZYgfsQ8b9fmeT841K7gX9iubhi/FujAW/dYAOE",
    ),
    (
        "phc-scrypt",
        "$scrypt$ln=10,r=8,p=1$LcW4F2IMYexdaw2BsBbiXA$HHkHm97arMjt3MDyYq/6HYwsklvZM/8AKVSmGJuB+XM",
    ),
    (
        "phc-argon2id",
        "$argon2id$v=19$m=512,t=2,p=1$rmjYO0Lxo3snT0PmfaXSpg$vPurAKHGLDyYhR8d3R7qWk9Yctu0OUnyXM17OQNUIX0",
    ),
    (
        "phc-argon2i",
        "$argon2i$v=19$m=512,t=2,p=1$uS73ueqmZNcgA2X5ZO+t9A$eMRHYpHf2VvFvgBgwN24hN8L8BMH7N7kht569kU1UMY",
    ),
    ("devise-and-pocketbase", "$2a$04$2oKAseClTefSnttBzURIcOdEA5f/nH22dgDLmFy/hZ1WwA3ZEfH5i"),
    (
        "better-auth",
        "0faefff5b370571e22faee4c11ea1438:44051a9dd192cdddecf8112a90bd42b8e279b01872e13f2a22dbe32e1dbd665527fa27696d26e81f95361e4b337240f3488f2b31e1c992de67cd19d6f31b57a6",
    ),
];

fn user(name: &str, hash: &str) -> ImportedUser {
    ImportedUser {
        username: Username::parse(name).unwrap(),
        email: None,
        display_name: None,
        password: ImportedPassword::parse(hash).unwrap(),
        created_at: None,
        is_disabled: false,
        roles: Roles::default(),
    }
}

fn everybody() -> Vec<ImportedUser> {
    HASHES.iter().map(|(name, hash)| user(name, hash)).collect()
}

const FOREIGN: &str = "select count(*) from accounts where password_hash like 'imported:%'";
const OURS: &str = "select count(*) from accounts where password_hash like '$argon2id$v=19$m=64,t=1,p=1$%' and hash_cost = 38";

#[tokio::test]
async fn each_format_logs_in_and_is_hashed_anew_at_its_first_good_login() {
    let app = TestApp::new().await;
    assert_eq!(app.domain.import(&everybody()).await.unwrap(), 12);
    assert_eq!(app.count(FOREIGN).await, 12);
    for (n, (name, _)) in (1..).zip(HASHES) {
        let wrong = app.anonymous().log_in(name, "something else entirely").await;
        assert_eq!(wrong.refusal(), (403, "invalid_credentials".into()), "{name}");
        assert_eq!(app.count(OURS).await, n - 1, "a wrong password renews nothing");
        let client = app.anonymous();
        assert_eq!(client.log_in(name, THEIRS).await.status, 200, "{name}");
        // If the hasher is busy, for example with timing new hashes, the next login renews the
        // hash.
        let renewed = async || {
            let is_renewed = app.count(OURS).await == n;
            is_renewed || client.log_in(name, THEIRS).await.status != 200
        };
        assert!(app.eventually(renewed).await, "{name}");
        assert_eq!(client.get("/me").await.json()["username"], name, "the session lives on");
        assert_eq!(app.anonymous().log_in(name, THEIRS).await.status, 200, "{name} again");
        assert_eq!(app.anonymous().log_in(name, "something else entirely").await.status, 403);
    }
    assert_eq!(app.count(FOREIGN).await, 0);
}

const ALL: &str = "select string_agg(id || username || password_hash || created_at, '|')
                   from (select * from accounts order by username) a";

#[tokio::test]
async fn importing_twice_changes_nothing() {
    let app = TestApp::new().await;
    app.signed_in("django").await;
    assert_eq!(app.domain.import(&everybody()).await.unwrap(), 11);
    let before = app.text(ALL).await;
    app.wait(cloakroom::core::clock::days(1));
    assert_eq!(app.domain.import(&everybody()).await.unwrap(), 0);
    assert_eq!(app.text(ALL).await, before);
    assert_eq!(app.anonymous().log_in("django", PASSWORD).await.status, 200, "ours stays ours");
}

fn shape(answer: &Answer) -> (u16, String, Vec<(String, String)>) {
    let mut headers: Vec<_> = answer
        .headers
        .iter()
        .filter(|(name, _)| *name != "x-request-id" && *name != "date")
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    headers.sort();
    (answer.status.as_u16(), answer.text.clone(), headers)
}

#[tokio::test]
async fn enu_01_whoever_cannot_sign_in_gets_the_same_bytes() {
    let app = TestApp::new().await;
    app.signed_in("ann").await;
    app.signed_in("carl").await;
    let carl = Username::parse("carl").unwrap();
    assert_eq!(app.domain.disable(&carl).await.unwrap(), Change::Done);
    app.domain.import(&everybody()).await.unwrap();
    let mut disabled = user("imported-and-disabled", HASHES[0].1);
    disabled.is_disabled = true;
    let none = user("without-a-password", "!");
    app.domain.import(&[disabled, none]).await.unwrap();

    let unknown = shape(&app.anonymous().log_in("nobody", PASSWORD).await);
    assert_eq!(unknown.0, 403);
    for (name, password) in [
        ("ann", "something else entirely"),
        ("carl", PASSWORD),
        ("carl", "something else entirely"),
        ("imported-and-disabled", THEIRS),
        ("without-a-password", PASSWORD),
        ("without-a-password", "!"),
        ("no name at all!", PASSWORD),
    ] {
        assert_eq!(shape(&app.anonymous().log_in(name, password).await), unknown, "{name}");
    }
    for (name, hash) in HASHES {
        for password in [PASSWORD, hash, THEIRS.to_uppercase().as_str()] {
            assert_eq!(shape(&app.anonymous().log_in(name, password).await), unknown, "{name}");
        }
    }
}

#[tokio::test]
async fn enu_02_everybody_waits_for_as_long_as_the_dearest_hash_takes_while_there_is_one() {
    let app = TestApp::without_limits().await;
    app.signed_in("ann").await;
    let min_verify_time = || app.domain.hasher.min_verify_time();
    // Cost 10 takes about 60 ms, and our own hashes take almost nothing.
    let bcrypt = "$2b$10$lTgx8WiQgMykhI5xmgqi6uFYjB94UzEArIN4EMQ4IDKILJ8VhRXTi";
    app.domain.import(&[user("bob", bcrypt)]).await.unwrap();
    assert!(
        app.eventually(async || min_verify_time() > Duration::from_millis(30)).await,
        "{:?}",
        min_verify_time()
    );
    for name in ["nobody", "ann", "bob"] {
        let (before, start) = (min_verify_time(), Instant::now());
        assert_eq!(app.anonymous().log_in(name, "something else entirely").await.status, 403);
        let took = start.elapsed();
        // The time changes when the measurement replaces the estimate.
        let least = before.min(min_verify_time());
        assert!(took >= least, "{name}: {took:?} of {least:?}");
    }
    app.sql("delete from accounts where username = 'bob'").await;
    assert!(
        app.eventually(async || min_verify_time().is_zero()).await,
        "the pace is over: {:?}",
        min_verify_time()
    );
}

#[tokio::test]
async fn enu_02_the_pace_follows_the_hashes_that_there_are() {
    let app = TestApp::without_limits().await;
    app.signed_in("ann").await;
    // Another node, on which no other job times the hashes.
    let environment = Environment {
        clock: app.clock.clone(),
        hash_cost: CHEAP,
        ..Environment::real(&app.config)
    };
    let node = Arc::new(app::open(&app.config, environment).await.unwrap());
    let every = Duration::from_millis(20);
    tokio::spawn(jobs::hashes::calibrate_min_verify_time(Arc::downgrade(&node), every));
    let min_verify_time = || node.hasher.min_verify_time();
    // bcrypt takes a millisecond with cost 4, and sixty times as long with cost 10.
    let cheap = "$2b$04$lTgx8WiQgMykhI5xmgqi6uFYjB94UzEArIN4EMQ4IDKILJ8VhRXTi";
    app.domain.import(&[user("carl", cheap)]).await.unwrap();
    assert!(app.eventually(async || !min_verify_time().is_zero()).await, "{:?}", min_verify_time());
    let dear = cheap.replace("$04$", "$10$");
    app.domain.import(&[user("bob", &dear)]).await.unwrap();
    assert!(
        app.eventually(async || min_verify_time() > Duration::from_millis(30)).await,
        "{:?}",
        min_verify_time()
    );
    app.sql("delete from accounts where username = 'bob'").await;
    assert!(
        app.eventually(async || min_verify_time() < Duration::from_millis(30)).await,
        "{:?}",
        min_verify_time()
    );
    assert!(!min_verify_time().is_zero(), "carl is there");
    app.sql("delete from accounts where username = 'carl'").await;
    assert!(app.eventually(async || min_verify_time().is_zero()).await, "{:?}", min_verify_time());
}

#[tokio::test]
async fn enu_02_a_name_that_nobody_has_sets_the_pace_where_nobody_has_a_hash_of_ours() {
    // More expensive than the imported hash, which takes a millisecond or less.
    let price = Argon2Params { memory_kib: 8192, passes: 1, lanes: 1 };
    let app = TestApp::with_hash_cost(price).await;
    let hasher = &app.domain.hasher;
    // Hashes are timed when the queue has a free slot.
    let no_room: Vec<_> = iter::from_fn(|| hasher.reserve_slot(&Share::default()).ok()).collect();
    assert_eq!(no_room.len(), 64);
    tokio::spawn(jobs::hashes::calibrate_min_verify_time(
        Arc::downgrade(&app.domain),
        Duration::from_millis(20),
    ));
    app.domain.import(&[user("django", HASHES[0].1)]).await.unwrap();
    let estimate = Duration::from_micros(hasher.cost().try_into().unwrap());
    assert!(
        app.eventually(async || hasher.min_verify_time() == estimate).await,
        "{:?}",
        hasher.min_verify_time()
    );
    drop(no_room);
    let is_measured =
        async || hasher.min_verify_time() != estimate && !hasher.min_verify_time().is_zero();
    assert!(app.eventually(is_measured).await, "{:?}", hasher.min_verify_time());
}

#[tokio::test]
async fn who_was_imported_may_change_the_password_and_close_the_account() {
    let app = TestApp::new().await;
    app.domain.import(&everybody()).await.unwrap();
    let client = app.anonymous();
    assert_eq!(client.log_in("better-auth", THEIRS).await.status, 200);
    let body = serde_json::json!({ "current_password": THEIRS, "new_password": PASSWORD });
    let put = crate::app::request(poem::http::Method::PUT, "/me/password")
        .content_type("application/json")
        .body(body.to_string());
    assert_eq!(client.send(put).await.status, 204);
    assert_eq!(app.anonymous().log_in("better-auth", THEIRS).await.status, 403);
    let close = crate::app::request(poem::http::Method::DELETE, "/me").finish();
    assert_eq!(client.send(close).await.status, 204);
}
