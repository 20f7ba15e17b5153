//! Problem details (RFC 9457), the format of all errors. The catcher at the outer endpoint turns
//! every error into this format. The cause of an internal error travels with the response to the
//! place where the request id is known, and is logged there once.

pub mod catch;
pub mod codes;
pub mod error;
pub mod field_codes;
mod open_enum;

use std::time::Duration;

use poem::http::StatusCode;
use poem_openapi::Object;
use poem_openapi::payload::Json;

pub use self::codes::Code;
pub use self::error::{ApiError, PROBLEM_JSON};
pub use self::field_codes::FieldCode;
use self::open_enum::{CodeName, FieldCodeName};
use super::request::limit::format_bytes;
use super::required_role::roles_in_words;

/// The `Retry-After` of transient errors, in seconds.
pub const RETRY_AFTER: u64 = 1;

/// An error response in the format of RFC 9457. Programs distinguish errors by `code`.
#[derive(Debug, Clone, Object)]
pub struct Problem {
    /// A URI reference that identifies the type of the problem. It leads to a page that explains
    /// the problem.
    #[oai(rename = "type", validator(max_length = 200))]
    pub(crate) kind: String,
    /// A short name of the problem type, for people.
    #[oai(validator(max_length = 200))]
    pub(crate) title: String,
    /// The HTTP status code of the response.
    #[oai(validator(minimum(value = "400"), maximum(value = "599")))]
    pub(crate) status: u16,
    /// What is wrong with the request and what to do, for people.
    #[oai(validator(max_length = 1000))]
    pub(crate) detail: String,
    pub(crate) code: CodeName,
    /// The fields or parameters that are wrong, if they are the reason.
    #[oai(skip_serializing_if_is_none, validator(max_items = 20))]
    pub(crate) errors: Option<Vec<FieldError>>,
}

/// An error in one field of the body or in one parameter.
#[derive(Debug, Clone, Object)]
pub struct FieldError {
    /// The name of the field or parameter.
    #[oai(validator(max_length = 64))]
    pub field: String,
    pub code: FieldCodeName,
    /// What is wrong with the field and what to do, for people.
    #[oai(validator(max_length = 1000))]
    pub detail: String,
}

impl FieldError {
    pub fn new(field: &str, code: FieldCode, detail: impl Into<String>) -> Self {
        let field = field.chars().take(64).collect(); // clients choose unknown names
        Self { field, code: FieldCodeName(code.name().to_owned()), detail: detail.into() }
    }
}

impl Problem {
    /// A problem of the embedding service: a status, a `code` of lower-case letters and `_`, and a
    /// sentence that says what is wrong and what to do. If the description of the response starts
    /// with the code in backticks and a colon, the document gets an example.
    ///
    /// ```
    /// use cloakroom::Problem;
    /// use poem::http::StatusCode;
    /// use poem_openapi::{ApiResponse, payload::Json};
    ///
    /// #[derive(ApiResponse)]
    /// enum SeatAnswer {
    ///     /// `sold_out`: no seat is left.
    ///     #[oai(status = 409, content_type = "application/problem+json")]
    ///     SoldOut(Json<Problem>),
    /// }
    ///
    /// let problem = Problem::new(StatusCode::CONFLICT, "sold_out", "No seat is left.");
    /// let answer = SeatAnswer::SoldOut(Json(problem));
    /// ```
    pub fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Self {
        Self {
            kind: "about:blank".to_owned(),
            title: status.canonical_reason().unwrap_or("Refused").to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
            code: CodeName(code.to_owned()),
            errors: None,
        }
    }

    /// The problem for a status without further information.
    pub(super) fn of_status(status: StatusCode) -> Self {
        let code = match status {
            StatusCode::BAD_REQUEST => Code::InvalidRequest,
            StatusCode::NOT_FOUND => Code::NotFound,
            StatusCode::METHOD_NOT_ALLOWED => Code::MethodNotAllowed,
            StatusCode::PAYLOAD_TOO_LARGE => Code::PayloadTooLarge,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Code::UnsupportedMediaType,
            StatusCode::INTERNAL_SERVER_ERROR => Code::InternalError,
            StatusCode::SERVICE_UNAVAILABLE => Code::Unavailable,
            other => {
                let reason = other.canonical_reason().unwrap_or("Refused");
                let code = reason.to_ascii_lowercase();
                let code = code.replace(|c: char| !c.is_ascii_alphabetic(), "_");
                return Self::new(other, &code, format!("{reason}."));
            }
        };
        Self::of(code)
    }

