//! What the session cookie of a request amounts to, and the refusals of a guard.

use std::sync::Arc;

use poem::Request;
use poem::http::{HeaderValue, header};

use super::problem::{ApiError, Code};
use super::request::cookie::CookieLookup;
use super::state::AppState;
use crate::core::error::InternalError;
use crate::domain::sessions::{AuthenticatedSession, Authentication, RefusedToken};

/// What the session cookie of a request amounts to.
#[derive(Debug)]
pub enum SessionCheck {
    SignedIn(Arc<AuthenticatedSession>),
    /// There is none.
    Missing,
    /// Another application's, or one that cannot be verified.
    NotOurs,
    /// This service's, and its session is not active.
    Refused(RefusedToken),
    /// Two that differ.
    Conflicting,
}

impl AppState {
    /// What the operations stand on. An operation that was never mounted has nothing to stand on:
    /// every request is refused, and the log says why here, since no other layer is around it.
    pub(super) fn of(request: &Request) -> Result<&Arc<Self>, ApiError> {
        request.data::<Arc<Self>>().ok_or_else(|| {
            tracing::error!("an operation asks who is signed in and is not under Cloakroom::mount");
            ApiError::of(Code::InternalError)
        })
    }

    /// Who calls, or 401: a cookie that is not valid counts as none.
    pub async fn forward_auth_user(
        &self,
        request: &Request,
    ) -> Result<Arc<AuthenticatedSession>, ApiError> {
        self.signed_in(request).await.map_err(|failure| match failure.problem.status {
            403 => self.not_authenticated(),
            _ => failure,
        })
    }

    /// Who calls, or the refusal: 401 without a cookie, 403 with one that does not count.
    pub async fn signed_in(
        &self,
        request: &Request,
    ) -> Result<Arc<AuthenticatedSession>, ApiError> {
        match self.check_session(request).await? {
            SessionCheck::SignedIn(who) => Ok(who),
            SessionCheck::Missing => Err(self.not_authenticated()),
            SessionCheck::Refused(token) => Err(self.session_refused(token)),
            SessionCheck::NotOurs | SessionCheck::Conflicting => {
                Err(ApiError::of(Code::SessionRefused)) // and the cookie is not ours to delete
            }
        }
    }

    /// The session cookie of a request. Two that differ are worth a line in the log: the operator can
    /// give the cookie another name.
    pub fn presented<'a>(&self, request: &'a Request) -> CookieLookup<'a> {
        let presented = self.cookie.of(request);
        if presented == CookieLookup::Conflicting {
            self.conflict_log.warn(self.cookie.name());
        }
        presented
    }

    /// What the session cookie of a request amounts to.
    pub async fn check_session(&self, request: &Request) -> Result<SessionCheck, InternalError> {
        let token = match self.presented(request) {
            CookieLookup::Missing => return Ok(SessionCheck::Missing),
            CookieLookup::Conflicting => return Ok(SessionCheck::Conflicting),
            CookieLookup::Found(token) => token,
        };
        Ok(match self.domain.sessions.recognise(token).await? {
            Authentication::SignedIn(who) => SessionCheck::SignedIn(who),
            Authentication::Refused(token) => SessionCheck::Refused(token),
            Authentication::NotOurs => SessionCheck::NotOurs,
        })
    }

    fn not_authenticated(&self) -> ApiError {
        let name = self.cookie.name();
        let challenge =
            format!(r#"Cookie realm="cloakroom", form-action="/login", cookie-name={name}"#);
        let challenge = HeaderValue::try_from(challenge).expect("a checked name makes a header");
        ApiError::of(Code::NotAuthenticated).with_header(header::WWW_AUTHENTICATE, challenge)
    }

    /// Refuses a token of ours. The client forgets it only if its session ended at least a minute ago:
    /// an answer that comes late must not delete the cookie of another session.
    pub fn session_refused(&self, token: RefusedToken) -> ApiError {
        let refused = ApiError::of(Code::SessionRefused);
        match token {
            RefusedToken::Ended => refused.with_header(header::SET_COOKIE, self.cookie.clearing()),
            RefusedToken::Recent => refused,
        }
    }
}
