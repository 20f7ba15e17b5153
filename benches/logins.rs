//! Measures the cost of logins and their effect on other requests: `cargo bench --bench logins [--
//! --rounds N] [-- --threads N]`.
//!
//! One process serves; this one sends requests. In short turns, because the speed of a machine
//! varies from one minute to the next, it compares
//! - the rate of bare Argon2id on as many threads as the service hashes on with the rate of
//!   answered logins,
//! - guarded reads sent at 1,000 a second, whether or not earlier ones are answered: without other
//!   load, during bare Argon2id at the same priority, and during logins of 200 clients,
//! - the resident memory of the service with its memory at rest.
//!
//! It measures with one core left for other work than hashing, and with every core hashing. The
//! exit code is 1 if a bound is exceeded.

#![allow(clippy::unwrap_used, reason = "a bench that fails says where")]
#![allow(clippy::cast_precision_loss, reason = "a count of logins fits")]

#[expect(dead_code, reason = "the bench of an overload asks for more")]
mod house;

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::thread::{self, available_parallelism, sleep};
use std::time::{Duration, Instant};

use argon2::{Algorithm, Argon2, Block, Params, Version};
use cloakroom::domain::passwords::cost::Argon2Params;

use crate::house::reads::{Reads, read};
use crate::house::{PASSWORD, Service, argument, login, within};

/// Clients while the rate of logins is measured: enough that some login always waits, and few
/// enough that none is refused.
const FEW: usize = 16;
/// Clients while reads are measured.
const MANY: usize = 200;
/// Reads per second.
const READS: u32 = 1000;
/// Time for each measurement.
const TURN: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    if let Some(folder) = argument("--serve") {
        house::serve(&folder);
        return ExitCode::SUCCESS;
    }
    let number = |name| argument(name).map(|value| value.parse::<u32>().unwrap());
    let rounds = number("--rounds").unwrap_or(8);
    let cores = available_parallelism().unwrap().get();
    let threads = match number("--threads") {
        Some(threads) => vec![threads as usize],
        None if cores > 1 => vec![cores - 1, cores],
        None => vec![cores],
    };
    let held: Vec<bool> = threads.into_iter().map(|threads| compare(threads, rounds)).collect();
    if held.into_iter().all(|held| held) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Measures everything with this number of hashing threads, in short turns because the speed of a
/// machine varies. Returns whether the bounds hold.
fn compare(threads: usize, rounds: u32) -> bool {
    println!("{threads} of {} cores hash", available_parallelism().unwrap());
    let mut names: Vec<String> = (0..MANY).map(|n| format!("user{n}")).collect();
    names.push("reader".to_owned()); // no later login pushes out this account's session
    let service = Service::with_accounts(&names, Some(threads));
    sleep(Duration::from_secs(1));
    let rest = service.memory("VmRSS");
    let signed_in = service.connect().ask(&login("reader", PASSWORD));
    let cookie = signed_in.header("set-cookie").split(';').next().unwrap();
    let read = || read(&service, cookie, READS, TURN);

    let (mut bare, mut answered) = (0.0, 0.0);
    let (mut alone, mut beside_hashes, mut beside_logins) = <(Reads, Reads, Reads)>::default();
    for _ in 0..rounds {
        bare += while_hashing(threads, || sleep(TURN)).0 / f64::from(rounds);
        let (few, ()) = while_they_log_in(&service, FEW, || sleep(TURN));
        answered += few.a_second / f64::from(rounds);
        alone.add(read());
        beside_hashes.add(while_hashing(threads, read).1);
        let (many, reads) = while_they_log_in(&service, MANY, read);
        beside_logins.add(reads);
        println!("{FEW} clients: {few}; {MANY} clients: {many}");
    }
    println!("{bare:.1} bare hashes/s, {answered:.1} logins/s");
    alone.report("without logins");
    beside_hashes.report("beside bare hashes");
    beside_logins.report("beside logins");
    let most = service.memory("VmHWM");
    println!("memory of the service: {rest:.1} MiB at rest, {most:.1} MiB at the most\n");

    println!(
        "p99 of reads to that without anything beside: {:.2} beside bare hashes, {:.2} beside logins",
        beside_hashes.p99() / alone.p99(),
        beside_logins.p99() / alone.p99()
    );

    let refused = f64::from(alone.refused + beside_hashes.refused + beside_logins.refused);
    let ratio = beside_logins.p99() / beside_hashes.p99();
    let bounds = [
        within("bare hashes for each login answered", bare / answered, most_hashes(threads)),
        // what hashing itself costs a reader is up to the scheduler, regardless of priority
        within("p99 of reads, beside logins to bare hashes", ratio, 1.5),
        within("reads refused", refused, 0.0),
        within("memory above rest, MiB", most - rest, 20.0 * threads as f64 + 32.0),
    ];
    println!();
    bounds.into_iter().all(|is_met| is_met)
}

