//! Helpers that run the program as a command, and as a service over a socket.

use std::fs;
use std::io::Write;
use std::ops::{Deref, DerefMut};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use sqlx::migrate::Migrator;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};

use super::http::Client;
use super::process::{Process, free_address};
use super::raw::LONG;

pub const PASSWORD: &str = "canary correct horse battery";

/// Commands that need a database and keys, and create neither.
const NEED_A_DATABASE: [&str; 11] = [
    "audit",
    "backup",
    "invite",
    "key",
    "mail",
    "pepper",
    "role",
    "server-secret",
    "session",
    "token",
    "user",
];

/// The program in a folder, with the database engine under test. Runs `cloakroom migrate` before
/// the first command that needs a database.
pub fn cloakroom(folder: &Path, arguments: &[&str]) -> Command {
    let needs_one = arguments.iter().any(|argument| NEED_A_DATABASE.contains(argument));
    let is_elsewhere = ["--data-dir", "--config", "--help"];
    let is_elsewhere = arguments.iter().any(|argument| is_elsewhere.contains(argument));
    if needs_one && !is_elsewhere && !folder.join("cloakroom-data").exists() {
        let made = unprepared(folder, &["migrate"]).output().unwrap();
        assert!(made.status.success(), "{}", text(&made.stderr));
    }
    unprepared(folder, arguments)
}

/// The same, without creating a database.
pub fn unprepared(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cloakroom"));
    command.args(arguments).current_dir(folder).env_clear();
    command.envs(std::env::var("LLVM_PROFILE_FILE").map(|file| ("LLVM_PROFILE_FILE", file)));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    if let Some(address) = schema_of(folder) {
        command.env("DATABASE_URL", address);
    }
    command
}

/// Whether these are the tests with PostgreSQL.
pub fn is_postgres() -> bool {
    std::env::var_os("TEST_DATABASE_URL").is_some()
}

/// With `TEST_DATABASE_URL`, each folder has its own schema in that PostgreSQL server.
pub fn schema_of(folder: &Path) -> Option<String> {
    let server = std::env::var("TEST_DATABASE_URL").ok()?;
    let folder = folder.file_name().unwrap().to_str().unwrap().trim_matches('.');
    let name = format!("cloakroom_test_{folder}");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut connection = PgConnection::connect(&server).await.unwrap();
        let make = format!("create schema if not exists \"{name}\"");
        sqlx::query(AssertSqlSafe(make)).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    });
    let and = if server.contains('?') { '&' } else { '?' };
    Some(format!("{server}{and}options[search_path]=\"{name}\""))
}

/// Copies the program to where another user may run it. Another process writes the copy: a process
/// that a test in another thread starts would inherit a file that this one has open for writing,
/// and a program that is open for writing cannot be started ("Text file busy").
pub fn copy_program(to: &Path) {
    let program = env!("CARGO_BIN_EXE_cloakroom");
    assert!(Command::new("cp").args([Path::new(program), to]).status().unwrap().success());
}

/// Runs a command with this standard input until it ends.
pub fn run(folder: &Path, arguments: &[&str], input: &str) -> Output {
    let mut child = cloakroom(folder, arguments).stdin(Stdio::piped()).spawn().unwrap();
    // a command that reads no input may have ended
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

/// The output of a command that must succeed.
pub fn said(folder: &Path, arguments: &[&str]) -> String {
    let done = run(folder, arguments, &format!("{PASSWORD}\n"));
    assert!(done.status.success(), "{arguments:?}: {}{}", text(&done.stdout), text(&done.stderr));
    text(&done.stdout)
}

/// Creates an SQLite database by the first `migrations` migrations, with a change to the text of
/// each.
pub fn older_database(file: &Path, migrations: usize, change: impl Fn(String) -> String) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/sqlite");
    let folder = tempfile::tempdir().unwrap();
    let names = fs::read_dir(&source).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = names.collect();
    names.sort();
    for name in names.into_iter().take(migrations) {
        let sql = fs::read_to_string(source.join(&name)).unwrap();
        fs::write(folder.path().join(&name), change(sql)).unwrap();
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let options = SqliteConnectOptions::new().filename(file).create_if_missing(true);
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        let migrator = Migrator::new(folder.path()).await.unwrap();
        migrator.run_direct(None, &mut connection, false).await.unwrap();
        connection.close().await.unwrap();
    });
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
}

