//! Security events: recording, queries and retention.

pub mod context;
pub mod event;
#[cfg(test)]
mod fixtures;
pub mod journal;
pub mod query;
pub mod retention;
