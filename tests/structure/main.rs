//! Tests of the structure of the sources: layers, ids of checks, the public API, the committed document,
//! the documentation.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod dependencies;
mod documentation;
mod layers;
mod openapi;
mod public_api;
mod steps;
#[path = "../support/mod.rs"]
mod support;
mod wording;
