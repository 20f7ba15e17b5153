//! Errors are answered as documented, and reveal nothing.

use std::sync::Arc;
use std::time::Duration;

use cloakroom::core::secret::Password;
use cloakroom::core::usernames::Username;
use cloakroom::domain::administration::ResetError;
use cloakroom::domain::administration::{AddUserError, NewUser};
use cloakroom::domain::demo_users;
use cloakroom::domain::jobs;
use cloakroom::domain::passwords::cost::Argon2Params;
use cloakroom::domain::session_data::DataError;
use cloakroom::store::Store;
use poem::http::Method;
use serde_json::json;

use crate::app::{BusyThreads, PASSWORD, TestApp, private_with, request};
use crate::login::settle;

#[tokio::test]
async fn a_database_that_is_gone_is_answered_503_and_only_the_process_is_live() {
    let app = TestApp::new().await;
    let client = app.signed_in("ann").await;
    app.corrupt_database().await;
    for path in ["/readyz", "/private", "/me", "/session"] {
        let answer = client.get(path).await;
        assert_eq!(answer.refusal(), (503, "unavailable".into()), "{path}");
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
    let login = app.anonymous().log_in("ann", PASSWORD).await;
    assert_eq!(login.refusal(), (503, "unavailable".into()));
    let account = json!({ "username": "bob", "password": PASSWORD });
    let registered = app.anonymous().post("/register", &account).await;
    assert_eq!(registered.refusal(), (503, "unavailable".into()));
    let added = demo_users::add_demo_users(&app.domain).await;
    assert!(matches!(added, Err(AddUserError::Internal(_))), "{added:?}");
    for word in ["sql", "database disk", "malformed", "cloakroom.db", "accounts"] {
        assert!(!login.text.contains(word), "{}", login.text);
    }
    assert_eq!(client.get("/livez").await.status, 200);
}

#[tokio::test]
async fn an_outage_of_the_database_signs_nobody_out() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await.cookie().unwrap(); // its session is not in the cache
    let ended = app.signed_in_again("ann").await;
    let stale = ended.cookie().unwrap();
    ended.post_nothing("/logout").await;
    app.wait(Duration::from_hours(1));
    app.corrupt_database().await;
    for cookie in [&ann, &stale] {
        for path in ["/private", "/me", "/session", "/sessions", "/forward-auth"] {
            let read = request(Method::GET, path).header("cookie", cookie).finish();
            let answer = app.send(read).await;
            assert_eq!(answer.refusal(), (503, "unavailable".into()), "{path}");
            assert_eq!(answer.header("set-cookie"), None, "{path}");
        }
        for path in [
            "/",
            "/login",
            "/account",
            "/account/password",
            "/signed-out",
            "/forward-auth/redirect",
        ] {
            let page = request(Method::GET, path).header("accept", "text/html");
            let answer = app.send(page.header("cookie", cookie).finish()).await;
            assert_eq!(
                (answer.status.as_u16(), answer.header("set-cookie")),
                (503, None),
                "{path}"
            );
        }
        for path in ["/account/sessions", "/account/password", "/account/close", "/logout"] {
            let form = request(Method::POST, path)
                .content_type("application/x-www-form-urlencoded")
                .header("accept", "text/html")
                .header("cookie", cookie);
            let answer = app.send(form.finish()).await;
            assert_eq!(
                (answer.status.as_u16(), answer.header("set-cookie")),
                (503, None),
                "{path}"
            );
        }
    }
}

#[tokio::test]
async fn pwd_12_a_stored_hash_that_is_none_is_answered_like_a_wrong_password() {
    let app = TestApp::new().await;
    app.signed_in("ann").await;
    let unknown = app.anonymous().log_in("bob", PASSWORD).await;
    assert_eq!(unknown.refusal(), (403, "invalid_credentials".into()));
    for tamper in [
        "update accounts set password_hash = 'garbage'",
        "update accounts set password_hash = ''",
        "update accounts set password_hash = '$argon2id$v=19$m=4194304,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'",
        "update accounts set password_hash = '$argon2id$v=19$m=64,t=2147483648,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'",
        "update accounts set password_hash = '$argon2d$v=19$m=64,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'",
    ] {
        app.sql(tamper).await;
        let answer = app.anonymous().log_in("ann", PASSWORD).await;
        assert_eq!(answer.status, unknown.status, "{tamper}");
        assert_eq!(answer.text, unknown.text, "{tamper}");
    }
}

