//! The operation `forwardAuth`: authenticates requests for the proxy in front of an app.

use std::sync::Arc;

use poem::{Request, Result};
use poem_openapi::{ApiResponse, OpenApi};

use super::tags::Tag;
use crate::domain::sessions::AuthenticatedSession;
use crate::http::problem::ApiError;
use crate::http::security_scheme::{SCHEME, impl_guard};
use crate::http::state::AppState;

pub struct ForwardAuthApi;

/// The values of the headers that tell an app behind a proxy which user is signed in.
pub struct Identity {
    pub user: String,
    pub user_id: String,
    pub session: String,
}

impl Identity {
    pub fn of(who: &AuthenticatedSession) -> Self {
        Self {
            user: who.account.username.to_string(),
            user_id: who.account.id.as_str().to_owned(),
            session: who.session.id.as_str().to_owned(),
        }
    }
}

/// Like `SignedIn`, for an operation that proxies call: a request without an active session gets
/// 401.
#[derive(Debug)]
pub struct ForwardAuthUser(pub Arc<AuthenticatedSession>);

impl ForwardAuthUser {
    async fn check(request: &Request) -> Result<Self> {
        Ok(Self(AppState::of(request)?.forward_auth_user(request).await?))
    }
}

impl_guard!([] ForwardAuthUser, schemes: vec![SCHEME], is_optional: false);

#[derive(ApiResponse)]
enum ForwardAuthAnswer {
    /// The user is signed in, and the proxy may forward the request to the app. The proxy must pass
    /// these headers to the app, and must discard headers with the same names that the client sent.
    #[oai(status = 200)]
    SignedIn(
        /// The user name.
        #[oai(header = "Remote-User")]
        String,
        /// The `id` of the account. A later account with the same user name has a different `id`.
        #[oai(header = "Remote-User-Id")]
        String,
        /// The `id` of the session, as in `listSessions`. It does not authorize requests.
        #[oai(header = "Remote-Session")]
        String,
    ),
}

#[OpenApi]
impl ForwardAuthApi {
    /// Check the session of a request for a proxy
    ///
    /// A reverse proxy calls this operation before it forwards a request to an app: nginx with
    /// `auth_request`, Caddy with `forward_auth`, Traefik with `forwardAuth`. Only the session
    /// cookie decides. Without an active session, the response is 401, even if the request has a
    /// session cookie, because proxies treat 401 as "sign in".
    ///
    /// A proxy that returns the response of the check to the client can call
    /// `/forward-auth/redirect` instead, which redirects browsers to the sign-in page (303).
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
