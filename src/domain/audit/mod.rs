//! Security events: what happened, how it is written down, found again and removed.

pub mod context;
pub mod event;
#[cfg(test)]
mod fixtures;
pub mod journal;
pub mod query;
pub mod retention;
