//! Measures the cost of a guarded read: `cargo bench --bench guarded_read [-- --rows N] [--seconds
//! S]`.
//!
//! One process serves a bare poem endpoint, `GET /private` and `GET /forward-auth` through the same
//! accept loop; another process sends requests in alternating rounds. The bench prints the server's
//! CPU time for a request of each kind, and the ratios, which do not depend on the machine. A
//! service that embeds Cloakroom has an operation with the same answer; the exit code is 1 if that
//! costs more than 5 % more. `--rows 1000000` first inserts as many accounts and sessions into the
//! database. With `TEST_DATABASE_URL` the bench also measures that PostgreSQL, in a new schema and
//! alternating with SQLite, and logins on both; the exit code is 1 if the guarded read costs more
//! than [`BOUND`] times the one on SQLite. `tests/perf/engines` starts a PostgreSQL server for it.

#![allow(clippy::unwrap_used, reason = "a bench that fails says where")]
#![allow(clippy::cast_precision_loss, reason = "a count of requests fits")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use cloakroom::app::{self, Environment};
use cloakroom::config::{Config, Settings};
use cloakroom::core::secret::Password;
use cloakroom::core::usernames::Username;
use cloakroom::domain::registration::RegistrationRequest;
use cloakroom::domain::requester::Requester;
use cloakroom::domain::sessions::{ClientInfo, LoginContext, Remember};
use cloakroom::http::{DocumentInfo, EmbeddedApi, RequestCounters};
use cloakroom::server::{self, ServerOptions};
use cloakroom::{Cloakroom, SignedIn};
use poem::EndpointExt;
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};
use sqlx::Connection;
use tokio::net::TcpListener;

const PASSWORD: &str = "a password for the bench";
/// Enough connections that neither side sleeps between two requests: waking the other side would
/// count as cost.
const CONNECTIONS: usize = 64;
/// Limit for a guarded read on PostgreSQL relative to SQLite; neither reads the database.
const BOUND: f64 = 1.05;

/// Limit for the guard in an embedding service relative to its cost in the program.
const MAX_RATIO_IN_AN_EMBEDDER: f64 = 1.05;

/// As much as `GET /private` says.
#[derive(Object)]
struct Greeting {
    /// Who is signed in.
    username: String,
    /// The words.
    words: String,
}

#[derive(ApiResponse)]
enum GreetingAnswer {
    /// The greeting.
    #[oai(status = 200, content_type = "application/json")]
    Greeting(Json<Greeting>),
}

struct Embedder;

#[OpenApi]
impl Embedder {
    /// Greet me
    #[oai(path = "/greeting", method = "get", operation_id = "greet")]
    async fn greet(&self, who: SignedIn) -> poem::Result<GreetingAnswer> {
        let words = "get some private data".to_owned();
        let username = who.username().to_owned();
        Ok(GreetingAnswer::Greeting(Json(Greeting { username, words })))
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let value = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).cloned()
    };
    if let Some(at) = value("--load") {
        let cookie = value("--cookie").unwrap_or_default();
        let seconds = value("--for").unwrap().parse().unwrap();
        load(&at, &value("--path").unwrap(), &cookie, seconds);
        return;
    }
    let rows = value("--rows").map_or(0, |rows| rows.parse().unwrap());
    let seconds = value("--seconds").map_or(2, |seconds| seconds.parse().unwrap());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(bench(rows, seconds));
}

async fn bench(rows: i64, seconds: u64) {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { data_dir: Some(folder.path().to_owned()), ..Settings::default() };
    let config = Config::check(settings).unwrap();
    if rows > 0 {
        fill(&config, rows).await;
    }
    let sqlite = Subject::new("SQLite", &config).await;
    println!("open: {:.0} ms with {rows} accounts and sessions", sqlite.opened);
    let hello = poem::endpoint::make(|_| async { "hello" }).map_to_response().boxed();
    let hello = serve(hello).await;
    let schema = Schema::make().await;
    let mut subjects = vec![sqlite];
    if let Some(schema) = &schema {
        let database_url = Some(schema.address().into());
        let data_dir = Some(folder.path().to_owned());
        let settings = Settings { data_dir, database_url, ..Settings::default() };
        subjects.push(Subject::new("PostgreSQL", &Config::check(settings).unwrap()).await);
    }
    let mut asked = vec![("bare poem hello", hello.as_str(), "/", "")];
    for Subject { name, at, cookie, .. } in &subjects {
        asked.extend(
            ["/private", "/forward-auth"].map(|path| (*name, at.as_str(), path, cookie.as_str())),
        );
    }
    let embedder = Subject::embedded(&config, &subjects[0]).await;
    asked.push(("an embedder", embedder.at.as_str(), "/greeting", embedder.cookie.as_str()));
    let mut costs = vec![Vec::new(); asked.len()];
    for round in 0..11 {
        for ((_, at, path, cookie), costs) in asked.iter().zip(&mut costs) {
            let cost = measure(at, path, cookie, seconds).await;
            if round > 0 {
                costs.push(cost); // the first round warms up
            }
        }
    }
    let costs: Vec<f64> = costs.into_iter().map(median).collect();
    for ((name, _, path, _), cost) in asked.iter().zip(&costs) {
        println!(
            "{name:<16} {path:<14} {cost:6.2} µs of CPU a request, ratio {:.2}",
            cost / costs[0]
        );
    }
    if let Some(schema) = schema {
        compare_logins(&subjects).await;
        schema.drop().await;
        let [sqlite, postgres] = ["SQLite", "PostgreSQL"].map(|engine| {
            let at =
                asked.iter().position(|(name, _, path, _)| (*name, *path) == (engine, "/private"));
            costs[at.unwrap()]
        });
        let ratio = postgres / sqlite;
        println!("GET /private on PostgreSQL to SQLite: {ratio:.3} (bound {BOUND})");
        if ratio > BOUND {
            std::process::exit(1);
        }
    }
    let ratio = costs.last().unwrap() / costs[1];
    println!("in an embedder to GET /private: {ratio:.3}, at most {MAX_RATIO_IN_AN_EMBEDDER}");
    if ratio > MAX_RATIO_IN_AN_EMBEDDER {
        std::process::exit(1);
    }
}

