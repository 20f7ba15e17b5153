//! Cloakroom: hand in your credentials, get a ticket.
//!
//! An OpenAPI-first login service, and sessions for a [poem-openapi] service of your own: open it,
//! mount your operations beside its own, and write [`SignedIn`] as the first argument of those that
//! need a session.
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
//! `http://127.0.0.1:8000/docs` shows `GET /greeting` with its padlock beside `POST /login`,
//! `POST /register` and the rest; it is answered 401 to whoever has no session, and so the document
//! says. `docs/embedding.md` tells the rest, and `examples/notes` is a whole service.
//!
//! What is listed here is the API, which changes as Cargo reads versions. poem 3, poem-openapi 5 and
//! sqlx 0.9 are part of it.
//!
//! [poem-openapi]: https://docs.rs/poem-openapi

pub use crate::embed::{Cloakroom, Error, Mount, Mounted, Settings};
#[doc(inline)]
pub use crate::http::{MaybeSignedIn, Problem, Session, SessionDataError, SignedIn};
#[doc(inline)]
pub use crate::store::Database;

pub mod admin;
mod embed;

// The other layers are open to the program's own tests and benches, and no part of the API.

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

/// What the guide shows is compiled as the tests of this crate are.
#[cfg(doctest)]
#[doc = include_str!("../docs/embedding.md")]
#[derive(Debug)]
pub struct Guide;
