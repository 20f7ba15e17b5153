//! Tests of durability: nothing that was acknowledged is lost when the service is killed, the power
//! is cut, or the disk is full or fails. They use real processes and files; the long ones, and
//! those that need strace or root, are run by `tests/e2e/crash`.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]
#![allow(clippy::cast_precision_loss, reason = "figures are for people")]

mod backups;
mod crowd;
mod dice;
mod full;
mod kills;
mod many;
mod migrations;
mod people;
mod power;
mod rows;
mod secrets;
mod service;
mod soak;
mod states;
mod sweep;
mod tape;

/// A number from the environment, for longer runs.
fn asked(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().and_then(|asked| asked.parse().ok()).unwrap_or(usual)
}
