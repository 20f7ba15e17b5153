//! Every refusal is one body: problem details (RFC 9457). The catcher at the outer edge turns
//! whatever failed into one; what the operator must know travels with the answer to where the
//! request's id is known, and is logged there, once.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::time::Duration;

use poem::error::{MethodNotAllowedError, NotFoundError, ReadBodyError, ResponseError};
use poem::http::{HeaderName, HeaderValue, StatusCode, header};
use poem::{Error, IntoResponse, Response};
use poem_openapi::error::{ContentTypeError, ParseParamError, ParseRequestPayloadError};
use poem_openapi::payload::Json;
use poem_openapi::registry::{MetaResponses, MetaSchema, MetaSchemaRef, Registry};
use poem_openapi::types::{ParseError, ParseFromJSON, ParseResult, ToJSON, Type};
use poem_openapi::{ApiResponse, Object};
use serde_json::Value;

use super::mount::{TooLarge, in_words};
use super::payload;
use super::session_data::SessionDataError;
use crate::core::error::Fault;

/// The media type of every refusal.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// Who was told that something is busy or broken may ask again after this many seconds.
pub const RETRY_AFTER: u64 = 1;

/// Why a request was refused. The strings are part of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    InvalidRequest,
    NotAuthenticated,
    SessionRefused,
    InvalidCredentials,
    RegistrationClosed,
    InviteRefused,
    AudienceRefused,
    CrossOrigin,
    NotFound,
    MethodNotAllowed,
    UsernameTaken,
    PayloadTooLarge,
    UnsupportedMediaType,
    UnknownHost,
    PolicyViolation,
    TooManyAttempts,
    InternalError,
    Overloaded,
    Unavailable,
}

/// What the contract says of a code: its name, its status, its title, its sentence.
struct Entry {
    name: &'static str,
    status: u16,
    title: &'static str,
    detail: &'static str,
}

impl Code {
    pub const ALL: [Self; 19] = [
        Self::InvalidRequest,
        Self::NotAuthenticated,
        Self::SessionRefused,
        Self::InvalidCredentials,
        Self::RegistrationClosed,
        Self::InviteRefused,
        Self::AudienceRefused,
        Self::CrossOrigin,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::UsernameTaken,
        Self::PayloadTooLarge,
        Self::UnsupportedMediaType,
        Self::UnknownHost,
        Self::PolicyViolation,
        Self::TooManyAttempts,
        Self::InternalError,
        Self::Overloaded,
        Self::Unavailable,
    ];

