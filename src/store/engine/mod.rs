//! The two database engines, and the types for queries that run on both.

pub mod connection;
pub mod from_row;
pub mod migrations;
pub mod pg_address;
pub mod pg_hosts;
pub mod postgres;
pub mod query;
pub mod sqlite;
