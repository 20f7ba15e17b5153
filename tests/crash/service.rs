//! The service as a process in a folder, and clients for it.

use std::fs::{self, File, OpenOptions};
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::http;
use crate::support::process::{Process, free_address};

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

/// A running service. It is killed when it is dropped.
pub struct Service {
    process: Process,
    pub at: String,
}

impl Service {
    pub fn start(folder: &Path) -> Self {
        Self::started_by(folder, Command::new(program())).expect("it serves")
    }

    /// Starts the service by a command that is given `--listen …` and `serve` after its own
    /// arguments. Returns the exit code if the service does not start.
    pub fn started_by(folder: &Path, command: Command) -> Result<Self, Option<i32>> {
        let at = free_address().to_string();
        let process = Process::serve(&mut within(command, folder, &["--listen", &at, "serve"]))?;
        Ok(Self { process, at })
    }

    /// Starts the process and kills it after `after`; false if it had ended before.
    pub fn start_and_kill(folder: &Path, after: Duration) -> bool {
        let mut child =
            cloakroom(folder, &["--listen", &free_address().to_string(), "serve"]).spawn().unwrap();
        std::thread::sleep(after);
        let _ = child.kill(); // it may have ended already
        child.wait().unwrap().code().is_none()
    }

    pub fn client(&self) -> Client {
        Client::of(&self.at)
    }
}

impl Deref for Service {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl DerefMut for Service {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.process
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
pub struct Client(http::Client);

impl Client {
    pub fn of(at: &str) -> Self {
        Self(http::Client::of(at))
    }

    /// `None` if there was no answer, or an incomplete one.
    pub fn call(
        &self,
        request: (&str, &str),
        cookie: Option<&str>,
        body: Option<serde_json::Value>,
    ) -> Option<Answer> {
        let mut headers: Vec<_> = cookie.map(|cookie| ("cookie", cookie)).into_iter().collect();
        if body.is_some() {
            headers.push(("content-type", "application/json"));
        }
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let answer = self.0.call(request, &headers, &body)?;
        Some(Answer {
            status: answer.status,
            media_type: answer.header("content-type").to_owned(),
            request_id: answer.header("x-request-id").to_owned(),
            cookie: answer.session_cookie(),
            body: answer.body,
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
