//! The fields of a body, which are read one by one while errors are collected.

use std::ops::RangeInclusive;
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

/// The maximum number of fields in a body. The largest form has 35: the one for an API token, where
/// each of 32 roles is a field.
const MAX_FIELDS: usize = 40;

/// The fields of a body, and the errors that were found.
#[derive(Default)]
pub struct Fields {
    rest: Vec<(String, Value)>,
    /// The further values of the fields that occur more than once. Only in a form, some may.
    more: Vec<(String, Value)>,
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
            self.more.push((name, value));
        } else {
            self.rest.push((name, value));
        }
    }

    fn report_repetition(&mut self, name: &str) {
        self.error(name, FieldCode::Repeated, "This field was sent more than once.");
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

    /// An optional list of at most `most` strings. In a form, the field occurs once for each of them.
    pub fn texts(&mut self, name: &str, most: usize) -> Vec<String> {
        let more = if self.is_form { self.take_more(name) } else { Vec::new() };
        let values = match self.take_unless_null(name) {
            None => return Vec::new(),
            Some(Value::Array(values)) => values,
            Some(first) if self.is_form => [vec![first], more].concat(),
            Some(_) => Vec::from([Value::Null]),
        };
        if values.len() > most {
            let detail = format!("Use at most {most} entries.");
            self.error(name, FieldCode::TooLong, &detail);
            return Vec::new();
        }
        let texts: Option<Vec<String>> =
            values.iter().map(|value| value.as_str().map(str::to_owned)).collect();
        texts.unwrap_or_else(|| {
            self.error(name, FieldCode::WrongType, "This field must be a list of strings.");
            Vec::new()
        })
    }

    /// An optional whole number in a range. In a form it is written in decimal digits.
    pub fn number(&mut self, name: &str, range: RangeInclusive<u32>) -> Option<u32> {
        let number = match self.take_unless_null(name)? {
            Value::Number(number) => whole_number(&number),
            Value::String(text) if self.is_form => {
                let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
                text.parse().ok().filter(|_| is_plain)
            }
            _ => None,
        };
        if let Some(number) = number.filter(|number| range.contains(number)) {
            return Some(number);
        }
        let detail =
            format!("This field must be a whole number from {} to {}.", range.start(), range.end());
        self.error(name, FieldCode::NotAllowed, &detail);
        None
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
        while let Some((name, _)) = self.more.first().cloned() {
            self.take_more(&name);
            self.report_repetition(&name);
        }
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
        if !self.take_more(name).is_empty() {
            self.report_repetition(name);
        }
        let at = self.rest.iter().position(|(known, _)| known == name)?;
        Some(self.rest.swap_remove(at).1)
    }

    /// The further values of a field.
    fn take_more(&mut self, name: &str) -> Vec<Value> {
        self.more.extract_if(.., |(known, _)| known == name).map(|(_, value)| value).collect()
    }

    /// An optional field: `null` counts as absent.
    fn take_unless_null(&mut self, name: &str) -> Option<Value> {
        self.take(name).filter(|value| !value.is_null())
    }

    fn error(&mut self, field: &str, code: FieldCode, detail: &str) {
        self.errors.push(FieldError::new(field, code, detail));
    }
}

/// The number, if it is whole: in JSON, `30.0` is the same number as `30`.
fn whole_number(number: &serde_json::Number) -> Option<u32> {
    if let Some(whole) = number.as_u64() {
        return u32::try_from(whole).ok();
    }
    let whole = number.as_f64().filter(|number| number.fract() == 0.0)?;
    format!("{whole:.0}").parse().ok()
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
