//! Who looks at a page, and the page for a browser that sends two session cookies.

use std::sync::Arc;

use poem::http::{HeaderValue, header};
use poem::{Request, Response};

use super::render::see_other;
use crate::domain::sessions::{RefusedToken, SignedInAs};
use crate::http::problem::{Code, Failure, Problem};
use crate::http::request::cookie::Presented;
use crate::http::session_check::SessionCheck;
use crate::http::state::Front;

/// Who looks at a page.
pub enum Visitor {
    SignedIn(Arc<SignedInAs>),
    Anonymous(StaleCookie),
}

/// The header that makes a browser forget the cookie of a session that ended at least a minute ago, if
/// it sent one.
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
            Self::Anonymous(stale) => stale.delete_in(response),
        }
    }

    /// The error is the answer: to a browser that sends two different session cookies a page that says
    /// so, since a redirect to the sign-in page would lead back here.
    pub async fn of(front: &Front, request: &Request) -> Result<Self, Failure> {
        Ok(match front.check_session(request).await? {
            SessionCheck::SignedIn(who) => Self::SignedIn(who),
            SessionCheck::Conflicting => return Err(conflicting_cookies(front)),
            SessionCheck::Missing
            | SessionCheck::NotOurs
            | SessionCheck::Refused(RefusedToken::Recent) => Self::Anonymous(StaleCookie(None)),
            SessionCheck::Refused(RefusedToken::Ended) => {
                Self::Anonymous(StaleCookie(Some(front.cookie.clearing())))
            }
        })
    }
}

/// Refuses a form that would set a session cookie next to two others: the next page could not tell
/// which one counts.
pub fn refuse_conflicting_cookies(front: &Front, request: &Request) -> Result<(), Failure> {
    match front.presented(request) {
        Presented::Contradiction => Err(conflicting_cookies(front)),
        Presented::Nothing | Presented::Token(_) => Ok(()),
    }
}

/// The refusal of a request with two different session cookies.
pub fn conflicting_cookies(front: &Front) -> Failure {
    let name = front.cookie.name();
    let detail = format!(
        "Your browser sends two different cookies named `{name}`, so this service cannot tell which one \
         is yours. Delete the cookies of this site and of the sites around it in the settings of your \
         browser, then sign in again. If this page comes back, another application on this host or on \
         its parent domain uses the same name: tell the operator, who can choose another one for this \
         service (setting `cookie.name`)."
    );
    let title = "Two session cookies".to_owned();
    Problem { title, detail, ..Problem::of(Code::SessionRefused) }.into()
}

/// Who is signed in; for everybody else the way to the sign-in page, which leads back `here`.
pub async fn require_session(
    front: &Front,
    request: &Request,
    here: &str,
) -> Result<Result<Arc<SignedInAs>, Response>, Failure> {
    Ok(match Visitor::of(front, request).await? {
        Visitor::SignedIn(who) => Ok(who),
        Visitor::Anonymous(stale) => {
            Err(stale.delete_in(see_other(&format!("/login?next={here}"))))
        }
    })
}
