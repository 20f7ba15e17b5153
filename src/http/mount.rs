//! What somebody else's service puts beside the operations of this floor, and whether the two fit.
//!
//! poem-openapi merges in silence what two operations say of one path, and panics when two types
//! have one name; here each has an error that says what to do.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use futures_util::TryFutureExt;
use futures_util::future::BoxFuture;
use http_body_util::BodyExt;
use poem::endpoint::{BoxEndpoint, DynEndpoint};
use poem::http::{HeaderValue, Method, header};
use poem::{Body, Error, Request, Response, Result};
use poem_openapi::error::{ContentTypeError, ParsePathError};
use poem_openapi::registry::{MetaApi, MetaPath, MetaSchema, Registry};
use poem_openapi::{OpenApi, OperationId};

use super::api::Operations;
use super::api::private::PrivateApi;
use super::guard::SCHEME;
use super::openapi::about::About;
use super::problem::{Failure, Problem};
use super::request::limit::{LimitedBody, MAX_BODY_BYTES};
use super::router::{BadPath, RouteTable};
use super::session_data;

/// The operations and pages of somebody else's service.
pub struct Guest<T> {
    pub api: T,
    pub about: About,
    /// The most bytes that a body of theirs may have.
    pub body_limit: usize,
    pub pages: Vec<(String, BoxEndpoint<'static>)>,
}

impl<T> fmt::Debug for Guest<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guest").field("about", &self.about).finish_non_exhaustive()
    }
}

impl Guest<PrivateApi> {
    /// What the program itself puts beside them.
    pub fn cloakroom() -> Self {
        Self {
            api: PrivateApi,
            about: About::cloakroom(),
            body_limit: MAX_BODY_BYTES,
            pages: Vec::new(),
        }
    }
}

/// Why operations cannot stand beside Cloakroom's; each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    #[error(
        "two #[OpenApi] impls have the path {0}, and the document would show one of them only: put \
         all methods of a path into one impl"
    )]
    PathTwice(String),
    #[error("{method} {path} is Cloakroom's own; choose another path")]
    PathTaken { method: Method, path: String },
    #[error("the path {path:?} cannot be mounted: {why}")]
    BadPath { path: String, why: String },
    #[error("two operations are called {0}; give one of them another operation_id")]
    OperationIdTwice(&'static str),
    #[error(
        "the schema {0} is one of Cloakroom's; give yours another name: #[oai(rename = \"…\")]"
    )]
    SchemaTaken(String),
    #[error(
        "{one} and {other} are both called {name} in the document, and a session would keep one value \
         for both: give one of them another name, #[oai(rename = \"…\")]"
    )]
    SessionDataTwice { name: String, one: &'static str, other: &'static str },
    #[error("the security scheme {0} is Cloakroom's; give yours another name")]
    SchemeTaken(&'static str),
}

impl MountError {
    fn bad_path(path: String, why: &dyn fmt::Display) -> Self {
        Self::BadPath { path, why: why.to_string() }
    }
}

impl From<BadPath> for MountError {
    fn from(BadPath { path, why }: BadPath) -> Self {
        Self::BadPath { path, why }
    }
}

/// Do the operations of `T` fit into one document with ours, in which the scheme is called so?
pub fn check<T: OpenApi>(scheme: &str) -> Result<(), MountError> {
    let ours = described_by(Operations::<()>::register);
    let theirs = described_by(T::register);
    for (name, schema) in &theirs.schemas {
        if ours.schemas.get(name).is_some_and(|known| !is_same(known, schema)) {
            return Err(MountError::SchemaTaken(name.clone()));
        }
    }
    for (name, theirs) in &theirs.security_schemes {
        if [SCHEME, scheme].contains(name) && ours.security_schemes.get(SCHEME) != Some(theirs) {
            return Err(MountError::SchemeTaken(name));
        }
    }
    if let Some((name, one, other)) = session_data::shared_name(&theirs) {
        return Err(MountError::SessionDataTwice { name, one, other });
    }
    check_paths(&Operations::<()>::meta(), &T::meta())?;
    check_ids(&Operations::<T>::meta())
}

