//! `forwardAuth`: who is signed in, for the proxy in front of an app.

use std::sync::Arc;

use poem::{Request, RequestBody, Result};
use poem_openapi::registry::Registry;
use poem_openapi::{ApiExtractor, ApiExtractorType, ApiResponse, ExtractParamOptions, OpenApi};

use super::tags::Tag;
use crate::domain::sessions::SignedInAs;
use crate::http::problem::ApiError;
use crate::http::security_scheme::{SCHEME, register_scheme};
use crate::http::state::AppState;

pub struct ForwardAuthApi;

/// The headers by which an app behind a proxy knows who asks.
pub struct Identity {
    pub user: String,
    pub user_id: String,
    pub session: String,
}

impl Identity {
    pub fn of(who: &SignedInAs) -> Self {
        Self {
            user: who.account.username.to_string(),
            user_id: who.account.id.as_str().to_owned(),
            session: who.session.id.as_str().to_owned(),
        }
    }
}

/// As [`SignedIn`], for an operation that proxies ask: a request without an active session is answered 401.
#[derive(Debug)]
pub struct ForwardAuthUser(pub Arc<SignedInAs>);

impl<'a> ApiExtractor<'a> for ForwardAuthUser {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        register_scheme(registry);
    }

    fn security_schemes() -> Vec<&'static str> {
        vec![SCHEME]
    }

    async fn from_request(
        request: &'a Request,
        _: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> Result<Self> {
        Ok(Self(AppState::of(request)?.forward_auth_user(request).await?))
    }
}

#[derive(ApiResponse)]
enum ForwardAuthAnswer {
    /// Signed in: the request may go on to the app. These headers replace those that the client sent
    /// under the same names.
    #[oai(status = 200)]
    SignedIn(
        /// The user name.
        #[oai(header = "Remote-User")]
        String,
        /// The account's `id`. A later account with the same user name has another one.
        #[oai(header = "Remote-User-Id")]
        String,
        /// The session's `id` in `listSessions`. It authorizes nothing.
        #[oai(header = "Remote-Session")]
        String,
    ),
}

#[OpenApi]
impl ForwardAuthApi {
    /// May this request go on to the app?
    ///
    /// For proxies: nginx's `auth_request`, Caddy's `forward_auth`, Traefik's `forwardAuth`. The cookie
    /// alone decides; everything else in the request is ignored. Without an active session the answer is
    /// 401, even if there is a cookie, because proxies read 401 as "sign in". A proxy that passes any
    /// answer on can ask `/forward-auth/redirect` instead, which redirects a browser to the sign-in page
    /// (303).
    #[oai(
        path = "/forward-auth",
        method = "get",
        operation_id = "forwardAuth",
        tag = "Tag::Proxies"
    )]
    async fn forward_auth(&self, who: ForwardAuthUser) -> Result<ForwardAuthAnswer, ApiError> {
        let Identity { user, user_id, session } = Identity::of(&who.0);
        Ok(ForwardAuthAnswer::SignedIn(user, user_id, session))
    }
}
