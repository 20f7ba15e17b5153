//! The test app: the real route on a fresh database with a manual clock, and clients for it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use cloakroom::app::{self, Environment};
use cloakroom::config::{Config, Settings};
use cloakroom::core::clock::{Clock, Timestamp};
use cloakroom::domain::AuthService;
use cloakroom::domain::passwords::cost::Argon2Params;
use cloakroom::domain::passwords::hasher::HashSlot;
use cloakroom::domain::passwords::queue::{MAX_SLOTS, Share};
use cloakroom::domain::throttle::limits::Limits;
use cloakroom::http::RequestCounters;
use cloakroom::metrics::{self, MetricSources};
use poem::endpoint::BoxEndpoint;
use poem::http::uri::Scheme;
use poem::http::{HeaderMap, Method, StatusCode, header};
use poem::web::{LocalAddr, RemoteAddr};
use poem::{Addr, Body, Endpoint, Request, Response};
use prometheus_client::metrics::gauge::Gauge;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::contract;
use crate::support::database::Database;

/// Long enough for every test, and searched for where it must not appear.
pub const PASSWORD: &str = "canary correct horse battery";
/// 2026-01-01T00:00:00Z
pub const START: Timestamp = Timestamp::from_millis(1_767_225_600_000);
/// The parameters of production are only defined in the program.
pub const CHEAP: Argon2Params = Argon2Params { memory_kib: 64, passes: 1, lanes: 1 };

pub struct TestApp {
    pub config: Config,
    pub clock: Clock,
    pub domain: Arc<AuthService>,
    /// The owners of the store while nothing is written in the background.
    pub store_owners: usize,
    limits: Limits,
    route: BoxEndpoint<'static, Response>,
    metrics: BoxEndpoint<'static, Response>,
    folder: Arc<tempfile::TempDir>,
    database: Arc<Database>,
}

impl TestApp {
    pub async fn new() -> Self {
        Self::with(Settings::default()).await
    }

    pub async fn with(settings: Settings) -> Self {
        Self::build(settings, CHEAP, Limits::production()).await
    }

    /// An app without limits of attempts.
    pub async fn without_limits() -> Self {
        Self::limited(Limits::none()).await
    }

    /// An app with these limits.
    pub async fn limited(limits: Limits) -> Self {
        Self::build(Settings::default(), CHEAP, limits).await
    }

    /// An app with these hash parameters.
    pub async fn with_hash_cost(hash_cost: Argon2Params) -> Self {
        Self::build(Settings::default(), hash_cost, Limits::none()).await
    }

    /// An app with the system's clock, which runs while requests are answered.
    pub async fn with_running_clock() -> Self {
        let app = Self::new().await;
        let domain = app.node(Clock::System).await;
        Self { clock: Clock::System, ..domain }
    }

    pub async fn build(settings: Settings, hash_cost: Argon2Params, limits: Limits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = Some(folder.path().to_owned());
        let folder = Arc::new(folder);
        let database = Arc::new(Database::new(folder.path()).await);
        let database_url = database.setting();
        let config = Config::check(Settings { data_dir, database_url, ..settings }).unwrap();
        let clock = Clock::at(START);
        let environment = Environment { clock: clock.clone(), hash_cost, limits: limits.clone() };
        let (domain, store_owners, route, metrics) = build(&config, environment).await;
        Self { config, clock, domain, store_owners, limits, route, metrics, folder, database }
    }

    /// Opens the same data again, like a new process.
    pub async fn restarted(&mut self) {
        self.restarted_at(CHEAP).await;
    }

    /// Opens the same data again with other hash parameters.
    pub async fn restarted_at(&mut self, hash_cost: Argon2Params) {
        let (clock, limits) = (self.clock.clone(), self.limits.clone());
        let environment = Environment { clock, hash_cost, limits };
        (self.domain, self.store_owners, self.route, self.metrics) =
            build(&self.config, environment).await;
    }

    /// A second node: the same database, keys and clock, but separate memory.
    pub async fn second_node(&self) -> Self {
        self.node(self.clock.clone()).await
    }

