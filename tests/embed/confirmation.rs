//! Tests of the guard `Confirmed`: which requests are let in, what the document and browsers are told,
//! and that session data outlives a confirmation.

use cloakroom::core::clock::mins;
use cloakroom::{Confirmed, Session, SignedIn};
use poem::Request;
use poem::http::Method;
use poem_openapi::payload::PlainText;
use poem_openapi::{Object, OpenApi};
use serde_json::{Value, json};

use crate::app::{Answer, Client, PASSWORD, TestApp, mounted};

cloakroom::role!(Payer = "payer");

/// A shopping cart.
#[derive(Object, Default)]
struct Cart {
    /// How many.
    items: u32,
}

struct Payments;

#[OpenApi]
impl Payments {
    /// Pay all bills
    ///
    /// The money leaves the account at once.
    #[oai(path = "/payments", method = "post", operation_id = "payBills")]
    async fn pay(&self, who: Confirmed) -> PlainText<String> {
        PlainText(format!("{} has paid", who.username()))
    }

    /// Pay the salaries
    #[oai(path = "/salaries", method = "post", operation_id = "paySalaries")]
    async fn pay_salaries(&self, _who: Confirmed<Payer>) -> PlainText<&'static str> {
        PlainText("paid")
    }

    /// Say since when the session is confirmed
    #[oai(path = "/times", method = "get", operation_id = "readTimes")]
    async fn times(&self, who: SignedIn) -> PlainText<String> {
        PlainText(format!("{} {:?}", who.authenticated_at(), who.confirmed_until()))
    }

    /// Count the items
    #[oai(path = "/cart", method = "post", operation_id = "countItems")]
    async fn count(&self, cart: Session<Cart>) -> poem::Result<PlainText<String>> {
        let items = cart.update(|cart| {
            cart.items += 1;
            cart.items
        });
        Ok(PlainText(items.await?.to_string()))
    }
}

async fn confirm(client: &Client<'_>) -> Answer {
    client.post("/session/confirm/password", &json!({ "current_password": PASSWORD })).await
}

async fn pay(client: &Client<'_>) -> Answer {
    client.send(Method::POST, "/payments", None).await
}

#[tokio::test]
async fn mfa_35_the_guard_lets_a_session_in_for_15_minutes_after_the_password() {
    let app = TestApp::new().await;
    let mounted = mounted(&app.cloakroom, Payments);
    assert_eq!(pay(&Client::of(&mounted)).await.refusal(), (401, "not_authenticated".to_owned()));
    let ann = Client::signed_in(&mounted, "ann").await;
    assert_eq!(pay(&ann).await.text, "ann has paid");
    app.clock.advance(mins(15));
    let refused = pay(&ann).await;
    assert_eq!(refused.refusal(), (403, "confirmation_required".to_owned()));
    assert!(!refused.headers.contains_key("set-cookie"));
    let document: Value = serde_json::from_str(mounted.document()).unwrap();
    let shown = &document["paths"]["/payments"]["post"]["responses"]["403"]["content"];
    let shown = &shown["application/problem+json"]["examples"]["confirmation_required"]["value"];
    assert_eq!(refused.json(), *shown);
    let items = ann.send(Method::POST, "/cart", None).await;
    assert_eq!(items.text, "1");

    let former = ann.cookie.lock().unwrap().clone();
    assert_eq!(confirm(&ann).await.status, 200);
    assert_eq!(pay(&ann).await.text, "ann has paid");
    assert_eq!(ann.send(Method::POST, "/cart", None).await.text, "2", "the data stays");
    let times = "2026-01-01 0:15:00.0 +00:00:00 Some(2026-01-01 0:30:00.0 +00:00:00)";
    assert_eq!(ann.get("/times").await.text, times);
    *ann.cookie.lock().unwrap() = former;
    assert_eq!(pay(&ann).await.refusal(), (403, "confirmation_required".to_owned()));
    assert_eq!(ann.get("/times").await.text, "2026-01-01 0:00:00.0 +00:00:00 None");
    assert_eq!(ann.send(Method::POST, "/cart", None).await.text, "3", "the same session");
}

#[tokio::test]
async fn a_missing_role_is_refused_before_the_confirmation() {
    let app = TestApp::new().await;
    let mounted = mounted(&app.cloakroom, Payments);
    let ann = Client::signed_in(&mounted, "ann").await;
    app.clock.advance(mins(15));
    let refused = ann.send(Method::POST, "/salaries", None).await;
    assert_eq!(refused.refusal(), (403, "role_needed".to_owned()));
    app.database
        .sql("insert into roles (account_id, role, given_at) select id, 'payer', 0 from accounts")
        .await;
    app.clock.advance(mins(2)); // changes by other SQL count within a minute
    let refused = ann.send(Method::POST, "/salaries", None).await;
    assert_eq!(refused.refusal(), (403, "confirmation_required".to_owned()));
    confirm(&ann).await;
    assert_eq!(ann.send(Method::POST, "/salaries", None).await.text, "paid");
}

#[tokio::test]
async fn the_document_says_that_an_operation_requires_a_confirmation() {
    let app = TestApp::new().await;
    let mounted = mounted(&app.cloakroom, Payments);
    let document: Value = serde_json::from_str(mounted.document()).unwrap();
    let payments = &document["paths"]["/payments"]["post"];
    assert_eq!(payments["security"], json!([{ "session": [] }]));
    assert_eq!(
        payments["description"],
        "The money leaves the account at once.\n\nRequires that the user signed in or confirmed the \
         session in the last 15 minutes. See `confirmWithPassword`."
    );
    let salaries = &document["paths"]["/salaries"]["post"];
    assert_eq!(salaries["x-required-roles"], json!(["payer"]));
    let examples = &salaries["responses"]["403"]["content"]["application/problem+json"]["examples"];
    let names: Vec<_> = examples.as_object().unwrap().keys().collect();
    assert_eq!(names, ["session_refused", "role_needed", "confirmation_required", "cross_origin"]);
    let times = &document["paths"]["/times"]["get"];
    assert!(!times.to_string().contains("confirmation_required"));
    assert!(!document.to_string().contains("cloakroom:"));
}

#[tokio::test]
async fn a_browser_gets_a_page_that_leads_to_the_password_and_back() {
    #[poem::handler]
    async fn bills(request: &Request) -> poem::Result<String> {
        Ok(Confirmed::of(request).await?.username().to_owned())
    }
    let app = TestApp::new().await;
    let mount = app.cloakroom.mount((), "Pages", "1.0.0").page("/bills", bills);
    let mounted = mount.endpoint().unwrap();
    let ann = Client::signed_in(&mounted, "ann").await;
    assert_eq!(ann.get("/bills").await.text, "ann");
    app.clock.advance(mins(15));
    let request = Request::builder().uri_str("/bills?page=2").header("accept", "text/html");
    let page = ann.ask(request.finish()).await;
    assert_eq!(page.status, 403);
    assert!(page.text.contains("Confirm your password"), "{}", page.text);
    let link = "href=\"/account/confirm?next=%2Fbills%3Fpage%3D2\"";
    assert!(page.text.contains(link), "{}", page.text);
}
