//! Tests of embedding: Cloakroom mounted in another poem-openapi service.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod app;
mod caller;
mod confirmation;
mod default_deny;
mod document;
mod fits;
mod guard;
mod refusals;
mod roles;
mod session_data;
mod sign_in;
#[path = "../support/mod.rs"]
mod support;
mod tables;
