//! Refuses unsafe requests from pages of other origins, unless the operator allows the origin.
//!
//! If there is an `Origin`, it decides, because browsers set it and pages cannot change it.
//! Otherwise `Sec-Fetch-Site` decides, as in Go 1.25's `http.CrossOriginProtection`. Programs send
//! neither.
//!
//! If a browser reports `same-origin` for an `Origin` that is not ours, the setting `public_url` is
//! wrong: behind a proxy that terminates TLS, the cookie would lack `Secure`. Such a request is
//! refused, too, and the problem names the setting.

use poem::Request;
use poem::http::uri::Authority;
use poem::http::{HeaderMap, HeaderValue, Method, header};
use url::{Host, Url};

use crate::http::problem::{ApiError, Code, Problem};

/// The maximum length of an origin that a problem repeats. A host name has at most 253 characters.
const MAX_ORIGIN_LENGTH: usize = 300;

/// The service's own origins, and other origins that may send requests with the cookie.
#[derive(Debug, Clone)]
pub struct Origins {
    /// The origin of `public_url`, and its other names on loopback.
    pub own: Vec<String>,
    pub allowed: Vec<String>,
}

/// Why the origin of a request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CrossOrigin {
    /// According to the browser, the page and this service have the same origin, but it is not
    /// `public_url`.
    OtherPublicUrl { origin: String },
    /// A page of another program on the same machine, such as a development server.
    Loopback { origin: String },
    /// A page of another origin, if the browser sends it.
    Foreign { origin: Option<String> },
    /// A page of another origin, or this service behind a proxy: an older browser does not tell.
    Unknown { origin: String },
}

impl Origins {
    /// Checks whether the origin of this request may change something. `Host` has been checked
    /// before.
    pub fn check(&self, request: &Request) -> Result<(), CrossOrigin> {
        if matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
            return Ok(()); // safe methods change nothing (RFC 9110, section 9.2.1)
        }
        let headers = request.headers();
        let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
        let mut origins = headers.get_all(header::ORIGIN).iter();
        match (origins.next(), origins.next(), site) {
            (None, _, None | Some(b"same-origin" | b"none")) => Ok(()),
            (None, _, Some(_)) | (Some(_), Some(_), _) => {
                Err(CrossOrigin::Foreign { origin: None })
            }
            (Some(origin), None, site) => {
                if self.is_accepted(origin, headers) {
                    return Ok(());
                }
                Err(explain(origin, site, headers))
            }
        }
    }

    fn is_accepted(&self, origin: &HeaderValue, headers: &HeaderMap) -> bool {
        is_among(&self.own, origin)
            || is_among(&self.allowed, origin)
            || (!self.is_secure() && is_at_host(origin, headers, "http"))
    }

    /// Whether `public_url` is https.
    pub fn is_secure(&self) -> bool {
        self.public_url().starts_with("https:")
    }

    /// The origin of `public_url`.
    pub fn public_url(&self) -> &str {
        self.own.first().map_or("", String::as_str)
    }

    /// The origin of the request, if it is an allowed one that may read the response.
    pub fn allowed_origin(&self, request: &Request) -> Option<HeaderValue> {
        let origin = request.headers().get(header::ORIGIN)?;
        is_among(&self.allowed, origin).then(|| origin.clone())
    }

    /// The problem, which names both origins and the setting to change.
    pub fn refusal(&self, why: &CrossOrigin) -> ApiError {
        let here = self.public_url();
        let detail = match why {
            CrossOrigin::OtherPublicUrl { origin } if self.is_secure() => format!(
                "You opened this service at {origin}, but its address is {here}. Open {here} \
                 instead. If {origin} is correct, the operator of this service must set `public_url = \"{origin}\"`, or add it to \
                 `allowed_origins`."
            ),
            CrossOrigin::OtherPublicUrl { origin } => format!(
                "You opened this service at {origin}, but its setting `public_url` is {here}. The \
                 operator of this service must set `public_url = \"{origin}\"`."
            ),
            CrossOrigin::Loopback { origin } => format!(
                "The service at {here} refuses requests from pages at {origin}. If this is your \
                 development server or another application of yours, set `allowed_origins = [\"{origin}\"]`."
            ),
            CrossOrigin::Foreign { origin: Some(origin) } => format!(
                "The service at {here} refuses requests from pages at {origin}. Open {here} \
                 instead. If {origin} is an application of yours, add it to `allowed_origins`."
            ),
            CrossOrigin::Foreign { origin: None } => format!(
                "The service at {here} refuses requests from pages whose origin is unknown. Open {here} instead."
            ),
            CrossOrigin::Unknown { origin } => format!(
                "The service at {here} refuses requests from pages at {origin}. Open {here} \
                 instead. If users reach this service at {origin}, its operator must set `public_url = \"{origin}\"`; if it is \
                 another application, add it to `allowed_origins`."
            ),
        };
        Problem { detail, ..Problem::of(Code::CrossOrigin) }.into()
    }
}

/// Explains why an origin is refused.
fn explain(origin: &HeaderValue, site: Option<&[u8]>, headers: &HeaderMap) -> CrossOrigin {
    let Some(url) = readable(origin) else { return CrossOrigin::Foreign { origin: None } };
    let name = url.origin().ascii_serialization();
    let is_at_host = is_at_host(origin, headers, url.scheme());
    match site {
        _ if is_loopback(&url) && !is_at_host => CrossOrigin::Loopback { origin: name },
        Some(b"same-origin") => CrossOrigin::OtherPublicUrl { origin: name },
        _ if is_at_host => CrossOrigin::OtherPublicUrl { origin: name },
        Some(_) => CrossOrigin::Foreign { origin: Some(name) },
        None => CrossOrigin::Unknown { origin: name },
    }
}

/// Parses an origin in the format of browsers. Anything else is not repeated in a problem.
fn readable(origin: &HeaderValue) -> Option<Url> {
    let text = origin.to_str().ok().filter(|text| text.len() <= MAX_ORIGIN_LENGTH)?;
    let url = Url::parse(text).ok()?;
    let is_web = matches!(url.scheme(), "http" | "https");
    (is_web && url.origin().ascii_serialization() == text).then_some(url)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Whether the origin consists of this scheme and the `Host` of the request.
fn is_at_host(origin: &HeaderValue, headers: &HeaderMap, scheme: &str) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let Some(host) = host.and_then(|host| host.parse::<Authority>().ok()) else { return false };
    // A browser omits the default port in both headers, but a program or a proxy may include it in
    // one.
    let here = Url::parse(&format!("{scheme}://{host}")).ok().filter(Url::has_host);
    here.is_some_and(|url| url.origin().ascii_serialization().as_bytes() == origin.as_bytes())
}

fn is_among(origins: &[String], origin: &HeaderValue) -> bool {
    origins.iter().any(|known| known.as_bytes() == origin.as_bytes())
}
