//! Mounts the operations and pages of an embedder next to Cloakroom's.
//!
//! poem-openapi silently merges two operations of one path, and panics when two types have the same
//! name. Here each conflict is an error that says what to do.

pub mod check;
mod endpoint;
pub mod error;
mod guards;
mod paths;

use std::fmt;
use std::sync::Arc;

use poem::endpoint::BoxEndpoint;
use poem::http::Method;
use poem_openapi::OpenApi;

use self::endpoint::EmbeddedEndpoint;
use self::error::MountError;
use self::paths::{Taken, has_operation, media_types, parameters, paths, shape};
use super::api::private::PrivateApi;
use super::openapi::about::DocumentInfo;
use super::request::limit::MAX_BODY_BYTES;
use super::router::RouteTable;

/// The operations and pages of an embedding service.
pub struct EmbeddedApi<T> {
    pub api: T,
    pub about: DocumentInfo,
    /// The maximum size of a body of its operations in bytes.
    pub body_limit: usize,
    pub pages: Vec<(String, BoxEndpoint<'static>)>,
}

impl<T> fmt::Debug for EmbeddedApi<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedApi").field("about", &self.about).finish_non_exhaustive()
    }
}

impl EmbeddedApi<PrivateApi> {
    /// The operations that the program itself mounts.
    pub fn cloakroom() -> Self {
        Self {
            api: PrivateApi,
            about: DocumentInfo::cloakroom(),
            body_limit: MAX_BODY_BYTES,
            pages: Vec::new(),
        }
    }
}

/// Adds operations and pages to a table that contains everything else.
pub fn add<T: OpenApi>(
    api: T,
    body_limit: usize,
    pages: Vec<(String, BoxEndpoint<'static>)>,
    table: &mut RouteTable,
) -> Result<(), MountError> {
    let mut taken = Taken::by(table);
    let mut theirs = RouteTable::new();
    api.add_routes(&mut theirs);
    let described = T::meta();
    for (path, methods) in theirs {
        let described = paths(&described).find(|described| shape(&described.path) == shape(&path));
        let parameters = described.map_or_else(Vec::new, |path| parameters(&path.path));
        let parameters: Arc<[String]> = parameters.into();
        for (method, endpoint) in methods {
            taken.take(&path, &method)?;
            if !described.is_some_and(|path| has_operation(path, &method)) {
                return Err(MountError::Hidden { method, path });
            }
            let parameters = Arc::clone(&parameters);
            let accept = described.and_then(|path| media_types(path, &method));
            let endpoint = EmbeddedEndpoint { endpoint, limit: body_limit, parameters, accept };
            table.entry(path.clone()).or_default().insert(method, Box::new(endpoint));
        }
    }
    for (path, page) in pages {
        if !path.starts_with('/') {
            return Err(MountError::invalid_path(path, &"it must start with /"));
        }
        // An embedder may replace the start page.
        if path != "/" {
            taken.take(&path, &Method::GET)?;
        }
        table.entry(path).or_default().insert(Method::GET, page);
    }
    Ok(())
}
