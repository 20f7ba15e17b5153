//! Shows problems as pages to browsers. Programs get `problem+json`.

use std::borrow::Cow;

use askama::Template;
use poem::http::{HeaderValue, Method, StatusCode, Uri, header};
use poem::{Request, Response};

use super::branding::Branding;
use super::content_negotiation;
use super::next_step::NextStep;
use super::problem_page::{ProblemPage, parts};
use super::render::render;
use super::signed_out::SignedOutPage;
use crate::core::error::InternalError;
use crate::http::problem::{Code, Problem};
use crate::http::session_check::SessionCheck;
use crate::http::state::AppState;

/// The parts of a browser's request that are needed to show a page.
#[derive(Debug)]
pub struct BrowserRequest {
    method: Method,
    uri: Uri,
    /// The header `Cookie`, because the page's next step depends on the session.
    cookies: Vec<HeaderValue>,
}

/// A page with a button, for a browser that opens the URL of the operation `logout`.
#[derive(Template)]
#[template(path = "pages/sign_out.html")]
struct SignOutPage<'a> {
    site: &'a Branding,
}

/// The title and text of a page. The `detail` of some problems is for programs, and names things
/// that browsers do not show, such as headers.
struct Wording {
    title: Cow<'static, str>,
    detail: String,
}

impl BrowserRequest {
    /// `None` for a program, which expects JSON, and for a proxy that forwards its client's
    /// headers.
    pub fn of(request: &Request) -> Option<Self> {
        let wants_page =
            request.header(header::ACCEPT).is_some_and(content_negotiation::prefers_html);
        let is_of_proxy = request.uri().path().starts_with("/forward-auth");
        let (method, uri) = (request.method(), request.uri());
        if !wants_page || is_of_proxy {
            return None;
        }
        let cookies = request.headers().get_all(header::COOKIE).iter().cloned().collect();
        Some(Self { method: method.clone(), uri: uri.clone(), cookies })
    }

    /// The path without its trailing slash, if the request can be redirected there.
    pub fn without_slash(&self) -> Option<&str> {
        let is_safe = matches!(self.method, Method::GET | Method::HEAD);
        self.uri
            .path()
            .strip_suffix('/')
            .filter(|path| is_safe && !path.ends_with('/') && !path.is_empty())
    }

    /// Redirects to the path without the slash. The URL is relative, because a proxy may add a
    /// prefix.
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

    /// Replaces a problem by a page with the same status and headers. Other responses stay as they
    /// are.
    pub async fn show(&self, state: &AppState, id: &str, mut response: Response) -> Response {
        let Some(problem) = response.data::<Problem>().cloned() else { return response };
        let page = if problem.is(Code::MethodNotAllowed) && self.uri.path() == "/logout" {
            self.show_sign_out(state, response.status()).await
        } else {
            let Wording { title, detail } = self.wording(&problem, id);
            let next_step = self.next_step(state, &problem).await;
            let page = ProblemPage {
                title: &title,
                detail: parts(&detail),
                next_step,
                ..ProblemPage::of(&state.site, &problem)
            };
            render(response.status(), &page)
        };
        response.headers_mut().remove(header::CONTENT_TYPE);
        let own = std::mem::take(response.headers_mut());
        *response.headers_mut() = page.headers().clone();
        response.headers_mut().extend(own);
        response.set_body(page.into_body());
        response
    }

    /// Shows the button that ends the session, if there may be a session. Each of two different
    /// cookies may belong to a session, and so may a cookie while the database is unavailable.
    async fn show_sign_out(&self, state: &AppState, status: StatusCode) -> Response {
        match self.check_session(state).await {
            Ok(SessionCheck::Missing | SessionCheck::NotOurs | SessionCheck::Refused(_)) => {
                render(status, &SignedOutPage::not_signed_in(&state.site))
            }
            Ok(SessionCheck::SignedIn(_) | SessionCheck::Conflicting) | Err(_) => {
                render(status, &SignOutPage { site: &state.site })
            }
        }
    }