#[tokio::test]
async fn a_disabled_account_is_refused_like_a_wrong_password_and_its_sessions_end() {
    let app = TestApp::new().await;
    let client = app.signed_in("ann").await;
    let unknown = app.anonymous().log_in("bob", PASSWORD).await;
    app.sql("update accounts set disabled_at = 1").await;
    app.wait(std::time::Duration::from_mins(1)); // the feed has no changes by other SQL
    let disabled = app.anonymous().log_in("ann", PASSWORD).await;
    assert_eq!(disabled.text, unknown.text);
    assert_eq!(client.get("/private").await.refusal(), (403, "session_refused".into()));
}

#[tokio::test]
async fn a_burst_of_logins_is_refused_in_part_and_loses_nothing() {
    let app = TestApp::without_limits().await;
    app.signed_in("ann").await;
    let threads = BusyThreads::start(&app).await;
    let held = threads.leave_slots(&app, 8);
    let body = json!({ "username": "ann", "password": PASSWORD }).to_string();
    let logins = |count: usize| {
        futures_util::future::join_all((0..count).map(|_| {
            let login = request(Method::POST, "/login").content_type("application/json");
            app.send(login.body(body.clone()))
        }))
    };
    let late = async {
        app.hash_requests_arrive(8).await;
        let refused = logins(192).await;
        drop(held);
        threads.release().await;
        refused
    };
    let (first, late) = tokio::join!(logins(8), late);
    assert!(first.iter().all(|answer| answer.status == 200), "{first:?}");
    for refused in late {
        assert_eq!(refused.refusal(), (503, "overloaded".into()));
        assert_eq!(refused.header("retry-after"), Some("1"));
    }
    assert_eq!(app.signed_in_again("ann").await.get("/private").await.status, 200);
}

#[tokio::test]
async fn what_goes_on_beside_goes_on_without_a_database_and_ends_with_the_app() {
    let app = TestApp::new().await;
    let domain = || Arc::downgrade(&app.domain);
    let often = Duration::from_millis(20);
    let beside = [
        tokio::spawn(jobs::hashes::calibrate_min_verify_time(domain(), often)),
        tokio::spawn(jobs::cleanup::run_cleanup(domain(), often)),
    ];
    app.corrupt_database().await;
    let counting = tokio::spawn(jobs::count_sessions(domain()));
    tokio::time::sleep(often * 3).await;
    assert!(beside.iter().chain([&counting]).all(|one| !one.is_finished()));
    drop(app);
    for one in beside {
        one.await.unwrap();
    }
}

#[tokio::test]
async fn what_is_left_to_be_done_after_an_answer_may_fail_and_is_done_the_next_time() {
    let mut app = TestApp::new().await;
    let ann = app.signed_in("ann").await.cookie().unwrap();
    app.restarted_at(Argon2Params::DEFAULT).await; // each hash is to be renewed
    app.wait(Duration::from_mins(1)); // each use of a session is to be recorded
    let (refuse, allow) = if app.is_on_postgres() {
        (
            [
                "alter table accounts add constraint refused check (password_hash not like '%m=19456,t=2,p=1$%') not valid",
                "alter table sessions add constraint refused check (last_seen_at = created_at) not valid",
            ],
            [
                "alter table accounts drop constraint refused",
                "alter table sessions drop constraint refused",
            ],
        )
    } else {
        (
            [
                "create trigger refused_hash before update of password_hash on accounts begin select raise(abort, 'full'); end",
                "create trigger refused_use before update of last_seen_at on sessions begin select raise(abort, 'full'); end",
            ],
            ["drop trigger refused_hash", "drop trigger refused_use"],
        )
    };
    let renewed = "select count(*) from accounts where password_hash like '%m=19456,t=2,p=1$%'";
    let used = "select count(*) from sessions where last_seen_at > created_at";
    let done = async || (app.count(renewed).await, app.count(used).await);
    for statement in refuse {
        app.sql(statement).await;
    }
    assert_eq!(app.anonymous().log_in("ann", PASSWORD).await.status, 200);
    assert_eq!(app.send(private_with(&[&ann])).await.status, 200);
    settle(&app).await;
    assert_eq!(done().await, (0, 0));
    for statement in allow {
        app.sql(statement).await;
    }
    app.wait(Duration::from_mins(1));
    assert_eq!(app.anonymous().log_in("ann", PASSWORD).await.status, 200);
    assert_eq!(app.send(private_with(&[&ann])).await.status, 200);
    assert!(app.eventually(async || done().await == (1, 1)).await);
}

#[tokio::test]
async fn that_a_session_was_seen_is_noted_a_minute_later_if_it_cannot_be_now() {
    let app = TestApp::new().await;
    if app.is_on_postgres() {
        return; // PostgreSQL has no such trigger
    }
    let ann = app.signed_in("ann").await;
    let seen = async || app.count("select last_seen_at from sessions").await;
    let first = seen().await;
    app.sql("create trigger full before update on sessions begin select raise(abort, 'full'); end")
        .await;
    app.wait(Duration::from_mins(1));
    assert_eq!(ann.get("/private").await.status, 200);
    settle(&app).await;
    assert_eq!(seen().await, first);
    app.sql("drop trigger full").await;
    app.wait(Duration::from_mins(1));
    assert_eq!(ann.get("/private").await.status, 200);
    assert!(app.eventually(async || seen().await == first + 120_000).await);
}

