//! The outer endpoint: what happens before and after every operation and page.

use std::sync::Arc;
use std::time::Instant;

use futures_util::future::BoxFuture;
use poem::endpoint::DynEndpoint;
use poem::error::ResponseError;
use poem::http::{HeaderMap, HeaderValue, StatusCode, header};
use poem::{Request, Response, Result};
use poem_openapi::OpenApi;
use tracing::{Instrument, Level, Span};

use super::extra_cookie::ExtraCookie;
use super::pages::BrowserRequest;
use super::problem::ApiError;
use super::problem::catch::catch_panic;
use super::problem::error::ErrorCause;
use super::request::client_address::{client_address, proxy_with_forwarded};
use super::request::context::request_context;
use super::request::cors::{self, Preflight};
use super::request::host::is_loopback;
use super::request::id::{REQUEST_ID, RequestIds};
use super::request::query::provide_query;
use super::request::trace::{self, LoggedRequest, RequestLog};
use super::response_headers::{OPENER_POLICY, common_headers};
use super::router::{InvalidPath, RouteTable, Router};
use super::setup_warnings::SetupWarnings;
use super::state::AppState;
use crate::domain::audit::context::RequestContext;

/// Wraps the router: checks the host and the origin of each request, and adds the headers of each
/// response.
pub struct OuterEndpoint {
    state: Arc<AppState>,
    router: Router,
    ids: RequestIds,
    /// The default headers of every response.
    headers: HeaderMap,
    preflight: Preflight,
    warnings: SetupWarnings,
}

/// The parts of a request that are needed when it is answered.
struct RequestSummary {
    begun: Instant,
    id: HeaderValue,
    parent: Option<HeaderValue>,
    /// The method and path, if all responses are logged for debugging.
    line: Option<String>,
    logged: Option<LoggedRequest>,
    /// The allowed origin that may read the response.
    reader: Option<HeaderValue>,
    browser: Option<BrowserRequest>,
    /// Whether a browser on this machine shows the response.
    opens_on_loopback: bool,
    span: Span,
}

/// A response that is ready, or the future of an operation.
enum Answer<'a> {
    Ready(Response),
    Begun(BoxFuture<'a, Result<Response>>),
}

impl Answer<'_> {
    async fn wait(self) -> Response {
        match self {
            Self::Ready(response) => response,
            Self::Begun(answer) => catch_panic(answer).await,
        }
    }
}

impl OuterEndpoint {
    /// Wraps the routes of a table. `T` contains the operations of the embedding service.
    pub fn new<T: OpenApi>(state: Arc<AppState>, table: RouteTable) -> Result<Self, InvalidPath> {
        Ok(Self {
            headers: common_headers(&state),
            preflight: Preflight::of::<T>(&table),
            router: Router::new(table)?,
            ids: RequestIds::new(),
            warnings: SetupWarnings::default(),
            state,
        })
    }
}

/// Implements the boxed form of an endpoint, so that the box does not contain the request, which is
/// large, but only what is needed for the response.
impl DynEndpoint for OuterEndpoint {
    type Output = Response;