    /// The problem for a parameter that does not match the document.
    pub(super) fn not_as_documented(parameter: &str) -> Self {
        let wrong = FieldError::new(
            parameter,
            FieldCode::WrongType,
            "The value does not match the documented type or limits.",
        );
        Self::of(Code::InvalidRequest).with_errors(vec![wrong])
    }

    /// The problem for a body that is larger than `limit` bytes.
    pub(super) fn larger_than(limit: usize) -> Self {
        let detail = format!("The body is larger than {}.", format_bytes(limit));
        Self { detail, ..Self::of(Code::PayloadTooLarge) }
    }

    /// The problem for a media type that an embedder's operation does not support.
    pub(super) fn of_no_documented_media_type() -> Self {
        let detail = "Send the body in a documented media type, and name this type in the header `Content-Type`.";
        Self { detail: detail.to_owned(), ..Self::of(Code::UnsupportedMediaType) }
    }

    /// The problem of a code, with the texts of the contract.
    pub(crate) fn of(code: Code) -> Self {
        Self {
            kind: format!("/problems/{}", code.name()),
            title: code.title().to_owned(),
            status: code.status().as_u16(),
            detail: code.detail().to_owned(),
            code: CodeName(code.name().to_owned()),
            errors: None,
        }
    }

    /// The problem for an account that has none of these roles.
    pub(super) fn role_needed<R: AsRef<str>>(roles: &[R]) -> Self {
        let words = roles_in_words(roles);
        let detail = match roles {
            [_] => format!(
                "This requires {words}, which your account does not have. Ask the operator of this \
                 service to give it to your account."
            ),
            _ => format!(
                "This requires {words}, and your account has none of them. Ask the operator of \
                 this service to give one of them to your account."
            ),
        };
        Self { detail, ..Self::of(Code::RoleNeeded) }
    }

    /// The problem for an API token at an operation that accepts sessions only.
    pub(super) fn token_not_accepted() -> Self {
        let detail = "This operation does not accept API tokens. Sign in, then send the request with \
                      the session cookie and without the header `Authorization`.";
        Self { detail: detail.to_owned(), ..Self::of(Code::TokenRefused) }
    }

    /// The problem for an exceeded rate limit, and the seconds for `Retry-After`.
    pub(crate) fn too_many_attempts(wait: Duration) -> (Self, u64) {
        let seconds = wait.as_millis().div_ceil(1000).max(1);
        let in_words = match seconds {
            1 => "a second".to_owned(),
            2..100 => format!("{seconds} seconds"),
            100..6000 => format!("{} minutes", seconds.div_ceil(60)),
            _ => format!("{} hours", seconds.div_ceil(3600)),
        };
        let detail = format!("Too many attempts. Try again in {in_words}.");
        let seconds = u64::try_from(seconds).unwrap_or(u64::MAX);
        (Self { detail, ..Self::of(Code::TooManyAttempts) }, seconds)
    }

    /// The response of an operation for an exceeded rate limit.
    pub(crate) fn rate_limited<R>(response: fn(Json<Self>, u64) -> R, wait: Duration) -> R {
        let (problem, seconds) = Self::too_many_attempts(wait);
        response(Json(problem), seconds)
    }

    /// The response of an operation for a full hash queue.
    pub(crate) fn respond_overloaded<R>(response: fn(Json<Self>, u64) -> R) -> R {
        response(Json(Self::of(Code::Overloaded)), RETRY_AFTER)
    }

    #[must_use]
    pub(crate) fn with_errors(mut self, errors: Vec<FieldError>) -> Self {
        self.errors = (!errors.is_empty()).then_some(errors);
        self
    }
}
