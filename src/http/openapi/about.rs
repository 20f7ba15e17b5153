//! The description of the service as a whole in the document.

use poem_openapi::{ContactObject, LicenseObject};

use crate::http::security_scheme::SCHEME;

/// The part about sessions, which is the same for every service.
pub const DESCRIPTION: &str = "\
Hand in your credentials, get a ticket: `login` verifies a user name and a password and sets a \
session cookie. Every operation with a padlock identifies the user by this cookie, or a program by \
its API token.

**To try it**, run `login`, or `register` if you do not have an account. After that, every operation \
with a padlock works until you run `logout`. With curl, use `-c cookies.txt` to save the cookie and \
`-b cookies.txt` to send it.

**The cookie** has the name that the security scheme `session` contains. Its attributes are \
`HttpOnly`, `SameSite=Lax` and `Path=/`, and with https also `Secure`. A browser stores and sends it \
automatically; other programs store it in a cookie jar. Its value is opaque to clients. Sessions are \
stored on the server: after `logout`, all copies of the cookie are refused.

**Programs** send an API token instead: `Authorization: Bearer clk_…` (RFC 6750). A user creates it \
with `createApiToken`. Operations that accept API tokens have the security scheme `apiToken` in \
addition to the scheme `session`; others refuse a request with one (401 `token_refused`). If a request has an \
API token, it alone decides, even next to a session cookie. Any other value of `Authorization` is \
ignored.

**Errors** have the media type `application/problem+json` (RFC 9457). Distinguish them by `code`. Later \
versions may add codes: handle an unknown code according to `status`. An operation returns only the \
responses that are listed for it. There are two exceptions: a request that is not valid HTTP gets a 400 \
without a body, and a request whose header is larger than 16 KiB or has more than 64 fields gets a 431 \
without a body. If the header `Accept` prefers `text/html`, as a browser's does, the error is \
an HTML page with the same status and headers.

**Requests from pages of other origins** that would change something are refused with \
`cross_origin`. If the request has the header `Origin`, it must be the origin of the service or an \
origin that the operator allows. If it does not, the header `Sec-Fetch-Site` decides. Clients other than \
browsers send neither and are not affected. Pages of allowed origins send the cookie with \
`credentials: 'include'` and can read every response (CORS).

**Every response** has the header `X-Request-Id`, whose value is also in the log of the service, and \
`Cache-Control: no-store`. Every path that supports `GET` also supports `HEAD`.";

/// The description of the service as a whole.
#[derive(Debug)]
pub struct DocumentInfo {
    pub title: String,
    pub version: String,
    /// The text before the part about sessions.
    pub description: Option<String>,
    pub contact: Option<ContactObject>,
    pub license: Option<LicenseObject>,
    /// The name of the security scheme.
    pub scheme: String,
}

impl DocumentInfo {
    pub fn new(title: impl Into<String>, version: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            version: version.into(),
            description: None,
            contact: None,
            license: None,
            scheme: SCHEME.to_owned(),
        }
    }

    /// The description of the program's own service.
    pub fn cloakroom() -> Self {
        let license =
            LicenseObject::new(env!("CARGO_PKG_LICENSE")).url("https://spdx.org/licenses/");
        Self {
            contact: Some(ContactObject::new().name("The Cloakroom project")),
            license: Some(license),
            ..Self::new("Cloakroom", env!("CARGO_PKG_VERSION"))
        }
    }
}