    fn call(&self, mut request: Request) -> BoxFuture<'_, Result<Response>> {
        let begun = Instant::now();
        let id = self.ids.next();
        let parent = trace::parent(&request);
        let line = tracing::enabled!(Level::DEBUG).then(|| trace::describe_request(&request));
        let logged = match self.state.request_log {
            RequestLog::Off => None,
            RequestLog::On => Some(LoggedRequest::from_request(&request)),
        };
        let reader = self.state.origins.allowed_origin(&request);
        let browser = BrowserRequest::of(&request);
        let opens_on_loopback = browser.is_some() && is_loopback(&request);
        let span = Span::none();
        let mut asked = RequestSummary {
            begun,
            id,
            parent,
            line,
            logged,
            reader,
            browser,
            opens_on_loopback,
            span,
        };
        // A safe request is not logged, unless all requests are.
        if request.method().is_safe() && asked.line.is_none() {
            let answer = self.begin(request, asked.reader.is_some());
            return Box::pin(async move { Ok(self.complete(asked, answer.wait().await).await) });
        }
        let address = client_address(&self.state.proxies, &request);
        if let Some(proxy) = proxy_with_forwarded(&self.state.proxies, &request) {
            self.warnings.record_forwarded(self.state.domain.audit.outside_requests(), proxy);
        }
        asked.span = trace::span(&asked.id, asked.parent.as_ref(), address);
        if !request.method().is_safe() {
            let request_id = asked.id.to_str().ok().map(str::to_owned);
            request.set_data(RequestContext { address, request_id });
        }
        Box::pin(async move {
            let answer = async { self.begin(request, asked.reader.is_some()).wait().await };
            let response = answer.instrument(asked.span.clone()).await;
            Ok(self.complete(asked, response).await)
        })
    }
}

impl OuterEndpoint {
    /// Starts the response, without the common headers.
    fn begin(&self, mut request: Request, may_read: bool) -> Answer<'_> {
        if let Some(failure) = self.refusal(&request) {
            return Answer::Ready(failure.as_response());
        }
        if may_read && cors::is_preflight(&request) {
            return Answer::Ready(self.preflight.answer());
        }
        request.set_data(Arc::clone(&self.state));
        provide_query(&mut request);
        Answer::Begun(self.router.call(request))
    }

    /// Completes the response: adds the common headers, counts the request, and logs it if that is
    /// enabled.
    async fn complete(&self, asked: RequestSummary, mut response: Response) -> Response {
        let RequestSummary {
            begun,
            id,
            parent,
            line,
            logged,
            reader,
            browser,
            opens_on_loopback,
            span,
        } = asked;
        if let Some(browser) = browser.filter(|_| response.status().as_u16() >= 400) {
            let id = id.to_str().unwrap_or_default();
            response = Box::pin(self.page_of(&browser, id, response)).await; // rare, and large
        }
        let status = response.status().as_u16();
        if let Some(ErrorCause(cause)) = response.data() {
            let span =
                if span.is_none() { trace::span(&id, parent.as_ref(), None) } else { span.clone() };
            span.in_scope(|| tracing::error!(status, cause, "request failed"));
        }
        if let Some(asked) = line {
            span.in_scope(|| tracing::debug!(status, asked, "answered"));
        }
        self.add_headers(response.headers_mut(), id);
        if opens_on_loopback {
            let policy = HeaderValue::from_static("same-origin");
            response.headers_mut().entry(OPENER_POLICY).or_insert(policy);
        }
        if let Some(ExtraCookie(cookie)) = response.data().cloned() {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
        if let Some(origin) = reader {
            cors::allow_reading(response.headers_mut(), origin);
        }
        let took = begun.elapsed();
        self.state.requests.count(&response, took);
        if let Some(logged) = logged {
            logged.log(status, took);
        }
        response
    }

    /// Adds the common headers, unless the response has its own value.
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

    /// The page for a browser instead of a problem.
    async fn page_of(&self, browser: &BrowserRequest, id: &str, refusal: Response) -> Response {
        let is_there = |path: &str| self.router.has_get(path);
        if refusal.status() == StatusCode::NOT_FOUND
            && browser.without_slash().is_some_and(is_there)
        {
            return browser.redirect_without_slash();
        }
        browser.show(&self.state, id, refusal).await
    }

    /// Refuses a request with an unknown host or a foreign origin.
    fn refusal(&self, request: &Request) -> Option<ApiError> {
        if let Some(refusal) = self.state.hosts.refusal(request) {
            return Some(refusal);
        }
        let why = self.state.origins.check(request).err()?;
        let refusal = self.state.origins.refusal(&why);
        let context = request_context(request);
        let audit = self.state.domain.audit.during(&context);
        self.warnings.record_cross_origin(audit, &why, &refusal);
        Some(refusal)
    }
}
