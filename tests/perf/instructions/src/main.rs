//! Counts the instructions that the server executes in user mode for one request of each kind, and
//! compares them with the committed figures. `tests/perf/instructions/run` builds and starts it:
//!
//! - `cloakroom-instructions FIGURES` compares; exit code 1 if a figure is exceeded by more than 5
//!   %
//! - `cloakroom-instructions FIGURES renew` writes the figures
//!
//! CPU time depends on the machine and on other programs. Instructions do not: valgrind presents
//! the same CPU on every x86-64 machine with AVX2, and the server does nothing except answering
//! (see `service`).

mod callgrind;
mod client;
mod figures;
mod service;

use crate::callgrind::Server;
use crate::client::{Connection, get, get_with_token, login, registration, token_creation};
use crate::figures::Figures;

/// The minimum of this many batches counts, because other work in the process can only add
/// instructions.
const BATCHES: usize = 5;

/// A kind of request, and how many of them are in a batch.
struct Kind<'a> {
    name: &'static str,
    batch: usize,
    address: &'a str,
    /// The requests in order.
    requests: Box<dyn Iterator<Item = String>>,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--serve", folder] => service::serve(folder),
        [file] => {
            let measured = measure();
            let holds = Figures::read(file).compare(&measured);
            if !tokens_are_cheap(&measured) || !holds {
                std::process::exit(1);
            }
        }
        [file, "renew"] => Figures::write(file, &measure()),
        _ => panic!("cloakroom-instructions FIGURES [renew]"),
    }
}

/// Whether a guarded read with an API token costs at most 1.1 times as much as one with a session.
fn tokens_are_cheap(measured: &[(&str, u64)]) -> bool {
    let count = |wanted: &str| {
        let found = measured.iter().find(|(name, _)| *name == wanted);
        found.expect("every kind is measured").1
    };
    let (token, session) = (count("token_hit"), count("private_hit"));
    println!("token_hit / private_hit: {}.{:02}", token / session, token * 100 / session % 100);
    token * 10 <= session * 11
}

/// The instructions of one request of each kind.
fn measure() -> Vec<(&'static str, u64)> {
    let server = Server::start();
    let at = server.service.as_str();
    let mut setup = Connection::to(at);
    let mut sign_up = |user: &str| setup.ask(&registration(at, user)).session_cookie();
    let [reader, _, _] = ["reader", "many", "signer"].map(&mut sign_up);
    let token = setup.ask(&token_creation(at, &reader)).api_token().to_owned();
    // each of these cookies is sent only once
    let fresh = (0..10 * (BATCHES + 1)).map(|_| setup.ask(&login(at, "many")).session_cookie());
    let fresh: Vec<String> = fresh.map(|cookie| get(at, "/private", &cookie)).collect();
    let hello = server.hello.as_str();
    let kinds = [
        Kind::repeat("hello", 200, hello, get(hello, "/", "")),
        Kind::repeat("livez", 200, at, get(at, "/livez", "")),
        Kind::repeat("private_hit", 200, at, get(at, "/private", &reader)),
        Kind::repeat("token_hit", 200, at, get_with_token(at, "/private", &token)),
        Kind {
            requests: Box::new(fresh.into_iter()),
            ..Kind::repeat("private_miss", 10, at, String::new())
        },
        Kind::repeat("login", 10, at, login(at, "signer")),
    ];
    kinds.map(|kind| (kind.name, kind.measure(&server))).into()
}

impl<'a> Kind<'a> {
    /// The same request repeated.
    fn repeat(name: &'static str, batch: usize, address: &'a str, request: String) -> Self {
        Self { name, batch, address, requests: Box::new(std::iter::repeat(request)) }
    }

    /// The instructions of one request, on average over the batch with the fewest. The first batch
    /// is not counted, because it fills caches and buffers.
    fn measure(mut self, server: &Server) -> u64 {
        let mut connection = Connection::to(self.address);
        let batches = (0..=BATCHES).map(|_| {
            server.reset();
            for request in self.requests.by_ref().take(self.batch) {
                connection.ask(&request);
            }
            server.read_instructions() / u64::try_from(self.batch).expect("a small number")
        });
        batches.skip(1).min().expect("there are batches")
    }
}
