//! The complete service as an endpoint.

use std::fmt;
use std::sync::Arc;

use poem::endpoint::BoxEndpoint;
use poem::{Endpoint, Request, Response};

use super::cloakroom::Cloakroom;
use crate::http::RequestCounters;

/// The complete service: your operations, Cloakroom's, the pages, Swagger UI at `/docs` and the
/// document at `/openapi.json`. It is a poem endpoint that never fails, for your route, server or
/// tests.
///
/// A request that does not come from a socket, for example in a test, needs the header `Host`;
/// poem's `TestClient` has `default_header` for that.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// # use cloakroom::{Cloakroom, Settings};
/// # let folder = tempfile::tempdir().unwrap();
/// # let cloakroom = Cloakroom::open(Settings::default().data_dir(folder.path())).await.unwrap();
/// use poem::{Endpoint, Request, http::StatusCode};
///
/// let mounted = cloakroom.mount((), "Notes", "1.0").endpoint().unwrap();
/// let request = Request::builder().uri_str("/me").header("Host", "localhost").finish();
/// assert_eq!(mounted.get_response(request).await.status(), StatusCode::UNAUTHORIZED);
/// # });
/// ```
pub struct Mounted {
    pub(super) cloakroom: Cloakroom,
    pub(super) endpoint: BoxEndpoint<'static, Response>,
    pub(super) document: String,
    pub(super) requests: Arc<RequestCounters>,
}

impl fmt::Debug for Mounted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mounted").field("cloakroom", &self.cloakroom).finish_non_exhaustive()
    }
}

impl Mounted {
    /// The OpenAPI document that it serves, as JSON, for example to commit and compare it.
    pub fn document(&self) -> &str {
        &self.document
    }
}

impl Endpoint for Mounted {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        self.endpoint.call(request).await
    }
}
