//! The fields of a body, which are read one by one while errors are collected.

use std::pin::pin;

use futures_util::StreamExt as _;
use poem::http::header;
use poem::{Request, RequestBody};
use serde_json::Value;
use zeroize::Zeroizing;

use super::decode::{form, json};
use super::limit::MAX_BODY_BYTES;
use super::media_type::is_form;
use crate::core::secret::Password;
use crate::http::problem::{ApiError, Code, FieldCode, FieldError, Problem};

/// The maximum memory that is reserved for a body in advance: a client may declare more than it
/// sends.
const MAX_EXPECTED_BYTES: usize = 1024;

/// The maximum number of fields in a body. No operation has a quarter of it.
const MAX_FIELDS: usize = 32;

/// The fields of a body, and the errors that were found.
#[derive(Default)]
pub struct Fields {
    rest: Vec<(String, Value)>,
    is_form: bool,
    errors: Vec<FieldError>,
}

impl Fields {
    /// Reads the body according to its media type.
    pub async fn read(request: &Request, body: &mut RequestBody) -> Result<Self, ApiError> {
        let is_form = is_form(request)?;
        Self::parse(is_form, &read_bytes(request, body).await?)
    }

    pub fn parse(is_form: bool, bytes: &[u8]) -> Result<Self, ApiError> {
        let pairs = if is_form { form(bytes)? } else { json(bytes)? };
        if pairs.len() > MAX_FIELDS {
            return Err(ApiError::invalid_request(format!(
                "The body has more than {MAX_FIELDS} fields."
            )));
        }
        let mut fields = Self { is_form, ..Self::default() };
        for (name, value) in pairs {
            fields.add(name, value);
        }
        Ok(fields)
    }

    fn add(&mut self, name: String, value: Value) {
        if self.rest.iter().any(|(known, _)| *known == name) {
            let already = self.errors.iter().any(|error| error.field == name);
            if !already {
                self.error(&name, FieldCode::Repeated, "This field was sent more than once.");
            }
            return;
        }
        self.rest.push((name, value));
    }

    /// A required string.
    pub fn text(&mut self, name: &str) -> String {
        match self.take(name) {
            Some(Value::String(text)) => return text,
            Some(_) => self.error(name, FieldCode::WrongType, "This field must be a string."),
            None => self.error(name, FieldCode::Missing, "This field is required."),
        }
        String::new()
    }

    /// A required password.
    pub fn password(&mut self, name: &str) -> Password {
        Password::new(self.text(name))
    }

    /// An optional string with a maximum length.
    pub fn optional_text(&mut self, name: &str, most: usize) -> Option<String> {
        match self.take_unless_null(name)? {
            Value::String(text) if text.chars().count() <= most => return Some(text),
            Value::String(_) => {
                let detail = format!("Use at most {most} characters.");
                self.error(name, FieldCode::TooLong, &detail);
            }
            _ => self.error(name, FieldCode::WrongType, "This field must be a string."),
        }
        None
    }

    /// An optional string of a change to an existing value. `null` is refused, because it could mean
    /// that the value stays or that it is removed.
    pub fn text_to_set(&mut self, name: &str) -> Option<String> {
        match self.take(name)? {
            Value::String(text) => return Some(text),
            _ => self.error(name, FieldCode::WrongType, "This field must be a string."),
        }
        None
    }

    /// An optional string whose rules the domain checks.
    pub fn unchecked_text(&mut self, name: &str) -> Option<String> {
        match self.take_unless_null(name)? {
            Value::String(text) => return Some(text),
            _ => self.error(name, FieldCode::WrongType, "This field must be a string."),
        }
        None
    }

    /// An optional boolean. In a form it is `true` or `on`.
    pub fn flag(&mut self, name: &str) -> bool {
        match self.take_unless_null(name) {
            None => return false,
            Some(Value::Bool(flag)) => return flag,
            Some(Value::String(text)) if self.is_form => match text.as_str() {
                "true" | "on" => return true,
                "false" => return false,
                _ => {}
            },
            Some(_) => {}
        }
        self.error(name, FieldCode::WrongType, "This field must be true or false.");
        false
    }

    /// A string that only forms have.
    pub fn form_only(&mut self, name: &str) -> Option<String> {
        match self.take(name)? {
            Value::String(text) if self.is_form => Some(text),
            _ => None,
        }
    }

    /// A string as it was sent, to be shown again.
    pub fn peek(&self, name: &str) -> Option<&str> {
        self.rest.iter().find(|(known, _)| known == name)?.1.as_str()
    }

    /// Fails if there were errors, or if there are unknown fields.
    pub fn finish(mut self) -> Result<(), ApiError> {
        for (name, _) in std::mem::take(&mut self.rest) {
            self.error(&name, FieldCode::Unknown, "This field is unknown. Leave it out.");
        }
        if self.errors.is_empty() {
            return Ok(());
        }
        self.errors.truncate(20);
        Err(Problem::of(Code::InvalidRequest).with_errors(self.errors).into())
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        let at = self.rest.iter().position(|(known, _)| known == name)?;
        Some(self.rest.swap_remove(at).1)
    }

    /// An optional field: `null` counts as absent.
    fn take_unless_null(&mut self, name: &str) -> Option<Value> {
        self.take(name).filter(|value| !value.is_null())
    }

    fn error(&mut self, field: &str, code: FieldCode, detail: &str) {
        self.errors.push(FieldError::new(field, code, detail));
    }
}

pub async fn read_bytes(
    request: &Request,
    body: &mut RequestBody,
) -> Result<Zeroizing<Vec<u8>>, ApiError> {
    let declared = request.header(header::CONTENT_LENGTH).and_then(|n| n.parse::<usize>().ok());
    if declared.is_some_and(|length| length > MAX_BODY_BYTES) {
        return Err(ApiError::of(Code::PayloadTooLarge));
    }
    let body = body.take().map_err(|_| ApiError::invalid_request("The body was already read."))?;
    // poem's own reader would keep a buffer of 4 KiB in the operation's future.
    let mut chunks = pin!(body.into_bytes_stream());
    let expected = declared.unwrap_or_default().min(MAX_EXPECTED_BYTES);
    let mut bytes = Zeroizing::new(Vec::with_capacity(expected)); // it may contain a password
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| ApiError::invalid_request("The body is incomplete."))?;
        if bytes.len() + chunk.len() > MAX_BODY_BYTES {
            return Err(ApiError::of(Code::PayloadTooLarge));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}
