//! Measures what other users notice when one browser tab repeatedly sends 500 `getSession` requests
//! at the same time: `cargo bench --bench storm [-- --turns N]`.
//!
//! The program itself serves; this process sends the requests. A browser opens six connections to
//! an HTTP/1.1 server and sends one request after the other on each. In every turn the reads of
//! another user are measured first without the tab, then with it. The medians of the turns are
//! compared, because the speed of a machine varies from one minute to the next.
//!
//! The tab is a separate process at the lowest priority: in production it runs on another machine,
//! so here it must not take the cores from the service and the other user, whose reads are
//! measured.
//!
//! The exit code is 1 if the 99th percentile with the tab exceeds twice the one without it.

#![allow(clippy::unwrap_used, reason = "a bench that fails says where")]
#![allow(clippy::cast_precision_loss, reason = "a count of requests fits")]

#[expect(dead_code, reason = "the other benches ask for more")]
mod house;

use std::io::Read as _;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Barrier;
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use crate::house::reads::{Reads, read};
use crate::house::{Connection, PASSWORD, Service, argument, login, quantile, within};

/// Reads of the other user per second.
const READS: u32 = 500;
/// Requests of a storm.
const REQUESTS: usize = 500;
/// Time from the start of one storm to the next.
const INTERVAL: Duration = Duration::from_millis(250);
/// Connections of a browser to one server.
const CONNECTIONS: usize = 6;
/// Time for each of the two measurements of a turn.
const MEASUREMENT: Duration = Duration::from_secs(3);
const DEFAULT_TURNS: usize = 7;
/// Limit for the 99th percentile with the tab, relative to the one without.
const MAX_RATIO: f64 = 2.0;

fn main() -> ExitCode {
    if let (Some(address), Some(cookie)) = (argument("--tab"), argument("--cookie")) {
        send_storms(&address, &cookie);
        return ExitCode::SUCCESS;
    }
    let turns = argument("--turns").map_or(DEFAULT_TURNS, |turns| turns.parse().unwrap());
    let service = Service::of_program(&["reader", "tab"].map(str::to_owned));
    let [reader, tab] = ["reader", "tab"].map(|user| {
        let signed_in = service.connect().ask(&login(user, PASSWORD));
        signed_in.header("set-cookie").split(';').next().unwrap().to_owned()
    });
    let (mut alone, mut beside) = (Turns::default(), Turns::default());
    for _ in 0..turns {
        alone.add(read(&service, &reader, READS, MEASUREMENT));
        beside.add(read_during_storms(&service, &reader, &tab));
    }
    alone.all.report("without the tab");
    beside.all.report("with it");
    let (alone_p99, beside_p99) = (alone.median_p99(), beside.median_p99());
    println!(
        "median of the turns' p99: {alone_p99:.3} ms without the tab, {beside_p99:.3} ms with it\n"
    );
    let refused = alone.all.refused + beside.all.refused;
    let bounds = [
        within("p99 of reads with the tab, to that without", beside_p99 / alone_p99, MAX_RATIO),
        within("reads refused", f64::from(refused), 0.0),
    ];
    if bounds.into_iter().all(|is_met| is_met) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The reads of several turns.
#[derive(Default)]
struct Turns {
    all: Reads,
    p99s: Vec<f64>,
}

impl Turns {
    fn add(&mut self, reads: Reads) {
        self.p99s.push(reads.p99());
        self.p99s.sort_by(f64::total_cmp);
        self.all.add(reads);
    }

    fn median_p99(&self) -> f64 {
        quantile(&self.p99s, 0.5)
    }
}

/// The reads of the other user while the tab sends its storms.
fn read_during_storms(service: &Service, reader: &str, tab: &str) -> Reads {
    let mut storms = Command::new("nice")
        .args(["-n", "19"])
        .arg(std::env::current_exe().unwrap())
        .args(["--tab", &service.at, "--cookie", tab])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let reads = read(service, reader, READS, MEASUREMENT);
    let mut said = String::new();
    storms.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(storms.wait().unwrap().success(), "{said}");
    print!("{said}");
    reads
}

/// Sends the tab's storms during one measurement.
fn send_storms(address: &str, cookie: &str) {
    let request = format!("GET /session HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n\r\n");
    let count = MEASUREMENT.as_millis() / INTERVAL.as_millis();
    let start = Barrier::new(CONNECTIONS);
    let send_share = || {
        let mut connection = Connection::to(address);
        let mut busy = Duration::ZERO;
        for _ in 0..count {
            start.wait(); // all connections start together, with the same number of storms
            let begun = Instant::now();
            for _ in 0..REQUESTS.div_ceil(CONNECTIONS) {
                assert_eq!(connection.ask(&request).status(), 200);
            }
            busy += begun.elapsed();
            sleep(INTERVAL.saturating_sub(begun.elapsed()));
        }
        busy
    };
    let busy: Duration = thread::scope(|scope| {
        let connections: Vec<_> = (0..CONNECTIONS).map(|_| scope.spawn(send_share)).collect();
        connections.into_iter().map(|connection| connection.join().unwrap()).sum()
    });
    let millis = busy.as_secs_f64() * 1e3 / (CONNECTIONS as f64 * count as f64);
    println!("{count} storms of {REQUESTS} requests, each answered in {millis:.1} ms");
}
