//! Measures whether the time of a refused login reveals that an account exists: `cargo bench
//! --bench login_timing [-- --logins N]`
//!
//! One process serves; this one logs in over one connection, in rounds with one login of each kind
//! in random order: a wrong password, an unknown name, and unknown names of 1 and of 64 characters.
//! The bench prints the difference of the medians and the probability that one kind takes longer
//! than the other (Mann-Whitney, 0.5 when they cannot be told apart). The exit code is 1 if a bound
//! is exceeded.

#![allow(clippy::unwrap_used, reason = "a bench that fails says where")]
#![allow(clippy::cast_precision_loss, reason = "a count of logins fits")]

#[expect(dead_code, reason = "the other benches ask for more")]
mod house;

use std::process::ExitCode;
use std::time::Instant;

use cloakroom::core::secret::random_bytes;

use crate::house::{Connection, Service, argument, quantile, within};

/// With such a small difference, an attacker needs hundreds of attempts per name.
const AUC: f64 = 0.05;
/// Milliseconds; the noise of a network is larger.
const DIFFERENCE: f64 = 1.0;

fn main() -> ExitCode {
    if let Some(folder) = argument("--serve") {
        house::serve(&folder);
        return ExitCode::SUCCESS;
    }
    let logins = argument("--logins").map_or(1000, |logins| logins.parse().unwrap());
    let service = Service::with_accounts(&["somebody".to_owned()], None);
    let mut connection = service.connect();
    let mut times: [Vec<f64>; 4] = Default::default();
    for round in 0..logins + 20 {
        for kind in shuffled() {
            let time = refused(&mut connection, &name(kind, round));
            if round >= 20 {
                times[kind].push(time); // the first rounds warm up
            }
        }
    }
    let [wrong, unknown, short, long] = times;
    println!("{logins} logins of each kind");
    let same = told_apart("unknown name against wrong password", &unknown, &wrong);
    let sizes = told_apart("name of 1 against one of 64 characters", &short, &long);
    if same && sizes { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The kinds of login in random order.
fn shuffled() -> [usize; 4] {
    let mut kinds = [0, 1, 2, 3];
    for (at, byte) in random_bytes::<4>().into_iter().enumerate().skip(1) {
        kinds.swap(at, usize::from(byte) % (at + 1));
    }
    kinds
}

/// A name of this kind; unknown names are new each time.
fn name(kind: usize, round: usize) -> String {
    match kind {
        0 => "somebody".to_owned(),
        1 => format!("nob{round:05}"),
        2 => char::from(b'a' + u8::try_from(round % 26).unwrap()).to_string(),
        _ => format!("{round:064}"),
    }
}

/// Milliseconds until a login was refused.
fn refused(connection: &mut Connection, name: &str) -> f64 {
    let request = house::login(name, "not the password at all");
    let start = Instant::now();
    let answer = connection.ask(&request);
    let time = start.elapsed();
    assert_eq!(answer.status(), 403, "{answer:?}");
    time.as_secs_f64() * 1e3
}

/// Checks that two kinds are alike within the bounds.
fn told_apart(what: &str, one: &[f64], other: &[f64]) -> bool {
    let median = |times: &[f64]| {
        let mut sorted = times.to_vec();
        sorted.sort_by(f64::total_cmp);
        quantile(&sorted, 0.5)
    };
    let (m1, m2) = (median(one), median(other));
    let auc = auc(one, other);
    println!("\n{what}: medians {m1:.3} ms and {m2:.3} ms, AUC {auc:.4}");
    let difference = within("difference of the medians, ms", (m1 - m2).abs(), DIFFERENCE);
    let apart = within("distance of the AUC from 0.5", (auc - 0.5).abs(), AUC);
    difference && apart
}

/// The probability that a value of the first kind is larger than one of the second; equal values
/// count half.
fn auc(one: &[f64], other: &[f64]) -> f64 {
    let mut wins = 0.0;
    for this in one {
        for that in other {
            wins += match this.total_cmp(that) {
                std::cmp::Ordering::Less => 0.0,
                std::cmp::Ordering::Equal => 0.5,
                std::cmp::Ordering::Greater => 1.0,
            };
        }
    }
    wins / (one.len() * other.len()) as f64
}