/// Makes a backup and renames it to `name` in the folder.
pub fn back_up(folder: &Path, name: &str, arguments: &[&str]) -> PathBuf {
    let made = object(folder, &[&["backup", "--json", ".backups"], arguments].concat());
    let backup = folder.join(name);
    fs::rename(folder.join(made["path"].as_str().unwrap()), &backup).unwrap();
    fs::remove_dir(folder.join(".backups")).unwrap();
    backup
}

/// The error of a command that must fail, without creating a database.
pub fn refused_unprepared(folder: &Path, arguments: &[&str]) -> String {
    one_sentence(arguments, &unprepared(folder, arguments).output().unwrap())
}

/// The error of a command that must fail, which is one sentence.
pub fn refused(folder: &Path, arguments: &[&str]) -> String {
    one_sentence(arguments, &run(folder, arguments, &format!("{PASSWORD}\n")))
}

fn one_sentence(arguments: &[&str], failed: &Output) -> String {
    let said = text(&failed.stderr);
    assert_eq!((failed.status.code(), said.lines().count()), (Some(1), 1), "{arguments:?}: {said}");
    said
}

/// The JSON object that a command printed.
pub fn object(folder: &Path, arguments: &[&str]) -> serde_json::Value {
    serde_json::from_str(&said(folder, arguments)).unwrap()
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A running service. It is killed when it is dropped.
pub struct Service {
    process: Process,
    pub at: String,
}

impl Service {
    pub fn start(folder: &Path, arguments: &[&str]) -> Self {
        Self::start_in(folder, arguments, &[])
    }

    /// Starts the service with these environment variables. It logs to the file `log` in the folder.
    pub fn start_in(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let at = free_address().to_string();
        let mut command = cloakroom(folder, &[&["--listen", &at], arguments].concat());
        let log = fs::File::create(folder.join("log")).unwrap();
        command.envs(environment.iter().copied()).stderr(log);
        let process = Process::serve(&mut command).expect("it serves");
        Self { process, at }
    }

    /// A process that was started elsewhere and listens at this address.
    pub fn of(process: impl Into<Process>, at: String) -> Self {
        Self { process: process.into(), at }
    }

    pub fn call(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> (u16, String, Option<String>) {
        let answer = Client::of(&self.at).call((method, path), headers, body).unwrap();
        let cookie = answer.cookies().next();
        (answer.status, answer.body, cookie)
    }

    /// Sends a form, for example the one for signing in.
    pub fn send(&self, path: &str, fields: &[(&str, &str)]) -> (u16, String, Option<String>) {
        let form = [("content-type", "application/x-www-form-urlencoded")];
        let body =
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.call("POST", path, &form, &body)
    }

    pub fn log_in(&self, username: &str, password: &str) -> (u16, String, Option<String>) {
        self.send("/login", &[("username", username), ("password", password)])
    }

    pub fn private(&self, cookie: &str) -> u16 {
        self.call("GET", "/private", &[("cookie", cookie)], "").0
    }

    pub fn log_out(&self, cookie: &str) {
        assert_eq!(self.call("POST", "/logout", &[("cookie", cookie)], "").0, 204);
    }

    /// Stops the service with SIGTERM.
    pub fn stop(mut self) {
        self.signal("TERM");
        self.end_within(LONG).expect("it ends");
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

/// Waits until the condition holds. Usually it holds soon, but a loaded machine may be slow.
pub fn wait_until(mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < LONG, "not within {LONG:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
