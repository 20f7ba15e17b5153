//! Roles: what a session has after its account was given or lost one, on this node and on others.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use cloakroom::config::{CommaList, Settings, TokenSettings};
use cloakroom::core::ids::AccountId;
use cloakroom::core::usernames::Username;
use cloakroom::domain::imports::{ImportedPassword, ImportedUser};
use cloakroom::domain::role_assignments::{GiveRoleError, RoleChange};
use cloakroom::domain::roles::{MAX_ROLES, Role, Roles};
use futures_util::future::join_all;
use poem::http::Method;
use serde_json::{Value, json};
use tokio::sync::Barrier;

use crate::app::{PASSWORD, TestApp, request};
use crate::races::rounds;

/// The time within which all nodes know of a change.
const BOUND: Duration = Duration::from_secs(1);

fn role(name: &str) -> Role {
    Role::parse(name).unwrap()
}

async fn account(app: &TestApp, username: &str) -> AccountId {
    let username = Username::parse(username).unwrap();
    app.domain.account_named(&username).await.unwrap().unwrap().id
}

/// The roles that the node shows to the session of this cookie, with commas in between.
async fn roles(app: &TestApp, cookie: &str) -> String {
    let answer = app.send(request(Method::GET, "/me").header("cookie", cookie).finish()).await;
    assert_eq!(answer.status, 200, "the session has ended: {}", answer.text);
    let roles = answer.json()["roles"].as_array().unwrap().clone();
    roles.iter().map(|role| role.as_str().unwrap()).collect::<Vec<_>>().join(",")
}

