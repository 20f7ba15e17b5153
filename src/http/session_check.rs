//! Checks the session cookie of a request, and defines the errors of the guards.

use std::sync::Arc;

use poem::Request;
use poem::http::{HeaderValue, header};

use super::problem::{ApiError, Code, Problem};
use super::request::client_address::client_address;
use super::request::cookie::CookieLookup;
use super::state::AppState;
use crate::core::error::InternalError;
use crate::domain::accounts::Account;
use crate::domain::audit::context::{Credential, RequestContext};
use crate::domain::sessions::{AuthenticatedSession, Authentication, RefusedToken};

/// The result of checking the session cookie of a request.
#[derive(Debug)]
pub enum SessionCheck {
    SignedIn(Arc<AuthenticatedSession>),
    /// The request has no session cookie.
    Missing,
    /// A cookie of another application, or one that cannot be verified.
    NotOurs,
    /// This service issued the cookie, but its session is not active.
    Refused(RefusedToken),
    /// Two different session cookies.
    Conflicting,
}

impl From<Authentication> for SessionCheck {
    fn from(authentication: Authentication) -> Self {
        match authentication {
            Authentication::SignedIn(who) => Self::SignedIn(who),
            Authentication::Refused(token) => Self::Refused(token),
            Authentication::NotOurs => Self::NotOurs,
        }
    }
}

impl AppState {
    /// The state that the outer endpoint attached to the request. If an operation was never
    /// mounted, there is none: every request fails, and the reason is logged here, because the
    /// outer endpoint is missing.
    pub(super) fn of(request: &Request) -> Result<&Arc<Self>, ApiError> {
        request.data::<Arc<Self>>().ok_or_else(|| {
            tracing::error!(
                "an operation has a guard of Cloakroom but is not mounted with Cloakroom::mount"
            );
            ApiError::of(Code::InternalError)
        })
    }

    /// The session of the request. Otherwise 401 without a cookie, 403 with an invalid one.
    pub async fn signed_in(
        &self,
        request: &Request,
    ) -> Result<Arc<AuthenticatedSession>, ApiError> {
        self.require_session(self.check_session(request).await?)
    }

    /// The session of the request as the database has it, which the cache may not know yet.
    /// Otherwise the same errors.
    pub async fn signed_in_uncached(
        &self,
        request: &Request,
    ) -> Result<Arc<AuthenticatedSession>, ApiError> {
        let check = match self.find_token(request) {
            Ok(token) => self.domain.sessions.authenticate_uncached(token).await?.into(),
            Err(check) => check,
        };
        self.require_session(check)
    }

    fn require_session(&self, check: SessionCheck) -> Result<Arc<AuthenticatedSession>, ApiError> {
        match check {
            SessionCheck::SignedIn(who) => Ok(who),
            SessionCheck::Missing => Err(self.not_authenticated()),
            SessionCheck::Refused(token) => Err(self.session_refused(token)),
            SessionCheck::NotOurs | SessionCheck::Conflicting => {
                Err(ApiError::of(Code::SessionRefused)) // the cookie is not ours to delete
            }
        }
    }

    /// Requires the account to have one of the roles, if there are any. A refusal is recorded.
    pub fn require_role<R: AsRef<str>>(
        &self,
        request: &Request,
        (account, by): (&Account, Credential<'_>),
        needed: &[R],
    ) -> Result<(), ApiError> {
        let roles = &account.roles;
        if needed.is_empty() || needed.iter().any(|role| roles.contains(role.as_ref())) {
            return Ok(());
        }
        let context = self.refusal_context(request);
        self.domain.audit.during(&context).record_role_refused(&account.id, by);
        Err(Problem::role_needed(needed).into())
    }

    /// The context of a request that is refused. The outer endpoint attaches none to a safe request,
    /// most of which cause no event.
    pub(super) fn refusal_context(&self, request: &Request) -> RequestContext {
        let attached = request.data::<RequestContext>().cloned();
        let address = || client_address(&self.proxies, request);
        attached.unwrap_or_else(|| RequestContext { address: address(), request_id: None })
    }

    /// Whether a session counts as confirmed.
    pub fn is_confirmed(&self, who: &AuthenticatedSession) -> bool {
        who.session.confirmed_until(self.domain.clock.now()).is_some()
    }

    /// The session cookie of a request. Two different ones are logged, because the operator can
    /// rename the cookie.
    pub fn find_cookie<'a>(&self, request: &'a Request) -> CookieLookup<'a> {
        let presented = self.cookie.of(request);
        if presented == CookieLookup::Conflicting {
            self.conflict_log.warn(self.cookie.name());
        }
        presented
    }

    /// Checks the session cookie of a request.
    pub async fn check_session(&self, request: &Request) -> Result<SessionCheck, InternalError> {
        Ok(match self.find_token(request) {
            Ok(token) => self.domain.sessions.authenticate(token).await?.into(),
            Err(check) => check,
        })
    }

    /// The token in the session cookie of a request.
    fn find_token<'a>(&self, request: &'a Request) -> Result<&'a str, SessionCheck> {
        match self.find_cookie(request) {
            CookieLookup::Missing => Err(SessionCheck::Missing),
            CookieLookup::Conflicting => Err(SessionCheck::Conflicting),
            CookieLookup::Found(token) => Ok(token),
        }
    }

    pub(super) fn not_authenticated(&self) -> ApiError {
        let name = self.cookie.name();
        let challenge =
            format!(r#"Cookie realm="cloakroom", form-action="/login", cookie-name={name}"#);
        let challenge = HeaderValue::try_from(challenge).expect("a checked name makes a header");
        ApiError::of(Code::NotAuthenticated).with_header(header::WWW_AUTHENTICATE, challenge)
    }

    /// The error for a refused token. The client's cookie is deleted only if its session ended at
    /// least a minute ago: a late response must not delete the cookie of another session.
    pub fn session_refused(&self, token: RefusedToken) -> ApiError {
        let refused = ApiError::of(Code::SessionRefused);
        match token {
            RefusedToken::Ended => refused.with_header(header::SET_COOKIE, self.cookie.clearing()),
            RefusedToken::Recent => refused,
        }
    }
}
