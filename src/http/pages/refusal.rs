//! Refusals as pages, for a browser that shows a person what it gets. Programs get `problem+json`.

use askama::Template;
use poem::http::{Method, StatusCode, Uri, header};
use poem::{Request, Response};

use super::sign_in::SignedOutPage;
use super::{accept, shown};
use crate::http::guard::SessionCheck;
use crate::http::problem::{Code, Problem};
use crate::http::{Front, Site};

/// What a browser asked for, to answer it with a page.
#[derive(Debug)]
pub struct BrowserRequest {
    method: Method,
    uri: Uri,
    /// Is there no session that the sign-out page could end?
    has_nothing_to_end: bool,
}

#[derive(Template)]
#[template(path = "pages/problem.html")]
pub struct ProblemPage<'a> {
    pub site: &'a Site,
    pub title: &'a str,
    pub detail: Vec<Part<'a>>,
    pub status: u16,
    /// For developers; for everybody else it would say nothing.
    pub name: Option<&'static str>,
    /// Where to sign in, if that helps.
    pub sign_in: Option<String>,
}

/// Where a browser that opens the address of an operation can post.
#[derive(Template)]
#[template(path = "pages/sign_out.html")]
struct SignOutPage<'a> {
    site: &'a Site,
}

/// A part of a sentence in which backticks mark code.
#[derive(Debug, PartialEq, Eq)]
pub struct Part<'a> {
    pub is_code: bool,
    pub text: &'a str,
}

/// The parts of a sentence in their order.
pub fn parts(sentence: &str) -> Vec<Part<'_>> {
    let pieces = sentence.split('`').enumerate();
    let parts = pieces.map(|(n, text)| Part { is_code: n % 2 == 1, text });
    parts.filter(|part| !part.text.is_empty()).collect()
}

impl<'a> ProblemPage<'a> {
    /// A refusal, in words.
    pub fn of(site: &'a Site, problem: &'a Problem) -> Self {
        let Problem { title, detail, status, .. } = problem;
        Self { site, title, detail: parts(detail), status: *status, name: None, sign_in: None }
    }
}

impl BrowserRequest {
    /// `None` for a program, which wants JSON, and for a proxy that asks with its client's headers.
    pub async fn of(front: &Front, request: &Request) -> Option<Self> {
        let wants_page = request.header(header::ACCEPT).is_some_and(accept::prefers_html);
        let is_of_proxy = request.uri().path().starts_with("/forward-auth");
        let (method, uri) = (request.method(), request.uri());
        if !wants_page || is_of_proxy {
            return None;
        }
        let is_sign_out_page = uri.path() == "/logout" && method != Method::POST;
        let has_nothing_to_end = is_sign_out_page && has_no_session(front, request).await;
        Some(Self { method: method.clone(), uri: uri.clone(), has_nothing_to_end })
    }

    /// The path without the slash at its end, if this may be asked for there instead.
    pub fn without_slash(&self) -> Option<&str> {
        let is_safe = matches!(self.method, Method::GET | Method::HEAD);
        self.uri
            .path()
            .strip_suffix('/')
            .filter(|path| is_safe && !path.ends_with('/') && !path.is_empty())
    }

    /// Leads to the path without the slash, relative to this one: a proxy may have another prefix.
    pub fn redirect_without_slash(&self) -> Response {
        let path = self.without_slash().unwrap_or_default();
        let name = path.rsplit('/').next().unwrap_or_default();
        let query = self.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        let status = StatusCode::PERMANENT_REDIRECT;
        Response::builder()
            .status(status)
            .header(header::LOCATION, format!("../{name}{query}"))
            .finish()
    }

    /// The refusal as a page, with its status and headers. Any other answer stays as it is.
    pub fn show(&self, front: &Front, mut response: Response) -> Response {
        let Some(problem) = response.data::<Problem>().cloned() else { return response };
        let is = |code: Code| problem.code.0 == code.name();
        let page = if is(Code::MethodNotAllowed) && self.uri.path() == "/logout" {
            if self.has_nothing_to_end {
                shown(response.status(), &SignedOutPage::not_signed_in(&front.site))
            } else {
                shown(response.status(), &SignOutPage { site: &front.site })
            }
        } else {
            // two session cookies, which have a title of their own, are refused at the sign-in page, too
            let is_ended =
                is(Code::SessionRefused) && problem.title == Code::SessionRefused.title();
            let helps = is(Code::NotAuthenticated) || is_ended;
            let sign_in = helps.then(|| self.sign_in(front));
            shown(
                response.status(),
                &ProblemPage { sign_in, ..ProblemPage::of(&front.site, &problem) },
            )
        };
        response.headers_mut().remove(header::CONTENT_TYPE);
        let own = std::mem::take(response.headers_mut());
        *response.headers_mut() = page.headers().clone();
        response.headers_mut().extend(own);
        response.set_body(page.into_body());
        response
    }

    /// The path of the sign-in page, which leads back here.
    fn sign_in(&self, front: &Front) -> String {
        let path = self.uri.path_and_query().map_or("/", |path| path.as_str());
        let next = front.apps.next(path).filter(|_| self.method == Method::GET);
        let Some(next) = next else { return "/login".to_owned() };
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        format!("/login?{}", query.append_pair("next", &next).finish())
    }
}

/// Two cookies that differ may both stand for a session, and so may one while the database is away.
async fn has_no_session(front: &Front, request: &Request) -> bool {
    match front.check_session(request).await {
        Ok(SessionCheck::Missing | SessionCheck::NotOurs | SessionCheck::Refused(_)) => true,
        Ok(SessionCheck::SignedIn(_) | SessionCheck::Conflicting) | Err(_) => false,
    }
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
