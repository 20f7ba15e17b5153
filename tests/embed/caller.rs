//! Tests of the guard `Caller`, which accepts sessions and API tokens.

use cloakroom::core::usernames::Username;
use cloakroom::domain::roles::Role;
use cloakroom::{Caller, Confirmed, MaybeSignedIn, SignedIn};
use poem::Request;
use poem::http::Method;
use poem_openapi::OpenApi;
use poem_openapi::payload::PlainText;
use serde_json::{Value, json};

use crate::app::{Client, TestApp, mounted};

cloakroom::role!(Deployer = "deployer");

struct Deployments;

#[OpenApi]
impl Deployments {
    /// Say who calls
    #[oai(path = "/caller", method = "get", operation_id = "sayWhoCalls")]
    async fn caller(&self, who: Caller) -> PlainText<String> {
        let by = match (who.session_id(), who.api_token_id()) {
            (Some(_), None) => "a session",
            (None, Some(_)) => "an API token",
            _ => "neither",
        };
        let is_known = who.authenticated_at().is_some();
        let roles = who.roles().collect::<Vec<_>>().join(" ");
        PlainText(format!("{} by {by} {is_known} {roles}", who.username()))
    }

    /// Deploy
    #[oai(path = "/deployments", method = "post", operation_id = "deploy")]
    async fn deploy(&self, who: Caller<Deployer>) -> PlainText<String> {
        PlainText(format!("deployed for {}", who.username()))
    }

    /// Read as a person
    #[oai(path = "/person", method = "get", operation_id = "readAsPerson")]
    async fn person(&self, who: SignedIn) -> PlainText<String> {
        PlainText(who.username().to_owned())
    }

    /// Pay
    #[oai(path = "/payments", method = "post", operation_id = "pay")]
    async fn pay(&self, who: Confirmed) -> PlainText<String> {
        PlainText(who.username().to_owned())
    }

    /// Say hello
    #[oai(path = "/hello", method = "get", operation_id = "sayHello")]
    async fn hello(&self, who: MaybeSignedIn) -> PlainText<String> {
        PlainText(who.signed_in().map_or("stranger", |who| who.username()).to_owned())
    }
}

async fn give(app: &TestApp, role: &str) {
    let domain = app.cloakroom.domain();
    let ann = domain.account_named(&Username::parse("ann").unwrap()).await.unwrap().unwrap();
    domain.roles.give_role(&ann.id, &Role::parse(role).unwrap()).await.unwrap();
}

fn with_token(method: Method, path: &str, token: &str) -> Request {
    let request = Request::builder().method(method).uri_str(path);
    request.header("authorization", format!("Bearer {token}")).finish()
}

#[tokio::test]
async fn a_caller_is_a_session_or_a_token_with_its_roles() {
    let app = TestApp::new().await;
    let mounted = mounted(&app.cloakroom, Deployments);
    let ann = Client::signed_in(&mounted, "ann").await;
    give(&app, "deployer").await;
    give(&app, "admin").await;
    assert_eq!(ann.get("/caller").await.text, "ann by a session true admin deployer");
    assert_eq!(ann.post("/deployments", &json!({})).await.text, "deployed for ann");
    let create = async |roles: &[&str]| {
        let created = ann.post("/api-tokens", &json!({ "name": "CI", "roles": roles })).await;
        created.json()["token"].as_str().unwrap().to_owned()
    };
    let (deployer, plain) = (create(&["deployer"]).await, create(&[]).await);
    let program = Client::of(&mounted);
    let answer = program.ask(with_token(Method::GET, "/caller", &deployer)).await;
    assert_eq!(answer.text, "ann by an API token false deployer");
    let answer = program.ask(with_token(Method::POST, "/deployments", &deployer)).await;
    assert_eq!(answer.text, "deployed for ann");
    let refused = program.ask(with_token(Method::POST, "/deployments", &plain)).await;
    assert_eq!(refused.refusal(), (403, "role_needed".to_owned()));
    assert_eq!(program.get("/caller").await.refusal(), (401, "not_authenticated".to_owned()));
}

#[tokio::test]
async fn the_other_guards_refuse_a_token_also_next_to_the_cookie_of_a_session() {
    let app = TestApp::new().await;
    let mounted = mounted(&app.cloakroom, Deployments);
    let ann = Client::signed_in(&mounted, "ann").await;
    let created = ann.post("/api-tokens", &json!({ "name": "CI" })).await.json();
    let token = created["token"].as_str().unwrap();
    for client in [&ann, &Client::of(&mounted)] {
        for (method, path) in
            [(Method::GET, "/person"), (Method::POST, "/payments"), (Method::GET, "/hello")]
        {
            let answer = client.ask(with_token(method, path, token)).await;
            assert_eq!(answer.refusal(), (401, "token_refused".to_owned()), "{path}");
            let detail = answer.json()["detail"].as_str().unwrap().to_owned();
            assert!(detail.starts_with("This operation does not accept API tokens."), "{detail}");
        }
    }
}

#[tokio::test]
async fn the_document_has_both_schemes_exactly_on_the_operations_that_accept_tokens() {
    let app = TestApp::new().await;
    let document: Value =
        serde_json::from_str(mounted(&app.cloakroom, Deployments).document()).unwrap();
    let security = |path: &str, method: &str| &document["paths"][path][method]["security"];
    let both = json!([{ "session": [] }, { "apiToken": [] }]);
    assert_eq!(*security("/caller", "get"), both);
    assert_eq!(*security("/deployments", "post"), both);
    assert_eq!(*security("/person", "get"), json!([{ "session": [] }]));
    let deploy = &document["paths"]["/deployments"]["post"];
    assert_eq!(deploy["x-required-roles"], json!(["deployer"]));
    let refused = deploy["responses"]["401"]["description"].as_str().unwrap();
    assert!(refused.contains("`token_refused`: the API token is malformed"), "{refused}");
    let scheme = &document["components"]["securitySchemes"]["apiToken"];
    assert_eq!((&scheme["type"], &scheme["scheme"]), (&json!("http"), &json!("bearer")));
}
