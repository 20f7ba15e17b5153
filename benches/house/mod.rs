//! The service as a separate process with accounts to log in to, and connections to it.

pub mod reads;

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine;
use base64::prelude::BASE64_STANDARD_NO_PAD as STANDARD_NO_PAD;
use cloakroom::app::{self, Environment};
use cloakroom::config::{Config, Settings};
use cloakroom::core::secret::Password;
use cloakroom::core::usernames::Username;
use cloakroom::domain::administration::NewUser;
use cloakroom::domain::passwords::cost::Argon2Params;
use cloakroom::domain::throttle::limits::Limits;
use cloakroom::server::{self, ServerOptions};
use tokio::runtime::Runtime;

pub const PASSWORD: &str = "a password for the bench";

/// The settings of the service under test: the defaults without a rate limit. Attempts are still
/// counted.
fn set_up(folder: &Path) -> (Config, Environment) {
    let mut settings = Settings { data_dir: Some(folder.to_owned()), ..Settings::default() };
    settings.passwords.threads = argument("--threads").map(|threads| threads.parse().unwrap());
    let config = Config::check(settings).unwrap();
    let real = Environment::real(&config);
    (config, Environment { limits: Limits::none(), ..real })
}

/// The value of an argument of this program.
pub fn argument(name: &str) -> Option<String> {
    let arguments: Vec<String> = std::env::args().collect();
    let at = arguments.iter().position(|argument| argument == name)?;
    arguments.get(at + 1).cloned()
}

/// Serves the database in the folder in this process until it is killed.
pub fn serve(folder: &str) {
    Runtime::new().unwrap().block_on(async {
        let (config, environment) = set_up(Path::new(folder));
        let domain = app::open(&config, environment).await.unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("{}", listener.local_addr().unwrap());
        let route = app::start_endpoint(&config, Arc::new(domain), false, Arc::default());
        server::serve(listener, route, ServerOptions::default(), std::future::pending()).await;
    });
}

/// A running service. It ends when it is dropped.
#[derive(Debug)]
pub struct Service {
    pub at: String,
    child: Child,
    _folder: tempfile::TempDir,
}

impl Service {
    /// Starts this program again with `--serve`, on a database with these accounts. `threads` is
    /// the number of hashing threads, or `None` for the default.
    pub fn with_accounts(names: &[String], threads: Option<usize>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Runtime::new().unwrap().block_on(add(folder.path(), names));
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg("--serve").arg(folder.path()).stdout(Stdio::piped());
        if let Some(threads) = threads {
            command.args(["--threads", &threads.to_string()]);
        }
        let mut child = command.spawn().unwrap();
        let mut at = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut at).unwrap();
        Self { at: at.trim().to_owned(), child, _folder: folder }
    }

    /// Starts the program itself, with every limit in force, on a database with these accounts.
    /// `BINARY` names another program than the one built with this bench.
    pub fn of_program(names: &[String]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let program = std::env::var("BINARY");
        let program = program.unwrap_or_else(|_| env!("CARGO_BIN_EXE_cloakroom").to_owned());
        let at = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let hash = own_hash();
        let mut rows = "username,password_hash\n".to_owned();
        for name in names {
            writeln!(rows, "{name},\"{hash}\"").unwrap();
        }
        let people = folder.path().join("people.csv");
        std::fs::write(&people, rows).unwrap();
        let run = || {
            let mut command = Command::new(&program);
            command.current_dir(folder.path()).env_clear().args(["--listen", &at]);
            command
        };
        let migrated = run().arg("migrate").output().unwrap();
        assert!(migrated.status.success(), "{migrated:?}");
        let imported = run().args(["user", "import"]).arg(&people).output().unwrap();
        assert!(imported.status.success(), "{imported:?}");
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let mut child = run().arg("serve").stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut said = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut said).unwrap();
        assert!(said.contains("serves at"), "{said}");
        Self { at, child, _folder: folder }
    }

    pub fn connect(&self) -> Connection {
        Connection::to(&self.at)
    }

    /// A line of the process's status, in MiB: `VmRSS` is the resident memory, `VmHWM` its maximum
    /// until now.
    pub fn memory(&self, line: &str) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|text| text.starts_with(line)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
    }
}