    /// A second node with its own clock.
    pub async fn node(&self, clock: Clock) -> Self {
        let environment =
            Environment { clock: clock.clone(), hash_cost: CHEAP, limits: self.limits.clone() };
        let (domain, store_owners, route, metrics) = build(&self.config, environment).await;
        Self {
            config: self.config.clone(),
            clock,
            domain,
            store_owners,
            limits: self.limits.clone(),
            route,
            metrics,
            folder: Arc::clone(&self.folder),
            database: Arc::clone(&self.database),
        }
    }

    /// A second node whose clock is ahead.
    pub async fn second_node_ahead_by(&self, time: Duration) -> Self {
        let clock = Clock::at(self.clock.now().plus(time));
        let environment =
            Environment { clock: clock.clone(), hash_cost: CHEAP, limits: self.limits.clone() };
        let (domain, store_owners, route, metrics) = build(&self.config, environment).await;
        Self {
            config: self.config.clone(),
            clock,
            domain,
            store_owners,
            limits: self.limits.clone(),
            route,
            metrics,
            folder: Arc::clone(&self.folder),
            database: Arc::clone(&self.database),
        }
    }

    /// Changes the database directly, as only its owner can.
    pub async fn sql(&self, sql: &'static str) {
        self.database.sql(sql).await;
    }

    /// Runs this in a separate transaction, which stays open.
    pub async fn hold(&self, sql: &'static str) -> sqlx::PgConnection {
        self.database.hold(sql).await
    }

    /// For behavior that differs between the engines.
    pub fn is_on_postgres(&self) -> bool {
        matches!(*self.database, Database::Postgres(_))
    }

    /// Corrupts the database under the open connections: overwrites its files with garbage.
    pub async fn corrupt_database(&self) {
        if self.is_on_postgres() {
            // A PostgreSQL server that goes down is tested in tests/nodes.
            return self.domain.store.close().await;
        }
        for name in ["cloakroom.db", "cloakroom.db-wal", "cloakroom.db-shm"] {
            let path = self.data(name);
            let length = std::fs::metadata(&path).unwrap().len();
            std::fs::write(&path, vec![0x5a; usize::try_from(length).unwrap()]).unwrap();
        }
    }

    /// Queries a number.
    pub async fn count(&self, sql: &'static str) -> i64 {
        self.database.count(sql).await
    }

    /// Queries a text.
    pub async fn text(&self, sql: &'static str) -> String {
        self.database.text(sql).await
    }

    /// Waits up to a minute until the condition holds. Usually it holds immediately, but a loaded
    /// machine may be slow.
    pub async fn eventually(&self, holds: impl AsyncFn() -> bool) -> bool {
        for _ in 0..3_000 {
            if holds().await {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        false
    }

    /// Waits until this many requests for a hash have been queued or refused.
    pub async fn hash_requests_arrive(&self, sent: usize) {
        let hasher = &self.domain.hasher;
        let arrived = || hasher.waiting() + usize::try_from(hasher.refusals().get()).unwrap();
        assert!(self.eventually(async || arrived() >= sent).await, "{} of {sent}", arrived());
    }

    /// A file or folder in the data folder.
    pub fn data(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// A client without a session.
    pub fn anonymous(&self) -> Client<'_> {
        Client { app: self, cookie: Mutex::default(), notice: Mutex::default() }
    }

    /// A client that has just registered.
    pub async fn signed_in(&self, username: &str) -> Client<'_> {
        let client = self.anonymous();
        let account = json!({ "username": username, "password": PASSWORD });
        let answer = client.post("/register", &account).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
        client
    }

    /// Another browser of a registered user.
    pub async fn signed_in_again(&self, username: &str) -> Client<'_> {
        let client = self.anonymous();
        let answer = client.log_in(username, PASSWORD).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        client
    }

    /// The metrics page.
    pub async fn metrics(&self) -> String {
        let (status, page) = self.metrics_at("127.0.0.1:9100").await;
        assert_eq!(status, StatusCode::OK);
        page
    }

    /// The status and page of a metrics request with this `Host`.
    pub async fn metrics_at(&self, host: &str) -> (StatusCode, String) {
        let request = request(Method::GET, "/metrics").header(header::HOST, host).finish();
        let answer = self.metrics.get_response(request).await;
        (answer.status(), answer.into_body().into_string().await.unwrap())
    }

