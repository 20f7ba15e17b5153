//! Measures an overload: ten times as many logins as the service can handle: `cargo bench
//! --bench overload [-- --seconds S]`.
//!
//! The program itself serves, with every limit in force; this process sends requests from threads
//! that share its cores. 500 guarded reads a second are sent throughout. One run measures
//! - the reads without load, and one login after the other,
//! - the maximum rate of logins: 16 clients, each with one login after the other,
//! - ten times that rate, sent at fixed times whether or not earlier logins are answered,
//! - how soon a login takes as long again as before.
//!
//! The second and the third alternate, because the speed of a machine varies from one minute to the
//! next. The cores that the clients use are not available for hashing, so logins are compared by
//! the CPU time that is left.
//!
//! The exit code is 1 if a bound is exceeded.

#![allow(clippy::unwrap_used, reason = "a bench that fails says where")]
#![allow(clippy::cast_precision_loss, reason = "a count of logins fits")]

#[expect(dead_code, reason = "the other benches ask for more")]
mod house;

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::thread::{self, available_parallelism, sleep};
use std::time::{Duration, Instant};

use crate::house::reads::{Reads, read};
use crate::house::{PASSWORD, Service, argument, login, own_cpu, quantile, within};

/// Reads per second.
const READS: u32 = 500;
/// Clients that reach the maximum rate of logins: enough that some login always waits, and few
/// enough that none is refused.
const FEW: usize = 16;
/// Number of turns of each kind.
const TURNS: u32 = 5;
/// The rate of logins that are sent, relative to the maximum.
const TIMES: f64 = 10.0;
/// Connections for the logins. As many logins wait as fit the queue, each for an expected two
/// seconds at most (above three it is refused), and the others are refused immediately, so some
/// connection is always free.
const OFFERING: usize = 256;
/// Enough users that none has two logins in progress. All of them come over loopback, which the
/// hash queue counts as one address, so each user has an equal share and none displaces another: a
/// refusal comes immediately and not after a wait. 64 slots and ten times the maximum leave room
/// for that at any speed.
const PEOPLE: usize = 4000;
/// Tolerance for the speed of a login afterwards, for a busy machine.
const SOME: f64 = 5.0;