/// Waits until another node shows these roles, for at most a second after they were changed here.
async fn wait_for_roles(node: &TestApp, cookie: &str, expected: &str) {
    let changed_at = Instant::now();
    loop {
        let asked = changed_at.elapsed();
        if roles(node, cookie).await == expected {
            return;
        }
        assert!(asked < BOUND, "the other node does not know of {expected:?}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn rol_02_a_session_has_a_role_as_soon_as_it_is_given_and_none_ends() {
    let app = TestApp::new().await;
    let there = app.second_node().await;
    let (one, _) = (app.signed_in("ann").await, app.signed_in("eve").await);
    let two = app.signed_in_again("ann").await;
    let (one, two) = (one.cookie().unwrap(), two.cookie().unwrap());
    let ann = account(&app, "ann").await;
    for cookie in [&one, &two] {
        assert!(roles(&app, cookie).await.is_empty() && roles(&there, cookie).await.is_empty());
    }
    for (given, joined) in
        [("editor", "editor"), ("admin", "admin,editor"), ("x", "admin,editor,x")]
    {
        assert_eq!(app.domain.roles.give_role(&ann, &role(given)).await.unwrap(), RoleChange::Done);
        for cookie in [&one, &two] {
            assert_eq!(roles(&app, cookie).await, joined);
            wait_for_roles(&there, cookie, joined).await;
        }
    }
    let of_eve = app.count("select count(*) from roles join accounts on accounts.id = account_id where username = 'eve'");
    assert_eq!(of_eve.await, 0);
    assert_eq!(app.count("select count(*) from sessions where ended_at is not null").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rol_01_no_request_that_begins_after_a_role_was_taken_has_it() {
    const CLIENTS: usize = 8;
    let app = TestApp::new().await;
    let there = app.second_node().await;
    let client = app.signed_in("ann").await;
    let cookie = client.cookie().unwrap();
    let ann = account(&app, "ann").await;
    let editor = role("editor");
    for _ in 0..rounds(20) {
        assert_eq!(app.domain.roles.give_role(&ann, &editor).await.unwrap(), RoleChange::Done);
        let (is_taken, uses) = (AtomicBool::new(false), Barrier::new(CLIENTS + 1));
        // Each client sends requests until one began after the role was taken.
        let requests = (0..CLIENTS).map(async |_| {
            assert!(roles(&app, &cookie).await == "editor", "it was given before");
            uses.wait().await;
            loop {
                let begins_after = is_taken.load(Ordering::SeqCst);
                let has_role = roles(&app, &cookie).await == "editor";
                assert!(!(begins_after && has_role), "a request has a role that was taken before");
                if begins_after {
                    break;
                }
                tokio::task::yield_now().await;
            }
        });
        let take = async {
            uses.wait().await;
            assert_eq!(app.domain.roles.take_role(&ann, &editor).await.unwrap(), RoleChange::Done);
            is_taken.store(true, Ordering::SeqCst);
            wait_for_roles(&there, &cookie, "").await;
        };
        futures_util::future::join(join_all(requests), take).await;
    }
}

#[tokio::test]
async fn to_give_or_take_a_role_twice_changes_nothing_and_an_account_has_at_most_32() {
    let app = TestApp::new().await;
    app.signed_in("ann").await;
    let ann = account(&app, "ann").await;
    let feed = "select count(*) from revocations";
    let before = app.count(feed).await;
    for n in 0..MAX_ROLES {
        let given = app.domain.roles.give_role(&ann, &role(&format!("r{n}"))).await.unwrap();
        assert_eq!(given, RoleChange::Done);
    }
    let changes = i64::try_from(MAX_ROLES).unwrap();
    assert_eq!(app.count(feed).await, before + changes, "each change is one row of the feed");
    let one_more = app.domain.roles.give_role(&ann, &role("one-more")).await;
    assert!(matches!(one_more, Err(GiveRoleError::TooManyRoles(_))), "{one_more:?}");
    assert_eq!(app.domain.roles.give_role(&ann, &role("r7")).await.unwrap(), RoleChange::Unchanged);
    assert_eq!(
        app.domain.roles.take_role(&ann, &role("one-more")).await.unwrap(),
        RoleChange::Unchanged
    );
    assert_eq!(app.count(feed).await, before + changes, "what changes nothing is not in the feed");

    assert_eq!(app.domain.roles.take_role(&ann, &role("r7")).await.unwrap(), RoleChange::Done);
    assert_eq!(
        app.domain.roles.give_role(&ann, &role("one-more")).await.unwrap(),
        RoleChange::Done
    );
    assert_eq!(app.domain.roles.roles_of(&ann).await.unwrap().len(), MAX_ROLES);

    let unknown = AccountId::from("AAAAAAAAAAAAAAAAAAAAAA".to_owned());
    let editor = role("editor");
    assert_eq!(
        app.domain.roles.give_role(&unknown, &editor).await.unwrap(),
        RoleChange::NoSuchAccount
    );
    assert_eq!(
        app.domain.roles.take_role(&unknown, &editor).await.unwrap(),
        RoleChange::NoSuchAccount
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_roles_given_at_once_to_an_account_with_31_one_is_refused() {
    let app = TestApp::new().await;
    let there = app.second_node().await;
    app.signed_in("ann").await;
    let ann = account(&app, "ann").await;
    for n in 1..MAX_ROLES {
        app.domain.roles.give_role(&ann, &role(&format!("r{n}"))).await.unwrap();
    }
    for _ in 0..rounds(10) {
        let (x, y) = (role("x"), role("y"));
        let both =
            [(&app, &x), (&there, &y)].map(|(node, role)| node.domain.roles.give_role(&ann, role));
        let given = join_all(both).await.iter().filter(|given| given.is_ok()).count();
        assert_eq!(given, 1);
        for role in [&x, &y] {
            app.domain.roles.take_role(&ann, role).await.unwrap();
        }
    }
}

#[tokio::test]
async fn lists_show_roles_and_their_accounts_page_by_page() {
    let app = TestApp::new().await;
    for name in ["ann", "bob", "eve"] {
        app.signed_in(name).await;
    }
    for (name, given) in [("ann", "editor"), ("bob", "editor"), ("bob", "admin")] {
        let account = account(&app, name).await;
        app.domain.roles.give_role(&account, &role(given)).await.unwrap();
    }
    let counts = app.domain.roles.count_by_role().await.unwrap();
    assert_eq!(counts, [("admin".to_owned(), 1), ("editor".to_owned(), 2)]);
    let editors = app.domain.roles.accounts_with_role(&role("editor"), None).await.unwrap();
    let mut names: Vec<_> = editors.iter().map(|account| account.username.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["ann", "bob"]);
    assert!(editors.iter().all(|account| account.roles.contains("editor")));
    let rest =
        app.domain.roles.accounts_with_role(&role("editor"), Some(&editors[0].id)).await.unwrap();
    assert_eq!(rest.iter().map(|account| &account.id).collect::<Vec<_>>(), [&editors[1].id]);
    let bob = account(&app, "bob").await;
    let of_bob = app.domain.roles.roles_of(&bob).await.unwrap();
    assert_eq!(
        of_bob.iter().map(|(role, _)| role.as_str()).collect::<Vec<_>>(),
        ["admin", "editor"]
    );
    assert!(of_bob.iter().all(|(_, given_at)| *given_at == app.clock.now()));
}

#[tokio::test]
async fn a_deleted_account_leaves_no_role_behind() {
    let app = TestApp::new().await;
    let names = ["ann", "bob"];
    for name in names {
        app.signed_in(name).await;
        app.domain.roles.give_role(&account(&app, name).await, &role("editor")).await.unwrap();
    }
    let roles_left = || app.count("select count(*) from roles");
    assert_eq!(roles_left().await, 2);
    assert!(app.domain.delete(&Username::parse("ann").unwrap()).await.unwrap());
    assert_eq!(roles_left().await, 1);
    assert_eq!(app.domain.roles.count_by_role().await.unwrap(), [("editor".to_owned(), 1)]);
}

#[tokio::test]
async fn rol_08_an_access_token_lists_the_roles_that_the_account_has_when_it_is_issued() {
    const API: &str = "https://api.example.org";
    let tokens = TokenSettings { audiences: Some(CommaList::from(API)) };
    let app = TestApp::with(Settings { tokens, ..Settings::default() }).await;
    let client = app.signed_in("ann").await;
    let ann = account(&app, "ann").await;
    let claims = async || {
        let issued = client.post("/token", &json!({ "audience": API })).await.json();
        assert!(issued["expires_in"].as_u64().unwrap() <= 300, "an older token ends soon");
        let token = issued["access_token"].as_str().unwrap().to_owned();
        let payload = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
        serde_json::from_slice::<Value>(&payload).unwrap()["roles"].clone()
    };
    assert_eq!(claims().await, json!([]));
    for name in ["editor", "admin"] {
        app.domain.roles.give_role(&ann, &role(name)).await.unwrap();
    }
    assert_eq!(claims().await, json!(["admin", "editor"]));
    app.domain.roles.take_role(&ann, &role("admin")).await.unwrap();
    assert_eq!(claims().await, json!(["editor"]));
}

#[tokio::test]
async fn rol_10_a_registration_cannot_ask_for_roles() {
    let app = TestApp::new().await;
    for roles in [json!(["admin"]), json!([]), json!("admin"), json!(null)] {
        let body = json!({ "username": "ann", "password": PASSWORD, "roles": roles });
        let answer = app.anonymous().post("/register", &body).await;
        assert_eq!(answer.refusal(), (400, "invalid_request".into()), "{body}");
        assert_eq!(answer.errors(), [("roles".to_owned(), "unknown".to_owned())], "{body}");
    }
    let form = [("username", "ann"), ("password", PASSWORD), ("roles", "admin")];
    assert_eq!(app.anonymous().post_form("/register", &form).await.status, 400);
    assert_eq!(app.count("select count(*) from accounts").await, 0);
    let client = app.signed_in("ann").await;
    assert_eq!(client.get("/me").await.json()["roles"], json!([]));
}

#[tokio::test]
async fn an_import_gives_roles_to_new_users_only() {
    let app = TestApp::new().await;
    app.signed_in("ann").await;
    let user = |name: &str, roles: &[&str]| ImportedUser {
        username: Username::parse(name).unwrap(),
        password: ImportedPassword::parse("").unwrap(),
        created_at: None,
        is_disabled: false,
        email: None,
        display_name: None,
        roles: Roles::new(roles.iter().map(|name| role(name))).unwrap(),
    };
    let mut users = vec![user("ann", &["admin"]), user("bob", &["editor", "admin"])];
    users.extend((0..250).map(|n| user(&format!("user{n}"), &["x", "y"])));
    assert_eq!(app.domain.import(&users).await.unwrap(), 251);
    let admin = app.domain.roles.accounts_with_role(&role("admin"), None).await.unwrap();
    let names: Vec<_> = admin.iter().map(|account| account.username.as_str()).collect();
    assert_eq!(names, ["bob"], "an existing user is left unchanged");
    assert_eq!(admin[0].roles.as_comma_list(), "admin,editor");
    let counts = app.domain.roles.count_by_role().await.unwrap();
    assert_eq!(counts.last(), Some(&("y".to_owned(), 250)));
}
