//! Tests of the session data of the host program's operations: typed, safe under concurrent
//! requests, and deleted with the session.

use cloakroom::{Session, SessionDataError, SignedIn};
use poem::http::Method;
use poem_openapi::param::Query;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use serde_json::{Value, json};

use crate::app::{Client, PASSWORD, TestApp, mounted};

/// The contents of a shopping cart.
#[derive(Object, Default)]
struct Cart {
    /// How many.
    items: u32,
    /// A remark.
    #[oai(default)]
    remark: String,
}

/// Something else.
#[derive(Object, Default)]
struct Theme {
    /// Is it dark?
    dark: bool,
}

struct Shop;

#[OpenApi]
impl Shop {
    /// See my cart
    #[oai(path = "/cart", method = "get", operation_id = "getCart")]
    async fn get(&self, cart: Session<Cart>) -> poem::Result<Json<Cart>> {
        Ok(Json(cart.read().await?))
    }

    /// Fill my cart
    #[oai(path = "/cart", method = "put", operation_id = "fillCart")]
    async fn put(&self, cart: Session<Cart>, new: Json<Cart>) -> poem::Result<Json<String>> {
        cart.write(&new).await?;
        Ok(Json(cart.who().username().to_owned()))
    }

    /// Put more into my cart
    #[oai(path = "/cart", method = "post", operation_id = "addToCart")]
    async fn add(&self, who: SignedIn, cart: Session<Cart>) -> poem::Result<Json<u32>> {
        assert_eq!(who.session_id(), cart.who().session_id());
        let items = cart.update(|cart| {
            cart.items += 1;
            cart.items
        });
        Ok(Json(items.await?))
    }

    /// Write a long remark
    #[oai(path = "/remark", method = "post", operation_id = "remark")]
    async fn remark(&self, cart: Session<Cart>, length: Query<usize>) -> Json<String> {
        let remark = "x".repeat(length.0);
        let written = cart.update(|cart| cart.remark.clone_from(&remark)).await;
        Json(match written {
            Ok(()) => "kept".to_owned(),
            Err(SessionDataError::TooLarge { .. }) => "too large".to_owned(),
            Err(error) => error.to_string(),
        })
    }

    /// See my theme
    #[oai(path = "/theme", method = "get", operation_id = "getTheme")]
    async fn theme(&self, theme: Session<Theme>) -> poem::Result<Json<Theme>> {
        Ok(Json(theme.read().await?))
    }
}

fn items(items: u32) -> Value {
    json!({ "items": items, "remark": "" })
}

