//! Tests of guards that require a role: which accounts are let in, what the document says, and which
//! event is recorded.

use cloakroom::core::clock::hours;
use cloakroom::core::ids::AccountId;
use cloakroom::core::usernames::Username;
use cloakroom::domain::audit::event::Event;
use cloakroom::domain::audit::query::{AuditQuery, find_events};
use cloakroom::domain::roles::Role;
use cloakroom::{Cloakroom, MaybeSignedIn, Public, SignedIn};
use poem::Request;
use poem_openapi::payload::{Json, PlainText};
use poem_openapi::{Object, OpenApi};
use serde_json::{Value, json};

use crate::app::{Client, TestApp, mounted};

cloakroom::role!(pub Editor = "editor");
cloakroom::role!(Staff = "editor" | "admin");
cloakroom::role!(NotFound = "not_found"); // the name of a problem code

/// A page of the wiki.
#[derive(Object)]
struct Page {
    /// The text.
    text: String,
}

struct Wiki;

#[OpenApi]
impl Wiki {
    /// Publish a page
    ///
    /// Readers see the page at once.
    #[oai(path = "/page", method = "post", operation_id = "publish")]
    async fn publish(&self, who: SignedIn<Editor>, page: Json<Page>) -> PlainText<String> {
        PlainText(format!("{} by {} {}", page.text, who.username(), who.has_role("editor")))
    }

    /// Read the statistics
    #[oai(path = "/statistics", method = "get", operation_id = "readStatistics")]
    async fn statistics(&self, _who: SignedIn<Staff>) -> PlainText<&'static str> {
        PlainText("1 page")
    }

    /// Read the roles
    #[oai(path = "/roles", method = "get", operation_id = "readRoles")]
    async fn roles(&self, who: SignedIn) -> PlainText<String> {
        PlainText(who.roles().collect::<Vec<_>>().join(" "))
    }

    /// Read an odd page
    #[oai(path = "/odd", method = "get", operation_id = "readOdd")]
    async fn odd(&self, _who: SignedIn<NotFound>) -> PlainText<&'static str> {
        PlainText("odd")
    }

    /// Read as any client
    #[oai(path = "/hello", method = "get", operation_id = "sayHello")]
    async fn hello(&self, who: MaybeSignedIn) -> PlainText<&'static str> {
        let is_editor = who.signed_in().is_some_and(|who| who.has_role("editor"));
        PlainText(if is_editor { "Hello, editor" } else { "Hello" })
    }
}

async fn account(cloakroom: &Cloakroom, username: &str) -> AccountId {
    let username = Username::parse(username).unwrap();
    cloakroom.domain().account_named(&username).await.unwrap().unwrap().id
}

async fn give(cloakroom: &Cloakroom, username: &str, role: &str) {
    let (account, role) = (account(cloakroom, username).await, Role::parse(role).unwrap());
    cloakroom.domain().roles.give_role(&account, &role).await.unwrap();
}

#[tokio::test]
async fn a_role_is_required_and_counts_from_the_moment_it_is_given() {
    let app = TestApp::new().await;
    let mounted = mounted(&app.cloakroom, Wiki);
    let ann = Client::signed_in(&mounted, "ann").await;
    let page = json!({ "text": "News" });
    let refused = ann.post("/page", &page).await;
    assert_eq!(refused.refusal(), (403, "role_needed".to_owned()));
    assert_eq!(
        refused.json()["detail"],
        "This requires the role `editor`, which your account does not have. Ask the operator of \
         this service to give it to your account."
    );
    assert!(!refused.headers.contains_key("set-cookie"), "the session stays");
    let detail = ann.get("/statistics").await.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("one of the roles `editor`, `admin`"), "{detail}");

    give(&app.cloakroom, "ann", "admin").await;
    assert_eq!(ann.get("/statistics").await.text, "1 page");
    assert_eq!(ann.post("/page", &page).await.refusal().1, "role_needed");
    assert_eq!(ann.get("/hello").await.text, "Hello");
    give(&app.cloakroom, "ann", "editor").await;
    assert_eq!(ann.post("/page", &page).await.text, "News by ann true");
    assert_eq!(ann.get("/roles").await.text, "admin editor");
    assert_eq!(ann.get("/hello").await.text, "Hello, editor");
}

