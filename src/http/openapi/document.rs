//! Builds the OpenAPI document from the operations alone, without settings or a database.
//!
//! poem-openapi prints the operations. This module adds the responses that all operations have in
//! common, and repairs what breaks generators.

use std::collections::BTreeSet;
use std::marker::PhantomData;

use poem_openapi::registry::{MetaApi, Registry};
use poem_openapi::{OpenApi, OpenApiService};
use serde_json::Value;
use strum::VariantNames;

use super::about::{DESCRIPTION, DocumentInfo};
use super::members::{members, members_in};
use super::operation::{Owner, paths};
use super::repair::{mark_optional_as_nullable, mend_format, plain_json};
use super::responses::add_common_responses;
use super::samples::add_samples;
use super::version_3_1::translate;
use crate::http::api::private::PrivateApi;
use crate::http::api::{Operations, tags};
use crate::http::problem::{Code, FieldCode};
use crate::http::request::limit::MAX_BODY_BYTES;
use crate::http::router::RouteTable;

/// The document as committed in `openapi/openapi.json`.
pub fn document() -> String {
    pretty(&build::<PrivateApi>(DocumentInfo::cloakroom(), MAX_BODY_BYTES))
}

/// Converts the document to YAML.
pub fn yaml(document: &[u8]) -> String {
    let document: Value = serde_json::from_slice(document).expect("the document is JSON");
    serde_saphyr::to_string(&document).expect("and what is JSON can be YAML")
}

/// The same document in OpenAPI 3.1, as JSON.
pub fn in_version_3_1(document: &[u8]) -> String {
    let mut document: Value = serde_json::from_slice(document).expect("the document is JSON");
    translate(&mut document);
    pretty(&document)
}

pub fn pretty(document: &Value) -> String {
    serde_json::to_string_pretty(document).expect("a value can be printed") + "\n"
}

/// The metadata of operations, without a state to run them on.
struct Described<T>(PhantomData<T>);

impl<T: OpenApi> OpenApi for Described<T> {
    fn meta() -> Vec<MetaApi> {
        T::meta()
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn add_routes(self, _: &mut RouteTable) {}
}

/// The document of Cloakroom's operations and those of `T`.
pub fn build<T: OpenApi>(about: DocumentInfo, body_limit: usize) -> Value {
    let operations = Described::<Operations<T>>(PhantomData);
    let description = match about.description {
        Some(own) => format!("{own}\n\n{DESCRIPTION}"),
        None => DESCRIPTION.to_owned(),
    };
    let title = about.title.clone();
    let mut service = OpenApiService::new(operations, about.title, about.version)
        .description(description)
        .server("/"); // relative, so that the page works under every name of the host
    if let Some(contact) = about.contact {
        service = service.contact(contact);
    }
    if let Some(license) = about.license {
        service = service.license(license);
    }
    let mut document: Value =
        serde_json::from_str(&service.spec()).expect("poem-openapi prints JSON");
    let ours: BTreeSet<String> = paths(&Operations::<()>::meta()).collect();
    for (path, operations) in members_in(&mut document, "paths") {
        let owner =
            if ours.contains(path) { Owner::Cloakroom } else { Owner::Embedder { body_limit } };
        for (method, operation) in members(operations) {
            if owner != Owner::Cloakroom {
                tags::add_missing(operation, &title);
                plain_json(operation);
            }
            let is_private = operation["operationId"] == "readPrivate" && path == "/private";
            if owner == Owner::Cloakroom || is_private {
                add_samples(operation);
            }
            add_common_responses(path, method, operation, owner);
        }
    }
    for (name, schema) in members(&mut document["components"]["schemas"]) {
        for (_, property) in members_in(schema, "properties") {
            mend_format(property);
        }
        // poem-openapi refuses unknown fields if it is told to, but does not print that.
        if REQUESTS.contains(&name.as_str()) {
            schema["additionalProperties"] = false.into();
            mark_optional_as_nullable(schema);
        }
        if UPDATES.contains(&name.as_str()) {
            schema["additionalProperties"] = false.into();
        }
    }
    tags::sort(&mut document, &title);
    let schemas = &mut document["components"]["schemas"];
    schemas["ProblemCode"]["x-extensible-enum"] = Code::VARIANTS.into();
    schemas["FieldErrorCode"]["x-extensible-enum"] = FieldCode::VARIANTS.into();
    document
}

/// The schemas of request bodies that change single fields. They refuse `null`.
const UPDATES: [&str; 1] = ["ProfileUpdate"];

/// The schemas of the other request bodies.
const REQUESTS: [&str; 11] = [
    "ApiTokenRequest",
    "Credentials",
    "LogoutOptions",
    "Registration",
    "EmailChange",
    "EmailConfirmation",
    "PasswordChange",
    "PasswordConfirmation",
    "PasswordReset",
    "PasswordResetRequest",
    "TokenRequest",
];

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::*;

    #[test]
    fn no_operation_is_lost_on_a_path_that_two_impls_share() {
        let described: usize = Operations::<PrivateApi>::meta()
            .iter()
            .flat_map(|api| &api.paths)
            .map(|path| path.operations.len())
            .sum();
        let document = build::<PrivateApi>(DocumentInfo::cloakroom(), MAX_BODY_BYTES);
        let printed: usize = document["paths"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(_, operations)| operations.as_object().map_or(0, Map::len))
            .sum();
        assert_eq!(described, printed);
    }
}
