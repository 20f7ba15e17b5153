//! The properties of an operation that determine its common responses.

use poem_openapi::registry::MetaApi;
use serde_json::{Map, Value, json};

use crate::http::required_role::{roles_in_words, roles_of_mark};
use crate::http::security_scheme::{API_TOKEN_SCHEME, CONFIRMED, SCHEME, is_mark};

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
    /// Whether it accepts API tokens, too.
    pub accepts_tokens: bool,
    /// Whether it requires a confirmed session.
    pub needs_confirmation: bool,
    /// Whether proxies call it, which treat 401 as "sign in".
    pub is_for_proxies: bool,
    pub has_body: bool,
    pub has_parameters: bool,
    /// Whether its method may change something.
    pub is_unsafe: bool,
    pub reads_store: bool,
    /// The roles of which the account must have one, if any.
    pub roles: Vec<String>,
}

impl Traits {
    /// Derives the properties from what poem-openapi printed.
    pub fn read(method: &str, operation: &mut Value, owner: Owner) -> Self {
        let Requirements { is_guarded, accepts_tokens, is_optional, needs_confirmation, roles } =
            take_guards(operation);
        let id = operation["operationId"].as_str().unwrap_or_default();
        let reads_store = match owner {
            Owner::Cloakroom => id != "getLiveness" && id != "getJwks",
            Owner::Embedder { .. } => is_guarded,
        };
        Self {
            owner,
            needs_session: is_guarded && !is_optional,
            is_guarded,
            accepts_tokens,
            needs_confirmation,
            is_for_proxies: id == "forwardAuth",
            has_body: operation.get("requestBody").is_some(),
            has_parameters: operation.get("parameters").is_some(),
            is_unsafe: !matches!(method, "get" | "head" | "options"),
            reads_store,
            roles,
        }
    }
}

/// What the guards of an operation require.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "guards require each of these alone")]
struct Requirements {
    /// Whether it accepts or requires a session.
    is_guarded: bool,
    accepts_tokens: bool,
    is_optional: bool,
    needs_confirmation: bool,
    roles: Vec<String>,
}

/// Reads the guards of an operation, and removes their marks and duplicates.
fn take_guards(operation: &mut Value) -> Requirements {
    let needed = operation.get_mut("security").and_then(Value::as_array_mut);
    let Some(needed) = needed else { return Requirements::default() };
    let mut once: Vec<Value> = Vec::new();
    let (mut roles, mut needs_confirmation) = (Vec::new(), false);
    for one in std::mem::take(needed) {
        let names = one.as_object().into_iter().flat_map(Map::keys);
        match names.map(String::as_str).find(|name| is_mark(name)) {
            Some(CONFIRMED) => needs_confirmation = true,
            Some(mark) => roles = roles_of_mark(mark).unwrap_or(roles),
            None if once.contains(&one) => {}
            None => once.push(one),
        }
    }
    *needed = once;
    let has = |name| needed.iter().any(|schemes| schemes.get(name).is_some());
    let (is_guarded, accepts_tokens) = (has(SCHEME), has(API_TOKEN_SCHEME));
    let is_optional = needed.contains(&json!({}));
    Requirements { is_guarded, accepts_tokens, is_optional, needs_confirmation, roles }
}

/// Says in an operation what else than a session it requires: in its description, for people, and
/// for roles in `x-required-roles`, for programs. OpenAPI 3.0 does not allow roles in `security`,
/// except for OAuth 2 and `OpenID` Connect.
pub fn describe_guards(operation: &mut Value, traits: &Traits) {
    if traits.needs_confirmation {
        add_to_description(operation, CONFIRMATION);
    }
    if !traits.roles.is_empty() {
        add_to_description(operation, &format!("Requires {}.", roles_in_words(&traits.roles)));
        operation["x-required-roles"] = traits.roles.as_slice().into();
    }
}

const CONFIRMATION: &str = "Requires that the user signed in or confirmed the session in the last 15 minutes. \
     See `confirmWithPassword`.";

fn add_to_description(operation: &mut Value, sentence: &str) {
    let description = match operation["description"].as_str() {
        Some(own) if !own.is_empty() => format!("{own}\n\n{sentence}"),
        Some(_) | None => sentence.to_owned(),
    };
    operation["description"] = description.into();
}

pub fn paths(apis: &[MetaApi]) -> impl Iterator<Item = String> {
    apis.iter().flat_map(|api| &api.paths).map(|path| path.path.clone())
}