    fn wording(&self, problem: &Problem, id: &str) -> Wording {
        let is_get = self.method == Method::GET || self.method == Method::HEAD;
        let (title, detail) = if problem.is(Code::NotAuthenticated) {
            ("Sign-in required", "Sign in to see this page.".to_owned())
        } else if problem.is_ended_session() {
            let detail = "Your session has ended or is not valid. Sign in again to continue.";
            ("Sign in again", detail.to_owned())
        } else if problem.is(Code::ConfirmationRequired) {
            let detail = "This requires your password, because you entered it more than 15 minutes \
                          ago. Confirm it, then try again.";
            ("Confirm your password", detail.to_owned())
        } else if problem.is(Code::MethodNotAllowed) && is_get {
            let detail = "There is no page at this address. Only forms and programs use it.";
            ("No page here", detail.to_owned())
        } else if problem.is(Code::UnknownHost) {
            let detail = "The host name in the address does not belong to this service. Check the \
                          address. If it is correct, the operator of this service must set it as \
                          `public_url`, or add the host name to `allowed_hosts`.";
            ("Not this service", detail.to_owned())
        } else if problem.is(Code::PayloadTooLarge) {
            let detail =
                "The form is too large. Go back, shorten your input, and send the form again.";
            ("Too large", detail.to_owned())
        } else if problem.is(Code::InternalError) {
            let detail = format!(
                "Something went wrong in this service. If this happens again, tell the operator \
                 of this service the time and the ID of this request: `{id}`."
            );
            ("Internal error", detail)
        } else {
            let (title, detail) = (problem.title.clone(), problem.detail.clone());
            return Wording { title: title.into(), detail };
        };
        Wording { title: title.into(), detail }
    }

    /// The button that a page about a problem offers.
    async fn next_step(&self, state: &AppState, problem: &Problem) -> Option<NextStep> {
        if problem.is(Code::UnknownHost) {
            return None; // every page under this host is refused
        }
        if problem.is(Code::CrossOrigin) {
            return Some(NextStep::service(&state.origins));
        }
        if problem.is(Code::NotAuthenticated) || problem.is_ended_session() {
            return Some(NextStep::sign_in(self.address(state).as_deref()));
        }
        if problem.is(Code::ConfirmationRequired) {
            return Some(NextStep::confirm(self.address(state).as_deref()));
        }
        if problem.is(Code::SessionRefused) {
            return Some(NextStep::try_again("/".to_owned())); // one cookie has to go first
        }
        if problem.is(Code::ResetRefused) && state.domain.outbox.has_server() {
            return Some(NextStep::request_link());
        }
        if problem.status >= 500
            && let Some(address) = self.address(state)
        {
            return Some(NextStep::try_again(address));
        }
        Some(match self.check_session(state).await {
            Ok(SessionCheck::SignedIn(_)) => NextStep::account(),
            Ok(
                SessionCheck::Missing
                | SessionCheck::NotOurs
                | SessionCheck::Refused(_)
                | SessionCheck::Conflicting,
            )
            | Err(_) => NextStep::sign_in(None),
        })
    }

    async fn check_session(&self, state: &AppState) -> Result<SessionCheck, InternalError> {
        let mut request = Request::default();
        for cookie in &self.cookies {
            request.headers_mut().append(header::COOKIE, cookie.clone());
        }
        state.check_session(&request).await
    }

    /// The URL to return to, if the request was a `GET`.
    fn address(&self, state: &AppState) -> Option<String> {
        let path = self.uri.path_and_query().map_or("/", |path| path.as_str());
        state.apps.next(path).filter(|_| self.method == Method::GET)
    }
}

impl Problem {
    fn is(&self, code: Code) -> bool {
        self.code.0 == code.name()
    }

    /// Whether the session has ended. Two different session cookies have the same code, but another
    /// title, and the sign-in page refuses them, too.
    fn is_ended_session(&self) -> bool {
        self.is(Code::SessionRefused) && self.title == Code::SessionRefused.title()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_internal_error_names_the_request_for_the_operator() {
        let request = Request::builder().header("accept", "text/html").finish();
        let browser = BrowserRequest::of(&request).unwrap();
        let wording = browser.wording(&Problem::of(Code::InternalError), "0123-1");
        assert!(wording.detail.contains("the ID of this request: `0123-1`."));
    }
}
