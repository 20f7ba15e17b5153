//! The HTML pages. They work without JavaScript and say what the operations say.

mod accept;
mod account;
mod apps;
mod color;
mod forwarded;
mod moment;
mod next_step;
mod notice;
mod refusal;
mod said;
mod session_list;
mod sign_in;
mod signed_out;
mod site;
mod visitor;

use std::sync::Arc;

use askama::Template;
use poem::endpoint::{BoxEndpoint, DynEndpoint};
use poem::http::{HeaderValue, Method, StatusCode, header};
use poem::web::Html;
use poem::{
    Endpoint, EndpointExt, FromRequest, IntoResponse, Request, RequestBody, Response, Result,
    endpoint,
};

pub use self::apps::Apps;
pub use self::color::Color;
pub use self::refusal::BrowserRequest;
use self::refusal::ProblemPage;
pub use self::site::{Logo, Site};
use super::problem::{Code, Failure};
use super::request::media_type::BodyType;
use super::router::Table;
use super::state::Front;

/// What the pages gain by a script.
pub const SCRIPT: &str = include_str!("page.js");

/// What a page may load: its own files. Forms go nowhere but here; browsers ask this policy at every
/// redirect that answers a form, so no form of a page is answered by one to another origin.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    base-uri 'none'; frame-ancestors 'none'; form-action 'self'";

/// Does this operation answer a browser's form post with a page?
pub fn takes_forms(path: &str) -> bool {
    matches!(path, "/login" | "/register" | "/logout")
}

/// An endpoint that a fork shares among requests.
type Shared = Arc<dyn DynEndpoint<Output = Response>>;

/// Adds the pages, and lets browsers' form posts to the operations go to them.
pub fn add(front: &Arc<Front>, table: &mut Table) {
    let mut page = |method: Method, path: &str, endpoint| {
        table.entry(path.to_owned()).or_default().insert(method, endpoint);
    };
    for (path, endpoint) in [
        ("/", sign_in::home(front)),
        ("/login", sign_in::login_page(front)),
        ("/register", sign_in::register_page(front)),
        ("/signed-out", sign_in::signed_out_page(front)),
        ("/account", account::account_page(front)),
        ("/account/password", account::password_page(front)),
        ("/account/close", account::close_page(front)),
        ("/problems/:code", explanation(front)),
        ("/forward-auth/redirect", forwarded::endpoint(front)),
        ("/.well-known/change-password", change_password(front)),
    ] {
        page(Method::GET, path, endpoint);
    }
    for (path, endpoint) in [
        ("/account/sessions", account::sessions_posted(front)),
        ("/account/password", account::password_posted(front)),
        ("/account/close", account::close_posted(front)),
    ] {
        page(Method::POST, path, endpoint);
    }
    for (path, posted) in [
        ("/login", sign_in::login_posted(front)),
        ("/register", sign_in::register_posted(front)),
        ("/logout", sign_in::logout_posted(front)),
    ] {
        let methods = table.get_mut(path).expect("these operations are there");
        let operation = Arc::new(methods.remove(&Method::POST).expect("and take POST"));
        let fork = endpoint::make(move |request: Request| {
            // both sides are shared by all requests
            let (posted, operation) = (Arc::clone(&posted), Arc::clone(&operation));
            async move {
                if is_a_browsers_form(&request) {
                    posted.call(request).await
                } else {
                    operation.call(request).await
                }
            }
        });
        methods.insert(Method::POST, fork.boxed());
    }
}

/// An endpoint that shows a page.
fn page<Fut>(
    front: &Arc<Front>,
    show: impl Fn(Arc<Front>, Request) -> Fut + Send + Sync + 'static,
) -> BoxEndpoint<'static>
where
    Fut: Future<Output = Result<Response>> + Send + 'static,
{
    form(front, move |front, request, _| show(front, request))
}

/// An endpoint that takes a form and shows a page.
fn form<Fut>(
    front: &Arc<Front>,
    take: impl Fn(Arc<Front>, Request, RequestBody) -> Fut + Send + Sync + 'static,
) -> BoxEndpoint<'static>
where
    Fut: Future<Output = Result<Response>> + Send + 'static,
{
    let take = shared(front, take);
    let taken = endpoint::make(move |request: Request| {
        let take = Arc::clone(&take);
        async move { take.call(request).await }
    });
    taken.boxed()
}

/// The same, for a fork.
fn shared<Fut>(
    front: &Arc<Front>,
    take: impl Fn(Arc<Front>, Request, RequestBody) -> Fut + Send + Sync + 'static,
) -> Shared
where
    Fut: Future<Output = Result<Response>> + Send + 'static,
{
    let front = Arc::clone(front);
    Arc::new(endpoint::ToDynEndpoint(endpoint::make(move |request: Request| {
        let (request, body) = request.split();
        take(Arc::clone(&front), request, body)
    })))
}

/// A form that a browser posts for a person, who wants to see a page.
fn is_a_browsers_form(request: &Request) -> bool {
    let is_form =
        request.header(header::CONTENT_TYPE).is_none() || BodyType::of(request) == BodyType::Form;
    is_form && request.header(header::ACCEPT).is_some_and(accept::prefers_html)
}

/// A page with its status.
fn shown(status: StatusCode, page: &impl Template) -> Response {
    let html = page.render().expect("a template that compiled renders");
    let mut response = Html(html).with_status(status).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    response
}

/// Go on there, by GET.
fn see_other(path: &str) -> Response {
    Response::builder().status(StatusCode::SEE_OTHER).header(header::LOCATION, path).finish()
}

/// Where password managers lead, whatever the page is called (W3C, A Well-Known URL for Changing
/// Passwords).
fn change_password(front: &Arc<Front>) -> BoxEndpoint<'static> {
    page(front, |_, _| async move { Ok(see_other("/account/password")) })
}

/// What a problem's `type` leads to.
fn explanation(front: &Arc<Front>) -> BoxEndpoint<'static> {
    page(front, |front, request| async move {
        let name = poem::web::Path::<String>::from_request_without_body(&request).await?.0;
        let code = Code::named(&name).ok_or_else(|| Failure::of(Code::NotFound))?;
        let page = ProblemPage {
            site: &front.site,
            title: code.title(),
            detail: refusal::parts(code.explanation()),
            status: code.status().as_u16(),
            name: Some(code.name()),
            next_step: None,
        };
        Ok(shown(StatusCode::OK, &page))
    })
}
