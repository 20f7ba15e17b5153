//! A second cookie for a response.

use poem::http::HeaderValue;
use poem::{IntoResponse, Response};
use poem_openapi::ApiResponse;
use poem_openapi::registry::{MetaResponses, Registry};

/// A second cookie for a response. poem-openapi would overwrite the first `Set-Cookie`, so the
/// outer endpoint adds this one.
#[derive(Debug, Clone)]
pub struct ExtraCookie(pub HeaderValue);

/// A response that may set a second cookie.
#[derive(Debug)]
pub struct WithExtraCookie<T>(pub T, pub Option<ExtraCookie>);

impl<T: IntoResponse> IntoResponse for WithExtraCookie<T> {
    fn into_response(self) -> Response {
        let mut response = self.0.into_response();
        if let Some(cookie) = self.1 {
            response.set_data(cookie);
        }
        response
    }
}

impl<T: ApiResponse + IntoResponse> ApiResponse for WithExtraCookie<T> {
    fn meta() -> MetaResponses {
        T::meta()
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}
