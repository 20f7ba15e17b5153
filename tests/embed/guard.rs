//! Tests of `SignedIn` and `MaybeSignedIn`: which requests are let in, and what the document says
//! about them.

use cloakroom::{Cloakroom, MaybeSignedIn, SignedIn};
use poem::http::StatusCode;
use poem::{Endpoint, EndpointExt, Request, Response};
use poem_openapi::payload::{Json, PlainText};
use poem_openapi::{Object, OpenApi, OpenApiService};
use serde_json::{Value, json};

use crate::app::{Client, TestApp, mounted};

/// A greeting.
#[derive(Object)]
struct Greeting {
    /// The words.
    words: String,
}

struct Greetings;

#[OpenApi]
impl Greetings {
    /// Greet me
    #[oai(path = "/greeting", method = "post", operation_id = "greet")]
    async fn greet(&self, who: SignedIn, body: Json<Greeting>) -> PlainText<String> {
        PlainText(format!("{} {} {}", body.words, who.username(), who.account_id()))
    }

    /// Greet any client
    #[oai(path = "/hello", method = "get", operation_id = "sayHello")]
    async fn hello(&self, who: MaybeSignedIn) -> PlainText<String> {
        let name = who.signed_in().map_or("anonymous", SignedIn::username);
        PlainText(format!("Hello {name}"))
    }
}

#[tokio::test]
async fn who_is_signed_in_is_known_by_name_and_id() {
    let app = TestApp::new().await;
    let mounted = mounted(&app.cloakroom, Greetings);
    let ann = Client::signed_in(&mounted, "ann").await;
    let id = ann.get("/me").await.json()["id"].as_str().unwrap().to_owned();
    let greeting = ann.post("/greeting", &json!({ "words": "Good day" })).await;
    assert_eq!(greeting.text, format!("Good day ann {id}"));
    assert_eq!(ann.get("/hello").await.text, "Hello ann");
}

#[tokio::test]
async fn the_guard_comes_before_the_body() {
    let app = TestApp::new().await;
    let mounted = mounted(&app.cloakroom, Greetings);
    let anonymous = Client::of(&mounted);
    let refused = anonymous.post("/greeting", &json!("nonsense")).await;
    assert_eq!(refused.refusal(), (401, "not_authenticated".to_owned()));
    assert!(refused.headers.contains_key("www-authenticate"));
    *anonymous.cookie.lock().unwrap() = Some("session=forged".to_owned());
    let refused = anonymous.post("/greeting", &json!("nonsense")).await;
    assert_eq!(refused.refusal(), (403, "session_refused".to_owned()));
}

#[tokio::test]
async fn a_cookie_of_another_application_is_none_and_that_of_an_ended_session_is_refused() {
    let app = TestApp::new().await;
    let mounted = mounted(&app.cloakroom, Greetings);
    let anonymous = Client::of(&mounted);
    assert_eq!(anonymous.get("/hello").await.text, "Hello anonymous");
    *anonymous.cookie.lock().unwrap() = Some("session=forged".to_owned());
    let answer = anonymous.get("/hello").await;
    assert_eq!(answer.text, "Hello anonymous");
    assert!(!answer.headers.contains_key("set-cookie"), "the cookie is not ours to delete");
    *anonymous.cookie.lock().unwrap() = Some("session=forged; session=planted".to_owned());
    assert_eq!(anonymous.get("/hello").await.refusal(), (403, "session_refused".to_owned()));

    let ann = Client::signed_in(&mounted, "ann").await;
    let kept = ann.cookie.lock().unwrap().clone();
    ann.send(poem::http::Method::POST, "/logout", None).await;
    *ann.cookie.lock().unwrap() = kept;
    assert_eq!(ann.get("/hello").await.refusal(), (403, "session_refused".to_owned()));
}

#[tokio::test]
async fn an_outage_of_the_database_makes_nobody_of_who_is_signed_in() {
    let app = TestApp::new().await;
    let mounted = mounted(&app.cloakroom, Greetings);
    // the service's cache does not have this session yet
    let ann = Client::signed_in(&mounted, "ann").await;
    app.cloakroom.domain().store.close().await;
    let refused = ann.get("/hello").await;
    assert_eq!(refused.refusal(), (503, "unavailable".to_owned()));
    assert!(!refused.headers.contains_key("set-cookie"));
    assert_eq!(Client::of(&mounted).get("/hello").await.text, "Hello anonymous");
}

