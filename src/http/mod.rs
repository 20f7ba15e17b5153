//! JSON, cookies, statuses. This floor, `app` and `server` are the only ones that name poem.

mod accounts;
mod body;
mod client;
mod cookie;
mod docs;
mod document;
mod guard;
mod health;
mod login;
mod origin;
mod pages;
mod password_text;
mod private;
mod problem;
mod sessions;
mod tokens;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use poem::endpoint::BoxEndpoint;
use poem::error::ResponseError;
use poem::http::uri::Authority;
use poem::http::{HeaderMap, HeaderName, HeaderValue, Method, Version, header};
use poem::middleware::CatchPanic;
use poem::{Endpoint, EndpointExt, Request, Response, Result, Route};
use poem_openapi::__private::UrlQuery;
use poem_openapi::{OpenApi, Tags};
use tracing::Level;

pub use self::cookie::SessionCookie;
pub use self::document::{document, served, yaml};
pub use self::origin::Origins;
use self::problem::{Code, Failure, Problem, Trouble};
use crate::domain::Domain;
use crate::secret::random_bytes;

/// What the operations stand on.
#[derive(Debug)]
pub struct Front {
    pub domain: Arc<Domain>,
    pub cookie: SessionCookie,
    pub origins: Origins,
    /// Is the public address https?
    pub is_secure: bool,
    /// Are the demo users there?
    pub is_demo: bool,
}

/// The groups of the document.
#[derive(Tags)]
enum Tag {
    /// Sign in, sign out, and the session in between.
    #[oai(rename = "Sessions")]
    Sessions,
    /// The accounts that sign in.
    #[oai(rename = "Accounts")]
    Accounts,
    /// What a session is for.
    #[oai(rename = "Private")]
    Private,
    /// For services that verify tokens of this one.
    #[oai(rename = "Keys")]
    Keys,
    /// For whoever carries the pager.
    #[oai(rename = "Health")]
    Health,
}

/// Every operation, in the order of the document.
type Operations = (
    login::LoginApi,
    accounts::AccountsApi,
    sessions::SessionsApi,
    private::PrivateApi,
    tokens::TokensApi,
    health::HealthApi,
);

fn operations(front: &Arc<Front>) -> Operations {
    (
        login::LoginApi(Arc::clone(front)),
        accounts::AccountsApi(Arc::clone(front)),
        sessions::SessionsApi(Arc::clone(front)),
        private::PrivateApi,
        tokens::TokensApi(Arc::clone(front)),
        health::HealthApi(Arc::clone(front)),
    )
}

/// Paths, their methods, and what answers.
type Table = HashMap<String, HashMap<Method, BoxEndpoint<'static>>>;

/// The whole service as one endpoint that always answers.
pub fn route(front: Arc<Front>) -> BoxEndpoint<'static, Response> {
    let mut table = Table::new();
    operations(&front).add_routes(&mut table);
    pages::add(&front, &mut table);
    docs::add(&front, &mut table);
    let route = table
        .into_iter()
        .fold(Route::new(), |route, (path, methods)| route.at(path, Methods::new(methods)));
    let edge = Edge { front: Arc::clone(&front), ids: Arc::new(RequestIds::new()) };
    let route = route
        .before(|mut request: Request| async move {
            // poem-openapi's own service puts it there for its `Query`
            let query: Vec<(String, String)> = match request.uri().query() {
                Some(_) => request.params().unwrap_or_default(),
                None => Vec::new(),
            };
            request.extensions_mut().insert(UrlQuery(query));
            Ok(request)
        })
        .data(front);
    caught(route)
        .around(move |endpoint, request| edge.clone().answer(endpoint, request))
        .map_to_response()
        .catch_all_error(|error| async move { problem::catch(&error) })
        .boxed()
}

/// The endpoint with every error and panic turned into a problem.
fn caught<E>(endpoint: E) -> impl Endpoint<Output = Response>
where
    E: Endpoint + 'static,
    E::Output: 'static,
{
    endpoint
        .with(CatchPanic::new().with_handler(|_| problem::panicked()))
        .catch_all_error(|error| async move { problem::catch(&error) })
}

/// The methods of one path. A method that is not there is refused with `Allow`.
struct Methods {
    endpoints: HashMap<Method, BoxEndpoint<'static>>,
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
        Self { endpoints, allow }
    }
}

