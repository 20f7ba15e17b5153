//! Passwords: the rules for new ones, and hashing that never blocks a request.

mod argon2id;
pub mod blocklist;
mod common_passwords;
pub mod cost;
pub mod forget;
pub mod hasher;
pub mod imported;
pub mod queue;
pub mod rules;
mod scratch;
pub mod stored;
