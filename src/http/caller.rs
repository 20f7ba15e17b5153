//! The guard of operations that accept sessions and API tokens.

use std::fmt;
use std::marker::PhantomData;

use poem::{Request, Result};
use time::OffsetDateTime;

use super::date_time::date_time;
use super::required_role::{Anyone, RequiredRole};
use super::security_scheme::{API_TOKEN_SCHEME, SCHEME, impl_guard};
use super::state::AppState;
use crate::core::display_names::DisplayName;
use crate::core::email_address::EmailAddress;
use crate::core::ids::SessionId;
use crate::domain::audit::context::Credential;
use crate::domain::caller::AuthenticatedCaller;

/// The guard of an operation that programs may call, too: it requires a session, or an API token.
///
/// An API token acts for its account with some of its roles. If a request has one, in the header
/// `Authorization: Bearer clk_…`, the token alone decides, even if the request also has a session
/// cookie. A request with a token that is malformed, unknown, expired or revoked gets 401
/// `token_refused`.
///
/// In the document, the operation has the security schemes `session` and `apiToken`. Use
/// [`SignedIn`](crate::SignedIn) for an operation that only the user may call: it refuses tokens.
///
/// ```
/// use cloakroom::Caller;
/// use poem_openapi::{OpenApi, payload::PlainText};
///
/// cloakroom::role!(Deployer = "deployer");
///
/// struct Deployments;
///
/// #[OpenApi]
/// impl Deployments {
///     /// Deploy
///     #[oai(path = "/deployments", method = "post", operation_id = "deploy")]
///     async fn deploy(&self, who: Caller<Deployer>) -> PlainText<String> {
///         let by = if who.api_token_id().is_some() { "a program" } else { "a person" };
///         PlainText(format!("Deployed by {by} for {}", who.username()))
///     }
/// }
/// ```
pub struct Caller<R = Anyone>(pub(crate) AuthenticatedCaller, PhantomData<fn() -> R>);

impl<R> fmt::Debug for Caller<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Caller").field(&self.0).finish()
    }
}

impl<R> Clone for Caller<R> {
    fn clone(&self) -> Self {
        Self(self.0.clone(), PhantomData)
    }
}

impl Caller {
    /// Authenticates a request, for pages and for poem handlers. The error is the response: 401 or
    /// 403, as for an operation, or 503 if the database does not respond.
    pub async fn of(request: &Request) -> Result<Self> {
        Self::check(request).await
    }

    /// Authenticates a request, and requires a role, for pages and for poem handlers. The error is
    /// the response, as for an operation with the guard `Caller<R>`.
    pub async fn with_role<R: RequiredRole>(request: &Request) -> Result<Caller<R>> {
        Caller::<R>::check(request).await
    }
}

impl<R: RequiredRole> Caller<R> {
    async fn check(request: &Request) -> Result<Self> {
        let state = AppState::of(request)?;
        let who = state.caller(request).await?;
        state.require_role(request, (who.account(), who.credential()), R::ROLES)?;
        Ok(Self(who, PhantomData))
    }

    /// The security schemes, and the mark of the roles.
    fn schemes() -> Vec<&'static str> {
        let mut schemes = vec![SCHEME, API_TOKEN_SCHEME];
        if !R::ROLES.is_empty() {
            schemes.push(R::MARK);
        }
        schemes
    }
}

impl<R> Caller<R> {
    /// The random id of the account, which never changes. Refer to it in your own tables.
    pub fn account_id(&self) -> &str {
        self.0.account().id.as_str()
    }

    /// The user name, in lower case.
    pub fn username(&self) -> &str {
        self.0.account().username.as_str()
    }

    /// The name to show for the user, if the user has set one. Several users can have the same one,
    /// so do not use it to tell users apart.
    pub fn display_name(&self) -> Option<&str> {
        self.0.account().display_name.as_ref().map(DisplayName::as_str)
    }

    /// The e-mail address that the user has confirmed. No other account has it, but it can change,
    /// so refer to the account by its id. An address that is not confirmed yet is not returned.
    pub fn email(&self) -> Option<&str> {
        self.0.account().email.as_ref().map(EmailAddress::as_str)
    }

    /// The roles that are in force for the request, in alphabetical order: those of the account,
    /// and of these only the ones of the API token, if the request has one. They are at most one
    /// second old.
    pub fn roles(&self) -> impl Iterator<Item = &str> {
        self.0.account().roles.iter()
    }

    /// Whether this role is in force for the request, for decisions inside an operation.
    pub fn has_role(&self, role: &str) -> bool {
        self.0.account().roles.contains(role)
    }

    /// The id of the session in lists, if the request has a session.
    pub fn session_id(&self) -> Option<&str> {
        self.0.session_id().map(SessionId::as_str)
    }

    /// The id of the API token in lists, if the request has one. It is not a secret.
    pub fn api_token_id(&self) -> Option<&str> {
        match self.0.credential() {
            Credential::Session(_) => None,
            Credential::ApiToken(id) => Some(id),
        }
    }

    /// When the user last showed the password, if the request has a session. An API token says
    /// nothing about the user being present.
    pub fn authenticated_at(&self) -> Option<OffsetDateTime> {
        self.0.authenticated_at().map(date_time)
    }
}

impl_guard!([R: RequiredRole] Caller<R>, schemes: Self::schemes(), is_optional: false);
