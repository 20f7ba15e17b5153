//! What the document says about the service as a whole.

use poem_openapi::{ContactObject, LicenseObject};

use crate::http::security_scheme::SCHEME;

/// The part that is about sessions, whatever the service is.
pub const DESCRIPTION: &str = "\
Hand in your credentials, get a ticket: `login` checks a user name and a password and sets a \
session cookie, and every operation with a padlock knows by it who calls.

**To try it**, run `login`, or `register` if you have no account yet. From then on every operation \
with a padlock works, until `logout`. curl keeps the cookie with `-c cookies.txt` and sends it with \
`-b cookies.txt`.

**The cookie** is named in the security scheme `session`; it is `HttpOnly`, `SameSite=Lax` and \
`Path=/`, and behind https `Secure`. A browser keeps and sends it by itself; a program keeps it in a cookie jar. Its \
value is opaque. A session ends at the server: after `logout` every copy of its cookie is refused.

**Refusals** are `application/problem+json` (RFC 9457). Tell them apart by `code`; new codes may be \
added, so treat an unknown one by its `status`. An operation answers what is listed with it and \
nothing else; only what cannot be read as HTTP at all gets a bare 400, or 431 when its header is \
larger than 16 KiB or has more than 64 fields. A request whose `Accept` prefers `text/html`, as that of \
a browser that opens an address, gets a refusal as a page with the same status and headers.

**Requests from pages of other origins** that would change something are refused with \
`cross_origin`. `Origin` decides: it must be the service's own, or one that the operator allows; without \
it `Sec-Fetch-Site` decides. Programs, which send neither, are not affected. Pages of allowed origins \
call with `credentials: 'include'` and may read every answer (CORS).

**Every answer** carries `X-Request-Id`, which the service's log carries too, and \
`Cache-Control: no-store`. A `HEAD` request is answered wherever a `GET` is.";

/// What a document says of the service as a whole.
#[derive(Debug)]
pub struct DocumentInfo {
    pub title: String,
    pub version: String,
    /// What stands before the words on sessions.
    pub description: Option<String>,
    pub contact: Option<ContactObject>,
    pub license: Option<LicenseObject>,
    /// What the security scheme is called.
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

    /// The program's own.
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
