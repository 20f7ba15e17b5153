//! The tags of the document, in the order in which a new user tries the operations.

use std::collections::BTreeSet;

use poem_openapi::Tags;
use serde_json::{Map, Value, json};

/// Cloakroom's tags, in the order of the document.
#[derive(Tags)]
pub enum Tag {
    /// Start here: sign in, or create an account. Both set the session cookie, which every
    /// operation with a padlock requires.
    #[oai(rename = "Login")]
    Login,
    /// An operation to test your session with.
    #[oai(rename = "Private")]
    Private,
    /// The sessions of the account: list them, revoke them, and sign out.
    #[oai(rename = "Sessions")]
    Sessions,
    /// The account of the signed-in user.
    #[oai(rename = "Accounts")]
    Accounts,
    /// API tokens: secrets with which your programs call this service.
    #[oai(rename = "API tokens")]
    ApiTokens,
    /// Access tokens for other services, and the public keys to verify them.
    #[oai(rename = "Tokens")]
    Tokens,
    /// For reverse proxies that protect other apps.
    #[oai(rename = "Proxies")]
    Proxies,
    /// For load balancers and orchestrators.
    #[oai(rename = "Health")]
    Health,
}

const ORDER: [&str; 8] =
    ["Login", "Private", "Sessions", "Accounts", "API tokens", "Tokens", "Proxies", "Health"];

/// The position of a tag. Those of an embedding service come at the position of `Private`: they are
/// why its users sign in.
fn position(tag: &str) -> usize {
    let place = |wanted: &str| ORDER.iter().position(|name| *name == wanted);
    place(tag).or_else(|| place("Private")).unwrap_or(ORDER.len())
}

/// Gives an operation without a tag the title of the service as its tag. Swagger UI would otherwise
/// show it at the end, under `default`.
pub fn add_missing(operation: &mut Value, title: &str) {
    let tags = operation.get("tags").and_then(Value::as_array);
    if tags.is_none_or(Vec::is_empty) {
        operation["tags"] = json!([title]);
    }
}

/// Sorts the tags and the paths, and removes tags that no operation has.
pub fn sort(document: &mut Value, title: &str) {
    let used = used_tags(document);
    let mut tags = document["tags"].take().as_array().cloned().unwrap_or_default();
    tags.retain(|tag| tag["name"].as_str().is_some_and(|name| used.contains(name)));
    if used.contains(title) && tags.iter().all(|tag| tag["name"] != *title) {
        tags.push(json!({ "name": title, "description": format!("The operations of {title}.") }));
    }
    tags.sort_by_key(|tag| position(tag["name"].as_str().unwrap_or_default()));
    document["tags"] = tags.into();
    if let Some(paths) = document["paths"].as_object_mut() {
        let mut sorted: Vec<_> = std::mem::take(paths).into_iter().collect();
        sorted.sort_by_key(|(_, operations)| {
            tags_of(operations).next().map_or(ORDER.len(), position) // the sort is stable
        });
        *paths = Map::from_iter(sorted);
    }
}

/// The tags of a path's operations.
fn tags_of(operations: &Value) -> impl Iterator<Item = &str> {
    let operations = operations.as_object().into_iter().flat_map(Map::values);
    let tags = operations.filter_map(|operation| operation["tags"].as_array()).flatten();
    tags.filter_map(Value::as_str)
}

fn used_tags(document: &Value) -> BTreeSet<String> {
    let paths = document["paths"].as_object().into_iter().flat_map(Map::values);
    paths.flat_map(tags_of).map(str::to_owned).collect()
}
