//! An OpenAPI-first login service that you can embed in your own [poem-openapi] service.
//!
//! Cloakroom registers users, verifies their passwords and manages their sessions. Open it, mount
//! your own operations next to its operations, and make [`SignedIn`] the first argument of each
//! operation that needs a session:
//!
//! ```no_run
//! use cloakroom::{Cloakroom, Settings, SignedIn};
//! use poem_openapi::{OpenApi, payload::PlainText};
//!
//! struct Greetings;
//!
//! #[OpenApi]
//! impl Greetings {
//!     /// Greet me
//!     #[oai(path = "/greeting", method = "get", operation_id = "greet")]
//!     async fn greet(&self, who: SignedIn) -> PlainText<String> {
//!         PlainText(format!("Hello {}", who.username()))
//!     }
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), cloakroom::Error> {
//!     let cloakroom = Cloakroom::open(Settings::load()?).await?;
//!     cloakroom.mount(Greetings, "Greetings", "1.0").serve().await
//! }
//! ```
//!
//! Start the program and open `http://127.0.0.1:8000/docs`. The document lists `GET /greeting` with
//! a padlock, next to `POST /login`, `POST /register` and the other operations of Cloakroom. A
//! request without a session gets 401, which the document says, too.
//!
//! The repository has a guide (`docs/embedding.md`), a complete service (`examples/notes`), and
//! guides to deployment and operation (`docs/deploying.md`, `docs/operating.md`).
//!
//! Only the items on this page are the public API; they follow Cargo's rules of semantic
//! versioning. poem 3, poem-openapi 5, sqlx 0.9 and time 0.3 are part of the public
//! API.
//!
//! [poem-openapi]: https://docs.rs/poem-openapi

pub use crate::embed::{Cloakroom, Error, Mount, Mounted, Settings};
#[doc(inline)]
pub use crate::http::{
    Anyone, Caller, Confirmed, MaybeSignedIn, Problem, Public, RequiredRole, Session,
    SessionCookies, SessionDataError, SignIn, SignedIn, WithSessionCookies,
};
#[doc(inline)]
pub use crate::store::Database;

pub mod admin;
mod embed;

// The other layers are public for the tests and benchmarks of this repository. They are not part of
// the API.

#[doc(hidden)]
pub mod app;
#[doc(hidden)]
pub mod cli;
#[doc(hidden)]
pub mod config;
#[doc(hidden)]
pub mod core;
#[doc(hidden)]
pub mod domain;
#[doc(hidden)]
pub mod http;
#[doc(hidden)]
pub mod metrics;
#[doc(hidden)]
pub mod server;
#[doc(hidden)]
pub mod store;

/// Compiles the code in the guide for embedders together with the tests.
#[cfg(doctest)]
#[doc = include_str!("../docs/embedding.md")]
#[derive(Debug)]
pub struct Guide;
