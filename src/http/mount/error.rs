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
    #[error(
        "{0} has no guard, so every client could call it; add the argument `who: SignedIn` or \
         another guard, or `_public: Public` if the operation is open to every client"
    )]
    Unguarded(OperationName),
    #[error("{0} has a guard and the argument `Public`; remove one of them")]
    GuardedAndPublic(OperationName),
    #[error(
        "{0} has several guards with different roles; use one guard, and check other roles with \
         `has_role` in the operation"
    )]
    SeveralRoleGuards(OperationName),
    #[error(
        "{method} {path} is hidden from the document, so its guard cannot be checked; remove \
         `hidden`, or serve it as a page with `Mount::page`"
    )]
    Hidden { method: Method, path: String },
}

/// The method, the path and the operation id of an operation.
#[derive(Debug)]
pub struct OperationName {
    pub method: Method,
    pub path: String,
    pub operation_id: Option<&'static str>,
}

impl fmt::Display for OperationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the operation {} {}", self.method, self.path)?;
        match self.operation_id {
            Some(id) => write!(f, " ({id})"),
            None => Ok(()),
        }
    }
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