    /// Advances the clock.
    pub fn wait(&self, time: Duration) {
        self.clock.advance(time);
    }

    /// Sends a request without changes, and checks the response against the document.
    pub async fn send(&self, mut request: Request) -> Answer {
        if !request.headers().contains_key(header::HOST) {
            request.headers_mut().insert(header::HOST, "127.0.0.1:8000".parse().unwrap());
        }
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let wants_page =
            request.header(header::ACCEPT).is_some_and(|accept| accept.starts_with("text/html"));
        let answer = Answer::read(self.route.get_response(request).await).await;
        contract::check(&method, &path, wants_page, &answer);
        answer
    }
}

/// Keeps each hashing thread busy until `release` is dropped, so that queued work stays queued on
/// any machine.
pub struct BusyThreads {
    release: Vec<mpsc::Sender<()>>,
    jobs: Vec<JoinHandle<()>>,
}

impl BusyThreads {
    pub async fn start(app: &TestApp) -> Self {
        let (mut release, mut jobs) = (Vec::new(), Vec::new());
        for n in 0..app.config.passwords.threads {
            let slot = Share::new(Some([198, 51, 100, 1].into()), Some(&format!("thread{n}")));
            let slot = app.domain.hasher.reserve_slot(&slot).unwrap();
            let (sender, receiver) = mpsc::channel::<()>();
            let (begins, begun) = oneshot::channel();
            release.push(sender);
            jobs.push(tokio::spawn(async move {
                let blocks = move |_: &mut _| {
                    begins.send(()).unwrap();
                    receiver.recv().unwrap_err(); // its sender is dropped
                };
                slot.run(blocks).await.unwrap();
            }));
            begun.await.unwrap();
        }
        Self { release, jobs }
    }

    /// Reserves all free slots except `free`, for as many different users without an address.
    pub fn leave_slots(&self, app: &TestApp, free: usize) -> Vec<HashSlot> {
        let share = |n| Share::new(None, Some(&format!("holder{n}")));
        let slots = MAX_SLOTS - self.jobs.len() - free;
        (0..slots).map(|n| app.domain.hasher.reserve_slot(&share(n)).unwrap()).collect()
    }

    /// Lets the threads continue with the queued work.
    pub async fn release(self) {
        drop(self.release);
        for job in self.jobs {
            job.await.unwrap();
        }
    }
}

async fn build(
    config: &Config,
    environment: Environment,
) -> (Arc<AuthService>, usize, BoxEndpoint<'static, Response>, BoxEndpoint<'static, Response>) {
    let domain = Arc::new(app::open(config, environment).await.unwrap());
    let store_owners = Arc::strong_count(&domain.store);
    let requests = Arc::new(RequestCounters::default());
    let route = app::start_endpoint(config, Arc::clone(&domain), false, Arc::clone(&requests));
    let sources = MetricSources {
        domain: Arc::clone(&domain),
        requests,
        connections: Gauge::default(),
        started_at: START,
    };
    let metrics = metrics::route(sources, app::metrics_hosts(config));
    (domain, store_owners, route, metrics)
}

/// A response.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    async fn read(response: Response) -> Self {
        let status = response.status();
        let headers = response.headers().clone();
        let text = response.into_body().into_string().await.unwrap();
        Self { status, headers, text }
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }

    /// The status and the problem code.
    pub fn refusal(&self) -> (u16, String) {
        (self.status.as_u16(), self.json()["code"].as_str().unwrap_or_default().to_owned())
    }

    /// The fields with errors, with the code of each.
    pub fn errors(&self) -> Vec<(String, String)> {
        let problem = self.json();
        let errors = problem["errors"].as_array().cloned().unwrap_or_default();
        let text = |error: &Value, key| error[key].as_str().unwrap().to_owned();
        errors.iter().map(|error| (text(error, "field"), text(error, "code"))).collect()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The `Set-Cookie` with this name.
    pub fn sets(&self, name: &str) -> Option<&str> {
        let sets = self.headers.get_all("set-cookie").iter().map(|set| set.to_str().unwrap());
        sets.into_iter().find(|set| set.split_once('=').is_some_and(|(set, _)| set == name))
    }

    /// The name and value of the first cookie, except notices and checks.
    pub fn cookie(&self) -> Option<String> {
        let sets = self.headers.get_all("set-cookie").iter().map(|set| set.to_str().unwrap());
        let set =
            sets.into_iter().find(|set| !set.contains("notice=") && !set.contains("-check="))?;
        Some(set.split(';').next().unwrap().to_owned())
    }
}

