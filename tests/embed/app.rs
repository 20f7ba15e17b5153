//! A test app: Cloakroom mounted in a poem service, with a fresh database and a clock that the test
//! sets.

use std::path::Path;
use std::sync::Mutex;

use cloakroom::app::Environment;
use cloakroom::config::{Config, Settings};
use cloakroom::core::clock::{Clock, Timestamp};
use cloakroom::domain::passwords::cost::Argon2Params;
use cloakroom::domain::throttle::limits::Limits;
use cloakroom::{Cloakroom, Mounted};
use poem::http::{HeaderMap, Method, StatusCode, header};
use poem::{Endpoint, Request};
use poem_openapi::OpenApi;
use serde_json::{Value, json};

use crate::support::database::Database;

pub const PASSWORD: &str = "canary correct horse battery";
/// 2026-01-01T00:00:00Z
const START: Timestamp = Timestamp::from_millis(1_767_225_600_000);

/// Cloakroom on a fresh database.
pub struct TestApp {
    pub cloakroom: Cloakroom,
    pub clock: Clock,
    pub database: Database,
    pub folder: tempfile::TempDir,
}

impl TestApp {
    pub async fn new() -> Self {
        Self::with(Settings::default()).await
    }

    pub async fn with(settings: Settings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::new(folder.path()).await;
        let clock = Clock::at(START);
        let cloakroom = opened(folder.path(), &database, settings, &clock).await;
        Self { cloakroom, clock, database, folder }
    }

    /// A second instance on the same database, as in another process.
    pub async fn second_node(&self) -> Cloakroom {
        opened(self.folder.path(), &self.database, Settings::default(), &self.clock).await
    }
}

async fn opened(
    folder: &Path,
    database: &Database,
    settings: Settings,
    clock: &Clock,
) -> Cloakroom {
    let (data_dir, database_url) = (Some(folder.to_owned()), database.setting());
    let config = Config::check(Settings { data_dir, database_url, ..settings }).unwrap();
    let hash_cost = Argon2Params { memory_kib: 64, passes: 1, lanes: 1 };
    let surroundings = Environment { clock: clock.clone(), hash_cost, limits: Limits::none() };
    Cloakroom::open_with(config, surroundings, false).await.unwrap()
}

/// Mounts the operations with default options.
pub fn mounted<T: OpenApi + 'static>(cloakroom: &Cloakroom, api: T) -> Mounted {
    cloakroom.mount(api, "Test", "1.0.0").endpoint().unwrap()
}

/// A response.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }

    /// The status and the problem's code; the response must be a problem document.
    pub fn refusal(&self) -> (u16, String) {
        assert_eq!(self.headers[header::CONTENT_TYPE], "application/problem+json", "{self:?}");
        assert_eq!(self.json()["status"], self.status.as_u16());
        (self.status.as_u16(), self.json()["code"].as_str().unwrap().to_owned())
    }
}

/// A client with a cookie jar.
pub struct Client<'a> {
    mounted: &'a Mounted,
    pub cookie: Mutex<Option<String>>,
}

impl<'a> Client<'a> {
    pub fn of(mounted: &'a Mounted) -> Self {
        Self { mounted, cookie: Mutex::default() }
    }

    /// A client that has just registered.
    pub async fn signed_in(mounted: &'a Mounted, username: &str) -> Self {
        let client = Self::of(mounted);
        let account = json!({ "username": username, "password": PASSWORD });
        let answer = client.send(Method::POST, "/register", Some(&account)).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
        client
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, Some(body)).await
    }

    pub async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let request = Request::builder().method(method).uri_str(path);
        self.ask(match body {
            Some(body) => request.content_type("application/json").body(body.to_string()),
            None => request.finish(),
        })
        .await
    }

    /// Sends a request with the cookie of the jar.
    pub async fn ask(&self, mut request: Request) -> Answer {
        if !request.headers().contains_key(header::HOST) {
            request.headers_mut().insert(header::HOST, "localhost".parse().unwrap());
        }
        let cookie = self.cookie.lock().unwrap().clone();
        if let Some(cookie) = cookie {
            request.headers_mut().insert(header::COOKIE, cookie.parse().unwrap());
        }
        let response = self.mounted.get_response(request).await;
        let (status, headers) = (response.status(), response.headers().clone());
        if let Some(set) = headers.get(header::SET_COOKIE) {
            let set = set.to_str().unwrap().split(';').next().unwrap().to_owned();
            *self.cookie.lock().unwrap() = (!set.ends_with('=')).then_some(set);
        }
        Answer { status, headers, text: response.into_body().into_string().await.unwrap() }
    }
}
