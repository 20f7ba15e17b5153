//! The edge over TLS, in HTTP/1.1 and HTTP/2: real certificates, real sockets, raw frames.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod certificates;
mod floods;
mod frames;
mod places;
mod requests;
mod service;
mod times;
