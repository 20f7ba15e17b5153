//! Decodes a JSON object or a form to a list of names and values, including repeated ones.

use std::borrow::Cow;
use std::fmt;

use percent_encoding::percent_decode_str;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::error::Category;

use crate::http::problem::ApiError;

/// The members of a JSON object.
pub fn json(bytes: &[u8]) -> Result<Vec<(String, Value)>, ApiError> {
    let members = serde_json::from_slice::<Members>(bytes).map_err(|error| {
        ApiError::invalid_request(match error.classify() {
            Category::Data => "The body must be one JSON object.".to_owned(),
            Category::Eof => "The JSON is incomplete.".to_owned(),
            Category::Syntax | Category::Io => format!(
                "The body is not valid JSON in UTF-8: line {}, column {}.",
                error.line(),
                error.column()
            ),
        })
    })?;
    Ok(members.0)
}

/// The members of a JSON object in their order, including repeated ones.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;

        impl<'de> Visitor<'de> for Collect {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Collect)
    }
}

/// The pairs of a form: <https://url.spec.whatwg.org/#urlencoded-parsing>, except that text that is
/// not UTF-8 is refused.
pub fn form(bytes: &[u8]) -> Result<Vec<(String, Value)>, ApiError> {
    let not_utf8 = || ApiError::invalid_request("The form is not encoded in UTF-8.");
    let text = std::str::from_utf8(bytes).map_err(|_| not_utf8())?;
    let decoded = |part: &str| {
        let spaced = part.replace('+', " ");
        percent_decode_str(&spaced).decode_utf8().map(Cow::into_owned).map_err(|_| not_utf8())
    };
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decoded(name)?, Value::String(decoded(value)?)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(pairs: Vec<(String, Value)>) -> Vec<(String, String)> {
        pairs.into_iter().map(|(k, v)| (k, v.as_str().unwrap().to_owned())).collect()
    }

    proptest! {
        #[test]
        fn a_form_gives_back_what_was_put_in(pairs in prop::collection::vec((".{1,8}", ".{0,12}"), 0..6)) {
            let encoded = url::form_urlencoded::Serializer::new(String::new())
                .extend_pairs(&pairs).finish();
            let read = form(encoded.as_bytes()).map_err(|e| TestCaseError::fail(e.to_string()))?;
            prop_assert_eq!(texts(read), pairs);
        }

        #[test]
        fn no_bytes_make_the_readers_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = form(&bytes);
            let _ = json(&bytes);
        }
    }

    #[test]
    fn an_empty_form_has_no_fields() {
        assert!(form(b"").is_ok_and(|fields| fields.is_empty()));
        assert!(form(b"&&").is_ok_and(|fields| fields.is_empty()));
    }

    #[test]
    fn nesting_without_end_is_refused_and_not_followed() {
        let deep = format!("{{\"a\":{}", "[".repeat(16_000));
        assert!(json(deep.as_bytes()).is_err());
    }
}
