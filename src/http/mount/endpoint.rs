//! An operation of an embedder as an endpoint.

use std::sync::Arc;

use futures_util::TryFutureExt;
use futures_util::future::BoxFuture;
use http_body_util::BodyExt;
use poem::endpoint::{BoxEndpoint, DynEndpoint};
use poem::http::{HeaderValue, header};
use poem::{Body, Error, Request, Response, Result};
use poem_openapi::OperationId;
use poem_openapi::error::{ContentTypeError, ParsePathError};

use crate::http::problem::{ApiError, Problem};
use crate::http::request::limit::LimitedBody;

/// An operation of the embedding service. A body beyond the limit fails when it is read, so that
/// the guard runs first.
pub struct EmbeddedEndpoint {
    pub endpoint: BoxEndpoint<'static>,
    pub limit: usize,
    /// The names of the path parameters, for error messages; poem-openapi numbers them.
    pub parameters: Arc<[String]>,
    /// The media types of its body.
    pub accept: Option<HeaderValue>,
}

impl DynEndpoint for EmbeddedEndpoint {
    type Output = Response;

    fn call(&self, mut request: Request) -> BoxFuture<'_, Result<Response>> {
        let body = request.take_body();
        if !body.is_empty() {
            let body = LimitedBody::new(body.into(), self.limit);
            request.set_body(Body::from(body.boxed()));
        }
        let answer = DynEndpoint::call(&*self.endpoint, request);
        Box::pin(answer.map_err(|error| self.improve_error(error)))
    }
}

impl EmbeddedEndpoint {
    /// Improves an error: one about a path parameter gets the parameter's name, and one about the
    /// media type of the body gets the supported types.
    fn improve_error(&self, error: Error) -> Error {
        if let (true, Some(accept)) = (error.is::<ContentTypeError>(), &self.accept) {
            let refusal = ApiError::from(Problem::of_no_documented_media_type());
            let refusal = refusal.with_header(header::ACCEPT, accept.clone());
            return of_same_operation(refusal.into(), &error);
        }
        let part = error.downcast_ref().and_then(|bad: &ParsePathError| {
            self.parameters.get(bad.name.strip_prefix("param")?.parse::<usize>().ok()?)
        });
        let Some(part) = part else { return error };
        of_same_operation(ApiError::from(Problem::not_as_documented(part)).into(), &error)
    }
}

/// Replaces an error, and keeps its operation id.
fn of_same_operation(mut error: Error, other: &Error) -> Error {
    if let Some(id) = other.data::<OperationId>() {
        error.set_data(*id);
    }
    error
}
