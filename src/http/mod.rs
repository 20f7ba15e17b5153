//! JSON, cookies, statuses. This floor, `app` and `server` are the only ones that name poem.

mod api;
mod client;
mod conflict_log;
mod cookie;
mod docs;
mod guard;
mod mount;
mod openapi;
mod pages;
mod problem;
mod request;
mod request_metrics;
mod router;
mod session_cookies;
mod session_data;
mod setup_warnings;
mod state;

use std::collections::{BTreeSet, HashMap};
use std::future::ready;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use poem::endpoint::{BoxEndpoint, DynEndpoint};
use poem::error::ResponseError;
use poem::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use poem::{Endpoint, Request, Response, Result, Route};
use poem_openapi::__private::UrlQuery;
use poem_openapi::{OpenApi, OperationId};
use tracing::{Instrument, Level, Span};

use self::api::operations;
pub use self::api::private::PrivateApi;
pub use self::conflict_log::ConflictLog;
use self::cookie::AlsoSet;
pub use self::cookie::{DeviceCookie, SessionCookie};
pub use self::guard::{MaybeSignedIn, SignedIn};
pub use self::mount::{Guest, MountError};
pub use self::openapi::about::About;
pub use self::openapi::document::{document, yaml};
use self::openapi::served::served;
use self::pages::BrowserRequest;
pub use self::pages::{Color, Logo, RedirectTargets, Site};
pub use self::problem::Problem;
use self::problem::catch::{catch, panic_answer};
use self::problem::error::ErrorCause;
use self::problem::{Code, Failure};
use self::request::client_address::{client_address, proxy_with_forwarded};
use self::request::cors::{self, Preflight};
pub use self::request::cross_origin::Origins;
pub use self::request::host::Hosts;
use self::request::id::{REQUEST_ID, RequestIds};
pub use self::request::trace::RequestLog;
use self::request::trace::{self, LoggedRequest};
pub use self::request_metrics::{BOUNDS, Requests};
use self::router::Table;
pub use self::session_data::{Session, SessionDataError};
use self::setup_warnings::SetupWarnings;
pub use self::state::Front;
use crate::domain::audit::journal::Cause;

/// What the fuzz targets look at from close by, see `fuzz/`. No other build has it.
#[cfg(fuzzing)]
pub mod fuzzing {
    pub use super::api::login::CredentialsView;
    pub use super::cookie::Presented;
    pub use super::problem::Failure;
    pub use super::request::body::FromFields;
    pub use super::request::client_address::{client_address, counted_address};
    pub use super::request::fields::Fields;

    /// A refusal as a client reads it.
    pub fn problem(failure: &Failure) -> serde_json::Value {
        use poem_openapi::types::ToJSON;

        failure.problem.to_json().expect("a problem is an object")
    }
}

/// The whole service as one endpoint that always answers, and its document.
pub fn route<T: OpenApi + 'static>(
    front: Arc<Front>,
    guest: Guest<T>,
) -> Result<(BoxEndpoint<'static, Response>, String), MountError> {
    let Guest { api, about, body_limit, pages } = guest;
    mount::check::<T>(&about.scheme)?;
    let title = about.title.clone();
    let document = served::<T>(&front, about, body_limit);
    let mut table = Table::new();
    operations(&front).add_routes(&mut table);
    pages::add(&front, &mut table);
    docs::add(&front, &title, &document, &mut table);
    mount::add(api, body_limit, pages, &mut table)?;
    let headers = headers_of_every_answer(&front);
    let preflight = Preflight::of::<T>(&table);
    let paths = Paths::new(table)?;
    let (ids, warnings) = (RequestIds::new(), SetupWarnings::default());
    let edge = Edge { front, paths, ids, headers, preflight, warnings };
    Ok((Box::new(edge), document))
}

/// What answers at which path. Most paths have no parameter, and are found by one look-up.
struct Paths {
    plain: HashMap<String, Methods>,
    with_parameters: Route,
}

impl Paths {
    fn new(table: Table) -> Result<Self, MountError> {
        let mut paths = Self { plain: HashMap::new(), with_parameters: Route::new() };
        for (path, methods) in table {
            let methods = Methods::new(methods);
            if path.contains([':', '*', '<']) {
                let added =
                    paths.with_parameters.try_at(&path, BoxEndpoint::from(Box::new(methods)));
                paths.with_parameters = added.map_err(|why| MountError::bad_path(path, &why))?;
            } else {
                paths.plain.insert(path, methods);
            }
        }
        Ok(paths)
    }
}

impl Paths {
    fn call(&self, request: Request) -> BoxFuture<'_, Result<Response>> {
        match self.plain.get(request.uri().path()) {
            Some(methods) => methods.call(request),
            None => Box::pin(self.with_parameters.call(request)),
        }
    }
}

