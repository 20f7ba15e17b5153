//! Guarded reads at a steady rate, and how long they take.

use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use super::{Service, quantile};

/// Number of connections for the reads: a read that takes 40 ms delays the next one on its
/// connection.
const READERS: u32 = 40;

/// The times of guarded reads in milliseconds, and the number of those not answered with 200.
#[derive(Debug, Default)]
pub struct Reads {
    pub times: Vec<f64>,
    pub refused: u32,
}

impl Reads {
    pub fn add(&mut self, more: Self) {
        self.times.extend(more.times);
        self.times.sort_by(f64::total_cmp);
        self.refused += more.refused;
    }

    pub fn p99(&self) -> f64 {
        quantile(&self.times, 0.99)
    }

    pub fn report(&self, what: &str) {
        let at = |part| quantile(&self.times, part);
        println!(
            "{} reads {what}: p50 {:.3} ms, p90 {:.3}, p99 {:.3}, p99.9 {:.3}, the longest {:.3}",
            self.times.len(),
            at(0.5),
            at(0.9),
            at(0.99),
            at(0.999),
            at(1.0)
        );
    }
}

/// Sends reads at fixed times, whether or not earlier ones are answered. The time of a read counts
/// from the instant at which it was due.
pub fn read(service: &Service, cookie: &str, a_second: u32, time: Duration) -> Reads {
    let request = format!("GET /private HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n\r\n");
    let step = Duration::from_secs(1) / a_second;
    let start = Instant::now() + Duration::from_millis(100); // by then all are connected
    let reader = |n: u32| {
        let (mut connection, mut reads) = (service.connect(), Reads::default());
        let mut due = start + step * n;
        while due < start + time {
            sleep(due.saturating_duration_since(Instant::now()));
            let answer = connection.ask(&request);
            reads.times.push(due.elapsed().as_secs_f64() * 1e3);
            reads.refused += u32::from(answer.status() != 200);
            due += step * READERS;
        }
        reads
    };
    let reader = &reader;
    let mut all = Reads::default();
    thread::scope(|scope| {
        let readers: Vec<_> = (0..READERS).map(|n| scope.spawn(move || reader(n))).collect();
        for reader in readers {
            all.add(reader.join().unwrap());
        }
    });
    all
}
