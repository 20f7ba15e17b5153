//! The security scheme of the document: the session cookie.

use poem_openapi::registry::{MetaSecurityScheme, Registry};

/// The name of the security scheme in the document.
pub const SCHEME: &str = "session";

const DESCRIPTION: &str = "\
The session cookie that `POST /login` and `POST /register` set. A browser sends it automatically, \
and does not allow a page to set the header `Cookie`: a tool in a browser that asks for the value \
here cannot send it. Other clients keep the cookie in a cookie jar. Its attributes are `HttpOnly; \
SameSite=Lax; Path=/`, with https also `Secure`. With https, its name is `__Host-session`, unless \
the operator has set another name; the document that the service serves contains the actual name. \
The value is opaque to clients.";

/// Adds the scheme to a document.
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

/// Makes a type with a function `of(&Request) -> Result<Self>` an argument of operations that has the
/// security scheme of the session cookie in the document.
macro_rules! impl_session_guard {
    ($guard:ty, is_optional: $is_optional:literal) => {
        impl<'a> ::poem_openapi::ApiExtractor<'a> for $guard {
            const TYPES: &'static [::poem_openapi::ApiExtractorType] =
                &[::poem_openapi::ApiExtractorType::SecurityScheme];
            type ParamType = ();
            type ParamRawType = ();

            fn register(registry: &mut ::poem_openapi::registry::Registry) {
                $crate::http::security_scheme::register_scheme(registry);
            }

            fn security_schemes() -> Vec<&'static str> {
                vec![$crate::http::security_scheme::SCHEME]
            }

            fn has_security_fallback() -> bool {
                $is_optional
            }

            async fn from_request(
                request: &'a ::poem::Request,
                _: &mut ::poem::RequestBody,
                _: ::poem_openapi::ExtractParamOptions<()>,
            ) -> ::poem::Result<Self> {
                Self::of(request).await
            }
        }
    };
}
pub(crate) use impl_session_guard;
