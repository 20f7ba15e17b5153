//! Passwords: the rules for new ones, and hashing that never holds up a request.

pub mod blocklist;
mod common_passwords;
pub mod hasher;
pub mod imported;
pub mod queue;