#[tokio::test]
async fn the_session_is_checked_before_the_role_and_the_role_before_the_body() {
    let app = TestApp::new().await;
    let mounted = mounted(&app.cloakroom, Wiki);
    let anonymous = Client::of(&mounted);
    let refused = anonymous.post("/page", &json!("nonsense")).await;
    assert_eq!(refused.refusal(), (401, "not_authenticated".to_owned()));
    let ann = Client::signed_in(&mounted, "ann").await;
    let refused = ann.post("/page", &json!("nonsense")).await;
    assert_eq!(refused.refusal(), (403, "role_needed".to_owned()));
    give(&app.cloakroom, "ann", "editor").await;
    assert_eq!(ann.post("/page", &json!("nonsense")).await.refusal().0, 400);
}

#[tokio::test]
async fn rol_09_the_document_says_which_roles_an_operation_requires() {
    let app = TestApp::new().await;
    let document: Value = serde_json::from_str(mounted(&app.cloakroom, Wiki).document()).unwrap();
    let publish = &document["paths"]["/page"]["post"];
    assert_eq!(publish["security"], json!([{ "session": [] }]));
    assert_eq!(publish["x-required-roles"], json!(["editor"]));
    let description = publish["description"].as_str().unwrap();
    assert_eq!(description, "Readers see the page at once.\n\nRequires the role `editor`.");
    let refused = &publish["responses"]["403"];
    let sentence = refused["description"].as_str().unwrap();
    assert!(sentence.contains("`role_needed`: the account does not have the role `editor`."));
    let examples = &refused["content"]["application/problem+json"]["examples"];
    let names: Vec<_> = examples.as_object().unwrap().keys().collect();
    assert_eq!(names, ["session_refused", "role_needed", "cross_origin"]);

    let statistics = &document["paths"]["/statistics"]["get"];
    assert_eq!(statistics["x-required-roles"], json!(["editor", "admin"]));
    assert_eq!(statistics["description"], "Requires one of the roles `editor`, `admin`.");
    let roles = &document["paths"]["/roles"]["get"];
    assert!(roles.get("x-required-roles").is_none() && roles.get("description").is_none());
    assert!(!roles["responses"]["403"].to_string().contains("role_needed"));
    let odd = &document["paths"]["/odd"]["get"]["responses"]["403"]["content"];
    let examples = odd["application/problem+json"]["examples"].as_object().unwrap();
    assert!(examples.keys().eq(["session_refused", "role_needed"]), "{examples:?}");
    assert!(!document.to_string().contains("cloakroom:role"));
}

#[tokio::test]
async fn rol_09_the_example_of_the_document_is_what_the_service_answers() {
    let app = TestApp::new().await;
    let mounted = mounted(&app.cloakroom, Wiki);
    let document: Value = serde_json::from_str(mounted.document()).unwrap();
    let ann = Client::signed_in(&mounted, "ann").await;
    for (path, operation) in [("/statistics", "get"), ("/odd", "get")] {
        let shown = &document["paths"][path][operation]["responses"]["403"]["content"];
        let shown = &shown["application/problem+json"]["examples"]["role_needed"]["value"];
        assert_eq!(ann.get(path).await.json(), *shown, "{path}");
    }
}

#[tokio::test]
async fn a_page_requires_a_role_as_an_operation_does() {
    #[poem::handler]
    async fn drafts(request: &Request) -> poem::Result<String> {
        Ok(SignedIn::with_role::<Editor>(request).await?.username().to_owned())
    }
    let app = TestApp::new().await;
    let mount = app.cloakroom.mount((), "Pages", "1.0.0").page("/drafts", drafts);
    let mounted = mount.endpoint().unwrap();
    assert_eq!(Client::of(&mounted).get("/drafts").await.refusal().0, 401);
    let ann = Client::signed_in(&mounted, "ann").await;
    assert_eq!(ann.get("/drafts").await.refusal(), (403, "role_needed".to_owned()));
    give(&app.cloakroom, "ann", "editor").await;
    assert_eq!(ann.get("/drafts").await.text, "ann");
}

