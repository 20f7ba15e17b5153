//! A password field, with its schema for the document.

use std::borrow::Cow;

use poem_openapi::registry::{MetaSchema, MetaSchemaRef};
use poem_openapi::types::{ParseError, ParseFromJSON, ParseResult, ToJSON, Type};
use serde_json::Value;

use crate::core::secret::Password;

/// A password in a body. Its length limits are documented, and its memory is overwritten when it is
/// dropped.
pub struct PasswordText<const FEWEST: usize, const MOST: usize>(pub Password);

impl<const FEWEST: usize, const MOST: usize> Type for PasswordText<FEWEST, MOST> {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "password".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema {
            min_length: Some(FEWEST),
            max_length: Some(MOST),
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
impl<const FEWEST: usize, const MOST: usize> ToJSON for PasswordText<FEWEST, MOST> {
    fn to_json(&self) -> Option<Value> {
        Some(Value::String(self.0.expose().to_owned())) // an example is not secret
    }
}

/// [`FromFields`] reads bodies, but poem-openapi's `Object` requires this trait, too.
impl<const FEWEST: usize, const MOST: usize> ParseFromJSON for PasswordText<FEWEST, MOST> {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        match value {
            Some(Value::String(text)) => Ok(Self(Password::new(text))),
            other => Err(ParseError::expected_type(other.unwrap_or_default())),
        }
    }
}
