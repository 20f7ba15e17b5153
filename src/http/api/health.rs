//! `getLiveness` and `getReadiness`, as Kubernetes asks for them.

use std::sync::Arc;

use poem::http::header;
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};

use super::tags::Tag;
use crate::http::problem::{ApiError, Code, RETRY_AFTER};
use crate::http::state::AppState;

pub struct HealthApi(pub Arc<AppState>);

/// A sign of life.
#[derive(Object)]
pub struct Health {
    /// `live` or `ready`.
    #[oai(validator(max_length = 16, pattern = "^(live|ready)$"))]
    pub status: String,
}

#[derive(ApiResponse)]
enum HealthAnswer {
    /// Yes.
    #[oai(status = 200, content_type = "application/json")]
    Yes(Json<Health>),
}

fn yes(status: &str) -> HealthAnswer {
    HealthAnswer::Yes(Json(Health { status: status.to_owned() }))
}

#[OpenApi]
impl HealthApi {
    /// Is the process alive?
    ///
    /// Answers as long as the process can; restart it when this fails. The database is not asked.
    #[oai(path = "/livez", method = "get", operation_id = "getLiveness", tag = "Tag::Health")]
    async fn get_liveness(&self) -> Result<HealthAnswer, ApiError> {
        Ok(yes("live"))
    }

    /// Can it serve?
    ///
    /// Send it requests while this answers 200. Asks the database; a service that was told to stop
    /// is not ready any more, and answers what still comes.
    #[oai(path = "/readyz", method = "get", operation_id = "getReadiness", tag = "Tag::Health")]
    async fn get_readiness(&self) -> Result<HealthAnswer, ApiError> {
        if self.0.domain.is_ready().await? {
            return Ok(yes("ready"));
        }
        let refusal = ApiError::of(Code::Unavailable);
        Err(refusal.with_header(header::RETRY_AFTER, RETRY_AFTER.into()))
    }
}
