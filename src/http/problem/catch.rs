//! The catcher: turns every error and panic of an operation into a problem.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use poem::error::{MethodNotAllowedError, NotFoundError, ReadBodyError, ResponseError};
use poem::http::StatusCode;
use poem::{Error, Response, Result};
use poem_openapi::OperationId;
use poem_openapi::error::{ContentTypeError, ParseParamError, ParseRequestPayloadError};

use super::Problem;
use super::codes::Code;
use super::error::{ApiError, ErrorCause};
use crate::http::request::embedder_errors;
use crate::http::request::limit::TooLarge;
use crate::http::session_data::SessionDataError;

/// Waits for the response, and turns errors and panics into problems.
pub async fn catch_panic(answer: impl Future<Output = Result<Response>>) -> Response {
    match AssertUnwindSafe(answer).catch_unwind().await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => {
            let id = error.data::<OperationId>().copied();
            let mut response = catch(error);
            if let Some(id) = id {
                response.set_data(id);
            }
            response
        }
        Err(_panic) => panic_answer(), // std's panic hook has logged it
    }
}

/// Turns an error into a problem: our own errors, poem's, and those of an embedder's operation. An
/// error that contains a response stays as it is.
fn catch(error: Error) -> Response {
    if let Some(failure) = error.downcast_ref::<ApiError>() {
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
    ApiError::from(problem).as_response()
}

fn body_not_read(error: &ReadBodyError) -> Problem {
    let too_large = match error {
        ReadBodyError::PayloadTooLarge => return Problem::of(Code::PayloadTooLarge),
        ReadBodyError::Io(error) => TooLarge::from_io_error(error),
        _ => None,
    };
    match too_large {
        Some(TooLarge(limit)) => Problem::larger_than(limit),
        None => Problem::of(Code::InvalidRequest),
    }
}

/// The problem for a client error with a status and a sentence. The sentence of a 400 may come from
/// a library, so it is not used.
fn from_client_error(error: &Error) -> Problem {
    let (status, sentence) = (error.status(), error.to_string());
    let problem = Problem::of_status(status);
    if status == StatusCode::BAD_REQUEST || sentence == status.to_string() {
        return problem;
    }
    Problem { detail: sentence.chars().take(1000).collect(), ..problem }
}

fn internal_error(status: StatusCode, what: String) -> Response {
    let mut response = ApiError::from(Problem::of_status(status)).as_response();
    response.set_data(ErrorCause(what));
    response
}

/// The response after a panic. The panic itself is in the log.
fn panic_answer() -> Response {
    internal_error(StatusCode::INTERNAL_SERVER_ERROR, "an operation panicked".to_owned())
}

#[cfg(test)]
mod tests {
    use poem::{Endpoint, EndpointExt, Request};

    use super::*;
    use crate::http::problem::PROBLEM_JSON;

    #[tokio::test]
    async fn a_panic_is_answered_as_a_problem_that_tells_nothing() {
        let panics = poem::endpoint::make(|_| async {
            let canary = std::hint::black_box(Some("canary"));
            assert!(canary.is_none(), "canary");
            Ok::<_, poem::Error>(())
        });
        let panics = panics.map_to_response();
        let response = catch_panic(panics.call(Request::default())).await;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(response.content_type(), Some(PROBLEM_JSON));
        let body = response.into_body().into_string().await.unwrap();
        assert!(body.contains("internal_error") && !body.contains("canary"), "{body}");
    }
}
