//! What must not be lost: when the service is killed, when the power is cut, when the disk is full or
//! fails. Real processes and real files; what takes long, or needs strace or root, runs by
//! `tests/e2e/crash`.

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

/// A number from the environment, for the long form.
fn asked(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().and_then(|asked| asked.parse().ok()).unwrap_or(usual)
}