/// Adds operations and pages to a table that has everything else.
pub fn add<T: OpenApi>(
    api: T,
    body_limit: usize,
    pages: Vec<(String, BoxEndpoint<'static>)>,
    table: &mut RouteTable,
) -> Result<(), MountError> {
    let mut taken = Taken::by(table);
    let mut theirs = RouteTable::new();
    api.add_routes(&mut theirs);
    let described = T::meta();
    for (path, methods) in theirs {
        let described = paths(&described).find(|described| shape(&described.path) == shape(&path));
        let parameters = described.map_or_else(Vec::new, |path| parameters(&path.path));
        let parameters: Arc<[String]> = parameters.into();
        for (method, endpoint) in methods {
            taken.take(&path, &method)?;
            let parameters = Arc::clone(&parameters);
            let accept = described.and_then(|path| media_types(path, &method));
            let endpoint = Guests { endpoint, limit: body_limit, parameters, accept };
            table.entry(path.clone()).or_default().insert(method, Box::new(endpoint));
        }
    }
    for (path, page) in pages {
        if !path.starts_with('/') {
            return Err(MountError::bad_path(path, &"it must begin with /"));
        }
        // the first page is of whoever's house it is
        if path != "/" {
            taken.take(&path, &Method::GET)?;
        }
        table.entry(path).or_default().insert(Method::GET, page);
    }
    Ok(())
}

fn described_by(register: impl FnOnce(&mut Registry)) -> Registry {
    let mut registry = Registry::new();
    register(&mut registry);
    registry
}

/// Are they of one Rust type?
fn is_same(one: &MetaSchema, other: &MetaSchema) -> bool {
    one.rust_typename == other.rust_typename
}

/// A path as the router sees it: whatever its parameters are called.
fn shape(path: &str) -> String {
    let segment = |segment: &str| match segment.chars().next() {
        Some(':' | '{' | '<') => ":".to_owned(),
        Some('*') => "*".to_owned(),
        _ => segment.to_owned(),
    };
    path.split('/').map(segment).collect::<Vec<_>>().join("/")
}

/// The names of a path's parameters, in their order.
fn parameters(path: &str) -> Vec<String> {
    let name = |segment: &str| {
        let name = segment.strip_prefix('{').or(segment.strip_prefix(':'))?;
        name.split(['}', '<']).next().map(str::to_owned)
    };
    path.split('/').filter_map(name).collect()
}

/// The media types that an operation's body may have, for the header `Accept` of its refusal.
fn media_types(path: &MetaPath, method: &Method) -> Option<HeaderValue> {
    let operation = path.operations.iter().find(|operation| operation.method == *method)?;
    let kinds = operation.request.as_ref()?.content.iter().map(|media| {
        media.content_type.split(';').next().unwrap_or_default().trim() // JSON has no character set
    });
    HeaderValue::try_from(kinds.collect::<Vec<_>>().join(", ")).ok()
}

fn check_paths(ours: &[MetaApi], theirs: &[MetaApi]) -> Result<(), MountError> {
    let ours: BTreeSet<String> = paths(ours).map(|path| shape(&path.path)).collect();
    let mut known = BTreeSet::new();
    for MetaPath { path, operations } in paths(theirs) {
        if ours.contains(&shape(path)) {
            let method = operations.first().map_or(Method::GET, |first| first.method.clone());
            return Err(MountError::PathTaken { method, path: path.clone() });
        }
        if !known.insert(shape(path)) {
            return Err(MountError::PathTwice(path.clone()));
        }
    }
    Ok(())
}

fn paths(apis: &[MetaApi]) -> impl Iterator<Item = &MetaPath> {
    apis.iter().flat_map(|api| &api.paths)
}

fn check_ids(apis: &[MetaApi]) -> Result<(), MountError> {
    let mut known = BTreeSet::new();
    let operations = paths(apis).flat_map(|path| &path.operations);
    for id in operations.filter_map(|operation| operation.operation_id) {
        if !known.insert(id) {
            return Err(MountError::OperationIdTwice(id));
        }
    }
    Ok(())
}

/// The methods of each shape of a path that are somebody's, and how that one wrote it.
struct Taken(BTreeMap<String, (String, BTreeSet<String>)>);

impl Taken {
    fn by(table: &RouteTable) -> Self {
        let mut taken = Self(BTreeMap::new());
        for (path, methods) in table {
            let names = methods.keys().map(ToString::to_string).collect();
            taken.0.insert(shape(path), (path.clone(), names));
        }
        taken
    }

    fn take(&mut self, path: &str, method: &Method) -> Result<(), MountError> {
        let place = self.0.entry(shape(path));
        let (first, methods) = place.or_insert_with(|| (path.to_owned(), BTreeSet::new()));
        let is_free = first == path && methods.insert(method.to_string());
        let taken = || MountError::PathTaken { method: method.clone(), path: path.to_owned() };
        is_free.then_some(()).ok_or_else(taken)
    }
}

/// An operation of somebody else's. What is beyond the limit of its body fails when it is read, so
/// that the guard comes first.
struct Guests {
    endpoint: BoxEndpoint<'static>,
    limit: usize,
    /// What its path calls its parameters; poem-openapi counts them.
    parameters: Arc<[String]>,
    /// The media types of its body.
    accept: Option<HeaderValue>,
}

impl DynEndpoint for Guests {
    type Output = Response;

    fn call(&self, mut request: Request) -> BoxFuture<'_, Result<Response>> {
        let body = request.take_body();
        if !body.is_empty() {
            let body = LimitedBody::new(body.into(), self.limit);
            request.set_body(Body::from(body.boxed()));
        }
        let answer = DynEndpoint::call(&*self.endpoint, request);
        Box::pin(answer.map_err(|error| self.named(error)))
    }
}

impl Guests {
    /// An error about a part of the path, told of by the part's own name, and one about the type of
    /// the body with those that there are.
    fn named(&self, error: Error) -> Error {
        if let (true, Some(accept)) = (error.is::<ContentTypeError>(), &self.accept) {
            let refusal = Failure::from(Problem::of_no_documented_media_type());
            let refusal = refusal.with_header(header::ACCEPT, accept.clone());
            return of_same_operation(refusal.into(), &error);
        }
        let part = error.downcast_ref().and_then(|bad: &ParsePathError| {
            self.parameters.get(bad.name.strip_prefix("param")?.parse::<usize>().ok()?)
        });
        let Some(part) = part else { return error };
        of_same_operation(Failure::from(Problem::not_as_documented(part)).into(), &error)
    }
}

/// The error in the place of another one.
fn of_same_operation(mut error: Error, other: &Error) -> Error {
    if let Some(id) = other.data::<OperationId>() {
        error.set_data(*id);
    }
    error
}
