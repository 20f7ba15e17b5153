//! The paths of operations, as the router matches them.

use std::collections::{BTreeMap, BTreeSet};

use poem::http::{HeaderValue, Method};
use poem_openapi::registry::{MetaApi, MetaPath};

use super::error::MountError;
use crate::http::router::RouteTable;

pub fn paths(apis: &[MetaApi]) -> impl Iterator<Item = &MetaPath> {
    apis.iter().flat_map(|api| &api.paths)
}

/// A path as the router matches it, without the names of its parameters.
pub fn shape(path: &str) -> String {
    let segment = |segment: &str| match segment.chars().next() {
        Some(':' | '{' | '<') => ":".to_owned(),
        Some('*') => "*".to_owned(),
        _ => segment.to_owned(),
    };
    path.split('/').map(segment).collect::<Vec<_>>().join("/")
}

/// The names of a path's parameters, in their order.
pub fn parameters(path: &str) -> Vec<String> {
    let name = |segment: &str| {
        let name = segment.strip_prefix('{').or(segment.strip_prefix(':'))?;
        name.split(['}', '<']).next().map(str::to_owned)
    };
    path.split('/').filter_map(name).collect()
}

/// Whether the document contains an operation with this method.
pub fn has_operation(path: &MetaPath, method: &Method) -> bool {
    path.operations.iter().any(|operation| operation.method == *method)
}

/// The media types of an operation's body, for the header `Accept` of a 415.
pub fn media_types(path: &MetaPath, method: &Method) -> Option<HeaderValue> {
    let operation = path.operations.iter().find(|operation| operation.method == *method)?;
    let kinds = operation.request.as_ref()?.content.iter().map(|media| {
        media.content_type.split(';').next().unwrap_or_default().trim() // JSON has no charset
    });
    HeaderValue::try_from(kinds.collect::<Vec<_>>().join(", ")).ok()
}

/// For each shape of a path, its first spelling and the methods that are taken.
pub struct Taken(BTreeMap<String, (String, BTreeSet<String>)>);

impl Taken {
    pub fn by(table: &RouteTable) -> Self {
        let mut taken = Self(BTreeMap::new());
        for (path, methods) in table {
            let names = methods.keys().map(ToString::to_string).collect();
            taken.0.insert(shape(path), (path.clone(), names));
        }
        taken
    }

    pub fn take(&mut self, path: &str, method: &Method) -> Result<(), MountError> {
        let place = self.0.entry(shape(path));
        let (first, methods) = place.or_insert_with(|| (path.to_owned(), BTreeSet::new()));
        let is_free = first == path && methods.insert(method.to_string());
        let taken = || MountError::PathTaken { method: method.clone(), path: path.to_owned() };
        is_free.then_some(()).ok_or_else(taken)
    }
}