fn main() -> ExitCode {
    let seconds = argument("--seconds").map_or(60, |value| value.parse().unwrap());
    let (time, part) = (Duration::from_secs(seconds), Duration::from_secs(seconds / 4 + 1));
    let turn = time / TURNS;
    let threads = available_parallelism().unwrap().get(); // as many as the service hashes on

    let mut names: Vec<String> = (0..PEOPLE).map(|n| format!("user{n}")).collect();
    names.extend(["reader", "visitor"].map(str::to_owned));
    let service = Service::of_program(&names);
    sleep(Duration::from_secs(1));
    let rest = service.memory("VmRSS");
    let signed_in = service.connect().ask(&login("reader", PASSWORD));
    let cookie = signed_in.header("set-cookie").split(';').next().unwrap();

    let alone = read(&service, cookie, READS, part);
    alone.report("alone");
    let mut ones: Vec<f64> = (0..20).map(|_| one_login(&service)).collect();
    ones.sort_by(f64::total_cmp);
    let one = quantile(&ones, 0.5);

    let (mut peak, mut few, mut beside_few) = (0.0, 0.0, Reads::default());
    let (mut offered, mut many, mut beside) = (Offered::default(), 0.0, Reads::default());
    for _ in 0..TURNS {
        let before = own_cpu();
        let (most, reads) = thread::scope(|scope| {
            let reads = scope.spawn(|| read(&service, cookie, READS, turn));
            (most_logins(&service, turn), reads.join().unwrap())
        });
        println!("{most:.1} logins a second at the most");
        peak += most / f64::from(TURNS);
        beside_few.add(reads);
        let between = own_cpu();
        few += between - before;
        let (turned, reads) = thread::scope(|scope| {
            let reads = scope.spawn(|| read(&service, cookie, READS, turn));
            (offer(&service, most * TIMES, turn), reads.join().unwrap())
        });
        offered.add(turned);
        beside.add(reads);
        many += own_cpu() - between;
    }
    let recovered = as_quick_again(&service, one * SOME);
    let after = read(&service, cookie, READS, part);
    beside_few.report("beside 16 clients who log in");
    beside.report("in the overload");
    after.report("after it");
    let most = service.memory("VmHWM");
    println!("memory of the service: {rest:.1} MiB at rest, {most:.1} MiB at the most");
    println!("one login takes {one:.1} ms; the most are {peak:.1} a second");
    let Offered { mut good, in_time, mut refused, failed, late } = offered;
    println!(
        "{:.0} logins a second offered: {} answered 200, {} refused, {failed} else; sent at most {late:.0} ms \
         late\n",
        peak * TIMES,
        good.len(),
        refused.len()
    );
    good.sort_by(f64::total_cmp);
    refused.sort_by(f64::total_cmp);
    let answered = f64::from(in_time) / time.as_secs_f64();
    println!("{:<44} {:9.3}", "p99 of logins that were answered, ms", quantile(&good, 0.99));
    println!("{:<44} {:9.3}", "p99 of reads, to that alone", beside.p99() / alone.p99());
    println!("{:<44} {:9.3}", "most logins to those answered", peak / answered);
    let left = |clients: f64| threads as f64 - clients / time.as_secs_f64();
    // short runs vary more
    let least = if seconds < 60 { 0.8 } else { 0.9 };
    // times are only meaningful when nothing else runs, as in `tests/perf/figures full`
    let is_alone = std::env::var_os("ALONE").is_some();
    let times = [
        within(
            "the same, by the cores that clients left",
            peak / left(few) / (answered / left(many)),
            1.0 / least,
        ),
        within("p99 of refusals, ms", quantile(&refused, 0.99), 250.0),
        within("p99 of reads, ms", beside.p99(), 50.0),
        // the cost of hashing threads for a reader does not depend on their priority: see `logins`
        within(
            "p99 of reads, to that beside the 16",
            beside.p99() / beside_few.p99().max(alone.p99()),
            3.0,
        ),
        within("logins are as quick as before after, s", recovered, 2.0),
    ];
    let counts = [
        within("answered neither 200, nor 503 and when", f64::from(failed), 0.0),
        within("reads refused", f64::from(alone.refused + beside.refused + after.refused), 0.0),
        within("memory above rest, MiB", most - rest, 20.0 * threads as f64 + 64.0),
    ];
    let is_met = |bounds: &[bool]| bounds.iter().all(|is_met| *is_met);
    if is_met(&counts) && (is_met(&times) || !is_alone) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// The milliseconds of a login on a new connection; infinite if it is refused.
fn one_login(service: &Service) -> f64 {
    let start = Instant::now();
    let answer = service.connect().ask(&login("visitor", PASSWORD));
    if answer.status() == 200 { start.elapsed().as_secs_f64() * 1e3 } else { f64::INFINITY }
}

/// The seconds until three logins in a row take no longer than this.
fn as_quick_again(service: &Service, millis: f64) -> f64 {
    let ended = Instant::now();
    let mut quick = Vec::new();
    while quick.len() < 3 && ended.elapsed() < Duration::from_secs(30) {
        let begun = ended.elapsed().as_secs_f64();
        if one_login(service) > millis {
            quick.clear();
        } else {
            quick.push(begun);
        }
    }
    quick.first().copied().unwrap_or(f64::INFINITY)
}

/// Logins per second of a few clients that do nothing else.
fn most_logins(service: &Service, time: Duration) -> f64 {
    let (count, start) = (AtomicU32::new(0), Instant::now());
    thread::scope(|scope| {
        for client in 0..FEW {
            let count = &count;
            scope.spawn(move || {
                let mut connection = service.connect();
                for n in (client..PEOPLE).step_by(FEW).cycle() {
                    if start.elapsed() >= time {
                        return;
                    }
                    let answer = connection.ask(&login(&format!("user{n}"), PASSWORD));
                    assert_eq!(answer.status(), 200, "{answer:?}");
                    count.fetch_add(1, Relaxed);
                }
            });
        }
    });
    f64::from(count.into_inner()) / start.elapsed().as_secs_f64()
}

/// The results of logins sent at fixed times, in milliseconds from when they were due.
#[derive(Default)]
struct Offered {
    good: Vec<f64>,
    /// Those of them that were answered before the last login was due.
    in_time: u32,
    refused: Vec<f64>,
    failed: u32,
    /// The longest delay between the due time and the sending of a login, in milliseconds.
    late: f64,
}

impl Offered {
    fn add(&mut self, more: Self) {
        self.good.extend(more.good);
        self.in_time += more.in_time;
        self.refused.extend(more.refused);
        self.failed += more.failed;
        self.late = self.late.max(more.late);
    }
}

/// Sends this number of logins per second, each at its due time.
fn offer(service: &Service, a_second: f64, time: Duration) -> Offered {
    let (next, all) = (AtomicU32::new(0), Mutex::new(Offered::default()));
    let start = Instant::now() + Duration::from_millis(200); // by then all are connected
    thread::scope(|scope| {
        for _ in 0..OFFERING {
            scope.spawn(|| {
                let (mut connection, mut mine) = (service.connect(), Offered::default());
                loop {
                    let n = next.fetch_add(1, Relaxed);
                    let due = start + Duration::from_secs_f64(f64::from(n) / a_second);
                    if due >= start + time {
                        break;
                    }
                    sleep(due.saturating_duration_since(Instant::now()));
                    let millis = || due.elapsed().as_secs_f64() * 1e3;
                    mine.late = mine.late.max(millis());
                    let answer =
                        connection.ask(&login(&format!("user{}", n as usize % PEOPLE), PASSWORD));
                    match answer.status() {
                        200 => {
                            mine.good.push(millis());
                            mine.in_time += u32::from(Instant::now() < start + time);
                        }
                        503 if answer.header("retry-after").parse::<u32>().is_ok() => {
                            mine.refused.push(millis());
                        }
                        _ => mine.failed += 1,
                    }
                }
                all.lock().unwrap().add(mine);
            });
        }
    });
    all.into_inner().unwrap()
}
