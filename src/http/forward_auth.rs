//! `forwardAuth`: who is signed in, for the proxy in front of an app.

use poem_openapi::{ApiResponse, OpenApi};

use super::Tag;
use super::guard::LetThrough;
use super::problem::Failure;
use crate::domain::sessions::SignedInAs;

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

#[derive(ApiResponse)]
enum ForwardAuthAnswer {
    /// Signed in: the request may go on to the app, with these headers in the place of whatever the
    /// client sent under their names.
    #[oai(status = 200)]
    SignedIn(
        /// The user name.
        #[oai(header = "Remote-User")]
        String,
        /// The account's `id`, which stays when the name goes to somebody else.
        #[oai(header = "Remote-User-Id")]
        String,
        /// The session's `id` in `listSessions`. It opens nothing.
        #[oai(header = "Remote-Session")]
        String,
    ),
}

#[OpenApi]
impl ForwardAuthApi {
    /// May this request go on to the app?
    ///
    /// For proxies: nginx's `auth_request`, Caddy's `forward_auth`, Traefik's `forwardAuth`. The cookie
    /// alone decides; whatever else the request says is not looked at. Everybody else is answered
    /// 401, also with a cookie that does not count, because proxies read that as "sign in". A proxy
    /// that passes any answer on can ask `/forward-auth/redirect` instead, which leads a browser to
    /// the sign-in page by a 303.
    #[oai(
        path = "/forward-auth",
        method = "get",
        operation_id = "forwardAuth",
        tag = "Tag::Proxies"
    )]
    async fn forward_auth(&self, who: LetThrough) -> Result<ForwardAuthAnswer, Failure> {
        let Identity { user, user_id, session } = Identity::of(&who.0);
        Ok(ForwardAuthAnswer::SignedIn(user, user_id, session))
    }
}
