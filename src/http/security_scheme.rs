//! How the guards are described in the document: the security schemes of the session cookie and of
//! API tokens, and marks.
//!
//! poem-openapi asks an argument of an operation only for the names of security schemes. A guard also
//! returns marks there, which say what else the guard requires. `openapi::operation` removes the marks
//! from the document, and writes what they mean.

use poem_openapi::registry::{MetaSecurityScheme, Registry};

/// The name of the security scheme of sessions in the document.
pub const SCHEME: &str = "session";

/// The name of the security scheme of API tokens in the document.
pub const API_TOKEN_SCHEME: &str = "apiToken";

/// The start of a mark. The name of a security scheme contains no colon (OpenAPI 3.0.3, Components
/// Object), so a mark cannot be one.
const MARK: &str = "cloakroom:";

/// The mark of an operation that is open to every client. The marks of roles are in
/// [`required_role`](super::required_role).
pub const PUBLIC: &str = "cloakroom:public";

/// The mark of an operation that requires a confirmed session.
pub const CONFIRMED: &str = "cloakroom:confirmed";

/// Whether a guard returned this name as a mark, and not as the name of a security scheme.
pub fn is_mark(name: &str) -> bool {
    name.starts_with(MARK)
}

const DESCRIPTION: &str = "\
The session cookie that `POST /login` and `POST /register` set. A browser sends it automatically, \
and does not allow a page to set the header `Cookie`: a tool in a browser that asks for the value \
here cannot send it. Other clients keep the cookie in a cookie jar. Its attributes are `HttpOnly; \
SameSite=Lax; Path=/`, with https also `Secure`. With https, its name is `__Host-session`, unless \
the operator has set another name; the document that the service serves contains the actual name. \
The value is opaque to clients.";

const API_TOKEN_DESCRIPTION: &str = "\
An API token, which a user creates with `createApiToken` or on the page `/account/tokens`: `clk_` and \
49 letters and digits. Programs send it as `Authorization: Bearer clk_…` (RFC 6750). It acts for its \
account, with some of its roles. If a request has a token, the token alone decides, even if the \
request also has a session cookie. So with a token filled in here, operations run as the token.";

/// Adds the scheme of API tokens to a document.
fn register_api_token_scheme(registry: &mut Registry) {
    let scheme = MetaSecurityScheme {
        ty: "http",
        description: Some(API_TOKEN_DESCRIPTION),
        name: None,
        key_in: None,
        scheme: Some("bearer"),
        bearer_format: None,
        flows: None,
        openid_connect_url: None,
    };
    registry.create_security_scheme(API_TOKEN_SCHEME, scheme);
}

/// Adds the schemes with these names to a document.
pub fn register_schemes(registry: &mut Registry, names: &[&str]) {
    if names.contains(&SCHEME) {
        register_scheme(registry);
    }
    if names.contains(&API_TOKEN_SCHEME) {
        register_api_token_scheme(registry);
    }
}

/// Adds the scheme of sessions to a document.
pub fn register_scheme(registry: &mut Registry) {
    let scheme = MetaSecurityScheme {
        ty: "apiKey",
        description: Some(DESCRIPTION),
        name: Some("session"), // `document()` replaces it by the actual name
        key_in: Some("cookie"),
        scheme: None,
        bearer_format: None,
        flows: None,
        openid_connect_url: None,
    };
    registry.create_security_scheme(SCHEME, scheme);
}

/// Makes a type with a function `check(&Request) -> Result<Self>` an argument of operations.
/// `schemes` contains the security schemes and marks of the operations, and the type is generic over
/// the parameters in brackets.
macro_rules! impl_guard {
    ([$($generics:tt)*] $guard:ty, schemes: $schemes:expr, is_optional: $is_optional:literal) => {
        impl<'a, $($generics)*> ::poem_openapi::ApiExtractor<'a> for $guard {
            const TYPES: &'static [::poem_openapi::ApiExtractorType] =
                &[::poem_openapi::ApiExtractorType::SecurityScheme];
            type ParamType = ();
            type ParamRawType = ();

            fn register(registry: &mut ::poem_openapi::registry::Registry) {
                let names: Vec<&str> = $schemes;
                $crate::http::security_scheme::register_schemes(registry, &names);
            }

            fn security_schemes() -> Vec<&'static str> {
                $schemes
            }

            fn has_security_fallback() -> bool {
                $is_optional
            }

            async fn from_request(
                request: &'a ::poem::Request,
                _: &mut ::poem::RequestBody,
                _: ::poem_openapi::ExtractParamOptions<()>,
            ) -> ::poem::Result<Self> {
                Self::check(request).await
            }
        }
    };
}
pub(crate) use impl_guard;
