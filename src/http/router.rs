//! Routes requests to the endpoints of paths and methods.

use std::collections::{BTreeSet, HashMap};
use std::future::ready;

use futures_util::future::BoxFuture;
use poem::endpoint::{BoxEndpoint, DynEndpoint};
use poem::http::{HeaderValue, Method, header};
use poem::{Endpoint, Request, Response, Result, Route};

use super::problem::{ApiError, Code};

/// Paths, their methods, and the endpoints.
pub type RouteTable = HashMap<String, HashMap<Method, BoxEndpoint<'static>>>;

/// Finds the endpoint of a path. Most paths have no parameters, and take one hash look-up.
pub struct Router {
    plain: HashMap<String, MethodRouter>,
    with_parameters: Route,
}

/// A path that cannot be routed.
#[derive(Debug)]
pub struct InvalidPath {
    pub path: String,
    pub why: String,
}

impl Router {
    pub fn new(table: RouteTable) -> Result<Self, InvalidPath> {
        let mut paths = Self { plain: HashMap::new(), with_parameters: Route::new() };
        for (path, methods) in table {
            let methods = MethodRouter::new(methods);
            if path.contains([':', '*', '<']) {
                let added =
                    paths.with_parameters.try_at(&path, BoxEndpoint::from(Box::new(methods)));
                paths.with_parameters =
                    added.map_err(|why| InvalidPath { path, why: why.to_string() })?;
            } else {
                paths.plain.insert(path, methods);
            }
        }
        Ok(paths)
    }

    pub fn call(&self, request: Request) -> BoxFuture<'_, Result<Response>> {
        match self.plain.get(request.uri().path()) {
            Some(methods) => methods.call(request),
            None => Box::pin(self.with_parameters.call(request)),
        }
    }

    /// Whether a path without parameters supports GET.
    pub fn has_get(&self, path: &str) -> bool {
        self.plain.get(path).is_some_and(MethodRouter::has_get)
    }
}

/// The methods of one path. Other methods are refused with `Allow`.
struct MethodRouter {
    endpoints: Vec<(Method, BoxEndpoint<'static>)>,
    allow: HeaderValue,
}

impl MethodRouter {
    fn new(endpoints: HashMap<Method, BoxEndpoint<'static>>) -> Self {
        let mut names: BTreeSet<&str> = endpoints.keys().map(Method::as_str).collect();
        if names.contains("GET") {
            names.insert("HEAD");
        }
        let names = names.into_iter().collect::<Vec<_>>().join(", ");
        let allow = HeaderValue::try_from(names).expect("methods make a header");
        Self { endpoints: endpoints.into_iter().collect(), allow }
    }

    fn has_get(&self) -> bool {
        self.endpoints.iter().any(|(method, _)| method == Method::GET)
    }
}

/// Implements the boxed form of an endpoint, so that the request, which is large, is passed on and
/// not stored.
impl DynEndpoint for MethodRouter {
    type Output = Response;

    fn call(&self, request: Request) -> BoxFuture<'_, Result<Response>> {
        let is_head = *request.method() == Method::HEAD;
        let method = if is_head { &Method::GET } else { request.method() };
        let Some((_, endpoint)) = self.endpoints.iter().find(|(at, _)| at == method) else {
            let refusal = ApiError::of(Code::MethodNotAllowed);
            let refusal = refusal.with_header(header::ALLOW, self.allow.clone());
            return Box::pin(ready(Err(refusal.into())));
        };
        DynEndpoint::call(&**endpoint, request) // hyper omits the body of a response to HEAD
    }
}