    #[rustfmt::skip]
    fn entry(self) -> Entry {
        let entry = |name, status, title, detail| Entry { name, status, title, detail };
        match self {
            Self::InvalidRequest => entry("invalid_request", 400, "Invalid request",
                "The request is malformed or does not match the API's schema."),
            Self::NotAuthenticated => entry("not_authenticated", 401, "Sign-in needed",
                "Not authenticated"),
            Self::SessionRefused => entry("session_refused", 403, "Session refused",
                "Invalid authentication"),
            Self::InvalidCredentials => entry("invalid_credentials", 403, "Wrong credentials",
                "Invalid user or password"),
            Self::RegistrationClosed => entry("registration_closed", 403, "Registration closed",
                "Registration is closed. Ask the operator of this service for an account."),
            Self::InviteRefused => entry("invite_refused", 403, "Invite refused",
                "Registration needs a valid invite code. This one is missing, mistyped, already used or \
                 expired. Ask the operator of this service for a new one."),
            Self::AudienceRefused => entry("audience_refused", 403, "Audience refused",
                "No tokens are issued for this audience; the operator of this service can name it \
                 in `tokens.audiences`."),
            Self::CrossOrigin => entry("cross_origin", 403, "Request from another origin",
                "A page of another origin may not do this; open this service itself."),
            Self::NotFound => entry("not_found", 404, "Not found",
                "Nothing was found at this address."),
            Self::MethodNotAllowed => entry("method_not_allowed", 405, "Method not allowed",
                "This path does not take this method; see the header `Allow`."),
            Self::UsernameTaken => entry("username_taken", 409, "User name taken",
                "This user name is taken. Choose another one."),
            Self::PayloadTooLarge => entry("payload_too_large", 413, "Body too large",
                "The body is larger than 16 KiB."),
            Self::UnsupportedMediaType => entry("unsupported_media_type", 415, "Media type not supported",
                "Send the body as `application/json` or as `application/x-www-form-urlencoded`."),
            Self::UnknownHost => entry("unknown_host", 421, "Not this service",
                "This service does not answer under this `Host`; its operator can set it as `public_url`, \
                 or name it in `allowed_hosts`."),
            Self::PolicyViolation => entry("policy_violation", 422, "Not acceptable",
                "The user name or the password does not meet the rules; see `errors`."),
            Self::TooManyAttempts => entry("too_many_attempts", 429, "Too many attempts",
                "Too many attempts. Wait as many seconds as the header `Retry-After` says, then try again."),
            Self::InternalError => entry("internal_error", 500, "Internal error",
                "Something went wrong in this service. If it happens again, give its operator the value of the \
                 header `X-Request-Id`."),
            Self::Overloaded => entry("overloaded", 503, "Too busy",
                "Too many users are signing in right now. Try again in a moment."),
            Self::Unavailable => entry("unavailable", 503, "Unavailable",
                "The service is temporarily unavailable. Try again in a moment."),
        }
    }

    pub fn name(self) -> &'static str {
        self.entry().name
    }

    pub fn status(self) -> StatusCode {
        StatusCode::from_u16(self.entry().status).expect("the table holds statuses")
    }

    /// What a client may do about it, for the page that `type` names.
    pub fn detail(self) -> &'static str {
        self.entry().detail
    }

    pub fn title(self) -> &'static str {
        self.entry().title
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.name() == name)
    }
}

/// Why a request was refused, in the form of RFC 9457. Tell refusals apart by `code`.
#[derive(Debug, Clone, Object)]
pub struct Problem {
    /// A URI reference that names the kind of problem and leads to its explanation.
    #[oai(rename = "type", validator(max_length = 200))]
    pub(crate) kind: String,
    /// The kind of problem in a few words.
    #[oai(validator(max_length = 200))]
    pub(crate) title: String,
    /// The HTTP status of the answer.
    #[oai(validator(minimum(value = "400"), maximum(value = "599")))]
    pub(crate) status: u16,
    /// What is wrong and what to do, for people.
    #[oai(validator(max_length = 1000))]
    pub(crate) detail: String,
    pub(crate) code: CodeName,
    /// What is wrong in the body, field by field.
    #[oai(skip_serializing_if_is_none, validator(max_items = 20))]
    pub(crate) errors: Option<Vec<FieldError>>,
}

/// One thing that is wrong in a body.
#[derive(Debug, Clone, Object)]
pub struct FieldError {
    /// The name of the field.
    #[oai(validator(max_length = 64))]
    pub field: String,
    pub code: FieldCodeName,
    /// What is wrong with it and what to do, for people.
    #[oai(validator(max_length = 1000))]
    pub detail: String,
}

/// What is wrong with a field. The strings are part of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldCode {
    Missing,
    Unknown,
    Repeated,
    WrongType,
    TooShort,
    TooLong,
    NotAllowed,
    NameBased,
    Repetitive,
    Sequential,
    Common,
    Unchanged,
    Reserved,
}

