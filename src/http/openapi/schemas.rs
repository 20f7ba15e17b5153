//! The schemas of headers.

use serde_json::{Value, json};

/// A string.
pub fn string() -> Value {
    json!({ "type": "string" })
}

/// A number of seconds.
pub fn seconds() -> Value {
    json!({ "type": "integer", "format": "int32", "minimum": 0 })
}
