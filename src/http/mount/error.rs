//! The error of mounting an embedder's operations.

use std::fmt;

use poem::http::Method;

use crate::http::router::InvalidPath;

/// Why operations cannot be mounted next to Cloakroom's. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    #[error(
        "two #[OpenApi] impls have the path {0}, but the document can contain only one of them; \
         put all methods of a path into one impl"
    )]
    PathTwice(String),
    #[error("{method} {path} belongs to Cloakroom; choose another path")]
    PathTaken { method: Method, path: String },
    #[error("the path {path:?} cannot be mounted: {why}")]
    InvalidPath { path: String, why: String },
    #[error("two operations have the operation_id {0}; change one of them")]
    OperationIdTwice(&'static str),
    #[error(
        "the schema name {0} belongs to Cloakroom; give your schema another name: #[oai(rename = \"…\")]"
    )]
    SchemaTaken(String),
    #[error(
        "{one} and {other} both have the name {name} in the document, and a session would store \
         one value for both; give one of them another name: #[oai(rename = \"…\")]"
    )]
    SessionDataTwice { name: String, one: &'static str, other: &'static str },
    #[error(
        "the name of the security scheme {0} belongs to Cloakroom; give your scheme another name"
    )]
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