impl FieldCode {
    pub const ALL: [Self; 13] = [
        Self::Missing,
        Self::Unknown,
        Self::Repeated,
        Self::WrongType,
        Self::TooShort,
        Self::TooLong,
        Self::NotAllowed,
        Self::NameBased,
        Self::Repetitive,
        Self::Sequential,
        Self::Common,
        Self::Unchanged,
        Self::Reserved,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Unknown => "unknown",
            Self::Repeated => "repeated",
            Self::WrongType => "wrong_type",
            Self::TooShort => "too_short",
            Self::TooLong => "too_long",
            Self::NotAllowed => "not_allowed",
            Self::NameBased => "name_based",
            Self::Repetitive => "repetitive",
            Self::Sequential => "sequential",
            Self::Common => "common",
            Self::Unchanged => "unchanged",
            Self::Reserved => "reserved",
        }
    }
}

impl FieldError {
    pub fn new(field: &str, code: FieldCode, detail: impl Into<String>) -> Self {
        let field = field.chars().take(64).collect(); // a client's own key can be any length
        Self { field, code: FieldCodeName(code.name().to_owned()), detail: detail.into() }
    }
}

/// A string of a known list that may grow: an enum in prose, so that no generated client breaks
/// when it meets a new one. `document()` writes the list beside it.
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
    "The kind of problem, for programs. New ones may be added: treat an unknown one by its `status`."
);
open_enum!(
    FieldCodeName,
    "FieldErrorCode",
    "What is wrong with a field, for programs. New ones may be added: show `detail` for an unknown one.

Of a password: `too_short`, `too_long`; `not_allowed` (a control character, or one that Unicode has \
not assigned); `name_based` (little but the user name or a name of the service); `repetitive` (a few \
characters again and again); `sequential` (along the alphabet, the digits or the keyboard); `common` \
(many people have chosen it); `unchanged` (it is the current one).

Of a user name: `too_short`, `too_long`; `not_allowed` (not of the documented pattern); `reserved` (it \
stands for the service or its operator, as `admin`, `root` and `support` do)."
);

impl Problem {
    /// A problem of a service's own: a status, a `code` of small letters and `_`, and what is wrong
    /// and what to do. Named in backticks at the start of the answer's description, followed by a
    /// colon, the code has an example in the document.
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

    /// The problem of a status that is all that is known; its name is its code.
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

    /// A parameter is not what the document says.
    pub(super) fn not_as_documented(parameter: &str) -> Self {
        let wrong = FieldError::new(parameter, FieldCode::WrongType, "See the documented limits.");
        Self::of(Code::InvalidRequest).with_errors(vec![wrong])
    }

    /// A body is larger than so many bytes.
    pub(super) fn larger_than(limit: usize) -> Self {
        let detail = format!("The body is larger than {}.", in_words(limit));
        Self { detail, ..Self::of(Code::PayloadTooLarge) }
    }

    /// A body is of a media type that an operation of somebody's does not take.
    pub(super) fn of_no_documented_media_type() -> Self {
        let detail = "Send the body in a documented media type, and say which in `Content-Type`.";
        Self { detail: detail.to_owned(), ..Self::of(Code::UnsupportedMediaType) }
    }

    /// What an operation refuses by a status and a sentence. That of a 400 may be a library's own.
    fn told(error: &Error) -> Self {
        let (status, told) = (error.status(), error.to_string());
        let problem = Self::of_status(status);
        if status == StatusCode::BAD_REQUEST || told == status.to_string() {
            return problem;
        }
        Self { detail: told.chars().take(1000).collect(), ..problem }
    }

    /// The problem as the contract words it.
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

    /// For who tried too often, and the seconds of `Retry-After`.
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

    #[must_use]
    pub(crate) fn with_errors(mut self, errors: Vec<FieldError>) -> Self {
        self.errors = (!errors.is_empty()).then_some(errors);
        self
    }
}

/// A refusal that any operation may meet, on its way to the catcher.
#[derive(Debug, thiserror::Error)]
#[error("{}", .problem.detail)]
pub struct Failure {
    pub problem: Box<Problem>,
    headers: Vec<(HeaderName, HeaderValue)>,
    #[source]
    cause: Option<Fault>,
}

