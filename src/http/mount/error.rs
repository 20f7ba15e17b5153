//! The error of mounting an embedder's operations.

use std::fmt;

use poem::http::Method;

use crate::http::router::InvalidPath;

/// Why operations cannot be mounted next to Cloakroom's. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    #[error(
        "two #[OpenApi] impls have the path {0}, and the document would show one of them only: put \
         all methods of a path into one impl"
    )]
    PathTwice(String),
    #[error("{method} {path} is Cloakroom's own; choose another path")]
    PathTaken { method: Method, path: String },
    #[error("the path {path:?} cannot be mounted: {why}")]
    InvalidPath { path: String, why: String },
    #[error("two operations are called {0}; give one of them another operation_id")]
    OperationIdTwice(&'static str),
    #[error(
        "the schema {0} is one of Cloakroom's; give yours another name: #[oai(rename = \"…\")]"
    )]
    SchemaTaken(String),
    #[error(
        "{one} and {other} are both called {name} in the document, and a session would keep one value \
         for both: give one of them another name, #[oai(rename = \"…\")]"
    )]
    SessionDataTwice { name: String, one: &'static str, other: &'static str },
    #[error("the security scheme {0} is Cloakroom's; give yours another name")]
    SchemeTaken(&'static str),
}

impl MountError {
    pub fn invalid_path(path: String, why: &dyn fmt::Display) -> Self {
        Self::InvalidPath { path, why: why.to_string() }
    }
}

impl From<InvalidPath> for MountError {
    fn from(InvalidPath { path, why }: InvalidPath) -> Self {
        Self::InvalidPath { path, why }
    }
}
