//! A request's body: JSON or a form with the same fields under the same rules.
//!
//! Only JSON is documented: two media types break a third of the client generators.

use std::borrow::Cow;
use std::fmt;

use percent_encoding::percent_decode_str;
use poem::http::{HeaderValue, header};
use poem::{Request, RequestBody, Result};
use poem_openapi::registry::{MetaMediaType, MetaRequest, Registry};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::error::Category;
use zeroize::Zeroizing;

use super::problem::{Code, Failure, FieldCode, FieldError, Problem};
use crate::core::secret::Password;

/// The most bytes of a body; `Code::PayloadTooLarge` says so, too.
pub const LIMIT: usize = 16 * 1024;

/// The most fields of a body; no operation has a quarter of them.
const MOST_FIELDS: usize = 32;

pub const JSON: &str = "application/json";
pub const FORM: &str = "application/x-www-form-urlencoded";

/// A body whose fields are read by `T`.
#[derive(Debug)]
pub struct Body<T>(pub T);

/// A body that may be left out.
#[derive(Debug)]
pub struct OptionalBody<T>(pub Option<T>);

// `poem_openapi::types::Type` stays out of scope here: its `is_empty` says false of every `&&str`.

/// Takes its fields out of a body. What is missing or wrong, `fields` remembers.
pub trait FromFields: poem_openapi::types::Type + Sized {
    fn from_fields(fields: &mut Fields) -> Self;
}

impl<'a, T: FromFields> ApiExtractor<'a> for Body<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        let content = vec![MetaMediaType { content_type: JSON, schema: T::schema_ref() }];
        Some(MetaRequest { description: None, content, required: true })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> Result<Self> {
        let mut fields = Fields::read(request, body).await?;
        let value = T::from_fields(&mut fields);
        fields.finish()?;
        Ok(Self(value))
    }
}

impl<'a, T: FromFields> ApiExtractor<'a> for OptionalBody<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        Some(MetaRequest { required: false, ..Body::<T>::request_meta()? })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> Result<Self> {
        Ok(Self(read_optional(request, body).await?))
    }
}

/// Reads a body that may be left out: an empty one is none, whatever its media type, and so is `null`,
/// which clients in Go send for what was not given.
pub async fn read_optional<T: FromFields>(
    request: &Request,
    body: &mut RequestBody,
) -> Result<Option<T>, Failure> {
    let bytes = read_bytes(request, body).await?;
    if bytes.is_empty() {
        return Ok(None);
    }
    let is_form = is_form(request)?;
    if !is_form && bytes.trim_ascii() == b"null" {
        return Ok(None);
    }
    let mut fields = Fields::parse(is_form, &bytes)?;
    let value = T::from_fields(&mut fields);
    fields.finish()?;
    Ok(Some(value))
}

/// The fields of a body, and what was found wrong with them.
#[derive(Default)]
pub struct Fields {
    rest: Vec<(String, Value)>,
    is_form: bool,
    errors: Vec<FieldError>,
}

impl Fields {
    /// Reads the body by its media type.
    pub async fn read(request: &Request, body: &mut RequestBody) -> Result<Self, Failure> {
        let is_form = is_form(request)?;
        Self::parse(is_form, &read_bytes(request, body).await?)
    }

