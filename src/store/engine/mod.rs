//! The two engines, and what a query looks like that runs on both.

pub mod connection;
pub mod pg_address;
pub mod pg_hosts;
pub mod postgres;
pub mod query;
pub mod sqlite;
