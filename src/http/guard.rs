//! The guards: arguments of operations that require or accept a session, or say that an operation is
//! open to every client.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use poem::{Request, RequestBody, Result};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};

use super::problem::{ApiError, Code};
use super::required_role::{Anyone, RequiredRole};
use super::security_scheme::{PUBLIC, SCHEME, impl_guard};
use super::session_check::SessionCheck;
use super::state::AppState;
use crate::domain::sessions::AuthenticatedSession;

/// The guard of an operation that requires a session. It is the operation's first argument, and
/// identifies the signed-in user.
///
/// In the document, the operation then has a padlock and the responses 401 and 403. The guard runs
/// before the other arguments are read: a request without a session cookie gets 401, and a request
/// whose session cookie is not valid gets 403.
///
/// ```
/// use cloakroom::SignedIn;
/// use poem_openapi::{OpenApi, payload::PlainText};
///
/// struct Greetings;
///
/// #[OpenApi]
/// impl Greetings {
///     /// Greet me
///     #[oai(path = "/greeting", method = "get", operation_id = "greet")]
///     async fn greet(&self, who: SignedIn) -> PlainText<String> {
///         PlainText(format!("Hello {}", who.username()))
///     }
/// }
/// ```
///
/// `SignedIn<Editor>` also requires a role: a request of an account without it gets 403
/// `role_needed`. [`role!`](crate::role) makes the type `Editor`.
pub struct SignedIn<R = Anyone>(pub(crate) Arc<AuthenticatedSession>, PhantomData<fn() -> R>);

impl<R> fmt::Debug for SignedIn<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SignedIn").field(&self.0).finish()
    }
}

impl<R> Clone for SignedIn<R> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0), PhantomData)
    }
}

impl SignedIn {
    /// Authenticates a request, for pages and for poem handlers. The error is the response: 401 or
    /// 403, as for an operation, or 503 if the database does not respond.
    pub async fn of(request: &Request) -> Result<Self> {
        Self::check(request).await
    }

    /// Authenticates a request, and requires a role, for pages and for poem handlers. The error is
    /// the response, as for an operation with the guard `SignedIn<R>`.
    ///
    /// ```
    /// use cloakroom::SignedIn;
    ///
    /// cloakroom::role!(Editor = "editor");
    ///
    /// #[poem::handler]
    /// async fn drafts(request: &poem::Request) -> poem::Result<String> {
    ///     let who = SignedIn::with_role::<Editor>(request).await?;
    ///     Ok(format!("The drafts of {}", who.username()))
    /// }
    /// ```
    pub async fn with_role<R: RequiredRole>(request: &Request) -> Result<SignedIn<R>> {
        SignedIn::<R>::check(request).await
    }
}

impl<R: RequiredRole> SignedIn<R> {
    async fn check(request: &Request) -> Result<Self> {
        let state = AppState::of(request)?;
        let who = state.signed_in(request).await?;
        state.require_role(request, &who, R::ROLES)?;
        Ok(Self(who, PhantomData))
    }

    /// The security scheme, and the mark of the roles.
    fn schemes() -> Vec<&'static str> {
        if R::ROLES.is_empty() { vec![SCHEME] } else { vec![SCHEME, R::MARK] }
    }
}

impl<R> SignedIn<R> {
    /// The random id of the account, which never changes. Refer to it in your own tables.
    pub fn account_id(&self) -> &str {
        self.0.account.id.as_str()
    }

    /// The user name, in lower case.
    pub fn username(&self) -> &str {
        self.0.account.username.as_str()
    }

    /// The id of the session in lists. It is not a secret and does not authorize requests.
    pub fn session_id(&self) -> &str {
        self.0.session.id.as_str()
    }

    /// The roles of the account, in alphabetical order. They are at most one second old.
    pub fn roles(&self) -> impl Iterator<Item = &str> {
        self.0.account.roles.iter()
    }

    /// Whether the account has this role, for decisions inside an operation.
    pub fn has_role(&self, role: &str) -> bool {
        self.0.account.roles.contains(role)
    }
}

impl_guard!([R: RequiredRole] SignedIn<R>, schemes: Self::schemes(), is_optional: false);

/// The guard of an operation that does not require a session, but returns more if the request has
/// one. A request whose session is no longer active gets 403, so that the user learns that the
/// session has ended. A cookie that this service did not issue, or that cannot be verified, is
/// ignored. If the database does not respond, the response is 503, because the service cannot know
/// whether the session is active.
///
/// ```
/// use cloakroom::MaybeSignedIn;
/// use poem_openapi::{OpenApi, payload::PlainText};
///
/// struct Greetings;
///
/// #[OpenApi]
/// impl Greetings {
///     /// Greet the visitor
///     #[oai(path = "/hello", method = "get", operation_id = "sayHello")]
///     async fn hello(&self, who: MaybeSignedIn) -> PlainText<String> {
///         let name = who.signed_in().map_or("stranger", |who| who.username());
///         PlainText(format!("Hello {name}"))
///     }
/// }
/// ```
#[derive(Debug, Clone)]
pub struct MaybeSignedIn(Option<SignedIn>);

impl MaybeSignedIn {
    /// Authenticates a request, for pages and for poem handlers. The error is the response: 403, or
    /// 503 if the database does not respond.
    pub async fn of(request: &Request) -> Result<Self> {
        Self::check(request).await
    }

    async fn check(request: &Request) -> Result<Self> {
        let state = AppState::of(request)?;
        match state.check_session(request).await.map_err(ApiError::from)? {
            SessionCheck::SignedIn(who) => Ok(Self(Some(SignedIn(who, PhantomData)))),
            SessionCheck::Missing | SessionCheck::NotOurs => Ok(Self(None)),
            SessionCheck::Refused(token) => Err(state.session_refused(token).into()),
            SessionCheck::Conflicting => Err(ApiError::of(Code::SessionRefused).into()),
        }
    }

    /// The signed-in user, if the request has a session.
    pub fn signed_in(&self) -> Option<&SignedIn> {
        self.0.as_ref()
    }
}

impl_guard!([] MaybeSignedIn, schemes: vec![SCHEME], is_optional: true);

/// Says that an operation is open to every client. It checks nothing and has no value.
///
/// [`Cloakroom::mount`](crate::Cloakroom::mount) refuses an operation that has neither a guard nor
/// this argument, so that no operation is open by mistake. An operation with a guard of your own,
/// such as the signature of a webhook, needs it, too.
///
/// ```
/// use cloakroom::Public;
/// use poem_openapi::{OpenApi, payload::PlainText};
///
/// struct Greetings;
///
/// #[OpenApi]
/// impl Greetings {
///     /// Greet every visitor
///     #[oai(path = "/welcome", method = "get", operation_id = "welcome")]
///     async fn welcome(&self, _public: Public) -> PlainText<&'static str> {
///         PlainText("Welcome")
///     }
/// }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Public;

impl<'a> ApiExtractor<'a> for Public {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];
    type ParamType = ();
    type ParamRawType = ();

    fn security_schemes() -> Vec<&'static str> {
        vec![PUBLIC]
    }

    async fn from_request(
        _: &'a Request,
        _: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> Result<Self> {
        Ok(Self)
    }
}
