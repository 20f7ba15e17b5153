//! Cookie → session in force → who calls.

use std::sync::Arc;

use poem::http::{HeaderValue, header};
use poem::{Request, RequestBody, Result};
use poem_openapi::registry::{MetaSecurityScheme, Registry};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};

use super::cookie::Presented;
use super::problem::{Code, Failure};
use super::state::Front;
use crate::core::error::Fault;
use crate::domain::sessions::{Authentication, RefusedToken, SignedInAs};

/// The name of the security scheme in the document.
pub const SCHEME: &str = "session";

const DESCRIPTION: &str = "\
The session cookie that `POST /login` and `POST /register` set. A browser sends it by itself, and \
lets no page set `Cookie`: a tool that asks for its value here cannot send it. Other clients keep \
the cookie in a jar. It is `HttpOnly; SameSite=Lax; Path=/`, and behind an https address `Secure`; \
its name there is `__Host-session` unless the operator chose another, and the document that a \
service serves says which. The value is opaque to clients.";

/// The guard: the first argument of an operation that needs a session. It says who calls.
///
/// The document gives the operation its padlock and its answers 401 and 403. Without a cookie the
/// caller is answered 401, with one that does not count 403, before any other argument is read.
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
        Ok(Self(Front::of(request)?.signed_in(request).await?))
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
        register(registry);
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

/// The guard of an operation that nobody needs a session for, but that answers more to whoever has
/// one. The cookie of a session that is not active is refused with 403, as everywhere: a user who
/// believes to be signed in learns that this is not so. A cookie that is not this service's, or that
/// cannot be verified, is as good as none. While the database does not answer, so that nobody can say
/// whether the session is active, the answer is 503.
///
/// ```
/// use cloakroom::MaybeSignedIn;
/// use poem_openapi::{OpenApi, payload::PlainText};
///
/// struct Greetings;
///
/// #[OpenApi]
/// impl Greetings {
///     /// Greet whoever it is
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
        let front = Front::of(request)?;
        match front.check_session(request).await.map_err(Failure::from)? {
            SessionCheck::SignedIn(who) => Ok(Self(Some(SignedIn(who)))),
            SessionCheck::Missing | SessionCheck::NotOurs => Ok(Self(None)),
            SessionCheck::Refused(token) => Err(front.session_refused(token).into()),
            SessionCheck::Conflicting => Err(Failure::of(Code::SessionRefused).into()),
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
        register(registry);
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

/// The padlock.
pub(super) fn register(registry: &mut Registry) {
    let scheme = MetaSecurityScheme {
        ty: "apiKey",
        description: Some(DESCRIPTION),
        name: Some("session"), // `document()` puts the name in force here
        key_in: Some("cookie"),
        scheme: None,
        bearer_format: None,
        flows: None,
        openid_connect_url: None,
    };
    registry.create_security_scheme(SCHEME, scheme);
}

/// As [`SignedIn`], for an operation that proxies ask: whoever does not count is answered 401.
#[derive(Debug)]
pub struct LetThrough(pub Arc<SignedInAs>);

impl<'a> ApiExtractor<'a> for LetThrough {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        register(registry);
    }

    fn security_schemes() -> Vec<&'static str> {
        vec![SCHEME]
    }

    async fn from_request(
        request: &'a Request,
        _: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> Result<Self> {
        Ok(Self(Front::of(request)?.let_through(request).await?))
    }
}

/// What the session cookie of a request amounts to.
#[derive(Debug)]
pub enum SessionCheck {
    SignedIn(Arc<SignedInAs>),
    /// There is none.
    Missing,
    /// Another application's, or one that cannot be verified.
    NotOurs,
    /// This service's, and its session is not active.
    Refused(RefusedToken),
    /// Two that differ.
    Conflicting,
}

impl Front {
    /// What the operations stand on. An operation that was never mounted has nothing to stand on:
    /// nobody is let in, and the log says why, here, for nothing stands around it.
    pub(super) fn of(request: &Request) -> Result<&Arc<Self>, Failure> {
        request.data::<Arc<Self>>().ok_or_else(|| {
            tracing::error!("an operation asks who is signed in and is not under Cloakroom::mount");
            Failure::of(Code::InternalError)
        })
    }

    /// Who calls, or 401: with a cookie that does not count one is as nobody.
    pub async fn let_through(&self, request: &Request) -> Result<Arc<SignedInAs>, Failure> {
        self.signed_in(request).await.map_err(|failure| match failure.problem.status {
            403 => self.not_authenticated(),
            _ => failure,
        })
    }

    /// Who calls, or the refusal: 401 without a cookie, 403 with one that does not count.
    pub async fn signed_in(&self, request: &Request) -> Result<Arc<SignedInAs>, Failure> {
        match self.check_session(request).await? {
            SessionCheck::SignedIn(who) => Ok(who),
            SessionCheck::Missing => Err(self.not_authenticated()),
            SessionCheck::Refused(token) => Err(self.session_refused(token)),
            SessionCheck::NotOurs | SessionCheck::Conflicting => {
                Err(Failure::of(Code::SessionRefused)) // and the cookie is not ours to delete
            }
        }
    }

    /// The session cookie of a request. Two that differ are worth a line in the log: the operator can
    /// give the cookie another name.
    pub fn presented<'a>(&self, request: &'a Request) -> Presented<'a> {
        let presented = self.cookie.of(request);
        if presented == Presented::Contradiction {
            self.conflict_log.warn(self.cookie.name());
        }
        presented
    }

    /// What the session cookie of a request amounts to.
    pub async fn check_session(&self, request: &Request) -> Result<SessionCheck, Fault> {
        let token = match self.presented(request) {
            Presented::Nothing => return Ok(SessionCheck::Missing),
            Presented::Contradiction => return Ok(SessionCheck::Conflicting),
            Presented::Token(token) => token,
        };
        Ok(match self.domain.sessions.recognise(token).await? {
            Authentication::SignedIn(who) => SessionCheck::SignedIn(who),
            Authentication::Refused(token) => SessionCheck::Refused(token),
            Authentication::NotOurs => SessionCheck::NotOurs,
        })
    }

    fn not_authenticated(&self) -> Failure {
        let name = self.cookie.name();
        let challenge =
            format!(r#"Cookie realm="cloakroom", form-action="/login", cookie-name={name}"#);
        let challenge = HeaderValue::try_from(challenge).expect("a checked name makes a header");
        Failure::of(Code::NotAuthenticated).with_header(header::WWW_AUTHENTICATE, challenge)
    }

    /// Refuses a token of ours. The client forgets it only if its session ended at least a minute ago:
    /// an answer that comes late must not delete the cookie of another session.
    fn session_refused(&self, token: RefusedToken) -> Failure {
        let refused = Failure::of(Code::SessionRefused);
        match token {
            RefusedToken::Ended => refused.with_header(header::SET_COOKIE, self.cookie.clearing()),
            RefusedToken::Recent => refused,
        }
    }
}