/// A hash of the password with the current default parameters, as an import contains it.
fn own_hash() -> String {
    let Argon2Params { memory_kib, passes, lanes } = Argon2Params::DEFAULT;
    let params = Params::new(memory_kib, passes, lanes, Some(32)).unwrap();
    let (salt, mut output) = ([7; 16], [0; 32]);
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon2.hash_password_into(PASSWORD.as_bytes(), &salt, &mut output).unwrap();
    let (salt, output) = (STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(output));
    format!("$argon2id$v=19$m={memory_kib},t={passes},p={lanes}${salt}${output}")
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn add(folder: &Path, names: &[String]) {
    let (config, environment) = set_up(folder);
    let domain = app::open(&config, environment).await.unwrap();
    for name in names {
        let typed = Password::new(PASSWORD.to_owned());
        let username = Username::parse(name).unwrap();
        let password = domain.rules.passwords.check(&typed, Some(&username)).unwrap();
        domain.add_account(NewUser::new(username), Some(password)).await.unwrap();
    }
    domain.store.close().await;
}

/// A keep-alive connection that sends one request after another.
#[derive(Debug)]
pub struct Connection(TcpStream);

impl Connection {
    pub fn to(at: &str) -> Self {
        let stream = TcpStream::connect(at).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(stream)
    }

    /// Sends a request and reads the whole response.
    pub fn ask(&mut self, request: &str) -> Answer {
        self.0.write_all(request.as_bytes()).unwrap();
        let mut bytes = [0; 8192]; // the longest response here has two kilobytes
        let mut length = 0;
        loop {
            let read = self.0.read(&mut bytes[length..]).unwrap();
            assert!(read > 0, "the service closed the connection");
            length += read;
            let text = std::str::from_utf8(&bytes[..length]).unwrap();
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let expected = head.split("\r\ncontent-length: ").nth(1).unwrap();
            if body.len() == expected.lines().next().unwrap().parse::<usize>().unwrap() {
                return Answer(text.to_owned());
            }
        }
    }
}

/// A response as text.
#[derive(Debug)]
pub struct Answer(String);

impl Answer {
    pub fn status(&self) -> u16 {
        self.0[9..12].parse().unwrap()
    }

    /// The value of a header, which must be present.
    pub fn header(&self, name: &str) -> &str {
        let value = self.0.split(&format!("\r\n{name}: ")).nth(1).unwrap();
        value.lines().next().unwrap()
    }
}

/// A login request.
pub fn login(username: &str, password: &str) -> String {
    let body = format!(r#"{{"username":"{username}","password":"{password}"}}"#);
    let mut request = "POST /login HTTP/1.1\r\nHost: localhost\r\n".to_owned();
    let length = body.len();
    write!(request, "Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}")
        .unwrap();
    request
}

/// CPU seconds that this process has used until now, to a hundredth.
pub fn own_cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields = stat.rsplit_once(')').unwrap().1; // the name before it may contain spaces
    let ticks = fields.split_whitespace().skip(11).take(2);
    ticks.map(|ticks| ticks.parse::<f64>().unwrap() / 100.0).sum()
}

/// The quantile of sorted values for this part of them.
pub fn quantile(sorted: &[f64], part: f64) -> f64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
    #[expect(clippy::cast_precision_loss, reason = "a count of samples fits")]
    let at = (part * (sorted.len() - 1) as f64).round() as usize;
    sorted[at]
}

/// Prints whether a bound is met and the value.
pub fn within(what: &str, value: f64, bound: f64) -> bool {
    let holds = value <= bound;
    println!(
        "{what:<44} {value:9.3}  at most {bound:.3}  {}",
        if holds { "ok" } else { "NOT MET" }
    );
    holds
}
