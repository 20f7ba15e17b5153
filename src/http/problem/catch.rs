//! The catcher: turns every error that leaves an operation into a problem.

use poem::error::{MethodNotAllowedError, NotFoundError, ReadBodyError, ResponseError};
use poem::http::StatusCode;
use poem::{Error, Response};
use poem_openapi::error::{ContentTypeError, ParseParamError, ParseRequestPayloadError};

use super::Problem;
use super::codes::Code;
use super::error::{ErrorCause, Failure};
use crate::http::request::embedder_errors;
use crate::http::request::limit::TooLarge;
use crate::http::session_data::SessionDataError;

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
        body_not_read(error)
    } else if let Some(error) = error.downcast_ref::<ParseRequestPayloadError>() {
        embedder_errors::parse_failed(&error.reason)
    } else if error.is::<ContentTypeError>() {
        Problem::of_no_documented_media_type()
    } else if error.status().is_client_error() {
        from_client_error(&error)
    } else {
        return internal_error(error.status(), error.to_string());
    };
    Failure::from(problem).as_response()
}

fn body_not_read(error: &ReadBodyError) -> Problem {
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

/// A status and a sentence of an embedder's operation. That of a 400 may be a library's own.
fn from_client_error(error: &Error) -> Problem {
    let (status, sentence) = (error.status(), error.to_string());
    let problem = Problem::of_status(status);
    if status == StatusCode::BAD_REQUEST || sentence == status.to_string() {
        return problem;
    }
    Problem { detail: sentence.chars().take(1000).collect(), ..problem }
}

fn internal_error(status: StatusCode, what: String) -> Response {
    let mut response = Failure::from(Problem::of_status(status)).as_response();
    response.set_data(ErrorCause(what));
    response
}

/// What a client gets when an operation panics; the panic itself is in the log.
pub fn panic_answer() -> Response {
    internal_error(StatusCode::INTERNAL_SERVER_ERROR, "an operation panicked".to_owned())
}
