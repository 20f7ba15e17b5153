//! Unsafe requests that a browser sent from another origin are refused.
//!
//! The algorithm is that of Go 1.25's `http.CrossOriginProtection`: browsers say where a request
//! comes from, and nothing has to be added to a page or to a client.

use poem::Request;
use poem::http::{HeaderValue, Method, header};

/// The origins that this service counts as its own.
#[derive(Debug, Clone)]
pub struct Origins(Vec<String>);

impl Origins {
    pub fn new(own: Vec<String>) -> Self {
        Self(own)
    }

    /// May this request change something, by where it comes from?
    pub fn allow(&self, request: &Request) -> bool {
        if matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
            return true; // safe methods change nothing (RFC 9110, section 9.2.1)
        }
        match request.headers().get("sec-fetch-site").map(HeaderValue::as_bytes) {
            Some(b"same-origin" | b"none") => true,
            Some(_) => false,
            None => self.allow_origin(request),
        }
    }

    /// Older browsers send only `Origin`; programs send neither.
    fn allow_origin(&self, request: &Request) -> bool {
        let Some(origin) = request.headers().get(header::ORIGIN) else { return true };
        self.0.iter().any(|own| own.as_bytes() == origin.as_bytes())
    }
}

/// The refusal depends on these: a cache must know.
pub const VARY: &str = "Sec-Fetch-Site, Origin";
