//! A page or a redirect as a response.

use askama::Template;
use poem::http::{HeaderValue, StatusCode, header};
use poem::web::Html;
use poem::{IntoResponse, Response};

/// What a page may load: its own files. Forms go nowhere but here; browsers ask this policy at every
/// redirect that answers a form, so no form of a page is answered by one to another origin.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    base-uri 'none'; frame-ancestors 'none'; form-action 'self'";

/// A page with its status.
pub fn render(status: StatusCode, page: &impl Template) -> Response {
    let html = page.render().expect("a template that compiled renders");
    let mut response = Html(html).with_status(status).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    response
}

/// Go on there, by GET.
pub fn see_other(path: &str) -> Response {
    Response::builder().status(StatusCode::SEE_OTHER).header(header::LOCATION, path).finish()
}
