//! it goes on for as long as one likes, and takes no more for it.

use std::fs;
use std::time::{Duration, Instant};

use super::crowd::{Crowd, Tally};
use super::dice::Dice;
use super::rows::{self, block};
use super::service::{Service, copy};

const CLIENTS: usize = 4;
/// Each of them asks so often: ten writes a second in all.
const PACE: Duration = Duration::from_millis(400);
/// What it has at rest; hashes come and go between two looks, and take memory meanwhile.
const LOOK: Duration = Duration::from_millis(250);
const WINDOW: usize = 40;
/// Beyond the warm-up, which is a quarter of the time.
const SLOPE_KIB_AN_HOUR: f64 = 1024.0;
/// A shorter soak tells no slope of an hour from the noise of so much.
const NOISE_KIB: f64 = 1536.0;
/// Ended sessions are removed each half a minute.
const MOST_ENDED: i64 = 1500;
/// What an ending and the pages around it take; endings are told for a day.
const BYTES_AN_ENDING: u64 = 200;
/// What an event takes with its index; events are kept for 90 days, a million of them.
const BYTES_AN_EVENT: u64 = 250;
const BYTES_AT_FIRST: u64 = 1 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Look {
    resident: u64,
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
    Look { resident: number("VmRSS:"), threads: number("Threads:"), files }
}

/// KiB a second, by least squares.
fn slope(points: &[(f64, f64)]) -> f64 {
    let n = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / n;
    let (at, kib) = (mean(|point| point.0), mean(|point| point.1));
    let up: f64 = points.iter().map(|point| (point.0 - at) * (point.1 - kib)).sum();
    up / points.iter().map(|point| (point.0 - at).powi(2)).sum::<f64>()
}

#[test]
#[ignore = "takes minutes: tests/crash/run r_13"]
fn r_13_it_serves_on_and_on_and_takes_no_more_for_it() {
    let time = Duration::from_secs(super::asked("SOAK", 300));
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("cloakroom-data");
    let mut service = Service::start(folder.path());
    let mut dice = Dice::new();
    let mut crowd = Crowd::without_operator(CLIENTS, folder.path(), &mut dice);
    crowd.pace = PACE;
    let (began, pid) = (Instant::now(), service.child.id());
    let at_work = crowd.start(&[&service.at]);
    let mut windows = Vec::new();
    while began.elapsed() < time {
        let window: Vec<_> = (0..WINDOW)
            .map(|_| {
                std::thread::sleep(LOOK);
                look(pid)
            })
            .collect();
        let least = |of: fn(&Look) -> u64| window.iter().map(of).min().unwrap();
        let least = Look {
            resident: least(|look| look.resident),
            threads: least(|look| look.threads),
            files: least(|look| look.files),
        };
        windows.push((began.elapsed().as_secs_f64(), least));
    }
    crowd = at_work.stop();
    service.kill();
    let copied = copy(&data, &folder.path().join("aside"));
    let rows = rows::read(&copied).unwrap();
    let mut wrong = crowd.settle(&rows);
    wrong.append(&mut crowd.tally.wrong.lock().unwrap());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let endings = rows.endings.values().sum::<i64>().unsigned_abs();
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

    let warm: Vec<_> = windows.iter().skip(windows.len() / 4).copied().collect();
    let points: Vec<_> = warm.iter().map(|(at, look)| (*at, look.resident as f64)).collect();
    let a_second = slope(&points);
    let grown = a_second * (points[points.len() - 1].0 - points[0].0);
    let (first, last) = (warm[0].1, warm[warm.len() - 1].1);
    let tally = &crowd.tally;
    println!(
        "R-13: {:?}, {} writes acknowledged, {} unavailable, {} overloaded, 0 lost; resident {} KiB, \
         then {} KiB: {:.0} KiB an hour ({grown:.0} KiB grown); threads {} and {}, files {} and {}; \
         {bytes} bytes of database, {endings} endings told, {events} events, {ended} ended sessions left",
        began.elapsed(),
        Tally::of(&tally.acknowledged),
        Tally::of(&tally.unavailable),
        Tally::of(&tally.overloaded),
        first.resident,
        last.resident,
        a_second * 3600.0,
        first.threads,
        last.threads,
        first.files,
        last.files
    );
    assert_eq!(Tally::of(&tally.unavailable) + Tally::of(&tally.unanswered), 0);
    // beside what keeps every core busy nobody gets a hash in time
    let alone = std::env::var_os("BESIDE_OTHERS").is_none();
    assert!(!alone || Tally::of(&tally.overloaded) == 0, "{tally:?}");
    assert!(grown < NOISE_KIB || a_second * 3600.0 < SLOPE_KIB_AN_HOUR, "{points:?}");
    assert_eq!((last.threads, last.files), (first.threads, first.files));
    assert!(ended < MOST_ENDED, "{ended}");
    let kept = endings * BYTES_AN_ENDING + events * BYTES_AN_EVENT;
    assert!(bytes < BYTES_AT_FIRST + kept, "{bytes}");
    assert!(Tally::of(&tally.acknowledged) as u64 > time.as_secs() / 4);
}
