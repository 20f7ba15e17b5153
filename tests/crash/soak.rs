//! the service's memory, threads and files do not grow in a long run.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use super::crowd::{Crowd, Tally};
use super::rng::Rng;
use super::rows::{self, block};
use super::service::{Service, copy};

const CLIENTS: usize = 4;
/// Pause between two requests of a client: ten writes a second in all.
const PACE: Duration = Duration::from_millis(400);
/// By this time after the last request, the memory for hashing is released and every connection is
/// closed.
const REST: Duration = Duration::from_secs(15);
/// Interval between two measurements.
const LOOK: Duration = Duration::from_secs(10);
/// Limit for the process's memory at rest: 4 MiB of its own, 512 KiB of pages for each of five
/// connections to the database, and what its allocator keeps.
const MAX_AT_REST_KIB: u64 = 9 * 1024;
/// Limit for the growth at rest between the first and the second half of the run: pages that were
/// first read in the second half, and what the allocator keeps. A run of five minutes measured 404
/// KiB.
const MAX_GROWTH_KIB: f64 = 1024.0;
/// The same limit for a long run, per hour.
const MAX_GROWTH_KIB_PER_HOUR: f64 = 1024.0;
/// The most ended sessions in the table; they are deleted every half minute.
const MOST_ENDED: i64 = 1500;
/// Bytes of an entry in the revocation feed with its share of pages; entries are kept for a day.
const BYTES_A_REVOCATION: u64 = 200;
/// Bytes of an audit event with its index; events are kept for 90 days, up to a million of them.
const BYTES_AN_EVENT: u64 = 250;
const BYTES_AT_FIRST: u64 = 1 << 20;

/// A measurement of the process. `memory` is its private memory in KiB; shared pages of the program
/// depend on what else the system reads.
#[derive(Debug, Clone, Copy)]
struct Look {
    memory: u64,
    threads: u64,
    files: u64,
}

fn look(pid: u32) -> Look {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let number = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    let files = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count() as u64;
    Look { memory: number("RssAnon:"), threads: number("Threads:"), files }
}

/// Runs the clients for `time`, then waits until the service is at rest. Returns the measurement at
/// rest and the memory during the run.
fn work_and_rest(service: &Service, crowd: Crowd, time: Duration) -> (Crowd, Look, Vec<u64>) {
    let pid = service.id();
    let (began, at_work) = (Instant::now(), crowd.start(&[&service.at]));
    let mut at_work_kib = Vec::new();
    while began.elapsed() < time {
        thread::sleep(LOOK.min(time));
        at_work_kib.push(look(pid).memory);
    }
    let crowd = at_work.stop();
    thread::sleep(REST);
    (crowd, look(pid), at_work_kib)
}

#[test]
#[ignore = "takes minutes: tests/e2e/crash r_13"]
fn r_13_it_serves_on_and_on_and_takes_no_more_for_it() {
    let time = Duration::from_secs(super::asked("SOAK", 300));
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("cloakroom-data");
    let mut service = Service::start(folder.path());
    let mut rng = Rng::new();
    let mut crowd = Crowd::without_operator(CLIENTS, folder.path(), &mut rng);
    crowd.pace = PACE;
    let began = Instant::now();
    let (crowd, first, mut at_work_kib) = work_and_rest(&service, crowd, time / 2);
    let second_half = Instant::now();
    let (mut crowd, last, more) = work_and_rest(&service, crowd, time / 2);
    at_work_kib.extend(more);
    let hours = second_half.elapsed().as_secs_f64() / 3600.0;
    service.kill();
    let copied = copy(&data, &folder.path().join("aside"));
    let rows = rows::read(&copied).unwrap();
    let mut wrong = crowd.settle(&rows);
    wrong.append(&mut crowd.tally.wrong.lock().unwrap());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let revocations = rows.revocations.values().sum::<i64>().unsigned_abs();
    let (ended, events, bytes) = block(async {
        use sqlx::Connection as _;
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&copied);
        let mut db = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
        let ended = "select count(*) from sessions where ended_at is not null";
        let ended: i64 = sqlx::query_scalar(ended).fetch_one(&mut db).await.unwrap();
        let pages: i64 = sqlx::query_scalar("pragma page_count").fetch_one(&mut db).await.unwrap();
        let events = "select count(*) from events";
        let events: i64 = sqlx::query_scalar(events).fetch_one(&mut db).await.unwrap();
        (ended, events.unsigned_abs(), pages.unsigned_abs() * 4096)
    });

    let grown = last.memory as f64 - first.memory as f64;
    let tally = &crowd.tally;
    println!(
        "R-13: {:?}, {} writes acknowledged, {} unavailable, {} overloaded, 0 lost; {} KiB of memory at rest \
         after the first half, {} KiB after the second; threads {} and {}, files {} and {}; {bytes} bytes of \
         database, {revocations} revocations told, {events} events, {ended} ended sessions left",
        began.elapsed(),
        Tally::of(&tally.acknowledged),
        Tally::of(&tally.unavailable),
        Tally::of(&tally.overloaded),
        first.memory,
        last.memory,
        first.threads,
        last.threads,
        first.files,
        last.files
    );
    assert_eq!(Tally::of(&tally.unavailable), 0);
    // other test suites that use all cores leave no time for hashing, which has the lowest priority
    let alone = std::env::var_os("BESIDE_OTHERS").is_none();
    let late = Tally::of(&tally.overloaded) + Tally::of(&tally.unanswered);
    assert!(!alone || late == 0, "{tally:?}");
    assert!(last.memory < MAX_AT_REST_KIB, "{at_work_kib:?}");
    let max_growth = MAX_GROWTH_KIB.max(MAX_GROWTH_KIB_PER_HOUR * hours);
    assert!(grown < max_growth, "{at_work_kib:?}");
    assert_eq!((last.threads, last.files), (first.threads, first.files));
    assert!(ended < MOST_ENDED, "{ended}");
    let kept = revocations * BYTES_A_REVOCATION + events * BYTES_AN_EVENT;
    assert!(bytes < BYTES_AT_FIRST + kept, "{bytes}");
    assert!(Tally::of(&tally.acknowledged) as u64 > time.as_secs() / 4);
}