/// The number of bare hashes allowed in the time of a login. Apart from the hash, a login needs
/// some 2 ms including the client's part, which has its own core unless all cores hash.
fn most_hashes(threads: usize) -> f64 {
    if threads < available_parallelism().unwrap().get() { 1.0 / 0.95 } else { 1.0 / 0.85 }
}

/// Runs `meanwhile` while as many threads as the service's hash at their priority, reusing memory
/// as they do. Returns the hashes per second.
fn while_hashing<T>(threads: usize, meanwhile: impl FnOnce() -> T) -> (f64, T) {
    let Argon2Params { memory_kib, passes, lanes } = Argon2Params::DEFAULT;
    let params = Params::new(memory_kib, passes, lanes, Some(32)).unwrap();
    let (count, is_over) = (AtomicU32::new(0), AtomicBool::new(false));
    let hash = || {
        let me = rustix::thread::gettid();
        rustix::process::setpriority_process(Some(me), 19).unwrap();
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
        let mut memory = vec![Block::default(); params.block_count()];
        let (mut output, salt) = ([0; 32], [7; 16]);
        while !is_over.load(Relaxed) {
            let password = PASSWORD.as_bytes();
            let memory = &mut memory[..];
            argon2.hash_password_into_with_memory(password, &salt, &mut output, memory).unwrap();
            count.fetch_add(1, Relaxed);
        }
    };
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(hash);
        }
        sleep(Duration::from_millis(100)); // until their memory is allocated
        let (start, before) = (Instant::now(), count.load(Relaxed));
        let outcome = meanwhile();
        let hashes = f64::from(count.load(Relaxed) - before) / start.elapsed().as_secs_f64();
        is_over.store(true, Relaxed);
        (hashes, outcome)
    })
}

/// The result of clients that logged in.
struct LoginLoad {
    a_second: f64,
    told_to_come_back: u32,
}

impl std::fmt::Display for LoginLoad {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.1} logins/s, {} times 503", self.a_second, self.told_to_come_back)
    }
}

/// Lets clients log in, one login after the other, while `meanwhile` runs. A client that is told to
/// retry waits as long as the response says.
fn while_they_log_in<T>(
    service: &Service,
    clients: usize,
    meanwhile: impl FnOnce() -> T,
) -> (LoginLoad, T) {
    let (good, busy, is_over) = (AtomicU32::new(0), AtomicU32::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        for n in 0..clients {
            let (good, busy, is_over) = (&good, &busy, &is_over);
            scope.spawn(move || {
                // spreads the clients, because those that retry after a second would otherwise stay
                // together
                sleep(
                    Duration::from_secs(1) * u32::try_from(n).unwrap()
                        / u32::try_from(clients).unwrap(),
                );
                let mut connection = service.connect();
                // each login uses another account, so that none reaches the limit of sessions
                for user in (n..MANY).step_by(clients).cycle() {
                    if is_over.load(Relaxed) {
                        break;
                    }
                    let answer = connection.ask(&login(&format!("user{user}"), PASSWORD));
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
        sleep(Duration::from_millis(1500)); // until all clients have started
        let (start, before) = (Instant::now(), good.load(Relaxed));
        let told_before = busy.load(Relaxed);
        let outcome = meanwhile();
        let answered = good.load(Relaxed) - before;
        let crowd = LoginLoad {
            a_second: f64::from(answered) / start.elapsed().as_secs_f64(),
            told_to_come_back: busy.load(Relaxed) - told_before,
        };
        is_over.store(true, Relaxed);
        (crowd, outcome)
    })
}
