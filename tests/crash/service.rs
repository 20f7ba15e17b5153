//! The service as a process in a folder, and clients for it.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Limit for an answer, after which a request counts as unanswered.
const PATIENCE: Duration = Duration::from_secs(10);

/// The program under test: `BINARY`, or the one that was built with the tests.
pub fn program() -> PathBuf {
    std::env::var_os("BINARY").map_or_else(|| env!("CARGO_BIN_EXE_cloakroom").into(), Into::into)
}

/// A command of the program in this folder, with these arguments as the only settings.
pub fn cloakroom(folder: &Path, arguments: &[&str]) -> Command {
    within(Command::new(program()), folder, arguments)
}

/// Runs a command (the program or a tracer of it) with these arguments in this folder.
pub fn within(mut command: Command, folder: &Path, arguments: &[&str]) -> Command {
    command.args(arguments).current_dir(folder).env_clear().env("PATH", "/usr/bin:/bin");
    // the same public URL after a restart, so that tokens stay valid on another port
    command.env("CLOAKROOM_PUBLIC_URL", "http://127.0.0.1:8000");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log(folder));
    command
}

fn log(folder: &Path) -> File {
    OpenOptions::new().create(true).append(true).open(folder.join("log")).unwrap()
}

/// An address with a free port.
pub fn free_place() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// A running service. It is killed when it is dropped.
pub struct Service {
    pub child: Child,
    pub at: String,
}

impl Service {
    pub fn start(folder: &Path) -> Self {
        Self::started_by(folder, Command::new(program())).expect("it serves")
    }

    /// Starts the service by a command that is given `--listen …` and `serve` after its own
    /// arguments. Returns the exit code if the service does not start.
    pub fn started_by(folder: &Path, command: Command) -> Result<Self, Option<i32>> {
        let at = free_place();
        let mut child = within(command, folder, &["--listen", &at, "serve"]).spawn().unwrap();
        let said = child.stdout.take().unwrap();
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let (mut said, mut line) = (BufReader::new(said), String::new());
            let _ = said.read_line(&mut line); // the line stays empty
            let _ = tell.send(line); // the receiver may have timed out
            let _ = std::io::copy(&mut said, &mut std::io::sink()); // until the process ends
        });
        match told.recv_timeout(PATIENCE) {
            Ok(line) if line.contains("serves at") => Ok(Self { child, at }),
            Ok(_) => Err(child.wait().unwrap().code()),
            Err(_) => {
                child.kill().unwrap();
                child.wait().unwrap();
                panic!("it neither serves nor ends within {PATIENCE:?}");
            }
        }
    }

    /// Starts the process and kills it after `after`; false if it had ended before.
    pub fn start_and_kill(folder: &Path, after: Duration) -> bool {
        let mut child = cloakroom(folder, &["--listen", &free_place(), "serve"]).spawn().unwrap();
        std::thread::sleep(after);
        let _ = child.kill(); // it may have ended already
        child.wait().unwrap().code().is_none()
    }

    /// Waits until the process ends; `None` if it does not end in time.
    pub fn ended(&mut self, within: Duration) -> Option<ExitStatus> {
        let began = Instant::now();
        while began.elapsed() < within {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        None
    }

    /// Kills the process and waits for it, so that nothing is written afterwards.
    pub fn kill(&mut self) {
        let _ = self.child.kill(); // it may have ended already
        self.child.wait().unwrap();
    }

    pub fn client(&self) -> Client {
        Client::of(&self.at)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Copies the database as a killed program left it: without what is only in memory.
pub fn copy(data: &Path, to: &Path) -> PathBuf {
    fs::create_dir_all(to).unwrap();
    for name in ["cloakroom.db", "cloakroom.db-wal"] {
        let _ = fs::remove_file(to.join(name)); // the previous copy
        if data.join(name).exists() {
            fs::copy(data.join(name), to.join(name)).unwrap();
        }
    }
    to.join("cloakroom.db")
}

/// The parts of an answer that the tests read.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub body: String,
    pub media_type: String,
    pub request_id: String,
    /// The session's cookie, as it is sent back.
    pub cookie: Option<String>,
}

impl Answer {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// Whether it is a 503 with a problem document.
    pub fn is_unavailable(&self) -> bool {
        self.status == 503 && self.media_type == "application/problem+json"
    }
}

/// A client with keep-alive connections.
#[derive(Debug, Clone)]
pub struct Client {
    at: String,
    agent: ureq::Agent,
}

impl Client {
    pub fn of(at: &str) -> Self {
        let config = ureq::Agent::config_builder().http_status_as_error(false);
        let agent = config.timeout_global(Some(PATIENCE)).build().into();
        Self { at: at.to_owned(), agent }
    }

    /// `None` if there was no complete answer.
    pub fn call(
        &self,
        (method, path): (&str, &str),
        cookie: Option<&str>,
        body: Option<serde_json::Value>,
    ) -> Option<Answer> {
        let uri = format!("http://{}{path}", self.at);
        let mut request = ureq::http::Request::builder().method(method).uri(uri);
        if let Some(cookie) = cookie {
            request = request.header("cookie", cookie);
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let mut answer = self.agent.run(request.body(body).unwrap()).ok()?;
        let headers: BTreeMap<String, Vec<String>> = answer
            .headers()
            .keys()
            .map(|name| {
                let values = answer.headers().get_all(name).iter();
                let values = values.map(|value| value.to_str().unwrap().to_owned()).collect();
                (name.to_string(), values)
            })
            .collect();
        let first = |name: &str| headers.get(name).and_then(|all| all.first()).cloned();
        let mut sets = headers.get("set-cookie").into_iter().flatten();
        let cookie = sets.find(|set| set.starts_with("session=") && !set.starts_with("session=;"));
        Some(Answer {
            status: answer.status().as_u16(),
            media_type: first("content-type").unwrap_or_default(),
            request_id: first("x-request-id").unwrap_or_default(),
            cookie: cookie.map(|set| set.split(';').next().unwrap().to_owned()),
            body: answer.body_mut().read_to_string().ok()?,
        })
    }

    pub fn get(&self, path: &str, cookie: Option<&str>) -> Option<Answer> {
        self.call(("GET", path), cookie, None)
    }

    /// The status of `GET /private`, if there was an answer.
    pub fn private(&self, cookie: &str) -> Option<u16> {
        self.get("/private", Some(cookie)).map(|answer| answer.status)
    }

    pub fn log_in(&self, name: &str, password: &str) -> Option<Answer> {
        let body = serde_json::json!({ "username": name, "password": password });
        self.call(("POST", "/login"), None, Some(body))
    }

    pub fn register(&self, name: &str, password: &str) -> Option<Answer> {
        let body = serde_json::json!({ "username": name, "password": password });
        self.call(("POST", "/register"), None, Some(body))
    }
}
