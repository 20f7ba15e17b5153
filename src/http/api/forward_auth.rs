//! The operation `forwardAuth`: authenticates requests for the proxy in front of an app.

use std::borrow::Cow;
use std::sync::Arc;

use poem::{Request, Result};
use poem_openapi::param::Query;
use poem_openapi::registry::{MetaSchema, MetaSchemaRef};
use poem_openapi::types::{ParseError, ParseFromParameter, ParseResult, Type};
use poem_openapi::{ApiResponse, OpenApi};

use super::tags::Tag;
use crate::domain::roles::{InvalidRole, MAX_ROLE_LENGTH, Role};
use crate::domain::sessions::AuthenticatedSession;
use crate::http::problem::{ApiError, Problem};
use crate::http::required_role::MAX_REQUIRED_ROLES;
use crate::http::security_scheme::{SCHEME, impl_guard};
use crate::http::state::AppState;

pub struct ForwardAuthApi;

/// The values of the headers that tell an app behind a proxy which user is signed in. All of them are
/// always sent, also empty: some proxies pass on the header of the client if the answer lacks it.
pub struct Identity {
    pub user: String,
    pub user_id: String,
    pub session: String,
    pub groups: String,
    pub email: String,
    pub name: String,
}

impl Identity {
    pub fn of(who: &AuthenticatedSession) -> Self {
        let account = &who.account;
        Self {
            user: who.account.username.to_string(),
            user_id: who.account.id.as_str().to_owned(),
            session: who.session.id.as_str().to_owned(),
            groups: who.account.roles.as_comma_list().to_owned(),
            email: String::new(), // accounts have no e-mail address
            name: account.display_name.as_ref().map(ToString::to_string).unwrap_or_default(),
        }
    }

    /// The headers with their values.
    pub fn headers(self) -> [(&'static str, String); 6] {
        [
            ("remote-user", self.user),
            ("remote-user-id", self.user_id),
            ("remote-session", self.session),
            ("remote-groups", self.groups),
            ("remote-email", self.email),
            ("remote-name", self.name),
        ]
    }
}

/// The roles in the address that the proxy requests, of which the user must have one.
pub fn required_roles(request: &Request) -> Result<Vec<Role>, ApiError> {
    let query = request.uri().query().unwrap_or_default();
    let values = url::form_urlencoded::parse(query.as_bytes())
        .filter_map(|(name, value)| (name == PARAMETER).then_some(value));
    let roles: Result<Vec<Role>, _> = values.map(|value| Role::parse(&value)).collect();
    match roles {
        Ok(roles) if roles.len() <= MAX_REQUIRED_ROLES => Ok(roles),
        Ok(_) | Err(InvalidRole) => Err(Problem::not_as_documented(PARAMETER).into()),
    }
}

/// The name of the parameter.
const PARAMETER: &str = "role";

/// The name of a role as a parameter, for the document. [`required_roles`] reads it.
struct RoleName;

impl Type for RoleName {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "RoleName".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema {
            pattern: Some("^[a-z0-9]([a-z0-9._-]{0,30}[a-z0-9])?$".to_owned()),
            min_length: Some(1),
            max_length: Some(MAX_ROLE_LENGTH),
            ..MetaSchema::new("string")
        }))
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}

impl ParseFromParameter for RoleName {
    fn parse_from_parameter(value: &str) -> ParseResult<Self> {
        Role::parse(value).map(|_| Self).map_err(|error| ParseError::custom(error.to_string()))
    }
}

/// Like `SignedIn`, for an operation that proxies call: a request without an active session gets
/// 401. A user who has none of the roles in the address gets 403.
#[derive(Debug)]
pub struct ForwardAuthUser(pub Arc<AuthenticatedSession>);

impl ForwardAuthUser {
    async fn check(request: &Request) -> Result<Self> {
        let state = AppState::of(request)?;
        let who = state.forward_auth_user(request).await?;
        state.require_role(request, &who, &required_roles(request)?)?;
        Ok(Self(who))
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
        /// The roles of the account in alphabetical order, with a comma between two of them. Empty
        /// if there are none.
        #[oai(header = "Remote-Groups")]
        String,
        /// The confirmed e-mail address of the account. Empty if there is none.
        #[oai(header = "Remote-Email")]
        String,
        /// The display name of the account, in UTF-8. Empty if there is none.
        #[oai(header = "Remote-Name")]
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
    /// **Only users with a role**: the proxy requests `/forward-auth?role=editor`, or
    /// `/forward-auth?role=editor&role=admin` if one of several roles is enough. Other signed-in users
    /// get 403.
    ///
    /// A proxy that returns the response of the check to the client can call
    /// `/forward-auth/redirect` instead, which redirects browsers to the sign-in page (303), and
    /// shows them a page if they do not have the role (403).
    #[oai(
        path = "/forward-auth",
        method = "get",
        operation_id = "forwardAuth",
        tag = "Tag::Proxies"
    )]
    async fn forward_auth(
        &self,
        who: ForwardAuthUser,
        /// A role that gives access to the app. Repeat it if one of several roles is enough.
        /// Without it, every signed-in user has access. The address of the check in the
        /// configuration of the proxy contains it; nothing that a client sends counts.
        #[oai(name = "role", validator(max_items = 16))]
        _role: Query<Option<Vec<RoleName>>>,
    ) -> Result<ForwardAuthAnswer, ApiError> {
        let Identity { user, user_id, session, groups, email, name } = Identity::of(&who.0);
        Ok(ForwardAuthAnswer::SignedIn(user, user_id, session, groups, email, name))
    }
}