impl Failure {
    pub fn of(code: Code) -> Self {
        Self::from(Problem::of(code))
    }

    /// Lets the cause travel with an answer, for the log.
    pub fn blame(&self, response: &mut Response) {
        let Some(fault) = &self.cause else { return };
        let mut chain = fault.to_string();
        let mut source = fault.source();
        while let Some(cause) = source {
            chain = format!("{chain}: {cause}");
            source = cause.source();
        }
        response.set_data(Trouble(chain));
    }

    /// The header comes beside the others of the answer.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self { problem: Box::new(problem), headers: Vec::new(), cause: None }
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        let failure = if fault.may_pass() {
            Self::of(Code::Unavailable).with_header(header::RETRY_AFTER, RETRY_AFTER.into())
        } else {
            Self::of(Code::InternalError)
        };
        Self { cause: Some(fault), ..failure }
    }
}

impl ResponseError for Failure {
    fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.problem.status).expect("a problem's status is one")
    }

    fn as_response(&self) -> Response {
        let mut response = Json(Problem::clone(&self.problem)).into_response();
        response.set_status(self.status());
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        for (name, value) in &self.headers {
            headers.append(name, value.clone());
        }
        self.blame(&mut response);
        response.set_data(Problem::clone(&self.problem)); // for a browser, it becomes a page
        response
    }
}

/// What any operation may answer is added by `document()`: here is nothing to say.
impl ApiResponse for Failure {
    fn meta() -> MetaResponses {
        MetaResponses { responses: Vec::new() }
    }

    fn register(registry: &mut Registry) {
        Problem::register(registry);
    }
}

/// Turns what failed into a problem: what we refuse, what poem does, and what somebody's operation
/// gives a status. An answer that is an error stays as it is.
pub fn catch(error: Error) -> Response {
    if let Some(failure) = error.downcast_ref::<Failure>() {
        return failure.as_response();
    }
    if let Some(failed) = error.downcast_ref::<SessionDataError>() {
        return failed.as_response();
    }
    if error.is_from_response() {
        return error.into_response();
    }
    let problem = if let Some(bad) = error.downcast_ref::<ParseParamError>() {
        Problem::not_as_documented(bad.name)
    } else if error.is::<NotFoundError>() {
        Problem::of(Code::NotFound)
    } else if error.is::<MethodNotAllowedError>() {
        Problem::of(Code::MethodNotAllowed)
    } else if let Some(error) = error.downcast_ref::<ReadBodyError>() {
        not_read(error)
    } else if let Some(error) = error.downcast_ref::<ParseRequestPayloadError>() {
        payload::not_parsed(&error.reason)
    } else if error.is::<ContentTypeError>() {
        Problem::of_no_documented_media_type()
    } else if error.status().is_client_error() {
        Problem::told(&error)
    } else {
        return troubled(error.status(), error.to_string());
    };
    Failure::from(problem).as_response()
}

fn not_read(error: &ReadBodyError) -> Problem {
    let too_large = match error {
        ReadBodyError::PayloadTooLarge => return Problem::of(Code::PayloadTooLarge),
        ReadBodyError::Io(error) => TooLarge::met(error),
        _ => None,
    };
    match too_large {
        Some(TooLarge(limit)) => Problem::larger_than(limit),
        None => Problem::of(Code::InvalidRequest),
    }
}

/// What broke behind an answer: for the log alone.
#[derive(Debug, Clone)]
pub struct Trouble(pub String);

fn troubled(status: StatusCode, what: String) -> Response {
    let mut response = Failure::from(Problem::of_status(status)).as_response();
    response.set_data(Trouble(what));
    response
}

/// What a client gets when an operation panics; the panic itself is in the log.
pub fn panicked() -> Response {
    troubled(StatusCode::INTERNAL_SERVER_ERROR, "an operation panicked".to_owned())
}
