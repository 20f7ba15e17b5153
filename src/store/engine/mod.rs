//! The two engines.

pub mod postgres;
pub mod sqlite;
