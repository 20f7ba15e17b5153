//! The schemas of codes: strings from a list that may grow.

use std::borrow::Cow;

use poem_openapi::registry::{MetaSchema, MetaSchemaRef, Registry};
use poem_openapi::types::{ParseError, ParseFromJSON, ParseResult, ToJSON, Type};
use serde_json::Value;

/// A string type whose known values may grow. The values are only described, not an enum in the
/// schema, so that generated clients do not fail on a new value. `document()` adds the list as an
/// extension.
macro_rules! open_enum {
    ($name:ident, $title:literal, $description:literal) => {
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name(pub String);

        impl Type for $name {
            const IS_REQUIRED: bool = true;
            type RawValueType = Self;
            type RawElementValueType = Self;

            fn name() -> Cow<'static, str> {
                $title.into()
            }

            fn schema_ref() -> MetaSchemaRef {
                MetaSchemaRef::Reference($title.to_owned())
            }

            fn register(registry: &mut Registry) {
                registry.create_schema::<Self, _>($title.to_owned(), |_| MetaSchema {
                    description: Some($description),
                    pattern: Some("^[a-z_]+$".to_owned()),
                    max_length: Some(64),
                    ..MetaSchema::new("string")
                });
            }

            fn as_raw_value(&self) -> Option<&Self> {
                Some(self)
            }

            fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
                Box::new(std::iter::once(self))
            }
        }

        impl ToJSON for $name {
            fn to_json(&self) -> Option<Value> {
                Some(Value::String(self.0.clone()))
            }
        }

        impl ParseFromJSON for $name {
            fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
                match value {
                    Some(Value::String(text)) => Ok(Self(text)),
                    other => Err(ParseError::expected_type(other.unwrap_or_default())),
                }
            }
        }
    };
}

open_enum!(
    CodeName,
    "ProblemCode",
    "The problem type, for programs. Later versions may add values: handle an unknown value according to `status`."
);
open_enum!(
    FieldCodeName,
    "FieldErrorCode",
    "What is wrong with a field, for programs. Later versions may add values: show `detail` for an \
unknown value.

Any field: `missing`; `unknown` (the operation has no such field); `repeated`; `wrong_type`.

Passwords: `too_short`; `too_long`; `not_allowed` (it contains a control character or an unassigned \
Unicode character); `name_based` (it is mostly the user name or a name of the service); `repetitive` \
(it repeats the same few characters); `sequential` (it follows the alphabet, the digits or the keys of \
a keyboard); `common` (it is widely used); `unchanged` (it is the current password).

User names: `too_short`; `too_long`; `not_allowed` (it does not match the documented pattern); \
`reserved` (it suggests the service or its operator, for example `admin`, `root` or `support`)."
);
