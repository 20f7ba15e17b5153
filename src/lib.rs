//! Cloakroom: hand in your credentials, get a ticket.
//!
//! An OpenAPI-first login service. The house has four floors and a cellar, and arrows point down
//! only: `main → cli → app → http → domain → store`. The cellar (`secret`, `clock`, `fault`) is
//! open to all and knows no one.
//!
//! | floor | speaks | file |
//! |---|---|---|
//! | [`cli`] | arguments, exit codes | one file a noun |
//! | [`config`] | settings, checked once | |
//! | [`app`] | opens the store, furnishes the domain, builds the route | |
//! | [`server`] | connections, limits, deadlines | |
//! | [`metrics`] | counts, for Prometheus | |
//! | [`http`] | JSON, cookies, statuses | one file a noun |
//! | [`domain`] | the rules | one file a noun |
//! | [`store`] | rows | one file a table |

pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod domain;
pub mod fault;
pub mod http;
pub mod metrics;
pub mod secret;
pub mod server;
pub mod store;
