//! The headers of every response.

use poem::http::{HeaderMap, HeaderName, HeaderValue, header};

use super::request::cors;
use super::request::id::REQUEST_ID;
use super::state::AppState;

/// Browsers heed it at https and on loopback. Anywhere else they ignore it, with an error in the console.
pub const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

/// The headers that a response carries unless it has its own value.
pub fn common_headers(state: &AppState) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(24); // with room for some of an answer's own
    let mut add = |name: HeaderName, value: &'static str| {
        headers.insert(name, HeaderValue::from_static(value));
    };
    // the places of what nearly every answer has: a clone has no room for more, and would be copied once more
    add(REQUEST_ID, "");
    add(header::CONTENT_TYPE, "");
    add(header::CACHE_CONTROL, "no-store");
    add(header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'");
    add(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    // a form that is posted says where it comes from by `Origin`, which `no-referrer` makes null
    add(header::REFERRER_POLICY, "same-origin");
    add(HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    add(header::VARY, cors::VARY);
    if state.is_secure {
        // of pages, and these may come from an embedder, too (ASVS 3.4.8)
        add(OPENER_POLICY, "same-origin");
        // two years, as the preload list asks for; subdomains are not ours to decide
        add(header::STRICT_TRANSPORT_SECURITY, "max-age=63072000");
    }
    headers
}
