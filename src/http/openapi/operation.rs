//! The properties of an operation that determine its common responses.

use poem_openapi::registry::MetaApi;
use serde_json::{Value, json};

use crate::http::security_scheme::{PUBLIC, SCHEME};

/// The origin of an operation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    Cloakroom,
    /// The service that embeds Cloakroom, with the maximum size of its bodies in bytes.
    Embedder {
        body_limit: usize,
    },
}

/// The properties of an operation.
#[expect(
    clippy::struct_excessive_bools,
    reason = "common responses depend on each of these facts alone"
)]
pub struct Traits {
    pub owner: Owner,
    pub needs_session: bool,
    /// Whether it accepts or requires a session.
    pub is_guarded: bool,
    /// Whether proxies call it, which treat 401 as "sign in".
    pub is_for_proxies: bool,
    pub has_body: bool,
    pub has_parameters: bool,
    /// Whether its method may change something.
    pub is_unsafe: bool,
    pub reads_store: bool,
}

impl Traits {
    /// Derives the properties from what poem-openapi printed.
    pub fn read(method: &str, operation: &mut Value, owner: Owner) -> Self {
        let Guarded { is_guarded, is_optional } = take_guards(operation);
        let id = operation["operationId"].as_str().unwrap_or_default();
        let reads_store = match owner {
            Owner::Cloakroom => id != "getLiveness" && id != "getJwks",
            Owner::Embedder { .. } => is_guarded,
        };
        Self {
            owner,
            needs_session: is_guarded && !is_optional,
            is_guarded,
            is_for_proxies: id == "forwardAuth",
            has_body: operation.get("requestBody").is_some(),
            has_parameters: operation.get("parameters").is_some(),
            is_unsafe: !matches!(method, "get" | "head" | "options"),
            reads_store,
        }
    }
}

/// Whether an operation accepts or requires a session.
struct Guarded {
    is_guarded: bool,
    is_optional: bool,
}

/// Reads the guards of an operation, and removes their marks and duplicates.
fn take_guards(operation: &mut Value) -> Guarded {
    let needed = operation.get_mut("security").and_then(Value::as_array_mut);
    let Some(needed) = needed else { return Guarded { is_guarded: false, is_optional: false } };
    let mut once: Vec<Value> = Vec::new();
    for one in std::mem::take(needed) {
        let is_mark = one.get(PUBLIC).is_some();
        if !is_mark && !once.contains(&one) {
            once.push(one);
        }
    }
    *needed = once;
    let is_guarded = needed.iter().any(|schemes| schemes.get(SCHEME).is_some());
    let is_optional = needed.contains(&json!({}));
    Guarded { is_guarded, is_optional }
}

pub fn paths(apis: &[MetaApi]) -> impl Iterator<Item = String> {
    apis.iter().flat_map(|api| &api.paths).map(|path| path.path.clone())
}