/// A measured service and its address.
struct Subject {
    name: &'static str,
    at: String,
    cookie: String,
    /// Milliseconds that opening took.
    opened: f64,
}

impl Subject {
    async fn new(name: &'static str, config: &Config) -> Self {
        let start = Instant::now();
        let domain = Arc::new(app::open(config, Environment::real(config)).await.unwrap());
        let opened = millis(start.elapsed());
        let mut cookie = String::new();
        for user in ["signer", "bench"] {
            let typed = Password::new(PASSWORD.to_owned());
            let request = RegistrationRequest {
                username: Username::parse(user),
                display_name: Ok(None),
                email: None,
                password: typed,
                invite: None,
            };
            let login_context = LoginContext {
                remember: Remember::No,
                client: ClientInfo::default(),
                requester: Requester::default(),
            };
            let (_, issued) = domain.register(request, login_context).await.unwrap();
            cookie = format!("session={}", issued.token.expose()); // as a client sends it
        }
        let at = serve(app::start_endpoint(config, domain, false, Arc::default())).await;
        Self { name, at, cookie, opened }
    }
}

impl Subject {
    /// A service that embeds Cloakroom on the same database, so that it accepts the same sessions.
    async fn embedded(config: &Config, same: &Self) -> Self {
        let start = Instant::now();
        let environment = Environment::real(config);
        let cloakroom = Cloakroom::open_with(config.clone(), environment, false).await.unwrap();
        let opened = millis(start.elapsed());
        // the endpoint that `mount` builds and `serve` serves
        let about = DocumentInfo::new("Greetings", "1.0.0");
        let guest =
            EmbeddedApi { api: Embedder, about, body_limit: 1024 * 1024, pages: Vec::new() };
        let requests = Arc::new(RequestCounters::default());
        let domain = Arc::clone(cloakroom.domain());
        let furnished = app::build_endpoint_with(config, domain, false, requests, guest).unwrap();
        let at = serve(furnished.0).await;
        Self { name: "an embedder", at, cookie: same.cookie.clone(), opened }
    }
}

/// Measures logins one at a time, alternating between the services.
async fn compare_logins(subjects: &[Subject]) {
    const ROUNDS: usize = 100;
    let mut times = vec![Vec::new(); subjects.len()];
    for round in 0..ROUNDS {
        for (subject, times) in subjects.iter().zip(&mut times) {
            let at = subject.at.clone();
            let start = Instant::now();
            tokio::task::spawn_blocking(move || {
                let body = format!("username=signer&password={}", PASSWORD.replace(' ', "+"));
                let head = format!(
                    "POST /login HTTP/1.1\r\nHost: {at}\r\nContent-Length: {}\r\n\
                     Content-Type: application/x-www-form-urlencoded\r\n\r\n",
                    body.len()
                );
                ask(&mut TcpStream::connect(&at).unwrap(), &(head + &body));
            })
            .await
            .unwrap();
            if round > 0 {
                times.push(millis(start.elapsed()));
            }
        }
    }
    for (subject, times) in subjects.iter().zip(times) {
        println!("POST /login      {:6.2} ms on {}", median(times), subject.name);
    }
}

/// A schema in the PostgreSQL server at `TEST_DATABASE_URL`, if there is one.
struct Schema {
    server: String,
    name: String,
}

impl Schema {
    async fn make() -> Option<Self> {
        let server = std::env::var("TEST_DATABASE_URL").ok()?;
        let name = format!("bench_{}", std::process::id());
        let schema = Self { server, name };
        schema.run("create schema").await;
        Some(schema)
    }

