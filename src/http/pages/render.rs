//! Renders pages and redirects as responses.

use askama::Template;
use poem::http::{HeaderValue, StatusCode, header};
use poem::web::Html;
use poem::{IntoResponse, Response};

/// A page may load only its own files, and submit forms only to this service. Browsers apply this
/// policy to redirects after a form, too, so no form of a page may redirect to another origin.
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

/// A redirect with GET.
pub fn see_other(path: &str) -> Response {
    Response::builder().status(StatusCode::SEE_OTHER).header(header::LOCATION, path).finish()
}