/// The answer, with every error and panic turned into a problem.
async fn caught(answer: impl Future<Output = Result<Response>>) -> Response {
    match AssertUnwindSafe(answer).catch_unwind().await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => {
            let id = error.data::<OperationId>().copied();
            let mut response = catch(error);
            if let Some(id) = id {
                response.set_data(id);
            }
            response
        }
        Err(_panic) => panic_answer(), // the hook of std has printed where
    }
}

/// The methods of one path. A method that is not there is refused with `Allow`.
struct Methods {
    endpoints: Vec<(Method, BoxEndpoint<'static>)>,
    allow: HeaderValue,
}

impl Methods {
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

/// As an endpoint that is boxed already, so that the request, which is large, is handed on and not kept.
impl DynEndpoint for Methods {
    type Output = Response;

    fn call(&self, request: Request) -> BoxFuture<'_, Result<Response>> {
        let is_head = *request.method() == Method::HEAD;
        let method = if is_head { &Method::GET } else { request.method() };
        let Some((_, endpoint)) = self.endpoints.iter().find(|(at, _)| at == method) else {
            let refusal = Failure::of(Code::MethodNotAllowed);
            let refusal = refusal.with_header(header::ALLOW, self.allow.clone());
            return Box::pin(ready(Err(refusal.into())));
        };
        DynEndpoint::call(&**endpoint, request) // hyper leaves out the body that answers HEAD
    }
}

/// What happens around every request: where it comes from, and the headers of every answer.
struct Edge {
    front: Arc<Front>,
    paths: Paths,
    ids: RequestIds,
    /// What every answer carries, unless it says otherwise itself.
    headers: HeaderMap,
    preflight: Preflight,
    warnings: SetupWarnings,
}

/// Browsers heed it at https and on loopback. Anywhere else they ignore it, with an error in the console.
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

/// What of a request is needed when it is answered.
struct Asked {
    begun: Instant,
    id: HeaderValue,
    parent: Option<HeaderValue>,
    /// The method and path, if all answers are logged for developers.
    line: Option<String>,
    logged: Option<LoggedRequest>,
    /// The other origin that may read the answer.
    reader: Option<HeaderValue>,
    browser: Option<BrowserRequest>,
    /// Does a browser on this machine show it?
    opens_on_loopback: bool,
    span: Span,
}

/// An answer that is there, or that an operation has begun to give.
enum Answer<'a> {
    Ready(Response),
    Begun(BoxFuture<'a, Result<Response>>),
}

impl Answer<'_> {
    async fn wait(self) -> Response {
        match self {
            Self::Ready(response) => response,
            Self::Begun(answer) => caught(answer).await,
        }
    }
}

/// As an endpoint that is boxed already: what is boxed does not hold the request, which is large, but only what is
/// needed when it is answered.
impl DynEndpoint for Edge {
    type Output = Response;

    fn call(&self, request: Request) -> BoxFuture<'_, Result<Response>> {
        let begun = Instant::now();
        let id = self.ids.next();
        let parent = trace::parent(&request);
        let line = tracing::enabled!(Level::DEBUG).then(|| trace::asked(&request));
        let logged = match self.front.request_log {
            RequestLog::Off => None,
            RequestLog::On => Some(LoggedRequest::from_request(&request)),
        };
        let reader = self.front.origins.allowed_origin(&request);
        let browser = BrowserRequest::of(&request);
        let opens_on_loopback = browser.is_some() && request::host::is_loopback(&request);
        let span = Span::none();
        let mut asked =
            Asked { begun, id, parent, line, logged, reader, browser, opens_on_loopback, span };
        // nothing that a safe method does is worth a line, unless all is
        if request.method().is_safe() && asked.line.is_none() {
            let answer = self.begin(request, asked.reader.is_some());
            return Box::pin(async move { Ok(self.complete(asked, answer.wait().await).await) });
        }
        let address = client_address(&self.front.proxies, &request);
        if let Some(proxy) = proxy_with_forwarded(&self.front.proxies, &request) {
            self.warnings.record_forwarded(&self.front.domain, proxy);
        }
        asked.span = trace::span(&asked.id, asked.parent.as_ref(), address);
        Box::pin(async move {
            let is_safe = request.method().is_safe();
            let answer = async { self.begin(request, asked.reader.is_some()).wait().await };
            let answer = answer.instrument(asked.span.clone());
            let response = if is_safe {
                answer.await
            } else {
                let request_id = asked.id.to_str().unwrap_or_default().to_owned();
                Cause { address, request_id }.of(answer).await
            };
            Ok(self.complete(asked, response).await)
        })
    }
}

