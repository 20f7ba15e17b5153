//! The guards: arguments of operations that need a session, or take one.

use std::sync::Arc;

use poem::{Request, RequestBody, Result};
use poem_openapi::registry::Registry;
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};

use super::problem::{ApiError, Code};
use super::security_scheme::{SCHEME, register_scheme};
use super::session_check::SessionCheck;
use super::state::AppState;
use crate::domain::sessions::SignedInAs;

/// The guard: the first argument of an operation that needs a session. It says who calls.
///
/// The document gives the operation its padlock and its answers 401 and 403. Without a cookie the
/// caller is answered 401, with one that is not valid 403, before any other argument is read.
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
#[derive(Debug, Clone)]
pub struct SignedIn(pub(crate) Arc<SignedInAs>);

impl SignedIn {
    /// Who sent a request, for pages and for poem's own handlers. The error is the answer: 401 or
    /// 403, as for an operation.
    pub async fn of(request: &Request) -> Result<Self> {
        Ok(Self(AppState::of(request)?.signed_in(request).await?))
    }

    /// The account's random id, which never changes: what rows of yours refer to.
    pub fn account_id(&self) -> &str {
        self.0.account.id.as_str()
    }

    /// The user name, in small letters.
    pub fn username(&self) -> &str {
        self.0.account.username.as_str()
    }

    /// The session's name in listings. It is no secret and opens nothing.
    pub fn session_id(&self) -> &str {
        self.0.session.id.as_str()
    }
}

impl<'a> ApiExtractor<'a> for SignedIn {
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
        Self::of(request).await
    }
}

/// The guard of an operation that needs no session, but that answers more to a request with one. The
/// cookie of a session that is not active is refused with 403, as everywhere: a user who believes to be
/// signed in learns that this is not so. A cookie that is not this service's, or that cannot be verified,
/// counts as none. While the database does not answer, the answer is 503, since it is unknown whether the
/// session is active.
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
    /// Who sent a request, for pages and for poem's own handlers. The error is the answer 403.
    pub async fn of(request: &Request) -> Result<Self> {
        let state = AppState::of(request)?;
        match state.check_session(request).await.map_err(ApiError::from)? {
            SessionCheck::SignedIn(who) => Ok(Self(Some(SignedIn(who)))),
            SessionCheck::Missing | SessionCheck::NotOurs => Ok(Self(None)),
            SessionCheck::Refused(token) => Err(state.session_refused(token).into()),
            SessionCheck::Conflicting => Err(ApiError::of(Code::SessionRefused).into()),
        }
    }

    /// Who calls, if they are signed in.
    pub fn signed_in(&self) -> Option<&SignedIn> {
        self.0.as_ref()
    }
}

impl<'a> ApiExtractor<'a> for MaybeSignedIn {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        register_scheme(registry);
    }

    fn security_schemes() -> Vec<&'static str> {
        vec![SCHEME]
    }

    fn has_security_fallback() -> bool {
        true
    }

    async fn from_request(
        request: &'a Request,
        _: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> Result<Self> {
        Self::of(request).await
    }
}
