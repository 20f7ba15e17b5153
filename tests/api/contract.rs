//! Checks every response against the committed document, so that each behavior test is a contract
//! test, too.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use jsonschema::Validator;
use poem::http::Method;
use serde_json::{Value, json};

use crate::app::Answer;

pub static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../openapi/openapi.json")).expect("the document is JSON")
});

/// Asserts that the document allows this response of the operation.
pub fn check(method: &Method, path: &str, wants_page: bool, answer: &Answer) {
    let status = answer.status.as_str();
    let is_page = answer.header("content-type").is_some_and(|kind| kind.starts_with("text/html"));
    if answer.status.is_client_error() || answer.status.is_server_error() {
        assert!(is_page == wants_page || !is_page, "{method} {path}: a page nobody asked for");
        if !is_page {
            assert_eq!(answer.header("content-type"), Some("application/problem+json"));
            matches_schema("Problem", &answer.json());
        }
    }
    assert!(answer.header("x-request-id").is_some());
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    let Some(operation) = operation(method, path) else { return };
    if is_page {
        return;
    }
    let response = &operation["responses"][status];
    let what = format!("{method} {path} answered {status} {}", answer.text);
    assert!(response.is_object(), "{what}, which is not documented");
    if operation["operationId"] != "getJwks" {
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{what}");
    }
    for (name, header) in response["headers"].as_object().into_iter().flatten() {
        let is_there = answer.headers.contains_key(name);
        assert!(is_there || header["required"] != true, "{what} without {name}");
    }
    let Some(content) = response["content"].as_object() else {
        assert_eq!(answer.text, "", "{what}, but no body is documented");
        return;
    };
    let kind = answer.header("content-type").unwrap_or_default();
    let media = content.get(kind).unwrap_or_else(|| panic!("{what} as {kind}"));
    let body = answer.json();
    let schema = media["schema"]["$ref"].as_str().expect("every body has a named schema");
    matches_schema(schema.rsplit('/').next().unwrap(), &body);
    if let Some(examples) = media["examples"].as_object() {
        let code = body["code"].as_str().unwrap_or_default();
        assert!(examples.contains_key(code), "{what}: its code is not documented");
    }
}

/// The operation of a path, if the document contains it.
pub fn operation(method: &Method, path: &str) -> Option<&'static Value> {
    let is_it = |template: &str| {
        let (template, path) = (template.split('/'), path.split('/'));
        template.clone().count() == path.clone().count()
            && template.zip(path).all(|(part, text)| part == text || part.starts_with('{'))
    };
    let paths = DOCUMENT["paths"].as_object().unwrap();
    let (_, methods) = paths.iter().find(|(template, _)| is_it(template))?;
    methods.get(method.as_str().to_lowercase())
}

/// Asserts that the value matches the schema with this name.
fn matches_schema(name: &str, value: &Value) {
    let errors: Vec<String> = validator(name)
        .iter_errors(value)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "not a {name}: {errors:?} in {value}");
}

/// The validator of the schema with this name. It is built once, because building takes longer than
/// many requests.
fn validator(name: &str) -> Arc<Validator> {
    static MADE: Mutex<BTreeMap<String, Arc<Validator>>> = Mutex::new(BTreeMap::new());
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = made.get(name) {
        return Arc::clone(known);
    }
    // As far as this document uses them, OpenAPI 3.0's schemas are those of JSON Schema draft 4.
    let schema = json!({
        "$schema": "http://json-schema.org/draft-04/schema#",
        "$ref": format!("#/components/schemas/{name}"),
        "components": DOCUMENT["components"],
    });
    let validator = jsonschema::draft4::options()
        .should_validate_formats(true)
        .build(&schema)
        .expect("the document's schemas are schemas");
    let validator = Arc::new(validator);
    made.insert(name.to_owned(), Arc::clone(&validator));
    validator
}
