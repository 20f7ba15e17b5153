//! The door for whoever embeds Cloakroom in a poem-openapi service of their own.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod document;
mod fits;
mod guard;
mod house;
mod refusals;
mod session_data;
#[path = "../support/mod.rs"]
mod support;
mod tables;
