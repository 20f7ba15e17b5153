//! Tests of the structure of the sources: layers, ids of checks, the public API, the committed document.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod layers;
mod openapi;
mod public_api;