#[tokio::test]
async fn the_document_says_what_the_guards_answer() {
    let app = TestApp::new().await;
    let document: Value =
        serde_json::from_str(mounted(&app.cloakroom, Greetings).document()).unwrap();
    let greet = &document["paths"]["/greeting"]["post"];
    assert_eq!(greet["security"], json!([{ "session": [] }]));
    let statuses: Vec<&String> = greet["responses"].as_object().unwrap().keys().collect();
    assert_eq!(statuses, ["200", "400", "401", "403", "413", "415", "421", "500", "503"]);
    let refused = greet["responses"]["403"]["description"].as_str().unwrap();
    assert!(refused.contains("`session_refused`") && refused.contains("`cross_origin`"));

    let hello = &document["paths"]["/hello"]["get"];
    assert_eq!(hello["security"], json!([{ "session": [] }, {}]));
    let statuses: Vec<&String> = hello["responses"].as_object().unwrap().keys().collect();
    assert_eq!(statuses, ["200", "400", "401", "403", "421", "500", "503"]);
}

#[tokio::test]
async fn the_scheme_is_called_as_its_owner_likes() {
    let app = TestApp::new().await;
    let mount = app.cloakroom.mount(Greetings, "Greetings", "1.0.0");
    let mounted = mount.scheme("greetingsSession").endpoint().unwrap();
    let document: Value = serde_json::from_str(mounted.document()).unwrap();
    let schemes = document["components"]["securitySchemes"].as_object().unwrap();
    assert!(schemes.keys().eq(["apiToken", "greetingsSession"]));
    for path in ["/greeting", "/session/confirm/password"] {
        let security = &document["paths"][path]["post"]["security"];
        assert_eq!(*security, json!([{ "greetingsSession": [] }]), "{path}");
    }
    let either = &document["paths"]["/token"]["post"]["security"];
    assert_eq!(*either, json!([{ "greetingsSession": [] }, { "apiToken": [] }]));
    let hello = &document["paths"]["/hello"]["get"]["security"];
    assert_eq!(*hello, json!([{ "greetingsSession": [] }, {}]));
    assert!(!mounted.document().contains("scheme `session`"));
}

#[tokio::test]
async fn a_page_asks_who_it_is_as_an_operation_does() {
    #[poem::handler]
    async fn page(request: &Request) -> poem::Result<String> {
        Ok(SignedIn::of(request).await?.username().to_owned())
    }
    let app = TestApp::new().await;
    let mount = app.cloakroom.mount((), "Pages", "1.0.0").page("/who", page);
    let mounted = mount.endpoint().unwrap();
    let ann = Client::signed_in(&mounted, "ann").await;
    assert_eq!(ann.get("/who").await.text, "ann");
    let refused = Client::of(&mounted).get("/who").await;
    assert_eq!(refused.refusal(), (401, "not_authenticated".to_owned()));
    assert!(!mounted.document().contains("/who"), "a page is not in the document");
}

#[tokio::test]
async fn a_service_stands_in_a_route_of_its_owner() {
    async fn nested(cloakroom: &Cloakroom) -> impl Endpoint<Output = Response> {
        let mounted = mounted(cloakroom, Greetings);
        poem::Route::new()
            .at("/elsewhere", poem::endpoint::make_sync(|_| "here"))
            .nest("/", mounted)
            .map_to_response()
    }
    let app = TestApp::new().await;
    let route = nested(&app.cloakroom).await;
    let ask = async |path: &str| {
        let request = Request::builder().uri_str(path).header("Host", "localhost").finish();
        route.get_response(request).await
    };
    assert_eq!(ask("/elsewhere").await.status(), StatusCode::OK);
    assert_eq!(ask("/hello").await.into_body().into_string().await.unwrap(), "Hello anonymous");
    assert_eq!(ask("/me").await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn an_operation_that_was_never_mounted_lets_nobody_in() {
    let service = OpenApiService::new(Greetings, "Bare", "1.0");
    let route = poem::Route::new().nest("/", service);
    let request = Request::builder().uri_str("/hello").header("Cookie", "session=x").finish();
    let answer = route.get_response(request).await;
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
}
