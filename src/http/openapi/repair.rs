//! Repairs details of poem-openapi's output that break client generators.

use poem::http::StatusCode;
use serde_json::Value;

use super::members::members_in;
use super::schemas::seconds;
use crate::http::request::media_type::JSON;

/// Changes the media type of JSON to `application/json`: poem-openapi adds a charset, which JSON
/// does not have (RFC 8259, section 11). A response without a description gets the reason phrase of
/// its status.
pub fn plain_json(operation: &mut Value) {
    let plain = |body: &mut Value| {
        let Some(Value::Object(content)) = body.get_mut("content") else { return };
        for (kind, media) in std::mem::take(content) {
            let is_json = kind == "application/json; charset=utf-8";
            content.insert(if is_json { JSON.to_owned() } else { kind }, media);
        }
    };
    if let Some(body) = operation.get_mut("requestBody") {
        plain(body);
    }
    for (status, response) in members_in(operation, "responses") {
        plain(response);
        if response["description"].as_str().is_none_or(str::is_empty) {
            let status = status.parse().ok().and_then(|status| StatusCode::from_u16(status).ok());
            let reason = status.and_then(|status| status.canonical_reason());
            response["description"] = reason.unwrap_or("The response.").into();
        }
    }
}

/// Marks optional fields as nullable, because `null` counts as absent.
pub fn mark_optional_as_nullable(schema: &mut Value) {
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    for (name, property) in members_in(schema, "properties") {
        if !required.contains(&name.as_str().into()) && property.get("type").is_some() {
            property["nullable"] = true.into();
        }
    }
}

/// Writes header names in the usual case, and describes `Retry-After` as seconds.
pub fn mend_headers(response: &mut Value) {
    let Some(Value::Object(headers)) = response.get_mut("headers") else { return };
    for (name, mut header) in std::mem::take(headers) {
        let name = name.split('-').map(capitalize).collect::<Vec<_>>().join("-");
        if name == "Retry-After" {
            header["schema"] = seconds();
        }
        headers.insert(name, header);
    }
}

fn capitalize(word: &str) -> String {
    let (first, rest) = word.split_at(1.min(word.len()));
    first.to_uppercase() + &rest.to_lowercase()
}

/// Replaces unsigned integer formats, which OpenAPI does not have.
pub fn mend_format(property: &mut Value) {
    let format = match property.get("format").and_then(Value::as_str) {
        Some("uint8" | "uint16") => "int32",
        Some("uint32" | "uint64") => "int64",
        _ => return,
    };
    property["format"] = format.into();
}