#[tokio::test]
async fn several_guards_with_different_roles_are_refused_and_the_same_role_twice_is_not() {
    struct Both;

    #[OpenApi]
    impl Both {
        /// Do something
        #[oai(path = "/both", method = "get", operation_id = "doBoth")]
        async fn both(
            &self,
            _one: SignedIn<Editor>,
            _other: SignedIn<Staff>,
        ) -> PlainText<&'static str> {
            PlainText("done")
        }
    }

    struct Twice;

    #[OpenApi]
    impl Twice {
        /// Do something
        #[oai(path = "/twice", method = "get", operation_id = "doTwice")]
        async fn twice(
            &self,
            _one: SignedIn<Editor>,
            _other: SignedIn<Editor>,
            _any: SignedIn,
        ) -> PlainText<&'static str> {
            PlainText("done")
        }

        /// Read
        #[oai(path = "/open", method = "get", operation_id = "readOpen")]
        async fn open(&self, _public: Public) -> PlainText<&'static str> {
            PlainText("done")
        }
    }

    let app = TestApp::new().await;
    let error = app.cloakroom.mount(Both, "Test", "1.0.0").endpoint().unwrap_err().to_string();
    assert!(
        error.contains("GET /both (doBoth) has several guards with different roles"),
        "{error}"
    );
    let mounted = mounted(&app.cloakroom, Twice);
    let document: Value = serde_json::from_str(mounted.document()).unwrap();
    let twice = &document["paths"]["/twice"]["get"];
    assert_eq!(twice["security"], json!([{ "session": [] }]));
    assert_eq!(twice["x-required-roles"], json!(["editor"]));
}

#[tokio::test]
async fn a_refusal_by_a_role_is_an_event_and_equal_ones_are_counted_by_the_minute() {
    let app = TestApp::new().await;
    let mounted = mounted(&app.cloakroom, Wiki);
    let ann = Client::signed_in(&mounted, "ann").await;
    for _ in 0..5 {
        ann.get("/statistics").await;
        ann.post("/page", &json!({ "text": "News" })).await;
    }
    let domain = app.cloakroom.domain();
    domain.audit.write_all(&domain.store).await;
    let ann = account(&app.cloakroom, "ann").await;
    let query = AuditQuery {
        account: Some(ann.clone()),
        since: app.clock.now().minus(hours(1)),
        until: app.clock.now().plus(hours(1)),
        events: vec![Event::RoleRefused],
        limit: 100,
    };
    let events = find_events(&domain.store, &query).await.unwrap();
    let mut counts: Vec<i64> = events.iter().map(|row| row.event.count).collect();
    counts.sort_unstable(); // both rows have the time of the test's clock
    assert_eq!(counts, [1, 9], "the first one, and a row with the others");
    assert!(events.iter().all(|row| row.event.account_id.as_deref() == Some(ann.as_str())));
    assert_eq!(events.iter().filter(|row| row.event.session_id.is_some()).count(), 1);
}

#[tokio::test]
async fn rol_09_every_operation_of_the_document_that_needs_a_role_refuses_a_user_without_it() {
    let app = TestApp::new().await;
    let mounted = mounted(&app.cloakroom, Wiki);
    let document: Value = serde_json::from_str(mounted.document()).unwrap();
    let ann = Client::signed_in(&mounted, "ann").await;
    let mut needing = 0;
    for path in ["/page", "/statistics", "/roles", "/odd", "/hello"] {
        for (method, operation) in document["paths"][path].as_object().unwrap() {
            let answer = match method.as_str() {
                "post" => ann.post(path, &json!({ "text": "News" })).await,
                _ => ann.get(path).await,
            };
            let needs_role = operation.get("x-required-roles").is_some();
            let listed = operation["responses"]["403"].to_string().contains("role_needed");
            let refused = answer.status == 403 && answer.refusal().1 == "role_needed";
            assert_eq!((listed, refused), (needs_role, needs_role), "{method} {path}");
            needing += usize::from(needs_role);
        }
    }
    assert_eq!(needing, 3);
}
