//! Checks that no operation of an embedder is open to every client by mistake.

use std::collections::{BTreeSet, HashMap};

use poem_openapi::registry::MetaApi;

use super::error::{MountError, OperationName};
use super::paths::paths;
use crate::http::required_role::roles_of_mark;
use crate::http::security_scheme::{PUBLIC, SCHEME};

/// Refuses an operation without a guard, unless it is declared as public.
pub fn check_guards(apis: &[MetaApi]) -> Result<(), MountError> {
    for path in paths(apis) {
        for operation in &path.operations {
            let has = |name| operation.security.iter().any(|schemes| schemes.contains_key(name));
            let names = operation.security.iter().flat_map(HashMap::keys);
            let roles: BTreeSet<_> = names.filter_map(|name| roles_of_mark(name)).collect();
            let refuse = match (has(SCHEME), has(PUBLIC)) {
                (false, false) => MountError::Unguarded,
                (true, true) => MountError::GuardedAndPublic,
                (true, false) | (false, true) if roles.len() > 1 => MountError::SeveralRoleGuards,
                (true, false) | (false, true) => continue,
            };
            let method = operation.method.clone();
            let operation_id = operation.operation_id;
            return Err(refuse(OperationName { method, path: path.path.clone(), operation_id }));
        }
    }
    Ok(())
}
