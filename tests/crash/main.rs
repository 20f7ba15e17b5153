//! Tests of durability: nothing that was acknowledged is lost when the service is killed, the power
//! is cut, or the disk is full or fails. They use real processes and files; the long ones, and
//! those that need strace or root, are run by `tests/e2e/crash`.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]
#![allow(clippy::cast_precision_loss, reason = "figures are for users")]

mod backups;
mod crowd;
mod full;
mod io_trace;
mod kills;
mod many;
mod migrations;
mod model;
mod power;
mod rng;
mod rows;
mod secrets;
mod service;
mod soak;
mod states;
#[path = "../support/mod.rs"]
mod support;
mod sweep;

/// A number from the environment, for longer runs.
fn asked(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().and_then(|asked| asked.parse().ok()).unwrap_or(usual)
}
