//! Tests of HTTP/2 floods: each is ended or stays within bounds, and other clients are answered.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, NO_WINDOW, PING, RST_STREAM, Raw,
    SETTINGS, frame, head, read, reason, write,
};
use super::service::{LONG, Service};
use crate::support::raw::limit;

/// Limit for the memory that a flood may take, in KiB.
const MOST: u64 = 32 * 1024;
const ENHANCE_YOUR_CALM: u32 = 11;
const READ: &str = "GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// How a flood ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// The service closed the connection, with a reason if it gave one.
    Closed(Option<u32>),
    /// The service reads no more until the client reads its answers.
    HeldUp,
    /// The service read everything.
    Taken,
}

/// What the client of a flood does with the answers.
#[derive(Clone, Copy)]
enum Answers {
    Read,
    /// A service that does not read for a long time counts as stuck.
    Ignored,
    /// The service is expected not to read until the client does, which is clear after two seconds.
    IgnoredUntilHeldUp,
}

impl Answers {
    /// How long the client waits until the service reads.
    fn patience(self) -> Duration {
        match self {
            Self::Read | Self::Ignored => LONG,
            Self::IgnoredUntilHeldUp => Duration::from_secs(2),
        }
    }
}

/// Sends a wave repeatedly, with a number that changes, until the flood ends.
fn flood(client: &mut Raw, waves: u32, answers: Answers, wave: impl Fn(u32) -> Vec<u8>) -> End {
    client.patience(answers.patience());
    for n in 0..waves {
        let sent = client.send(&wave(n));
        if let Err(error) = sent {
            return match error.kind() {
                std::io::ErrorKind::WouldBlock => End::HeldUp,
                _ => closed(client),
            };
        }
        if matches!(answers, Answers::Read) {
            client.patience(Duration::from_millis(1));
            while let Ok(found) = client.next() {
                let Some(found) = found else { return End::Closed(None) };
                if let Some(reason) = reason(&[found]) {
                    return End::Closed(Some(reason));
                }
            }
            client.patience(answers.patience());
        }
    }
    End::Taken
}

fn closed(client: &mut Raw) -> End {
    let mut frames = Vec::new();
    while let Ok(Some(frame)) = client.next() {
        frames.push(frame);
    }
    End::Closed(reason(&frames))
}

/// Without this lock, floods would be measured together.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Runs a flood on a new service, while another client keeps sending requests.
fn beside_others(name: &str, attack: impl FnOnce(&Service) -> End) -> End {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    watched(name, attack)
}

/// The same without the lock.
fn watched(name: &str, attack: impl FnOnce(&Service) -> End) -> End {
    let service = Arc::new(Service::start());
    assert!(service.sent(READ).starts_with("HTTP/1.1 200"));
    let before = service.resident();
    let is_over = Arc::new(AtomicBool::new(false));
    let neighbour = thread::spawn({
        let (service, is_over) = (Arc::clone(&service), Arc::clone(&is_over));
        move || {
            let (mut longest, mut most) = (Duration::ZERO, 0);
            while !is_over.load(Ordering::Relaxed) {
                let start = Instant::now();
                assert!(service.sent(READ).starts_with("HTTP/1.1 200"));
                longest = longest.max(start.elapsed());
                most = most.max(service.resident());
                thread::sleep(Duration::from_millis(20));
            }
            (longest, most)
        }
    });
    let start = Instant::now();
    let end = attack(&service);
    let took = start.elapsed();
    is_over.store(true, Ordering::Relaxed);
    let (longest, most) = neighbour.join().unwrap();
    let more = most.max(service.resident()).saturating_sub(before);
    println!("SMU-04 {name}: {end:?} after {took:?}, {more} KiB more, others wait {longest:?}");
    assert!(more <= MOST, "{more} KiB more");
    assert!(longest < limit(Duration::from_secs(8)), "others wait {longest:?}");
    end
}

