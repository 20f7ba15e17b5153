//! The headers that every response has.

use poem::http::{HeaderMap, HeaderName, HeaderValue, header};

use super::request::cors;
use super::request::id::REQUEST_ID;
use super::state::AppState;

/// Browsers apply it to https and loopback. Elsewhere they ignore it, with an error in the console.
pub const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

/// The headers that a response gets unless it has its own value.
pub fn common_headers(state: &AppState) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(24); // with space for headers of the response
    let mut add = |name: HeaderName, value: &'static str| {
        headers.insert(name, HeaderValue::from_static(value));
    };
    // Reserves entries for headers that nearly every response has: a clone has no spare capacity,
    // so adding them later would reallocate.
    add(REQUEST_ID, "");
    add(header::CONTENT_TYPE, "");
    add(header::CACHE_CONTROL, "no-store");
    add(header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'");
    add(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    // With `no-referrer`, browsers would send `Origin: null` with submitted forms.
    add(header::REFERRER_POLICY, "same-origin");
    add(HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    add(header::VARY, cors::VARY);
    if state.is_secure {
        // For pages, including those of an embedder (ASVS 3.4.8).
        add(OPENER_POLICY, "same-origin");
        // Two years, as the preload list requires. Subdomains are not ours to decide about.
        add(header::STRICT_TRANSPORT_SECURITY, "max-age=63072000");
    }
    headers
}
