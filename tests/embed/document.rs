//! Tests of the shared OpenAPI document: the host program's operations come first, and the document
//! is complete.

use cloakroom::{Problem, Public};
use poem::http::StatusCode;
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, ContactObject, Object, OpenApi, Tags};
use serde_json::{Value, json};

use crate::app::{Client, TestApp};

/// A film.
#[derive(Object)]
struct Film {
    /// What it is called.
    title: String,
    /// How long it is, in minutes.
    minutes: u16,
}

#[derive(Tags)]
enum Tag {
    /// What is on.
    Films,
}

#[derive(ApiResponse)]
enum FilmAnswer {
    /// The film.
    #[oai(status = 200)]
    Film(Json<Film>),
    /// `sold_out`: no seat is left.
    #[oai(status = 409, content_type = "application/problem+json")]
    SoldOut(Json<Problem>),
}

struct Cinema;

#[OpenApi(tag = "Tag::Films")]
impl Cinema {
    /// See a film
    ///
    /// Whichever is on.
    #[oai(path = "/film", method = "patch", operation_id = "seeFilm")]
    async fn see(&self, _public: Public, film: Json<Film>) -> FilmAnswer {
        if film.minutes > 200 {
            let problem = Problem::new(StatusCode::CONFLICT, "sold_out", "No seat is left.");
            return FilmAnswer::SoldOut(Json(problem));
        }
        FilmAnswer::Film(film)
    }

    /// List films
    #[oai(path = "/films", method = "get", operation_id = "listFilms")]
    async fn list(&self, _public: Public) -> Json<Vec<Film>> {
        Json(Vec::new())
    }
}

async fn document() -> Value {
    let app = TestApp::new().await;
    let mount = app.cloakroom.mount(Cinema, "Cinema", "2.1.0").description("What is on.");
    let mount = mount.contact(ContactObject::new().name("The box office"));
    let mounted = mount.endpoint().unwrap();
    let served = Client::of(&mounted).get("/openapi.json").await;
    assert_eq!(served.text, mounted.document());
    served.json()
}

#[tokio::test]
async fn it_is_theirs_and_says_what_cloakroom_adds() {
    let document = document().await;
    let info = &document["info"];
    assert_eq!((&info["title"], &info["version"]), (&json!("Cinema"), &json!("2.1.0")));
    assert_eq!(info["contact"], json!({ "name": "The box office" }));
    assert!(info.get("license").is_none(), "Cloakroom's is not theirs");
    let description = info["description"].as_str().unwrap();
    assert!(description.starts_with("What is on.\n\n") && description.contains("`cross_origin`"));
    let tags: Vec<_> =
        document["tags"].as_array().unwrap().iter().map(|tag| &tag["name"]).collect();
    let ours =
        ["Login", "Films", "Sessions", "Accounts", "API tokens", "Tokens", "Proxies", "Health"];
    assert_eq!(tags, ours, "theirs come after signing in, in the place of `Private`");
    let paths: Vec<_> = document["paths"].as_object().unwrap().keys().collect();
    let place = |path: &str| paths.iter().position(|listed| *listed == path).unwrap();
    assert!(place("/login") < place("/film") && place("/films") < place("/sessions"), "{paths:?}");
    for path in ["/film", "/films", "/login", "/sessions/{id}", "/livez"] {
        assert!(document["paths"].get(path).is_some(), "{path}");
    }
    assert!(document["paths"].get("/private").is_none(), "that is the program's own");
}

struct Greetings;

#[OpenApi]
impl Greetings {
    /// Greet me
    #[oai(path = "/greeting", method = "get", operation_id = "greet")]
    async fn greet(&self, _public: Public) -> Json<String> {
        Json("Hello".to_owned())
    }
}

#[tokio::test]
async fn operations_without_a_tag_are_in_a_group_called_like_the_service() {
    let app = TestApp::new().await;
    let mounted = app.cloakroom.mount(Greetings, "Greetings", "1.0").endpoint().unwrap();
    let document: Value = serde_json::from_str(mounted.document()).unwrap();
    assert_eq!(document["paths"]["/greeting"]["get"]["tags"], json!(["Greetings"]));
    let expected = json!({ "name": "Greetings", "description": "The operations of Greetings." });
    assert_eq!(document["tags"][1], expected, "after `Login`");
}

#[tokio::test]
async fn an_operation_lists_all_that_it_answers() {
    let document = document().await;
    let see = &document["paths"]["/film"]["patch"];
    assert_eq!(see["security"], json!([]));
    let responses = see["responses"].as_object().unwrap();
    let statuses = ["200", "400", "403", "409", "413", "415", "421", "500"];
    assert!(responses.keys().eq(statuses), "{:?}", responses.keys());
    for (status, response) in responses {
        let media = if status == "200" { "application/json" } else { "application/problem+json" };
        assert!(response["content"].as_object().unwrap().keys().eq([media]), "{status}");
        if status != "200" {
            let examples = response["content"][media]["examples"].as_object().unwrap();
            assert!(!examples.is_empty(), "{status}");
            for example in examples.values() {
                assert_eq!(example["value"]["status"].to_string(), *status);
            }
        }
    }
    assert!(responses["413"].to_string().contains("larger than 1 MiB"));
    assert!(see["requestBody"]["content"].as_object().unwrap().keys().eq(["application/json"]));
    let film = &document["components"]["schemas"]["Film"]["properties"]["minutes"];
    assert_eq!(film["format"], "int32", "OpenAPI knows no unsigned ones");
    let list = &document["paths"]["/films"]["get"]["responses"]["200"];
    assert_eq!(list["description"], "OK");
}

#[tokio::test]
async fn a_refusal_of_their_own_is_the_one_the_document_shows() {
    let document = document().await;
    let shown = &document["paths"]["/film"]["patch"]["responses"]["409"]["content"];
    let shown = &shown["application/problem+json"]["examples"]["sold_out"]["value"];
    let app = TestApp::new().await;
    let mounted = app.cloakroom.mount(Cinema, "Cinema", "2.1.0").endpoint().unwrap();
    let film = json!({ "title": "Out 1", "minutes": 729 });
    let method = poem::http::Method::PATCH;
    let refused = Client::of(&mounted).send(method, "/film", Some(&film)).await;
    assert_eq!(refused.refusal(), (409, "sold_out".to_owned()));
    for member in ["type", "title", "status", "code"] {
        assert_eq!(refused.json()[member], shown[member], "{member}");
    }
}

#[tokio::test]
async fn pages_of_allowed_origins_may_use_their_methods() {
    let app = TestApp::with(cloakroom::config::Settings {
        allowed_origins: Some("https://app.example.org".into()),
        ..Default::default()
    })
    .await;
    let mounted = app.cloakroom.mount(Cinema, "Cinema", "2.1.0").endpoint().unwrap();
    let request = poem::Request::builder()
        .method(poem::http::Method::OPTIONS)
        .uri_str("/film")
        .header("Origin", "https://app.example.org")
        .header("Access-Control-Request-Method", "PATCH");
    let answer = Client::of(&mounted).ask(request.finish()).await;
    let methods = answer.headers["access-control-allow-methods"].to_str().unwrap();
    assert_eq!(methods, "GET, HEAD, POST, PUT, DELETE, PATCH");
}