impl Edge {
    /// The answer, before what every one carries.
    fn begin(&self, mut request: Request, may_read: bool) -> Answer<'_> {
        if let Some(failure) = self.refusal(&request) {
            return Answer::Ready(failure.as_response());
        }
        if may_read && cors::is_preflight(&request) {
            return Answer::Ready(self.preflight.answer());
        }
        request.set_data(Arc::clone(&self.front));
        // poem-openapi's own service puts it there for its `Query`
        let query: Vec<(String, String)> = match request.uri().query() {
            Some(_) => request.params().unwrap_or_default(),
            None => Vec::new(),
        };
        request.set_data(UrlQuery(query));
        Answer::Begun(self.paths.call(request))
    }

    /// The answer with what every one carries; it is counted, and logged if that is asked for.
    async fn complete(&self, asked: Asked, mut response: Response) -> Response {
        let Asked { begun, id, parent, line, logged, reader, browser, opens_on_loopback, span } =
            asked;
        if let Some(browser) = browser.filter(|_| response.status().as_u16() >= 400) {
            let id = id.to_str().unwrap_or_default();
            response = Box::pin(self.page_of(&browser, id, response)).await; // seldom, and large
        }
        let status = response.status().as_u16();
        if let Some(ErrorCause(cause)) = response.data() {
            let span =
                if span.is_none() { trace::span(&id, parent.as_ref(), None) } else { span.clone() };
            span.in_scope(|| tracing::error!(status, cause, "cannot answer"));
        }
        if let Some(asked) = line {
            span.in_scope(|| tracing::debug!(status, asked, "answered"));
        }
        self.add_headers(response.headers_mut(), id);
        if opens_on_loopback {
            let policy = HeaderValue::from_static("same-origin");
            response.headers_mut().entry(OPENER_POLICY).or_insert(policy);
        }
        if let Some(AlsoSet(cookie)) = response.data().cloned() {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
        if let Some(origin) = reader {
            cors::allow_reading(response.headers_mut(), origin);
        }
        let took = begun.elapsed();
        self.front.requests.count(&response, took);
        if let Some(logged) = logged {
            logged.log(status, took);
        }
        response
    }

    /// Adds the headers of every answer, where it has no other value itself.
    fn add_headers(&self, own: &mut HeaderMap, id: HeaderValue) {
        let has_type = own.contains_key(header::CONTENT_TYPE);
        let mut headers = self.headers.clone();
        headers.insert(REQUEST_ID, id);
        let own_ones = std::mem::replace(own, headers);
        own.extend(own_ones);
        if !has_type {
            own.remove(header::CONTENT_TYPE);
        }
    }

    /// What a browser gets in the place of a refusal.
    async fn page_of(&self, browser: &BrowserRequest, id: &str, refusal: Response) -> Response {
        let is_there = |path: &str| self.paths.plain.get(path).is_some_and(Methods::has_get);
        if refusal.status() == StatusCode::NOT_FOUND
            && browser.without_slash().is_some_and(is_there)
        {
            return browser.redirect_without_slash();
        }
        browser.show(&self.front, id, refusal).await
    }

    /// Why the request is not even looked at, if it is not.
    fn refusal(&self, request: &Request) -> Option<Failure> {
        if let Some(refusal) = self.front.hosts.refusal(request) {
            return Some(refusal);
        }
        let why = self.front.origins.check(request).err()?;
        let refusal = self.front.origins.refusal(&why);
        self.warnings.record_cross_origin(&self.front.domain, &why, &refusal);
        Some(refusal)
    }
}

fn headers_of_every_answer(front: &Front) -> HeaderMap {
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
    if front.is_secure {
        // of pages, and these may come from an embedder, too (ASVS 3.4.8)
        add(OPENER_POLICY, "same-origin");
        // two years, as the preload list asks for; subdomains are not ours to decide
        add(header::STRICT_TRANSPORT_SECURITY, "max-age=63072000");
    }
    headers
}

#[cfg(test)]
mod tests {
    use poem::EndpointExt;

    use super::*;

    #[tokio::test]
    async fn a_panic_is_answered_as_a_problem_that_tells_nothing() {
        let panics = poem::endpoint::make(|_| async {
            let canary = std::hint::black_box(Some("canary"));
            assert!(canary.is_none(), "canary");
            Ok::<_, poem::Error>(())
        });
        let panics = panics.map_to_response();
        let response = caught(panics.call(Request::default())).await;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(response.content_type(), Some(problem::PROBLEM_JSON));
        let body = response.into_body().into_string().await.unwrap();
        assert!(body.contains("internal_error") && !body.contains("canary"), "{body}");
    }
}
