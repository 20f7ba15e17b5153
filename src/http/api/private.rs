//! `readPrivate`: the guarded read that shows that a session works.

use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};

use super::tags::Tag;
use crate::http::guard::SignedIn;
use crate::http::problem::ApiError;

#[derive(Debug)]
pub struct PrivateApi;

/// Something for signed-in people only.
#[derive(Object)]
pub struct PrivateData {
    /// Who is signed in.
    #[oai(validator(min_length = 1, max_length = 64))]
    pub username: String,
    /// The data.
    #[oai(validator(max_length = 200))]
    pub private: String,
}

#[derive(ApiResponse)]
enum PrivateAnswer {
    /// The data, and who reads it.
    #[oai(status = 200, content_type = "application/json")]
    Data(Json<PrivateData>),
}

#[OpenApi]
impl PrivateApi {
    /// Read something private
    ///
    /// The smallest operation that needs a session: use it to try yours. With an active session it
    /// answers 200 and your user name, without a session cookie 401, and with the cookie of a session that
    /// is not active 403.
    #[oai(path = "/private", method = "get", operation_id = "readPrivate", tag = "Tag::Private")]
    async fn read_private(&self, who: SignedIn) -> Result<PrivateAnswer, ApiError> {
        Ok(PrivateAnswer::Data(Json(PrivateData {
            username: who.0.account.username.to_string(),
            private: "get some private data".to_owned(),
        })))
    }
}
