//! The door for whoever embeds Cloakroom in a poem-openapi service of their own.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

#[path = "../api/database.rs"]
#[allow(dead_code, reason = "tests/api uses the rest of it")]
mod database;
mod document;
mod fits;
mod guard;
mod house;
mod refusals;
mod session_data;
mod tables;
