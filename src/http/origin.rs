//! Unsafe requests that a browser sent from another origin are refused, and the origins that the
//! operator allows may call with the cookie (CORS).
//!
//! The refusal is the algorithm of Go 1.25's `http.CrossOriginProtection`: browsers say where a
//! request comes from, and nothing has to be added to a page or to a client.

use std::collections::{BTreeSet, HashMap};

use poem::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use poem::{Request, Response};
use poem_openapi::OpenApi;
use poem_openapi::registry::MetaParamIn;

use super::Table;

/// The origins that this service counts as its own, and others that may call with the cookie.
#[derive(Debug, Clone)]
pub struct Origins {
    pub own: Vec<String>,
    pub allowed: Vec<String>,
}

impl Origins {
    /// May this request change something, by where it comes from?
    pub fn allow(&self, request: &Request) -> bool {
        if matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
            return true; // safe methods change nothing (RFC 9110, section 9.2.1)
        }
        match request.headers().get("sec-fetch-site").map(HeaderValue::as_bytes) {
            Some(b"same-origin" | b"none") => true,
            Some(_) => self.allowed_origin(request).is_some(),
            None => self.allow_origin(request),
        }
    }

    /// Older browsers send only `Origin`; programs send neither.
    fn allow_origin(&self, request: &Request) -> bool {
        let Some(origin) = request.headers().get(header::ORIGIN) else { return true };
        is_among(&self.own, origin) || is_among(&self.allowed, origin)
    }

    /// The origin of the request, if it is another one that may read the answer.
    pub fn allowed_origin(&self, request: &Request) -> Option<HeaderValue> {
        let origin = request.headers().get(header::ORIGIN)?;
        is_among(&self.allowed, origin).then(|| origin.clone())
    }
}

fn is_among(origins: &[String], origin: &HeaderValue) -> bool {
    origins.iter().any(|known| known.as_bytes() == origin.as_bytes())
}

/// Does a browser ask whether it may send what it would send from an allowed origin?
pub fn is_preflight(request: &Request) -> bool {
    *request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// What a browser may send from an allowed origin: what the operations take (the Fetch standard,
/// section 3.3).
#[derive(Debug)]
pub struct Preflight {
    methods: HeaderValue,
    headers: HeaderValue,
}

impl Preflight {
    /// What the table's methods and the parameters of somebody's operations ask for.
    pub fn of<T: OpenApi>(table: &Table) -> Self {
        let named = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::DELETE];
        let mut methods: Vec<&Method> = named.iter().collect();
        let mut more: Vec<&Method> = table.values().flat_map(HashMap::keys).collect();
        more.sort_by_key(|method| method.as_str());
        more.dedup();
        more.retain(|method| !named.contains(method));
        methods.extend(more);
        let methods = methods.into_iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
        let mut headers = BTreeSet::from(["Content-Type".to_owned()]);
        for path in T::meta().into_iter().flat_map(|api| api.paths) {
            let parameters = path.operations.into_iter().flat_map(|operation| operation.params);
            let sent = parameters.filter(|parameter| parameter.in_type == MetaParamIn::Header);
            headers.extend(sent.map(|parameter| parameter.name));
        }
        let headers = headers.into_iter().collect::<Vec<_>>().join(", ");
        let header = |text| HeaderValue::try_from(text).expect("methods and names make a header");
        Self { methods: header(methods), headers: header(headers) }
    }

    /// The browser need not ask again for ten minutes.
    pub fn answer(&self) -> Response {
        Response::builder()
            .status(StatusCode::NO_CONTENT)
            .header(header::ACCESS_CONTROL_ALLOW_METHODS, self.methods.clone())
            .header(header::ACCESS_CONTROL_ALLOW_HEADERS, self.headers.clone())
            .header(header::ACCESS_CONTROL_MAX_AGE, "600")
            .finish()
    }
}

/// Lets the page of an allowed origin read the answer to a request with the cookie.
pub fn let_read(headers: &mut HeaderMap, origin: HeaderValue) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    let more = HeaderValue::from_static("Retry-After, X-Request-Id");
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, more);
}

/// The refusal depends on these: a cache must know.
pub const VARY: &str = "Sec-Fetch-Site, Origin";
