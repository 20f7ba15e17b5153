//! Cookie → session in force → who calls.

use std::sync::Arc;

use poem::http::{HeaderValue, header};
use poem::{Request, RequestBody, Result};
use poem_openapi::registry::{MetaSecurityScheme, Registry};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};

use super::Front;
use super::cookie::Presented;
use super::problem::{Code, Failure};
use crate::domain::sessions::SignedInAs;

/// The name of the security scheme in the document.
pub const SCHEME: &str = "session";

const DESCRIPTION: &str = "\
The session cookie that `POST /login` sets. **In Swagger UI: run `POST /login` (or \
`POST /register`) with Try it out; the browser then sends the cookie by itself. Nothing typed \
here is sent**, because browsers do not let a page set `Cookie`. Server-side clients keep the \
cookie in a jar. It is `HttpOnly; SameSite=Lax; Path=/`, and behind an https address `Secure`; \
its name there is `__Host-session` unless the operator chose another, and the document that a \
service serves says which. The value is opaque to clients.";

/// The first argument of an operation that needs a session: who calls.
#[derive(Debug)]
pub struct SignedIn(pub Arc<SignedInAs>);

impl<'a> ApiExtractor<'a> for SignedIn {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
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

    fn security_schemes() -> Vec<&'static str> {
        vec![SCHEME]
    }

    async fn from_request(
        request: &'a Request,
        _: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> Result<Self> {
        let front = request.data::<Arc<Front>>().expect("the route carries its front");
        Ok(Self(front.signed_in(request).await?))
    }
}

/// As [`SignedIn`], for an operation that proxies ask: whoever does not count is answered 401.
#[derive(Debug)]
pub struct LetThrough(pub Arc<SignedInAs>);

impl<'a> ApiExtractor<'a> for LetThrough {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        SignedIn::register(registry);
    }

    fn security_schemes() -> Vec<&'static str> {
        SignedIn::security_schemes()
    }

    async fn from_request(
        request: &'a Request,
        _: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> Result<Self> {
        let front = request.data::<Arc<Front>>().expect("the route carries its front");
        Ok(Self(front.let_through(request).await?))
    }
}

impl Front {
    /// Who calls, or 401: with a cookie that does not count one is as nobody.
    pub async fn let_through(&self, request: &Request) -> Result<Arc<SignedInAs>, Failure> {
        self.signed_in(request).await.map_err(|failure| match failure.problem.status {
            403 => self.not_authenticated(),
            _ => failure,
        })
    }

    /// Who calls, or the refusal: 401 without a cookie, 403 with one that does not count.
    pub async fn signed_in(&self, request: &Request) -> Result<Arc<SignedInAs>, Failure> {
        let token = match self.cookie.of(request) {
            Presented::Nothing => return Err(self.not_authenticated()),
            Presented::Contradiction => return Err(self.session_refused()),
            Presented::Token(token) => token,
        };
        self.domain.recognise(token).await?.ok_or_else(|| self.session_refused())
    }

    fn not_authenticated(&self) -> Failure {
        let name = self.cookie.name();
        let challenge =
            format!(r#"Cookie realm="cloakroom", form-action="/login", cookie-name={name}"#);
        let challenge = HeaderValue::try_from(challenge).expect("a checked name makes a header");
        Failure::of(Code::NotAuthenticated).with_header(header::WWW_AUTHENTICATE, challenge)
    }

    fn session_refused(&self) -> Failure {
        Failure::of(Code::SessionRefused).with_header(header::SET_COOKIE, self.cookie.clearing())
    }
}
