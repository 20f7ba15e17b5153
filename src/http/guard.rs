//! The guards: arguments of operations that require or accept a session, or say that an operation is
//! open to every client.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

use poem::{Request, RequestBody, Result};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};
use time::OffsetDateTime;

use super::date_time::date_time;
use super::problem::{ApiError, Code};
use super::required_role::{Anyone, RequiredRole};
use super::security_scheme::{CONFIRMED, PUBLIC, SCHEME, impl_guard};
use super::session_check::SessionCheck;
use super::state::AppState;
use crate::core::display_names::DisplayName;
use crate::core::email_address::EmailAddress;
use crate::domain::audit::context::Credential;
use crate::domain::sessions::AuthenticatedSession;

/// The guard of an operation that requires a session. It is the operation's first argument, and
/// identifies the signed-in user.
///
/// In the document, the operation then has a padlock and the responses 401 and 403. The guard runs
/// before the other arguments are read: a request without a session cookie gets 401, and a request
/// whose session cookie is not valid gets 403. A request with an API token gets 401, because only
/// the guard [`Caller`](crate::Caller) accepts these.
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
        state.refuse_api_token(request)?;
        let who = state.signed_in(request).await?;
        let by = Credential::Session(&who.session.id);
        state.require_role(request, (&who.account, by), R::ROLES)?;
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

    /// The name to show for the user, if the user has set one. Several users can have the same one,
    /// so do not use it to tell users apart.
    pub fn display_name(&self) -> Option<&str> {
        self.0.account.display_name.as_ref().map(DisplayName::as_str)
    }

    /// The e-mail address that the user has confirmed. No other account has it, but it can change,
    /// so refer to the account by its id. An address that is not confirmed yet is not returned.
    pub fn email(&self) -> Option<&str> {
        self.0.account.email.as_ref().map(EmailAddress::as_str)
    }

    /// The id of the session in lists. It is not a secret and does not authorize requests.
    pub fn session_id(&self) -> &str {
        self.0.session.id.as_str()
    }

    /// When the user last showed the password: at the sign-in, or at a confirmation of the session.
    pub fn authenticated_at(&self) -> OffsetDateTime {
        date_time(self.0.session.authenticated_at)
    }

    /// The end of the 15 minutes after `authenticated_at`, until which the guard [`Confirmed`] lets
    /// the session in. It may have passed. `None` if the request presented a token that a
    /// confirmation replaced a moment ago, and that is not confirmed.
    pub fn confirmed_until(&self) -> Option<OffsetDateTime> {
        self.0.session.confirmation_ends_at.map(date_time)
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

/// The guard of an operation for which a stolen cookie must not be enough, such as a payment. The
/// user must have signed in, or confirmed the session with the password, in the last 15 minutes.
///
/// In the document, the operation has the responses of [`SignedIn`], and 403
/// `confirmation_required`. After this response, a client sends the password to
/// `POST /session/confirm/password`, which gives the session cookie a new value, and repeats the
/// request. A browser gets a page with a link to `/account/confirm`, which asks for the password and
/// leads back.
///
/// The guard reads the session from the database, and not from the session cache: a confirmation or
/// revocation on another node counts at once. `Confirmed<Editor>` also requires a role.
///
/// ```
/// use cloakroom::Confirmed;
/// use poem_openapi::{OpenApi, payload::PlainText};
///
/// struct Payments;
///
/// #[OpenApi]
/// impl Payments {
///     /// Pay all bills
///     #[oai(path = "/payments", method = "post", operation_id = "payBills")]
///     async fn pay(&self, who: Confirmed) -> PlainText<String> {
///         PlainText(format!("{} has paid", who.username()))
///     }
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Confirmed<R = Anyone>(SignedIn<R>);

impl Confirmed {
    /// Authenticates a request, and requires a confirmed session, for pages and for poem handlers.
    /// The error is the response, as for an operation with this guard.
    pub async fn of(request: &Request) -> Result<Self> {
        Self::check(request).await
    }
}

impl<R: RequiredRole> Confirmed<R> {
    async fn check(request: &Request) -> Result<Self> {
        let state = AppState::of(request)?;
        state.refuse_api_token(request)?;
        let who = state.signed_in_uncached(request).await?;
        let by = Credential::Session(&who.session.id);
        state.require_role(request, (&who.account, by), R::ROLES)?;
        if !state.is_confirmed(&who) {
            return Err(ApiError::of(Code::ConfirmationRequired).into());
        }
        Ok(Self(SignedIn(who, PhantomData)))
    }

    fn schemes() -> Vec<&'static str> {
        let mut schemes = SignedIn::<R>::schemes();
        schemes.push(CONFIRMED);
        schemes
    }
}

impl<R> Deref for Confirmed<R> {
    type Target = SignedIn<R>;

    fn deref(&self) -> &SignedIn<R> {
        &self.0
    }
}

impl_guard!([R: RequiredRole] Confirmed<R>, schemes: Self::schemes(), is_optional: false);

/// The guard of an operation that does not require a session, but returns more if the request has
/// one. A request whose session is no longer active gets 403, so that the user learns that the
/// session has ended. A cookie that this service did not issue, or that cannot be verified, is
/// ignored. A request with an API token gets 401. If the database does not respond, the response is 503, because the service cannot know
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
        state.refuse_api_token(request)?;
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
