//! A password field, with its schema for the document.

use std::borrow::Cow;

use poem_openapi::registry::{MetaSchema, MetaSchemaRef};
use poem_openapi::types::{ParseError, ParseFromJSON, ParseResult, ToJSON, Type};
use serde_json::Value;

use crate::core::secret::Password;

/// A password in a body. Its length limits are documented, and its memory is overwritten when it is
/// dropped.
pub struct PasswordText<const MIN: usize, const MAX: usize>(pub Password);

impl<const MIN: usize, const MAX: usize> Type for PasswordText<MIN, MAX> {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "password".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema {
            min_length: Some(MIN),
            max_length: Some(MAX),
            ..MetaSchema::new_with_format("string", "password")
        }))
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}

/// Only for the examples of the document. No operation returns a password.
impl<const MIN: usize, const MAX: usize> ToJSON for PasswordText<MIN, MAX> {
    fn to_json(&self) -> Option<Value> {
        Some(Value::String(self.0.expose().to_owned())) // an example is not secret
    }
}

/// [`FromFields`] reads bodies, but poem-openapi's `Object` requires this trait, too.
impl<const MIN: usize, const MAX: usize> ParseFromJSON for PasswordText<MIN, MAX> {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        match value {
            Some(Value::String(text)) => Ok(Self(Password::new(text))),
            other => Err(ParseError::expected_type(other.unwrap_or_default())),
        }
    }
}
