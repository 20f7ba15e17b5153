//! The operation `readPrivate`: a guarded read that shows whether a session works.

use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};

use super::tags::Tag;
use crate::http::caller::Caller;
use crate::http::problem::ApiError;

#[derive(Debug)]
pub struct PrivateApi;

/// Data that only signed-in users and their programs can read.
#[derive(Object)]
pub struct PrivateData {
    /// The user name of the account.
    #[oai(validator(min_length = 1, max_length = 64))]
    pub username: String,
    /// The data.
    #[oai(validator(max_length = 200))]
    pub private: String,
}

#[derive(ApiResponse)]
enum PrivateAnswer {
    /// The data, and the user name of the account.
    #[oai(status = 200, content_type = "application/json")]
    Data(Json<PrivateData>),
}

#[OpenApi]
impl PrivateApi {
    /// Read private data
    ///
    /// Returns data that only signed-in users and their programs can read. Use this operation to test
    /// your session or your API token: the response is 200 with your user name if it is valid, 401
    /// if the request has neither or the token is not valid, and 403 if the session is not active.
    #[oai(path = "/private", method = "get", operation_id = "readPrivate", tag = "Tag::Private")]
    async fn read_private(&self, who: Caller) -> Result<PrivateAnswer, ApiError> {
        Ok(PrivateAnswer::Data(Json(PrivateData {
            username: who.0.account().username.to_string(),
            private: "get some private data".to_owned(),
        })))
    }
}
