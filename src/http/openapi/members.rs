//! Access to the members of JSON objects.

use serde_json::{Map, Value, json};

pub fn members_of(value: &mut Value) -> &mut Map<String, Value> {
    if value.is_null() {
        *value = json!({});
    }
    value.as_object_mut().expect("the document has an object here")
}

pub fn members(value: &mut Value) -> impl Iterator<Item = (&String, &mut Value)> {
    value.as_object_mut().into_iter().flatten()
}

/// The members of a member, if it exists.
pub fn members_in<'a>(
    value: &'a mut Value,
    name: &str,
) -> impl Iterator<Item = (&'a String, &'a mut Value)> {
    value.get_mut(name).into_iter().flat_map(members)
}
