//! The HTML pages. They work without JavaScript and say what the operations say.

mod accept;
mod next;
mod sign_in;

use std::sync::Arc;

use askama::Template;
use poem::http::{Method, StatusCode, header};
use poem::web::Html;
use poem::{Endpoint, EndpointExt, FromRequest, IntoResponse, Request, Response, Result, endpoint};

use super::body::{FORM, media_type};
use super::problem::{Code, Failure};
use super::{Front, Table};

/// The style of every page but `/docs`.
pub const STYLE: &str = include_str!("page.css");

/// What a page may load: its style. Forms go nowhere but here.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; \
    base-uri 'none'; frame-ancestors 'none'";

/// Does this operation answer a browser's form post with a page?
pub fn takes_forms(path: &str) -> bool {
    matches!(path, "/login" | "/register" | "/logout")
}

/// Adds the pages, and lets browsers' form posts to the operations go to them.
pub fn add(front: &Arc<Front>, table: &mut Table) {
    let mut page = |path: &str, endpoint| {
        table.entry(path.to_owned()).or_default().insert(Method::GET, endpoint);
    };
    page("/", sign_in::home(front));
    page("/login", sign_in::login_page(front));
    page("/register", sign_in::register_page(front));
    page("/account", sign_in::account_page(front));
    page("/problems/:code", endpoint::make(explain).map_to_response().boxed());
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

/// A form that a browser posts for a person, who wants to see a page.
fn is_a_browsers_form(request: &Request) -> bool {
    let is_form = request.header(header::CONTENT_TYPE).is_none()
        || media_type(request).is_some_and(|kind| kind == FORM);
    is_form && request.header(header::ACCEPT).is_some_and(accept::prefers_html)
}

/// A page with its status.
fn shown(status: StatusCode, page: &impl Template) -> Response {
    let html = page.render().expect("a template that compiled renders");
    let mut response = Html(html).with_status(status).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY.parse().expect("a header"));
    // the form that is posted next must say where it comes from
    headers.insert(header::REFERRER_POLICY, "same-origin".parse().expect("a header"));
    let opener = "cross-origin-opener-policy";
    headers.insert(opener, "same-origin".parse().expect("a header"));
    response
}

/// Go on there, by GET.
fn see_other(path: &str) -> Response {
    Response::builder().status(StatusCode::SEE_OTHER).header(header::LOCATION, path).finish()
}

#[derive(Template)]
#[template(path = "pages/problem.html")]
struct ProblemPage {
    name: &'static str,
    title: &'static str,
    status: u16,
    detail: &'static str,
}

/// What a problem's `type` leads to.
async fn explain(request: Request) -> Result<Response> {
    let name = poem::web::Path::<String>::from_request_without_body(&request).await?.0;
    let code = Code::named(&name).ok_or_else(|| Failure::of(Code::NotFound))?;
    Ok(shown(StatusCode::OK, &ProblemPage::of(code)))
}

impl ProblemPage {
    fn of(code: Code) -> Self {
        Self {
            name: code.name(),
            title: code.title(),
            status: code.status().as_u16(),
            detail: code.detail(),
        }
    }
}
