//! The operation `forwardAuth`: authenticates requests for the proxy in front of an app.

use poem::{Request, Result};
use poem_openapi::param::Query;
use poem_openapi::registry::{MetaSchema, MetaSchemaRef};
use poem_openapi::types::{ParseError, ParseFromParameter, ParseResult, Type};
use poem_openapi::{ApiResponse, OpenApi};
use std::borrow::Cow;

use super::tags::Tag;
use crate::core::ids::SessionId;
use crate::domain::caller::AuthenticatedCaller;
use crate::domain::roles::{InvalidRole, MAX_ROLE_LENGTH, Role};
use crate::http::problem::{ApiError, Code, FieldCode, FieldError, Problem};
use crate::http::required_role::MAX_REQUIRED_ROLES;
use crate::http::security_scheme::{API_TOKEN_SCHEME, SCHEME, impl_guard};
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
    pub fn of(who: &AuthenticatedCaller) -> Self {
        let account = who.account();
        let session = who.session_id().map(SessionId::as_str);
        Self {
            user: account.username.to_string(),
            user_id: account.id.as_str().to_owned(),
            session: session.unwrap_or_default().to_owned(),
            groups: account.roles.as_comma_list().to_owned(),
            email: account.email.as_ref().map(ToString::to_string).unwrap_or_default(),
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

/// What the address that the proxy requests says: it is part of the proxy's configuration.
#[derive(Debug, Default)]
struct AppRequirements {
    /// The user must have one of these roles, if there are any.
    roles: Vec<Role>,
    /// Whether the app accepts API tokens.
    accepts_tokens: bool,
}

impl AppRequirements {
    /// Reads the address. A parameter that does not exist is refused: a misspelled `role` would let
    /// every user in.
    fn of(request: &Request) -> Result<Self, ApiError> {
        let mut requirements = Self::default();
        let query = request.uri().query().unwrap_or_default();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "role" => match Role::parse(&value) {
                    Ok(role) => requirements.roles.push(role),
                    Err(InvalidRole) => return Err(Problem::not_as_documented("role").into()),
                },
                "token" if value == "yes" => requirements.accepts_tokens = true,
                "token" => return Err(Problem::not_as_documented("token").into()),
                unknown => {
                    let says = "This parameter does not exist. Check the address in the \
                                configuration of the proxy.";
                    let wrong = FieldError::new(unknown, FieldCode::Unknown, says);
                    return Err(Problem::of(Code::InvalidRequest).with_errors(vec![wrong]).into());
                }
            }
        }
        if requirements.roles.len() > MAX_REQUIRED_ROLES {
            return Err(Problem::not_as_documented("role").into());
        }
        Ok(requirements)
    }
}

/// The outcome of checking a request for a proxy.
pub enum ForwardAuthCheck {
    LetIn(AuthenticatedCaller),
    /// The user has none of the roles in the address.
    RoleNeeded(AuthenticatedCaller, ApiError),
}

/// Authenticates a request for a proxy, and checks the roles in its address. The error is 401, even
/// for an invalid cookie, because proxies treat 401 as "sign in".
pub async fn check_forwarded(
    state: &AppState,
    request: &Request,
) -> Result<ForwardAuthCheck, ApiError> {
    let requirements = AppRequirements::of(request);
    let by_token = if requirements.as_ref().is_ok_and(|app| app.accepts_tokens) {
        state.token_caller(request).await?
    } else {
        state.refuse_api_token(request)?;
        None
    };
    let who = match by_token {
        Some(who) => who,
        None => match state.signed_in(request).await {
            Ok(who) => AuthenticatedCaller::Session(who),
            Err(failure) if failure.problem.status == 403 => return Err(state.not_authenticated()),
            Err(failure) => return Err(failure),
        },
    };
    let by = (who.account(), who.credential());
    match state.require_role(request, by, &requirements?.roles) {
        Ok(()) => Ok(ForwardAuthCheck::LetIn(who)),
        Err(refusal) => Ok(ForwardAuthCheck::RoleNeeded(who, refusal)),
    }
}

/// The name of a role as a parameter, for the document. [`AppRequirements`] reads it.
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

/// Like `Caller`, for an operation that proxies call: a request without an active session gets 401.
/// A user who has none of the roles in the address gets 403.
#[derive(Debug)]
pub struct ForwardAuthUser(AuthenticatedCaller);

impl ForwardAuthUser {
    async fn check(request: &Request) -> Result<Self> {
        let state = AppState::of(request)?;
        match check_forwarded(state, request).await? {
            ForwardAuthCheck::LetIn(who) => Ok(Self(who)),
            ForwardAuthCheck::RoleNeeded(_, refusal) => Err(refusal.into()),
        }
    }
}

impl_guard!([] ForwardAuthUser, schemes: vec![SCHEME, API_TOKEN_SCHEME], is_optional: false);

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
        /// The `id` of the session, as in `listSessions`. It does not authorize requests. Empty for
        /// a request with an API token.
        #[oai(header = "Remote-Session")]
        String,
        /// The roles of the account in alphabetical order, with a comma between two of them. With an
        /// API token, only those that the token has, too. Empty if there are none.
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
    /// Check a request for a proxy
    ///
    /// A reverse proxy calls this operation before it forwards a request to an app: nginx with
    /// `auth_request`, Caddy with `forward_auth`, Traefik with `forwardAuth`. Without an active
    /// session, the response is 401, even if the request has a session cookie, because proxies treat
    /// 401 as "sign in".
    ///
    /// **Only users with a role**: the proxy requests `/forward-auth?role=editor`, or
    /// `/forward-auth?role=editor&role=admin` if one of several roles is enough. Other signed-in users
    /// get 403.
    ///
    /// **Programs**: the proxy requests `/forward-auth?token=yes` if programs may call the app with
    /// an API token. The proxy must then pass the header `Authorization` to this check, and must not
    /// pass a token to the app. Without the parameter, a request with an API token gets 401.
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
        /// `yes` lets programs in that send an API token.
        #[oai(name = "token", validator(min_length = 3, max_length = 3, pattern = "^yes$"))]
        _token: Query<Option<String>>,
    ) -> Result<ForwardAuthAnswer, ApiError> {
        let Identity { user, user_id, session, groups, email, name } = Identity::of(&who.0);
        Ok(ForwardAuthAnswer::SignedIn(user, user_id, session, groups, email, name))
    }
}
