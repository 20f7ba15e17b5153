//! CORS: pages of the origins that the operator allows may send requests with the cookie, and read
//! the responses.

use std::collections::{BTreeSet, HashMap};

use poem::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use poem::{Request, Response};
use poem_openapi::OpenApi;
use poem_openapi::registry::MetaParamIn;

use crate::http::router::RouteTable;

/// Whether this is a CORS preflight request.
pub fn is_preflight(request: &Request) -> bool {
    *request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// The methods and headers that allowed origins may use (Fetch standard, section 3.3).
/// `Authorization` carries API tokens.
#[derive(Debug)]
pub struct Preflight {
    methods: HeaderValue,
    headers: HeaderValue,
}

impl Preflight {
    /// Collects the methods of the table, and the header parameters of the embedder's operations.
    pub fn of<T: OpenApi>(table: &RouteTable) -> Self {
        let named =
            [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::DELETE, Method::PATCH];
        let mut methods: Vec<&Method> = named.iter().collect();
        let mut more: Vec<&Method> = table.values().flat_map(HashMap::keys).collect();
        more.sort_by_key(|method| method.as_str());
        more.dedup();
        more.retain(|method| !named.contains(method));
        methods.extend(more);
        let methods = methods.into_iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
        let mut headers = BTreeSet::from(["Authorization", "Content-Type"].map(str::to_owned));
        for path in T::meta().into_iter().flat_map(|api| api.paths) {
            let parameters = path.operations.into_iter().flat_map(|operation| operation.params);
            let sent = parameters.filter(|parameter| parameter.in_type == MetaParamIn::Header);
            headers.extend(sent.map(|parameter| parameter.name));
        }
        let headers = headers.into_iter().collect::<Vec<_>>().join(", ");
        let header = |text| HeaderValue::try_from(text).expect("methods and names make a header");
        Self { methods: header(methods), headers: header(headers) }
    }

    /// The response to a preflight, which the browser may cache for ten minutes.
    pub fn answer(&self) -> Response {
        Response::builder()
            .status(StatusCode::NO_CONTENT)
            .header(header::ACCESS_CONTROL_ALLOW_METHODS, self.methods.clone())
            .header(header::ACCESS_CONTROL_ALLOW_HEADERS, self.headers.clone())
            .header(header::ACCESS_CONTROL_MAX_AGE, "600")
            .finish()
    }
}

/// Allows the page of an allowed origin to read the response to a request with the cookie.
pub fn allow_reading(headers: &mut HeaderMap, origin: HeaderValue) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    let more = HeaderValue::from_static("Retry-After, X-Request-Id");
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, more);
}

/// The headers on which the check of the origin depends, for caches.
pub const VARY: &str = "Sec-Fetch-Site, Origin";
