//! An error on its way to the catcher, with its cause for the log.

use std::error::Error as StdError;

use poem::error::ResponseError;
use poem::http::{HeaderName, HeaderValue, StatusCode, header};
use poem::{IntoResponse, Response};
use poem_openapi::ApiResponse;
use poem_openapi::payload::Json;
use poem_openapi::registry::{MetaResponses, Registry};
use poem_openapi::types::Type;

use super::codes::Code;
use super::{Problem, RETRY_AFTER};
use crate::core::error::InternalError;

/// The media type of all errors.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// An error that any operation may return, on its way to the catcher.
#[derive(Debug, thiserror::Error)]
#[error("{}", .problem.detail)]
pub struct ApiError {
    pub problem: Box<Problem>,
    headers: Vec<(HeaderName, HeaderValue)>,
    #[source]
    cause: Option<InternalError>,
}

impl ApiError {
    pub fn of(code: Code) -> Self {
        Self::from(Problem::of(code))
    }

    /// A 400 for a malformed request. The sentence says what is wrong.
    pub fn invalid_request(detail: impl Into<String>) -> Self {
        Problem { detail: detail.into(), ..Problem::of(Code::InvalidRequest) }.into()
    }

    /// Attaches the cause to a response, for the log.
    pub fn attach_cause(&self, response: &mut Response) {
        let Some(fault) = &self.cause else { return };
        let mut chain = fault.to_string();
        let mut source = fault.source();
        while let Some(cause) = source {
            chain = format!("{chain}: {cause}");
            source = cause.source();
        }
        response.set_data(ErrorCause(chain));
    }

    /// Adds a header to the response.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }
}

impl From<Problem> for ApiError {
    fn from(problem: Problem) -> Self {
        Self { problem: Box::new(problem), headers: Vec::new(), cause: None }
    }
}

impl From<InternalError> for ApiError {
    fn from(fault: InternalError) -> Self {
        let failure = if fault.is_transient() {
            Self::of(Code::Unavailable).with_header(header::RETRY_AFTER, RETRY_AFTER.into())
        } else {
            Self::of(Code::InternalError)
        };
        Self { cause: Some(fault), ..failure }
    }
}

impl ResponseError for ApiError {
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
        self.attach_cause(&mut response);
        response.set_data(Problem::clone(&self.problem)); // used if a browser gets a page instead
        response
    }
}

/// The document's common responses cover this error, so it adds none here.
impl ApiResponse for ApiError {
    fn meta() -> MetaResponses {
        MetaResponses { responses: Vec::new() }
    }

    fn register(registry: &mut Registry) {
        Problem::register(registry);
    }
}

/// The cause of an error response, for the log only.
#[derive(Debug, Clone)]
pub struct ErrorCause(pub String);
