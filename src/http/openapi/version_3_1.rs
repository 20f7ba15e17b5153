//! The document in OpenAPI 3.1, derived from the one in 3.0.
//!
//! Translates only the differences that documents of this crate can contain: see
//! the migration guide of the OpenAPI Initiative, "Upgrading from OpenAPI 3.0 to 3.1".

use serde_json::{Value, json};

use super::members::members;

const VERSION: &str = "3.1.1";

/// The keywords of a schema whose value is one schema, a list of schemas, or schemas by name.
const ONE: [&str; 3] = ["items", "not", "additionalProperties"];
const LISTS: [&str; 3] = ["allOf", "anyOf", "oneOf"];
const BY_NAME: &str = "properties";

/// Translates a document of OpenAPI 3.0 to OpenAPI 3.1.
pub fn translate(document: &mut Value) {
    document["openapi"] = VERSION.into();
    for (_, schema) in document.pointer_mut("/components/schemas").into_iter().flat_map(members) {
        translate_schema(schema);
    }
    translate_places(document);
}

/// Finds each `schema` of a parameter, a header or a body. Examples are data and are left alone.
fn translate_places(value: &mut Value) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(translate_places),
        Value::Object(object) => {
            for (name, member) in object {
                match name.as_str() {
                    "schema" => translate_schema(member),
                    "schemas" | "example" | "examples" => {}
                    name if name.starts_with("x-") => {}
                    _ => translate_places(member),
                }
            }
        }
        _ => {}
    }
}

/// JSON Schema 2020-12 has `null` as a type, exclusive limits, a list of examples and the encoding of
/// a text; OpenAPI 3.0 expressed each by a separate keyword or format.
fn translate_schema(schema: &mut Value) {
    let Some(object) = schema.as_object_mut() else { return };
    if object.remove("nullable") == Some(true.into()) {
        let name = object.get("type").cloned();
        if let Some(name) = name {
            object.insert("type".into(), json!([name, "null"]));
        }
        if let Some(Value::Array(values)) = object.get_mut("enum")
            && !values.contains(&Value::Null)
        {
            values.push(Value::Null);
        }
        // a reference, alone or in a list of one, has no type to add to
        if let Some(Value::Array(only)) = object.remove("allOf") {
            let choices = only.into_iter().chain([json!({ "type": "null" })]);
            object.insert("anyOf".into(), choices.collect());
        }
    }
    for (exclusive, limit) in [("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")] {
        if object.get(exclusive) == Some(&true.into())
            && let Some(value) = object.remove(limit)
        {
            object.insert(exclusive.into(), value);
        } else if object.get(exclusive) == Some(&false.into()) {
            object.remove(exclusive);
        }
    }
    if let Some(example) = object.remove("example") {
        object.insert("examples".into(), json!([example]));
    }
    match object.get("format").and_then(Value::as_str) {
        Some("byte") => {
            object.remove("format");
            object.insert("contentEncoding".into(), "base64".into());
        }
        Some("binary") => {
            object.remove("format");
            object.insert("contentMediaType".into(), "application/octet-stream".into());
        }
        _ => {}
    }
    for keyword in ONE {
        object.get_mut(keyword).into_iter().for_each(translate_schema);
    }
    for keyword in LISTS {
        let list = object.get_mut(keyword).and_then(Value::as_array_mut);
        list.into_iter().flatten().for_each(translate_schema);
    }
    for (_, property) in object.get_mut(BY_NAME).into_iter().flat_map(members) {
        translate_schema(property);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to_3_1(mut schema: Value) -> Value {
        translate_schema(&mut schema);
        schema
    }

    #[test]
    fn null_is_a_type_in_3_1() {
        assert_eq!(
            to_3_1(json!({ "type": "string", "nullable": true })),
            json!({ "type": ["string", "null"] })
        );
        assert_eq!(
            to_3_1(json!({ "type": "string", "nullable": true, "enum": ["a"] })),
            json!({ "type": ["string", "null"], "enum": ["a", null] })
        );
        assert_eq!(
            to_3_1(json!({ "nullable": true, "allOf": [{ "$ref": "#/components/schemas/A" }] })),
            json!({ "anyOf": [{ "$ref": "#/components/schemas/A" }, { "type": "null" }] })
        );
        assert_eq!(to_3_1(json!({ "nullable": false })), json!({}));
    }

    #[test]
    fn a_limit_that_excludes_itself_is_a_number_in_3_1() {
        assert_eq!(
            to_3_1(
                json!({ "minimum": 1, "exclusiveMinimum": true, "maximum": 2, "exclusiveMaximum": false })
            ),
            json!({ "exclusiveMinimum": 1, "maximum": 2 })
        );
    }

    #[test]
    fn the_encoding_of_a_text_is_no_format_in_3_1() {
        assert_eq!(to_3_1(json!({ "format": "byte" })), json!({ "contentEncoding": "base64" }));
        assert_eq!(
            to_3_1(json!({ "format": "binary" })),
            json!({ "contentMediaType": "application/octet-stream" })
        );
        assert_eq!(to_3_1(json!({ "format": "date-time" })), json!({ "format": "date-time" }));
    }

    #[test]
    fn schemas_within_schemas_are_translated_and_examples_are_left_alone() {
        let example = json!({ "nullable": true });
        let mut document = json!({
            "openapi": "3.0.0",
            "paths": { "/": { "get": {
                "parameters": [{ "schema": { "type": "integer", "nullable": true } }],
                "responses": { "200": { "content": { "application/json": {
                    "schema": { "oneOf": [{ "items": { "properties": { "a": { "type": "string", "nullable": true } } } }] },
                    "example": example,
                } } } },
            } } },
            "components": { "schemas": { "B": { "example": example } } },
        });
        translate(&mut document);
        assert_eq!(document["openapi"], VERSION);
        let operation = &document["paths"]["/"]["get"];
        assert_eq!(operation["parameters"][0]["schema"]["type"], json!(["integer", "null"]));
        let media = &operation["responses"]["200"]["content"]["application/json"];
        let property = &media["schema"]["oneOf"][0]["items"]["properties"]["a"];
        assert_eq!(property["type"], json!(["string", "null"]));
        assert_eq!(media["example"], example);
        assert_eq!(document["components"]["schemas"]["B"], json!({ "examples": [example] }));
    }
}