#[tokio::test]
async fn what_was_written_is_read_by_the_same_session_alone() {
    let app = TestApp::new().await;
    let mounted = mounted(&app.cloakroom, Shop);
    let ann = Client::signed_in(&mounted, "ann").await;
    assert_eq!(ann.get("/cart").await.json(), items(0));
    assert_eq!(ann.send(Method::PUT, "/cart", Some(&items(3))).await.json(), "ann");
    assert_eq!(ann.send(Method::POST, "/cart", None).await.json(), 4);
    assert_eq!(ann.get("/cart").await.json(), items(4));
    assert_eq!(ann.get("/theme").await.json(), json!({ "dark": false }), "each type has its own");

    let elsewhere = Client::of(&mounted);
    let credentials = json!({ "username": "ann", "password": PASSWORD });
    elsewhere.post("/login", &credentials).await;
    assert_eq!(elsewhere.get("/cart").await.json(), items(0), "another session of the same person");
    let bob = Client::signed_in(&mounted, "bob").await;
    assert_eq!(bob.get("/cart").await.json(), items(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_64_who_add_one_at_once_none_is_lost() {
    let app = TestApp::new().await;
    let here = mounted(&app.cloakroom, Shop);
    // the second instance stands for another process
    let second_node = app.second_node().await;
    let there = mounted(&second_node, Shop);
    let ann = Client::signed_in(&here, "ann").await;
    let also_ann = Client::of(&there);
    also_ann.cookie.lock().unwrap().clone_from(&ann.cookie.lock().unwrap());
    let all = (0..64).map(|n| {
        let client = if n % 2 == 0 { &ann } else { &also_ann };
        client.send(Method::POST, "/cart", None)
    });
    let answers = futures_util::future::join_all(all).await;
    let mut seen: Vec<u64> = answers.iter().map(|one| one.json().as_u64().unwrap()).collect();
    seen.sort_unstable();
    assert!(seen.into_iter().eq(1..=64), "each saw what the one before had made");
    assert_eq!(ann.get("/cart").await.json(), items(64));
}

#[tokio::test]
async fn it_is_gone_when_the_session_has_ended() {
    let app = TestApp::new().await;
    let mounted = mounted(&app.cloakroom, Shop);
    let kept = "select count(*) from session_data";
    let ann = Client::signed_in(&mounted, "ann").await;
    ann.send(Method::POST, "/cart", None).await;
    assert_eq!(app.database.count(kept).await, 1);
    let cookie = ann.cookie.lock().unwrap().clone();
    ann.send(Method::POST, "/logout", None).await;
    for (method, path) in [(Method::GET, "/cart"), (Method::POST, "/cart")] {
        ann.cookie.lock().unwrap().clone_from(&cookie);
        let refused = ann.send(method, path, None).await;
        assert_eq!(refused.refusal(), (403, "session_refused".to_owned()));
    }
    app.database.sql("delete from sessions").await; // as the cleaner does
    assert_eq!(app.database.count(kept).await, 0);

    let bob = Client::signed_in(&mounted, "bob").await;
    bob.send(Method::POST, "/cart", None).await;
    bob.send(Method::DELETE, "/me", None).await;
    assert_eq!(app.database.count(kept).await, 0, "with the account");
}

#[tokio::test]
async fn a_session_that_ends_during_a_request_reads_and_keeps_nothing_more() {
    struct Slow(cloakroom::Cloakroom);

    #[OpenApi]
    impl Slow {
        /// End my session, and go on
        #[oai(path = "/slow", method = "post", operation_id = "slow")]
        async fn slow(&self, cart: Session<Cart>) -> Json<Vec<String>> {
            let domain = self.0.domain();
            let account = cart.who().account_id().to_owned();
            domain.sessions.revoke_all(&account.into()).await.unwrap();
            let said = |error: Option<SessionDataError>| error.unwrap().to_string();
            Json(vec![
                said(cart.read().await.err()),
                said(cart.write(&Cart::default()).await.err()),
                said(cart.update(|cart| cart.items += 1).await.err()),
            ])
        }
    }

    let app = TestApp::new().await;
    let mounted = mounted(&app.cloakroom, Slow(app.cloakroom.clone()));
    let ann = Client::signed_in(&mounted, "ann").await;
    let said = ann.send(Method::POST, "/slow", None).await.json();
    assert_eq!(said, json!(vec!["the session has ended"; 3]));
    assert_eq!(app.database.count("select count(*) from session_data").await, 0);
}

#[tokio::test]
async fn it_goes_along_when_the_password_is_changed() {
    let app = TestApp::new().await;
    let mounted = mounted(&app.cloakroom, Shop);
    let ann = Client::signed_in(&mounted, "ann").await;
    ann.send(Method::PUT, "/cart", Some(&items(7))).await;
    let change = json!({ "current_password": PASSWORD, "new_password": "a short walk by the sea" });
    let changed = ann.send(Method::PUT, "/me/password", Some(&change)).await;
    assert_eq!(changed.status.as_u16(), 204, "{}", changed.text);
    assert_eq!(ann.get("/cart").await.json(), items(7));
    assert_eq!(ann.send(Method::POST, "/cart", None).await.json(), 8);
}

#[tokio::test]
async fn more_than_64_kib_is_not_kept() {
    let app = TestApp::new().await;
    let mounted = mounted(&app.cloakroom, Shop);
    let ann = Client::signed_in(&mounted, "ann").await;
    let around = json!({ "items": 0, "remark": "" }).to_string().len();
    let most = 64 * 1024 - around;
    for (length, outcome) in [(most, "kept"), (most + 1, "too large")] {
        let path = format!("/remark?length={length}");
        assert_eq!(ann.send(Method::POST, &path, None).await.json(), outcome);
    }
    let kept = ann.get("/cart").await.json();
    assert_eq!(kept["remark"].as_str().unwrap().len(), most, "what was there stays");
}

#[tokio::test]
async fn what_no_longer_fits_its_type_is_an_error_until_something_else_is_written() {
    let app = TestApp::new().await;
    let mounted = mounted(&app.cloakroom, Shop);
    let ann = Client::signed_in(&mounted, "ann").await;
    ann.send(Method::POST, "/cart", None).await;
    let older = "update session_data set value = '{\"items\": 2}'"; // without the new field
    app.database.sql(older).await;
    assert_eq!(ann.get("/cart").await.json(), items(2));
    for foreign in [
        "update session_data set value = '{\"items\": \"many\"}'",
        "update session_data set value = 'no JSON'",
    ] {
        app.database.sql(foreign).await;
        for method in [Method::GET, Method::POST] {
            let refused = ann.send(method, "/cart", None).await;
            assert_eq!(refused.refusal(), (500, "internal_error".to_owned()));
            assert!(!refused.text.contains("Cart"), "{}", refused.text);
        }
    }
    ann.send(Method::PUT, "/cart", Some(&items(1))).await;
    assert_eq!(ann.get("/cart").await.json(), items(1));
}

#[tokio::test]
async fn an_operation_that_does_not_touch_it_asks_the_database_nothing() {
    struct Idle;

    #[OpenApi]
    impl Idle {
        /// Do nothing with my cart
        #[oai(path = "/idle", method = "get", operation_id = "idle")]
        async fn idle(&self, cart: Session<Cart>) -> Json<String> {
            Json(cart.who().username().to_owned())
        }
    }

    let app = TestApp::new().await;
    let mounted = mounted(&app.cloakroom, Idle);
    let ann = Client::signed_in(&mounted, "ann").await;
    assert_eq!(ann.get("/idle").await.json(), "ann"); // from now on the session is in the cache
    // the cache is only used if the revocation feed was read recently
    let known = async || {
        app.database.sql("alter table session_data rename to session_data_gone").await;
        let answer = ann.get("/idle").await;
        app.database.sql("alter table session_data_gone rename to session_data").await;
        answer
    };
    assert_eq!(known().await.json(), "ann");
}
