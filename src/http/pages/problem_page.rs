//! A problem as a page, and the pages that explain problem codes.

use std::sync::Arc;

use askama::Template;
use poem::FromRequest;
use poem::endpoint::BoxEndpoint;
use poem::http::StatusCode;

use super::branding::Branding;
use super::endpoints::page;
use super::next_step::NextStep;
use super::render::render;
use crate::http::problem::{ApiError, Code, Problem};
use crate::http::state::AppState;

#[derive(Template)]
#[template(path = "pages/problem.html")]
pub struct ProblemPage<'a> {
    pub site: &'a Branding,
    pub title: &'a str,
    pub detail: Vec<Part<'a>>,
    pub status: u16,
    /// The code, for developers. Pages for other users omit it.
    pub name: Option<&'static str>,
    pub next_step: Option<NextStep>,
}

impl<'a> ProblemPage<'a> {
    /// A page for a problem.
    pub fn of(site: &'a Branding, problem: &'a Problem) -> Self {
        let Problem { title, detail, status, .. } = problem;
        Self { site, title, detail: parts(detail), status: *status, name: None, next_step: None }
    }
}

/// A part of a sentence in which backticks mark code.
#[derive(Debug, PartialEq, Eq)]
pub struct Part<'a> {
    pub is_code: bool,
    pub text: &'a str,
}

/// Splits a sentence into its parts.
pub fn parts(sentence: &str) -> Vec<Part<'_>> {
    let pieces = sentence.split('`').enumerate();
    let parts = pieces.map(|(n, text)| Part { is_code: n % 2 == 1, text });
    parts.filter(|part| !part.text.is_empty()).collect()
}

/// The page that the `type` of a problem links to.
pub fn explanation(state: &Arc<AppState>) -> BoxEndpoint<'static> {
    page(state, |state, request| async move {
        let name = poem::web::Path::<String>::from_request_without_body(&request).await?.0;
        let code: Code = name.parse().map_err(|_| ApiError::of(Code::NotFound))?;
        let page = ProblemPage {
            site: &state.site,
            title: code.title(),
            detail: parts(code.explanation()),
            status: code.status().as_u16(),
            name: Some(code.name()),
            next_step: None,
        };
        Ok(render(StatusCode::OK, &page))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backticks_mark_code() {
        let code = |text| Part { is_code: true, text };
        let plain = |text| Part { is_code: false, text };
        assert_eq!(parts("See `Allow`."), [plain("See "), code("Allow"), plain(".")]);
        assert_eq!(parts("`a` and `b`"), [code("a"), plain(" and "), code("b")]);
        assert_eq!(parts("Nothing."), [plain("Nothing.")]);
        assert_eq!(parts(""), []);
    }
}
