//! The media types, charsets and content codings of bodies.

use poem::Request;
use poem::http::{HeaderValue, header};

use crate::http::problem::{ApiError, Code, Problem};

pub const JSON: &str = "application/json";
pub const FORM: &str = "application/x-www-form-urlencoded";

/// The type of a body, according to the request's headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyType {
    Json,
    Form,
    /// Another media type, or none.
    Other,
    /// A form that is neither in UTF-8 nor in ASCII.
    OtherCharset,
    /// With a content coding, for example compressed.
    Encoded,
}

/// The supported media types, for the header `Accept` of a 415 (RFC 9110, section 15.5.16).
pub const ACCEPT: &str = "application/json, application/x-www-form-urlencoded";
/// The only supported coding, for the header `Accept-Encoding` of a 415 (RFC 7694, section 3).
pub const ACCEPT_ENCODING: &str = "identity";

/// The labels of UTF-8 (WHATWG, Encoding, section 4.2) and of ASCII (IANA), which is a subset.
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
            return Self::Json; // always UTF-8, even with a charset (RFC 8259, section 11)
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

    /// The problem for a body of an unsupported type, with the supported types.
    fn refusal(self) -> ApiError {
        let (detail, name, value) = match self {
            Self::Json | Self::Form | Self::Other => {
                (None, header::ACCEPT, HeaderValue::from_static(ACCEPT))
            }
            Self::OtherCharset => {
                let detail =
                    "Encode the form in UTF-8. The parameter `charset` must be `utf-8` or absent.";
                (Some(detail), header::ACCEPT, HeaderValue::from_static(ACCEPT))
            }
            Self::Encoded => {
                let detail = "Send the body uncompressed, without the header `Content-Encoding`.";
                let identity = HeaderValue::from_static(ACCEPT_ENCODING);
                (Some(detail), header::ACCEPT_ENCODING, identity)
            }
        };
        let general = Problem::of(Code::UnsupportedMediaType);
        let detail = detail.map_or_else(|| general.detail.clone(), str::to_owned);
        ApiError::from(Problem { detail, ..general }).with_header(name, value)
    }
}

/// Whether there is no content coding.
fn is_identity(codings: &[u8]) -> bool {
    let mut codings = codings.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    codings.all(|coding| coding.is_empty() || coding.eq_ignore_ascii_case(b"identity"))
}

/// Whether the charset is UTF-8 or a subset. Some programs put it in quotes.
fn is_read_charset(value: &str) -> bool {
    let label = value.trim().trim_matches(['"', '\'']).trim();
    label.is_empty() || CHARSETS.iter().any(|known| label.eq_ignore_ascii_case(known))
}

/// Whether the body is a form. Otherwise it is JSON, or an error.
pub fn is_form(request: &Request) -> Result<bool, ApiError> {
    match BodyType::of(request) {
        BodyType::Json => Ok(false),
        BodyType::Form => Ok(true),
        unsupported @ (BodyType::Other | BodyType::OtherCharset | BodyType::Encoded) => {
            Err(unsupported.refusal())
        }
    }
}
