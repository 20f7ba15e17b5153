//! Behavior from the outside: each response is checked against the committed document.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod aborts;
mod access_tokens;
mod account_limits;
mod accounts;
mod api_tokens;
mod app;
mod attempts;
mod blocked_cookies;
mod bodies;
mod callers;
mod completeness;
mod confirmation;
mod conflicting_cookies;
mod contract;
mod cookie_deletion;
mod cookies;
mod devices;
mod email;
mod event_context;
mod fair_queue;
mod faults;
mod forward_auth;
mod held_usernames;
mod imports;
mod invites;
mod lifetimes;
mod login;
mod mail;
mod metrics;
mod model;
mod nodes;
mod origins;
mod pages;
mod paths;
mod peppers;
mod profile;
mod query_gate;
mod races;
mod recognition;
mod refusal_pages;
mod renewal;
mod roles;
mod server_secrets;
mod sessions;
mod settings;
mod shared_lookups;
mod shutdown;
mod signing_keys;
mod smtp;
#[path = "../support/mod.rs"]
mod support;
mod throttle;
mod token_pages;
mod tokens;
