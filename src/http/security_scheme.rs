//! The security scheme of the document: the session cookie.

use poem_openapi::registry::{MetaSecurityScheme, Registry};

/// The name of the security scheme in the document.
pub const SCHEME: &str = "session";

const DESCRIPTION: &str = "\
The session cookie that `POST /login` and `POST /register` set. A browser sends it by itself, and \
lets no page set `Cookie`: a tool that asks for its value here cannot send it. Other clients keep \
the cookie in a jar. It is `HttpOnly; SameSite=Lax; Path=/`, and behind an https address `Secure`; \
its name there is `__Host-session` unless the operator chose another, and the document that a \
service serves says which. The value is opaque to clients.";

/// Adds the scheme to a document.
pub fn register_scheme(registry: &mut Registry) {
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