    fn address(&self) -> String {
        let and = if self.server.contains('?') { '&' } else { '?' };
        format!("{}{and}options[search_path]={}", self.server, self.name)
    }

    async fn drop(self) {
        self.run("set client_min_messages = error; drop schema").await;
    }

    async fn run(&self, what: &str) {
        let mut connection = sqlx::PgConnection::connect(&self.server).await.unwrap();
        let cascade = if what.ends_with("drop schema") { "cascade" } else { "" };
        let sql = format!("{what} {} {cascade}", self.name);
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    }
}

async fn serve(route: poem::endpoint::BoxEndpoint<'static, poem::Response>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap().to_string();
    tokio::spawn(server::serve(listener, route, ServerOptions::default(), std::future::pending()));
    at
}

/// This process's CPU time per request that another process sends.
async fn measure(at: &str, path: &str, cookie: &str, seconds: u64) -> f64 {
    let mut loader = Command::new(std::env::current_exe().unwrap());
    let seconds = seconds.to_string();
    loader.args(["--load", at, "--path", path, "--cookie", cookie, "--for", &seconds]);
    let mut loader: Child = loader.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(loader.stdout.take().unwrap());
    let (before, said) = tokio::task::spawn_blocking(move || {
        said.read_line(&mut String::new()).unwrap(); // connected
        (cpu(), said)
    })
    .await
    .unwrap();
    loader.stdin.take().unwrap().write_all(b"go\n").unwrap();
    let count = tokio::task::spawn_blocking(move || {
        let mut said = said;
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        line.trim().parse::<u64>().unwrap()
    });
    let count = count.await.unwrap();
    let spent = cpu().saturating_sub(before);
    loader.wait().unwrap();
    spent.as_secs_f64() * 1e6 / count as f64
}

/// User and system time of this process, from /proc.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10) // Linux counts in hundredths of a second here
}

/// Sends requests over several keep-alive connections for this time, and prints their number.
fn load(at: &str, path: &str, cookie: &str, seconds: u64) {
    let cookie = if cookie.is_empty() { String::new() } else { format!("Cookie: {cookie}\r\n") };
    let request = format!("GET {path} HTTP/1.1\r\nHost: {at}\r\n{cookie}\r\n");
    let mut streams: Vec<TcpStream> = (0..CONNECTIONS)
        .map(|_| {
            let stream = TcpStream::connect(at).unwrap();
            stream.set_nodelay(true).unwrap();
            stream
        })
        .collect();
    for stream in &mut streams {
        ask(stream, &request);
    }
    println!("ready");
    std::io::stdin().read_line(&mut String::new()).unwrap();
    let start = Instant::now();
    let mut count = 0_u64;
    while start.elapsed() < Duration::from_secs(seconds) {
        for stream in &mut streams {
            stream.write_all(request.as_bytes()).unwrap();
        }
        for stream in &mut streams {
            read(stream);
            count += 1;
        }
    }
    println!("{count}");
}

fn ask(stream: &mut TcpStream, request: &str) {
    stream.write_all(request.as_bytes()).unwrap();
    read(stream);
}

/// Reads a response with status 200, which fits a single read on loopback.
fn read(stream: &mut TcpStream) {
    let mut answer = [0; 4096];
    let length = stream.read(&mut answer).unwrap();
    assert!(
        answer[..length].starts_with(b"HTTP/1.1 200"),
        "{}",
        String::from_utf8_lossy(&answer[..length])
    );
}

fn median(mut costs: Vec<f64>) -> f64 {
    costs.sort_by(f64::total_cmp);
    costs[costs.len() / 2]
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Inserts accounts and sessions into the database with SQL.
async fn fill(config: &Config, rows: i64) {
    let domain = app::open(config, Environment::real(config)).await.unwrap();
    let now = domain.clock.now().millis();
    domain.store.close().await;
    let address = config.database_url.expose(); // for the driver to connect
    let pool = sqlx::SqlitePool::connect(address).await.unwrap();
    let counted = "with recursive n(i) as (select 1 union all select i + 1 from n where i < $1)";
    let accounts = format!(
        "{counted} insert into accounts (id, username, password_hash, created_at)
         select printf('%022d', i), 'user' || i, 'none', $2 from n"
    );
    let sessions = format!(
        "{counted} insert into sessions
             (digest, id, account_id, remember, created_at, last_seen_at, expires_at)
         select randomblob(32), printf('%022d', i), printf('%022d', i), 1, $2, $2, $2 + 2592000000
         from n"
    );
    for sql in [accounts, sessions] {
        let sql = sqlx::AssertSqlSafe(sql);
        sqlx::query(sql).bind(rows).bind(now).execute(&pool).await.unwrap();
    }
    pool.close().await;
}