impl Endpoint for Methods {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        let is_head = *request.method() == Method::HEAD;
        let method = if is_head { &Method::GET } else { request.method() };
        let Some(endpoint) = self.endpoints.get(method) else {
            let refusal = Failure::of(Code::MethodNotAllowed);
            return Err(refusal.with_header(header::ALLOW, self.allow.clone()).into());
        };
        endpoint.call(request).await // hyper leaves out the body that answers HEAD
    }
}

/// What happens around every request: where it comes from, and the headers of every answer.
#[derive(Clone)]
struct Edge {
    front: Arc<Front>,
    ids: Arc<RequestIds>,
}

/// Names for requests: 64 random bits of this process, and a count.
struct RequestIds {
    process: u64,
    count: AtomicU64,
}

impl RequestIds {
    fn new() -> Self {
        Self { process: u64::from_ne_bytes(random_bytes()), count: AtomicU64::new(0) }
    }

    fn next(&self) -> String {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        format!("{:016x}-{count:x}", self.process)
    }
}

/// A name or an address, and perhaps a port (RFC 3986, section 3.2, without a user).
fn is_host(host: &HeaderValue) -> bool {
    let is_authority = |text: &str| !text.contains('@') && text.parse::<Authority>().is_ok();
    host.to_str().is_ok_and(is_authority)
}

/// As many headers, and some of its own, an answer has.
const HEADERS: usize = 12;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

impl Edge {
    async fn answer<E>(self, endpoint: Arc<E>, request: Request) -> Result<Response>
    where
        E: Endpoint<Output = Response>,
    {
        let id = self.ids.next();
        let asked = tracing::enabled!(Level::DEBUG)
            .then(|| format!("{} {}", request.method(), request.uri().path()));
        let mut response = match self.refusal(&request) {
            None => endpoint.call(request).await?,
            Some(failure) => failure.as_response(),
        };
        let status = response.status().as_u16();
        if let Some(Trouble(what)) = response.data() {
            tracing::error!(id, status, "{what}");
        }
        if let Some(asked) = asked {
            tracing::debug!(id, status, asked, "answered");
        }
        response.headers_mut().reserve(HEADERS); // once, instead of growing twice
        let id = HeaderValue::try_from(id).expect("hexadecimal digits make a header");
        response.headers_mut().insert(REQUEST_ID, id);
        self.add_headers(response.headers_mut());
        Ok(response)
    }

    /// Why the request is not even looked at, if it is not.
    fn refusal(&self, request: &Request) -> Option<Failure> {
        // RFC 9112, section 3.2: before HTTP/1.1 there may be none
        let mut hosts = request.headers().get_all(header::HOST).iter();
        let is_fine = match (hosts.next(), hosts.next()) {
            (Some(host), None) => is_host(host),
            (None, _) => request.version() < Version::HTTP_11,
            (Some(_), Some(_)) => false,
        };
        if !is_fine {
            let detail = "Send exactly one `Host`.".to_owned();
            return Some(Problem { detail, ..Problem::of(Code::InvalidRequest) }.into());
        }
        (!self.front.origins.allow(request)).then(|| Failure::of(Code::CrossOrigin))
    }

    /// Adds what every answer carries, unless the answer says otherwise itself.
    fn add_headers(&self, headers: &mut HeaderMap) {
        let mut default = |name: HeaderName, value: &'static str| {
            headers.entry(name).or_insert(HeaderValue::from_static(value));
        };
        default(header::CACHE_CONTROL, "no-store");
        default(header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'");
        default(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
        default(header::REFERRER_POLICY, "no-referrer");
        default(HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
        default(header::VARY, origin::VARY);
        if self.front.is_secure {
            // two years, as the preload list asks for; subdomains are not ours to decide
            default(header::STRICT_TRANSPORT_SECURITY, "max-age=63072000");
        }
    }
}

#[cfg(test)]
mod tests {
    use poem::http::StatusCode;

    use super::*;

    #[tokio::test]
    async fn a_panic_is_answered_as_a_problem_that_tells_nothing() {
        let panics = poem::endpoint::make(|_| async {
            let canary = std::hint::black_box(Some("canary"));
            assert!(canary.is_none(), "canary");
            Ok::<_, poem::Error>(())
        });
        let response = caught(panics).get_response(Request::default()).await;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(response.content_type(), Some(problem::PROBLEM_JSON));
        let body = response.into_body().into_string().await.unwrap();
        assert!(body.contains("internal_error") && !body.contains("canary"), "{body}");
    }
}
