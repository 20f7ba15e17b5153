//! Checks whether an embedder's operations fit into one document with Cloakroom's.

use std::collections::BTreeSet;

use poem::http::Method;
use poem_openapi::OpenApi;
use poem_openapi::registry::{MetaApi, MetaPath, MetaSchema, Registry};

use super::error::MountError;
use super::guards::check_guards;
use super::paths::{paths, shape};
use crate::http::api::Operations;
use crate::http::security_scheme::{API_TOKEN_SCHEME, SCHEME};
use crate::http::session_data;

/// Checks whether the operations of `T` fit into one document with Cloakroom's, whose security
/// scheme has this name.
pub fn check<T: OpenApi>(scheme: &str) -> Result<(), MountError> {
    let ours = described_by(Operations::<()>::register);
    let theirs = described_by(T::register);
    for (name, schema) in &theirs.schemas {
        if ours.schemas.get(name).is_some_and(|known| !is_same(known, schema)) {
            return Err(MountError::SchemaTaken(name.clone()));
        }
    }
    for (name, theirs) in &theirs.security_schemes {
        let own = if *name == API_TOKEN_SCHEME { API_TOKEN_SCHEME } else { SCHEME };
        let is_ours = [SCHEME, API_TOKEN_SCHEME, scheme].contains(name);
        if is_ours && ours.security_schemes.get(own) != Some(theirs) {
            return Err(MountError::SchemeTaken(name));
        }
    }
    if let Some((name, one, other)) = session_data::shared_name(&theirs) {
        return Err(MountError::SessionDataTwice { name, one, other });
    }
    check_paths(&Operations::<()>::meta(), &T::meta())?;
    check_ids(&Operations::<T>::meta())?;
    check_guards(&T::meta())
}

fn described_by(register: impl FnOnce(&mut Registry)) -> Registry {
    let mut registry = Registry::new();
    register(&mut registry);
    registry
}

/// Whether both schemas come from the same Rust type.
fn is_same(one: &MetaSchema, other: &MetaSchema) -> bool {
    one.rust_typename == other.rust_typename
}

fn check_paths(ours: &[MetaApi], theirs: &[MetaApi]) -> Result<(), MountError> {
    let ours: BTreeSet<String> = paths(ours).map(|path| shape(&path.path)).collect();
    let mut known = BTreeSet::new();
    for MetaPath { path, operations } in paths(theirs) {
        if ours.contains(&shape(path)) {
            let method = operations.first().map_or(Method::GET, |first| first.method.clone());
            return Err(MountError::PathTaken { method, path: path.clone() });
        }
        if !known.insert(shape(path)) {
            return Err(MountError::PathTwice(path.clone()));
        }
    }
    Ok(())
}

fn check_ids(apis: &[MetaApi]) -> Result<(), MountError> {
    let mut known = BTreeSet::new();
    let operations = paths(apis).flat_map(|path| &path.operations);
    for id in operations.filter_map(|operation| operation.operation_id) {
        if !known.insert(id) {
            return Err(MountError::OperationIdTwice(id));
        }
    }
    Ok(())
}
