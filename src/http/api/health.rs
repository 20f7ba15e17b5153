//! The operations `getLiveness` and `getReadiness`, which Kubernetes calls as probes.

use std::sync::Arc;

use poem::http::header;
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};

use super::tags::Tag;
use crate::http::problem::{ApiError, Code, RETRY_AFTER};
use crate::http::state::AppState;

pub struct HealthApi(pub Arc<AppState>);

/// The state of the service.
#[derive(Object)]
pub struct Health {
    /// `live` or `ready`.
    #[oai(validator(max_length = 16, pattern = "^(live|ready)$"))]
    pub status: String,
}

#[derive(ApiResponse)]
enum HealthAnswer {
    /// The service is live or ready.
    #[oai(status = 200, content_type = "application/json")]
    Yes(Json<Health>),
}

fn yes(status: &str) -> HealthAnswer {
    HealthAnswer::Yes(Json(Health { status: status.to_owned() }))
}

#[OpenApi]
impl HealthApi {
    /// Check whether the process is live
    ///
    /// Returns 200 as long as the process can respond. It does not access the database. If the
    /// request fails, restart the process.
    #[oai(path = "/livez", method = "get", operation_id = "getLiveness", tag = "Tag::Health")]
    async fn get_liveness(&self) -> Result<HealthAnswer, ApiError> {
        Ok(yes("live"))
    }

    /// Check whether the service is ready
    ///
    /// Returns 200 if the service can process requests: the database responds, and the service is
    /// not shutting down. Send requests to the service only while the response is 200. During a
    /// shutdown, the service still responds to the requests that it receives.
    #[oai(path = "/readyz", method = "get", operation_id = "getReadiness", tag = "Tag::Health")]
    async fn get_readiness(&self) -> Result<HealthAnswer, ApiError> {
        if self.0.domain.is_ready().await? {
            return Ok(yes("ready"));
        }
        let refusal = ApiError::of(Code::Unavailable);
        Err(refusal.with_header(header::RETRY_AFTER, RETRY_AFTER.into()))
    }
}
