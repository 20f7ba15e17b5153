//! Tests of the server over a socket: start, shutdown, HTTP/1.1, HTTP/2, TLS and their limits.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod edge;
mod serve;
#[path = "../support/mod.rs"]
mod support;
mod tls;