    fn parse(is_form: bool, bytes: &[u8]) -> Result<Self, Failure> {
        let pairs = if is_form { form(bytes)? } else { json(bytes)? };
        if pairs.len() > MOST_FIELDS {
            return Err(invalid(format!("The body has more than {MOST_FIELDS} fields.")));
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

    /// A text that must be there.
    pub fn text(&mut self, name: &str) -> String {
        match self.take(name) {
            Some(Value::String(text)) => return text,
            Some(_) => self.error(name, FieldCode::WrongType, "This field must be a string."),
            None => self.error(name, FieldCode::Missing, "This field is required."),
        }
        String::new()
    }

    /// A password that must be there.
    pub fn password(&mut self, name: &str) -> Password {
        Password::new(self.text(name))
    }

    /// A text of at most so many characters that may be left out.
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

    /// A yes or no that may be left out. A form says yes by `true` or `on`.
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

    /// A text of a form alone, which no program sends.
    pub fn form_only(&mut self, name: &str) -> Option<String> {
        match self.take(name)? {
            Value::String(text) if self.is_form => Some(text),
            _ => None,
        }
    }

    /// A text as it was sent, to be shown again.
    pub fn peek(&self, name: &str) -> Option<&str> {
        self.rest.iter().find(|(known, _)| known == name)?.1.as_str()
    }

    /// Fails if anything was wrong, or if a field is there that nobody asked for.
    pub fn finish(mut self) -> Result<(), Failure> {
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

    /// A field that may be left out: `null` says that it is.
    fn take_unless_null(&mut self, name: &str) -> Option<Value> {
        self.take(name).filter(|value| !value.is_null())
    }

    fn error(&mut self, field: &str, code: FieldCode, detail: &str) {
        self.errors.push(FieldError::new(field, code, detail));
    }
}

/// Is the body a form? It is JSON otherwise, or it is refused.
fn is_form(request: &Request) -> Result<bool, Failure> {
    match BodyType::of(request) {
        BodyType::Json => Ok(false),
        BodyType::Form => Ok(true),
        unsupported @ (BodyType::Other | BodyType::OtherCharset | BodyType::Encoded) => {
            Err(unsupported.refusal())
        }
    }
}

async fn read_bytes(
    request: &Request,
    body: &mut RequestBody,
) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let declared = request.header(header::CONTENT_LENGTH).and_then(|n| n.parse::<usize>().ok());
    if declared.is_some_and(|length| length > LIMIT) {
        return Err(Failure::of(Code::PayloadTooLarge));
    }
    let body = body.take().map_err(|_| invalid("The body was read before."))?;
    let bytes = body.into_bytes_limit(LIMIT).await.map_err(|error| match error {
        poem::error::ReadBodyError::PayloadTooLarge => Failure::of(Code::PayloadTooLarge),
        _ => invalid("The body ended before it was complete."),
    })?;
    Ok(Zeroizing::new(Vec::from(bytes))) // it may hold a password
}

/// What a body is, by the header of its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyType {
    Json,
    Form,
    /// Of another media type, or of none.
    Other,
    /// A form that is neither in UTF-8 nor in ASCII.
    OtherCharset,
    /// Compressed, say.
    Encoded,
}

/// The media types that are read, for the header `Accept` of a refusal (RFC 9110, section 15.5.16).
pub const ACCEPT: &str = "application/json, application/x-www-form-urlencoded";
/// The one coding that is read, for `Accept-Encoding` of a refusal (RFC 7694, section 3).
pub const ACCEPT_ENCODING: &str = "identity";

/// The labels of UTF-8 (WHATWG, Encoding, section 4.2) and of ASCII (IANA), which is a part of it.
const CHARSETS: [&str; 17] = [
    "ansi_x3.4-1968",
    "ansi_x3.4-1986",
    "ascii",
    "cp367",
    "csascii",
    "ibm367",
    "iso-ir-6",
    "iso646-us",
    "iso_646.irv:1991",
    "unicode-1-1-utf-8",
    "unicode11utf8",
    "unicode20utf8",
    "us",
    "us-ascii",
    "utf-8",
    "utf8",
    "x-unicode20utf8",
];

impl BodyType {
    pub fn of(request: &Request) -> Self {
        let headers = request.headers();
        let codings = headers.get_all(header::CONTENT_ENCODING).iter();
        if !codings.into_iter().all(|codings| is_identity(codings.as_bytes())) {
            return Self::Encoded;
        }
        let Some(content_type) = request.header(header::CONTENT_TYPE) else { return Self::Other };
        let mut parts = content_type.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default();
        if kind.eq_ignore_ascii_case(JSON) {
            return Self::Json; // JSON is in UTF-8, whatever a parameter says (RFC 8259, section 11)
        }
        if !kind.eq_ignore_ascii_case(FORM) {
            return Self::Other;
        }
        let mut charsets = parts.filter_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            name.trim().eq_ignore_ascii_case("charset").then_some(value)
        });
        if charsets.all(is_read_charset) { Self::Form } else { Self::OtherCharset }
    }

    /// Why a body of this type is not read, and what is.
    fn refusal(self) -> Failure {
        let (detail, name, value) = match self {
            Self::Json | Self::Form | Self::Other => {
                (None, header::ACCEPT, HeaderValue::from_static(ACCEPT))
            }
            Self::OtherCharset => {
                let detail = "Send the form in UTF-8, and say so or nothing in `charset`.";
                (Some(detail), header::ACCEPT, HeaderValue::from_static(ACCEPT))
            }
            Self::Encoded => {
                let detail = "Send the body as it is, without a `Content-Encoding`.";
                let identity = HeaderValue::from_static(ACCEPT_ENCODING);
                (Some(detail), header::ACCEPT_ENCODING, identity)
            }
        };
        let general = Problem::of(Code::UnsupportedMediaType);
        let detail = detail.map_or_else(|| general.detail.clone(), str::to_owned);
        Failure::from(Problem { detail, ..general }).with_header(name, value)
    }
}

/// Does it say that nothing was done to the body?
fn is_identity(codings: &[u8]) -> bool {
    let mut codings = codings.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    codings.all(|coding| coding.is_empty() || coding.eq_ignore_ascii_case(b"identity"))
}

/// Is it a label of UTF-8 or of a part of it? Some programs put it into quotes.
fn is_read_charset(value: &str) -> bool {
    let label = value.trim().trim_matches(['"', '\'']).trim();
    label.is_empty() || CHARSETS.iter().any(|known| label.eq_ignore_ascii_case(known))
}

fn invalid(detail: impl Into<String>) -> Failure {
    Problem { detail: detail.into(), ..Problem::of(Code::InvalidRequest) }.into()
}

fn json(bytes: &[u8]) -> Result<Vec<(String, Value)>, Failure> {
    let members = serde_json::from_slice::<Members>(bytes).map_err(|error| {
        invalid(match error.classify() {
            Category::Data => "The body must be one JSON object.".to_owned(),
            Category::Eof => "The JSON ends too early.".to_owned(),
            Category::Syntax | Category::Io => format!(
                "The body is not valid JSON in UTF-8: line {}, column {}.",
                error.line(),
                error.column()
            ),
        })
    })?;
    Ok(members.0)
}

/// The members of a JSON object as they stand, repeated ones included.
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

/// <https://url.spec.whatwg.org/#urlencoded-parsing>, but what is not UTF-8 is refused.
fn form(bytes: &[u8]) -> Result<Vec<(String, Value)>, Failure> {
    let not_utf8 = || invalid("The form is not in UTF-8.");
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
