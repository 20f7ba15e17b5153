//! Tests of errors in the host program's operations: they become problem documents and reveal no
//! internals.

use cloakroom::Public;
use poem::http::{Method, StatusCode, header};
use poem::{Body, Request};
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::{Json, PlainText};
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde_json::json;

use crate::app::{Client, TestApp, mounted};

/// A colour.
#[derive(Object)]
#[oai(deny_unknown_fields)]
struct Colour {
    /// Its name.
    #[oai(validator(max_length = 5))]
    name: String,
    /// How much of it.
    amount: u8,
}

#[derive(ApiResponse)]
enum Refusal {
    /// A refusal as plain text.
    #[oai(status = 418)]
    Teapot(PlainText<String>),
}

struct Colours;

#[OpenApi]
impl Colours {
    /// Mix a colour
    #[oai(path = "/colours/:number", method = "put", operation_id = "mix")]
    async fn mix(
        &self,
        _public: Public,
        number: Path<u8>,
        deep: Query<bool>,
        colour: Json<Colour>,
    ) -> Json<u8> {
        Json(number.0 + colour.amount + u8::from(deep.0))
    }

    /// Fail
    #[oai(path = "/fail", method = "post", operation_id = "fail")]
    async fn fail(
        &self,
        _public: Public,
        how: PlainText<String>,
    ) -> poem::Result<PlainText<String>> {
        let status = |text, status| Err(poem::Error::from_string(text, status));
        match how.0.as_str() {
            "panic" => panic!("canary"),
            "broken" => status("canary", StatusCode::INTERNAL_SERVER_ERROR),
            "gone" => status("It was sold.", StatusCode::GONE),
            "busy" => Err(StatusCode::SERVICE_UNAVAILABLE.into()),
            "nothing" => Err(StatusCode::NOT_FOUND.into()),
            "own" => Err(Refusal::Teapot(PlainText("short and stout".to_owned())).into()),
            _ => Ok(how),
        }
    }
}

fn put(path: &str, kind: &str, body: &str) -> Request {
    let request = Request::builder().method(Method::PUT).uri_str(path).content_type(kind);
    request.body(body.to_owned())
}