/// A client with a cookie jar.
pub struct Client<'a> {
    app: &'a TestApp,
    cookie: Mutex<Option<String>>,
    /// The notice that a form left for the next page.
    notice: Mutex<Option<String>>,
}

impl Client<'_> {
    pub async fn get(&self, path: &str) -> Answer {
        self.send(request(Method::GET, path).finish()).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        let request = request(Method::POST, path).content_type("application/json");
        self.send(request.body(body.to_string())).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        let request = request(Method::PUT, path).content_type("application/json");
        self.send(request.body(body.to_string())).await
    }

    pub async fn patch(&self, path: &str, body: &Value) -> Answer {
        let request = request(Method::PATCH, path).content_type("application/json");
        self.send(request.body(body.to_string())).await
    }

    pub async fn post_nothing(&self, path: &str) -> Answer {
        self.send(request(Method::POST, path).finish()).await
    }

    pub async fn post_form(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let request = request(Method::POST, path).content_type("application/x-www-form-urlencoded");
        self.send(request.body(form(fields))).await
    }

    /// Submits a form like a browser.
    pub async fn submit(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let request = request(Method::POST, path)
            .content_type("application/x-www-form-urlencoded")
            .header(header::ACCEPT, "text/html,application/xhtml+xml,*/*;q=0.8");
        self.send(request.body(form(fields))).await
    }

    pub async fn log_in(&self, username: &str, password: &str) -> Answer {
        self.post("/login", &json!({ "username": username, "password": password })).await
    }

    /// Sends a request with the cookies of the jar.
    pub async fn send(&self, mut request: Request) -> Answer {
        if let Some(cookie) = self.cookie() {
            request.headers_mut().append(header::COOKIE, cookie.parse().unwrap());
        }
        if let Some(notice) = self.notice.lock().unwrap().clone() {
            request.headers_mut().append(header::COOKIE, notice.parse().unwrap());
        }
        let answer = self.app.send(request).await;
        if let Some(set) = answer.cookie() {
            let is_cleared = set.ends_with('=');
            *self.cookie.lock().unwrap() = (!is_cleared).then_some(set);
        }
        if let Some(set) = answer.sets("notice") {
            let set = set.split(';').next().filter(|set| !set.ends_with('='));
            *self.notice.lock().unwrap() = set.map(str::to_owned);
        }
        answer
    }

    /// `name=value` of the session cookie, if there is one.
    pub fn cookie(&self) -> Option<String> {
        self.cookie.lock().unwrap().clone()
    }
}

pub fn request(method: Method, path: &str) -> poem::RequestBuilder {
    Request::builder().method(method).uri_str(path)
}

/// Makes a request look as if it came from a socket with this address.
pub fn coming_from(address: &str, request: Request) -> Request {
    let (parts, body) = request.into_parts();
    let mut head = poem::http::Request::new(()).into_parts().0;
    (head.method, head.uri, head.headers) = (parts.method, parts.uri, parts.headers);
    let peer = SocketAddr::new(address.parse().unwrap(), 4711);
    let peer = RemoteAddr(Addr::socket(peer));
    Request::from_parts((head, LocalAddr::default(), peer, Scheme::HTTP).into(), body)
}

/// A guarded read with these cookies.
pub fn private_with(cookies: &[&str]) -> Request {
    let mut request = request(Method::GET, "/private").finish();
    for cookie in cookies {
        request.headers_mut().append(header::COOKIE, cookie.parse().unwrap());
    }
    request
}

fn form(fields: &[(&str, &str)]) -> Body {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish().into()
}
