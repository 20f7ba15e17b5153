//! What logins cost, and whom: `cargo bench --bench logins [-- --seconds S] [-- --rounds N]`.
//!
//! One process serves; this one asks. In one run it compares
//! - the rate of bare Argon2id on as many threads as the service hashes on with the logins answered,
//! - guarded reads offered at 1,000 a second, at their time whether or not the ones before are
//!   answered, with and without 200 clients who log in,
//! - the resident memory of the service with what it was at rest.
//!
//! The exit code is 1 beyond the bounds.

#![allow(clippy::unwrap_used, reason = "a bench that fails says where")]
#![allow(clippy::cast_precision_loss, reason = "a count of logins fits")]

#[expect(dead_code, reason = "the bench of an overload asks for more")]
mod house;

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::thread::{self, available_parallelism, sleep};
use std::time::{Duration, Instant};

use argon2::{Algorithm, Argon2, Block, Params, Version};
use cloakroom::domain::passwords::HashCost;

use crate::house::reads::{Reads, read};
use crate::house::{PASSWORD, Service, argument, login, within};

/// As many clients log in while their rate is measured: somebody always waits, and nobody is told
/// to come back.
const FEW: usize = 16;
/// As many while the reads are measured.
const MANY: usize = 200;
/// Reads a second.
const READS: u32 = 1000;

fn main() -> ExitCode {
    if let Some(folder) = argument("--serve") {
        house::serve(&folder);
        return ExitCode::SUCCESS;
    }
    let number = |name, default| argument(name).map_or(default, |value| value.parse().unwrap());
    let time = Duration::from_secs(number("--seconds", 10));
    let rounds = u32::try_from(number("--rounds", 3)).unwrap();
    let threads = available_parallelism().unwrap().get(); // as many as `app::open` hashes on

    let mut names: Vec<String> = (0..MANY).map(|n| format!("user{n}")).collect();
    names.push("reader".to_owned()); // whose session no later one pushes out
    let service = Service::with_accounts(&names);
    sleep(Duration::from_secs(1));
    let rest = service.memory("VmRSS");
    let signed_in = service.connect().ask(&login("reader", PASSWORD));
    let cookie = signed_in.header("set-cookie").split(';').next().unwrap();

    let (mut bare, mut answered) = (0.0, 0.0);
    let (mut alone, mut beside) = (Reads::default(), Reads::default());
    for round in 1..=rounds {
        let hashes = bare_hashes(threads, time);
        let (few, ()) = while_they_log_in(&service, FEW, || sleep(time));
        println!("round {round}: {hashes:.1} bare hashes/s; {FEW} clients: {few}");
        bare += hashes / f64::from(rounds);
        answered += few.a_second / f64::from(rounds);
        alone.add(read(&service, cookie, READS, time));
        let (many, reads) =
            while_they_log_in(&service, MANY, || read(&service, cookie, READS, time));
        println!("round {round}: reads beside {MANY} clients: {many}");
        beside.add(reads);
    }
    alone.report("without logins");
    beside.report("with logins");
    let most = service.memory("VmHWM");
    println!("memory of the service: {rest:.1} MiB at rest, {most:.1} MiB at the most\n");

    let ratio = beside.p99() / alone.p99();
    let refused = f64::from(alone.refused + beside.refused);
    let bounds = [
        within("bare hashes for each login answered", bare / answered, 1.0 / 0.95),
        within("p99 of reads, with logins to without", ratio, 1.5),
        within("reads refused", refused, 0.0),
        within("memory above rest, MiB", most - rest, 20.0 * threads as f64 + 32.0),
    ];
    if bounds.into_iter().all(|is_met| is_met) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Hashes a second on as many threads as the service's, at their priority, in memory that is used
/// again like theirs.
fn bare_hashes(threads: usize, time: Duration) -> f64 {
    let HashCost { memory_kib, passes, lanes } = HashCost::DEFAULT;
    let params = Params::new(memory_kib, passes, lanes, Some(32)).unwrap();
    let count = AtomicU32::new(0);
    let start = Instant::now();
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let me = rustix::thread::gettid();
                rustix::process::setpriority_process(Some(me), 19).unwrap();
                let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
                let mut memory = vec![Block::default(); params.block_count()];
                while start.elapsed() < time {
                    let (mut output, salt) = ([0; 32], [7; 16]);
                    let password = PASSWORD.as_bytes();
                    let hashed = argon2.hash_password_into_with_memory(
                        password,
                        &salt,
                        &mut output,
                        &mut memory,
                    );
                    hashed.unwrap();
                    count.fetch_add(1, Relaxed);
                }
            });
        }
    });
    f64::from(count.into_inner()) / start.elapsed().as_secs_f64()
}

/// How clients fared who logged in.
struct Crowd {
    a_second: f64,
    told_to_come_back: u32,
}

impl std::fmt::Display for Crowd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.1} logins/s, {} times 503", self.a_second, self.told_to_come_back)
    }
}

/// Lets so many clients log in, one login after the other, and does something meanwhile. Who is
/// told to come back comes back when told.
fn while_they_log_in<T>(
    service: &Service,
    clients: usize,
    meanwhile: impl FnOnce() -> T,
) -> (Crowd, T) {
    let (good, busy, is_over) = (AtomicU32::new(0), AtomicU32::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        for n in 0..clients {
            let (good, busy, is_over) = (&good, &busy, &is_over);
            scope.spawn(move || {
                // people do not begin all at once; who comes back after a second would do so for ever
                sleep(
                    Duration::from_secs(1) * u32::try_from(n).unwrap()
                        / u32::try_from(clients).unwrap(),
                );
                let (mut connection, request) =
                    (service.connect(), login(&format!("user{n}"), PASSWORD));
                while !is_over.load(Relaxed) {
                    let answer = connection.ask(&request);
                    match answer.status() {
                        200 => good.fetch_add(1, Relaxed),
                        503 => {
                            let seconds = answer.header("retry-after").parse().unwrap();
                            sleep(Duration::from_secs(seconds));
                            busy.fetch_add(1, Relaxed)
                        }
                        _ => panic!("{answer:?}"),
                    };
                }
            });
        }
        sleep(Duration::from_secs(3)); // until all of them are at it
        let (start, before) = (Instant::now(), good.load(Relaxed));
        let told_before = busy.load(Relaxed);
        let outcome = meanwhile();
        let answered = good.load(Relaxed) - before;
        let crowd = Crowd {
            a_second: f64::from(answered) / start.elapsed().as_secs_f64(),
            told_to_come_back: busy.load(Relaxed) - told_before,
        };
        is_over.store(true, Relaxed);
        (crowd, outcome)
    })
}
