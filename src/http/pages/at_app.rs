//! A page that a proxy shows at the address of an app. Paths of this service lead nowhere there, so its
//! links are absolute, and its stylesheet is part of it.

use askama::Template;
use poem::http::{HeaderValue, StatusCode, header};
use poem::{IntoResponse, Response, web::Html};

use super::branding::Branding;
use super::next_step::NextStep;
use super::problem_page::{Part, parts};
use crate::core::secret::random_id;
use crate::http::problem::Problem;
use crate::http::state::AppState;

#[derive(Template)]
#[template(path = "pages/at_app.html")]
struct AtApp<'a> {
    site: &'a Branding,
    home: String,
    nonce: &'a str,
    style: String,
    title: &'a str,
    detail: Vec<Part<'a>>,
    username: Option<&'a str>,
    next_step: NextStep,
}

/// The page for a problem, with the name of the signed-in user, if there is one.
pub fn render_at_app(
    state: &AppState,
    problem: &Problem,
    username: Option<&str>,
    next_step: NextStep,
) -> Response {
    let nonce = random_id();
    let page = AtApp {
        site: &state.site,
        home: state.apps.start_page(),
        nonce: &nonce,
        style: state.site.style(),
        title: &problem.title,
        detail: parts(&problem.detail),
        username,
        next_step,
    };
    let html = page.render().expect("a template that compiled renders");
    let status = StatusCode::from_u16(problem.status).expect("a problem's status is one");
    let mut response = Html(html).with_status(status).into_response();
    let policy = format!(
        "default-src 'none'; style-src 'nonce-{nonce}'; img-src data:; base-uri 'none'; \
         frame-ancestors 'none'; form-action 'none'"
    );
    let policy = HeaderValue::try_from(policy).expect("a random id is made of letters and digits");
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}
