//! The visitor of a page, and the page for a browser that sends two different session cookies.

use std::sync::Arc;

use poem::http::{HeaderValue, header};
use poem::{Request, Response};

use super::next_step::NextStep;
use super::render::see_other;
use crate::domain::sessions::{AuthenticatedSession, RefusedToken};
use crate::http::problem::{ApiError, Code, Problem};
use crate::http::request::cookie::CookieLookup;
use crate::http::session_check::SessionCheck;
use crate::http::state::AppState;

/// The visitor of a page.
pub enum Visitor {
    SignedIn(Arc<AuthenticatedSession>),
    Anonymous(StaleCookie),
}

/// The header that deletes the cookie of a session that ended at least a minute ago, if the browser
/// sent one.
pub struct StaleCookie(Option<HeaderValue>);

impl StaleCookie {
    pub fn delete_in(self, mut response: Response) -> Response {
        if let Some(deletion) = self.0 {
            response.headers_mut().append(header::SET_COOKIE, deletion);
        }
        response
    }
}

impl Visitor {
    /// The user name of the session, if there is one.
    pub fn username(&self) -> Option<&str> {
        match self {
            Self::SignedIn(who) => Some(who.account.username.as_str()),
            Self::Anonymous(_) => None,
        }
    }

    pub fn delete_stale_cookie_in(self, response: Response) -> Response {
        match self {
            Self::SignedIn(_) => response,
            Self::Anonymous(cookie) => cookie.delete_in(response),
        }
    }

    /// Authenticates the visitor. The error is a page for a browser that sends two different
    /// session cookies: a redirect to the sign-in page would lead back here.
    pub async fn of(state: &AppState, request: &Request) -> Result<Self, ApiError> {
        Ok(match state.check_session(request).await? {
            SessionCheck::SignedIn(who) => Self::SignedIn(who),
            SessionCheck::Conflicting => return Err(conflicting_cookies(state)),
            SessionCheck::Missing
            | SessionCheck::NotOurs
            | SessionCheck::Refused(RefusedToken::Recent) => Self::Anonymous(StaleCookie(None)),
            SessionCheck::Refused(RefusedToken::Ended) => {
                Self::Anonymous(StaleCookie(Some(state.cookie.clearing())))
            }
        })
    }
}

/// Refuses a form from a browser that already sends two different session cookies: with a third,
/// the next page could not tell which one counts.
pub fn refuse_conflicting_cookies(state: &AppState, request: &Request) -> Result<(), ApiError> {
    match state.find_cookie(request) {
        CookieLookup::Conflicting => Err(conflicting_cookies(state)),
        CookieLookup::Missing | CookieLookup::Found(_) => Ok(()),
    }
}

/// The refusal of a request with two different session cookies.
pub fn conflicting_cookies(state: &AppState) -> ApiError {
    let name = state.cookie.name();
    let detail = format!(
        "Your browser sends two different cookies named `{name}`, so this service does not know \
         which one belongs to your session. In the settings of your browser, delete the cookies \
         of this site and of its parent domain, then sign in again. If this page appears again, \
         another application on this host or on its parent domain uses the same cookie name. Tell \
         the operator of this service, who can set another name with `cookie.name`."
    );
    let title = "Two session cookies".to_owned();
    Problem { title, detail, ..Problem::of(Code::SessionRefused) }.into()
}

/// The session of the visitor, or a redirect to the sign-in page, which leads back to `here`.
pub async fn require_session(
    state: &AppState,
    request: &Request,
    here: &str,
) -> Result<Result<Arc<AuthenticatedSession>, Response>, ApiError> {
    Ok(match Visitor::of(state, request).await? {
        Visitor::SignedIn(who) => Ok(who),
        Visitor::Anonymous(cookie) => {
            Err(cookie.delete_in(see_other(&NextStep::sign_in(Some(here)).href)))
        }
    })
}