#[tokio::test]
async fn what_changed_while_a_password_was_compared_or_hashed_is_seen() {
    let app = TestApp::new().await;
    if app.is_on_postgres() {
        return; // PostgreSQL has no such triggers
    }
    let ann = app.signed_in("ann").await;
    // The password changes after the current one was verified.
    app.sql("create trigger another after delete on login_attempts begin update accounts set password_version = 7; end").await;
    let body = json!({ "current_password": PASSWORD });
    let confirmed = ann.post("/session/confirm/password", &body).await;
    assert_eq!(confirmed.refusal(), (403, "session_refused".into()));
    assert_eq!(app.count("select password_version from accounts").await, 7);
    // The account is deleted after the new password was hashed.
    app.sql("create trigger gone before update on accounts begin select raise(ignore); end").await;
    let password = Password::new("another long password".to_owned());
    let password = app.domain.rules.passwords.check(&password, None).unwrap();
    let reset = app.domain.reset_password(&Username::parse("ann").unwrap(), password).await;
    assert!(matches!(reset, Err(ResetError::NoSuchAccount)), "{reset:?}");
}

#[tokio::test]
async fn a_name_that_somebody_takes_before_the_operator_has_typed_a_password_stays_theirs() {
    let app = TestApp::new().await;
    app.signed_in("ann").await;
    let username = Username::parse("ann").unwrap();
    let typed = Password::new("another long password".to_owned());
    let password = app.domain.rules.passwords.check(&typed, Some(&username)).unwrap();
    let added = app.domain.add_account(NewUser::new(username), Some(password)).await;
    assert!(matches!(added, Err(AddUserError::UsernameTaken)), "{added:?}");
    app.signed_in_again("ann").await;
}

#[tokio::test]
async fn nobody_is_let_in_whose_tries_cannot_be_counted() {
    let app = TestApp::new().await;
    app.signed_in("ann").await;
    app.sql("alter table login_attempts rename to login_attempts_gone").await;
    let answer = app.anonymous().log_in("ann", PASSWORD).await;
    assert_eq!(answer.refusal(), (500, "internal_error".into()));
    app.sql("alter table login_attempts_gone rename to login_attempts").await;
    app.signed_in_again("ann").await;
}

#[tokio::test]
async fn who_loses_every_race_for_a_try_is_told_to_come_back() {
    let app = TestApp::new().await;
    if app.is_on_postgres() {
        return; // PostgreSQL has no such trigger
    }
    app.sql("create trigger late before insert on login_attempts begin select raise(ignore); end")
        .await;
    let answer = app.anonymous().log_in("ann", PASSWORD).await;
    assert_eq!(answer.refusal(), (503, "overloaded".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_changes_what_others_change_each_time_is_told_so_in_the_end() {
    let app = TestApp::new().await;
    app.signed_in("ann").await;
    let name = Username::parse("ann").unwrap();
    let account = app.domain.account_named(&name).await.unwrap().unwrap();
    let page = app.domain.sessions.list_sessions(&account.id, None, 1).await.unwrap();
    let session = &page.sessions[0].id;
    let mut tries = 0;
    let late: Result<(), DataError> = app
        .domain
        .session_data
        .update(session, "cart", |_| {
            tries += 1;
            let other = app.domain.session_data.write(session, "cart", tries.to_string());
            tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(other))?;
            Ok("mine".to_owned())
        })
        .await;
    assert!(matches!(late, Err(DataError::Internal(_))), "{late:?}");
    let kept = app.domain.session_data.read(session, "cart").await.unwrap().unwrap();
    assert_eq!(kept, tries.to_string());
    app.corrupt_database().await;
    assert!(matches!(
        app.domain.session_data.read(session, "cart").await,
        Err(DataError::Internal(_))
    ));
}

#[tokio::test]
async fn a_service_whose_database_takes_no_writes_is_not_ready() {
    let app = TestApp::new().await;
    // PostgreSQL fails the same way
    let Store::Sqlite(pools) = &*app.domain.store else { return };
    let ready = async || app.anonymous().get("/readyz").await.status.as_u16();
    assert_eq!(ready().await, 200);
    sqlx::query("pragma query_only = on").execute(&pools.writer).await.unwrap();
    assert_eq!(ready().await, 503);
    sqlx::query("pragma query_only = off").execute(&pools.writer).await.unwrap();
    assert_eq!(ready().await, 200);
}