#[test]
fn smu_04_a_head_without_end_is_refused() {
    let end = beside_others("CONTINUATION", |service| {
        let mut client = Raw::new(service.connect("h2"), &[]);
        client.send(&frame(HEADERS, END_STREAM, 1, &head("GET", "/livez"))).unwrap();
        let field = super::frames::field(&"n".repeat(100), &"v".repeat(100)).repeat(20);
        flood(&mut client, 10_000, Answers::Ignored, |_| frame(CONTINUATION, 0, 1, &field))
    });
    assert!(matches!(end, End::Closed(_)), "{end:?}");
    let end = beside_others("empty CONTINUATION", |service| {
        let mut client = Raw::new(service.connect("h2"), &[]);
        client.send(&frame(HEADERS, END_STREAM, 1, &head("GET", "/livez"))).unwrap();
        let empty = frame(CONTINUATION, 0, 1, &[]).repeat(100);
        flood(&mut client, 10_000, Answers::Ignored, |_| empty.clone())
    });
    assert!(matches!(end, End::Closed(_)), "{end:?}");
}

#[test]
fn smu_04_requests_that_are_taken_back_at_once_are_stopped() {
    let end = beside_others("rapid reset", |service| {
        let mut client = Raw::new(service.connect("h2"), &[]);
        flood(&mut client, 1_000, Answers::Read, |n| {
            let pair = |k: u32| {
                let stream = 1 + 2 * (n * 100 + k);
                [read(stream, "/livez"), frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])].concat()
            };
            (0..100).flat_map(pair).collect()
        })
    });
    assert_eq!(end, End::Closed(Some(ENHANCE_YOUR_CALM)));
}

#[test]
fn smu_04_a_body_of_empty_frames_is_stopped() {
    let end = beside_others("empty DATA", |service| {
        let mut client = Raw::new(service.connect("h2"), &[]);
        client.send(&write(1, "/login")).unwrap();
        let empty = frame(DATA, 0, 1, &[]).repeat(100);
        flood(&mut client, 10_000, Answers::Read, |_| empty.clone())
    });
    assert_eq!(end, End::Closed(Some(ENHANCE_YOUR_CALM)));
}

#[test]
fn smu_04_settings_and_pings_are_taken_in_no_faster_than_their_answers() {
    let held_up = |name, one: Vec<u8>| {
        let wave = one.repeat(1_000);
        let end = watched(name, |service| {
            let mut client = Raw::new(service.connect("h2"), &[]);
            flood(&mut client, 10_000, Answers::IgnoredUntilHeldUp, |_| wave.clone())
        });
        assert!(matches!(end, End::HeldUp | End::Closed(_)), "{end:?}");
    };
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    // these two share a turn: each is blocked immediately, and then waits for seconds to be sure
    thread::scope(|scope| {
        scope.spawn(|| held_up("SETTINGS", frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100])));
        scope.spawn(|| held_up("PING", frame(PING, 0, 0, b"12345678")));
    });
}

#[test]
fn smu_04_answers_that_nobody_has_room_for_are_not_kept() {
    beside_others("zero window", |service| {
        let mut clients: Vec<_> = (0..16)
            .map(|_| {
                let mut client = Raw::new(service.connect("h2"), NO_WINDOW);
                let all = (0..64).map(|n| read(1 + 2 * n, "/docs/swagger-ui-bundle.js"));
                client.send(&all.collect::<Vec<_>>().concat()).unwrap();
                client
            })
            .collect();
        thread::sleep(Duration::from_secs(2));
        for client in &mut clients {
            client.patience(Duration::from_millis(100));
            while let Ok(found) = client.next() {
                assert!(found.is_some_and(|frame| frame.kind != DATA), "there is no room for it");
            }
        }
        End::Taken
    });
}

#[test]
fn smu_04_ten_thousand_streams_are_refused() {
    let end = beside_others("10,000 streams", |service| {
        let mut client = Raw::new(service.connect("h2"), &[]);
        client.patience(LONG);
        flood(&mut client, 100, Answers::Read, |n| {
            (0..100).flat_map(|k| write(1 + 2 * (n * 100 + k), "/login")).collect()
        })
    });
    assert_eq!(end, End::Closed(Some(ENHANCE_YOUR_CALM)));
    let end = beside_others("10,000 half heads", |service| {
        let mut client = Raw::new(service.connect("h2"), &[]);
        flood(&mut client, 100, Answers::Read, |n| {
            let half = |k: u32| frame(HEADERS, END_HEADERS, 1 + 2 * (n * 100 + k), &[0x82]);
            (0..100).flat_map(half).collect()
        })
    });
    assert!(matches!(end, End::Closed(_)), "{end:?}");
}
