//! Adapts the document to the settings of a running service.

use poem_openapi::OpenApi;
use serde_json::Value;

use super::about::DocumentInfo;
use super::document::{build, pretty};
use super::members::{members, members_in, members_of};
use crate::http::security_scheme::SCHEME;
use crate::http::state::AppState;

/// The document of a running service, with the name of its cookie, its minimum password length, and
/// one of its audiences as the example.
pub fn build_served<T: OpenApi>(
    state: &AppState,
    about: DocumentInfo,
    body_limit: usize,
) -> String {
    let rules = &state.domain.rules;
    let min_length = rules.passwords.min_length;
    let padlock = about.scheme.clone();
    let mut document = build::<T>(about, body_limit);
    document["components"]["securitySchemes"][SCHEME]["name"] = state.cookie.name().into();
    for (schema, field) in NEW_PASSWORDS {
        let schema = document.pointer_mut(&format!("/components/schemas/{schema}"));
        let schema = schema.expect("it is one of the document's"); // indexing would create it
        schema["properties"][field]["minLength"] = min_length.into();
        let example = schema["example"][field].as_str().unwrap_or_default();
        schema["example"][field] = lengthen(example, min_length).into();
    }
    if let Some(audience) = rules.audiences.first() {
        let audience = audience.as_str();
        document["components"]["schemas"]["TokenRequest"]["example"]["audience"] = audience.into();
    }
    rename_scheme(&mut document, &padlock);
    pretty(&document)
}

/// Renames the security scheme in the whole document.
fn rename_scheme(document: &mut Value, name: &str) {
    if name == SCHEME {
        return;
    }
    let schemes = members_of(&mut document["components"]["securitySchemes"]);
    let scheme = schemes.remove(SCHEME).expect("some operations are guarded");
    schemes.insert(name.to_owned(), scheme);
    for (_, operations) in members_in(document, "paths") {
        for (_, operation) in members(operations) {
            let needed = operation.get_mut("security").and_then(Value::as_array_mut);
            for schemes in needed.into_iter().flatten().filter_map(Value::as_object_mut) {
                if let Some(scopes) = schemes.remove(SCHEME) {
                    schemes.insert(name.to_owned(), scopes);
                }
            }
        }
    }
    let description = &mut document["info"]["description"];
    let words = description.as_str().unwrap_or_default();
    *description = words.replace("scheme `session`", &format!("scheme `{name}`")).into();
}

/// Lengthens the password of an example to the minimum length.
fn lengthen(example: &str, min_length: usize) -> String {
    let mut words = example.to_owned();
    while words.chars().count() < min_length {
        words.push_str(" and back again");
    }
    words
}

/// The fields for a new password, with their schemas.
const NEW_PASSWORDS: [(&str, &str); 2] =
    [("Registration", "password"), ("PasswordChange", "new_password")];