#[tokio::test]
async fn what_poem_openapi_cannot_read_is_a_problem_that_names_the_field() {
    let app = TestApp::new().await;
    let mounted = mounted(&app.cloakroom, Colours);
    let client = Client::of(&mounted);
    let (path, json) = ("/colours/1?deep=true", "application/json");
    let good = r#"{"name": "red", "amount": 1}"#;
    assert_eq!(client.ask(put(path, json, good)).await.text, "3");
    for (path, kind, body, status, code, field) in [
        (path, json, "{", 400, "invalid_request", None),
        (path, json, "[]", 400, "invalid_request", None),
        (path, json, r#"{"name": "red"}"#, 400, "invalid_request", None),
        (path, json, r#"{"name": "purple", "amount": 1}"#, 400, "invalid_request", Some("name")),
        (path, json, r#"{"name": "red", "amount": 1, "x": 1}"#, 400, "invalid_request", Some("x")),
        ("/colours/red?deep=true", json, good, 400, "invalid_request", Some("number")),
        ("/colours/1?deep=very", json, good, 400, "invalid_request", Some("deep")),
        ("/colours/1", json, good, 400, "invalid_request", Some("deep")),
        (path, "text/plain", good, 415, "unsupported_media_type", None),
        ("/colours", json, good, 404, "not_found", None),
    ] {
        let refused = client.ask(put(path, kind, body)).await;
        assert_eq!(refused.refusal(), (status, code.to_owned()), "{path} {kind} {body}");
        let accept = refused.headers.get(header::ACCEPT).map(|accept| accept.to_str().unwrap());
        assert_eq!(accept, (status == 415).then_some("application/json"), "{kind}");
        let error = refused.json()["errors"][0]["field"].as_str().map(str::to_owned);
        assert_eq!(error.as_deref(), field, "{path} {body}: {}", refused.text);
        for secret in ["Colour", "uint8", "u8", "poem", "serde", "parse"] {
            assert!(!refused.text.contains(secret), "{body}: {}", refused.text);
        }
    }
    let refused = client.send(Method::DELETE, "/colours/1", None).await;
    assert_eq!(refused.refusal(), (405, "method_not_allowed".to_owned()));
    assert_eq!(refused.headers[header::ALLOW], "PUT");
}

#[tokio::test]
async fn a_status_becomes_a_problem_and_what_broke_stays_inside() {
    let app = TestApp::new().await;
    let mounted = mounted(&app.cloakroom, Colours);
    let client = Client::of(&mounted);
    for (how, status, code, detail) in [
        ("panic", 500, "internal_error", None),
        ("broken", 500, "internal_error", None),
        ("busy", 503, "unavailable", None),
        ("nothing", 404, "not_found", None),
        ("gone", 410, "gone", Some("It was sold.")),
    ] {
        let request = Request::builder().method(Method::POST).uri_str("/fail");
        let refused = client.ask(request.content_type("text/plain").body(how)).await;
        assert_eq!(refused.refusal(), (status, code.to_owned()));
        assert!(!refused.text.contains("canary"), "{}", refused.text);
        assert!(detail.is_none_or(|detail| refused.json()["detail"] == detail));
    }
    let request = Request::builder().method(Method::POST).uri_str("/fail");
    let own = client.ask(request.content_type("text/plain").body("own")).await;
    assert_eq!((own.status.as_u16(), own.text.as_str()), (418, "short and stout"));
}

#[tokio::test]
async fn a_body_beyond_its_limit_is_refused_whatever_it_says_of_itself() {
    let app = TestApp::new().await;
    let mount = app.cloakroom.mount(Colours, "Colours", "1.0.0").body_limit(2048);
    let mounted = mount.endpoint().unwrap();
    let client = Client::of(&mounted);
    let ask = async |body: Body| {
        let request = Request::builder().method(Method::POST).uri_str("/fail");
        client.ask(request.content_type("text/plain").body(body)).await
    };
    assert_eq!(ask("x".repeat(2048).into()).await.text.len(), 2048);
    let refused = ask("x".repeat(2049).into()).await;
    assert_eq!(refused.refusal(), (413, "payload_too_large".to_owned()));
    assert_eq!(refused.json()["detail"], "The body is larger than 2 KiB.");
    let endless = std::iter::repeat_with(|| Ok::<_, std::io::Error>(vec![b'x'; 100]));
    let endless = Body::from_bytes_stream(futures_util::stream::iter(endless));
    assert_eq!(ask(endless).await.refusal(), (413, "payload_too_large".to_owned()));
    assert!(mounted.document().contains("the body is larger than 2 KiB"));

    // Cloakroom's operations have their own limit
    let login = json!({ "username": "ann", "password": "x".repeat(4096) });
    assert_eq!(client.post("/login", &login).await.refusal().0, 400);
}

#[tokio::test]
async fn their_operations_are_behind_the_same_checks() {
    let app = TestApp::new().await;
    let mounted = mounted(&app.cloakroom, Colours);
    let client = Client::of(&mounted);
    let mut foreign = put("/colours/1?deep=true", "application/json", "{}");
    foreign.headers_mut().insert("sec-fetch-site", "cross-site".parse().unwrap());
    assert_eq!(client.ask(foreign).await.refusal(), (403, "cross_origin".to_owned()));
    let mut rebound = put("/colours/1?deep=true", "application/json", "{}");
    rebound.headers_mut().insert(header::HOST, "evil.example".parse().unwrap());
    assert_eq!(client.ask(rebound).await.refusal(), (421, "unknown_host".to_owned()));
    let answer =
        client.ask(put("/colours/1?deep=true", "application/json", r#"{"name":"r","amount":1}"#));
    let answer = answer.await;
    assert_eq!(answer.headers["x-content-type-options"], "nosniff");
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert!(answer.headers.contains_key("x-request-id"));
}
