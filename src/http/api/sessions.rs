//! The operations `getSession`, `listSessions`, `revokeSession` and `revokeOtherSessions`, and the
//! view of a session.

use std::sync::Arc;

use poem::Request;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};
use time::OffsetDateTime;

use super::cursor::{cursor_behind, read_cursor};
use super::tags::Tag;
use crate::core::clock::Timestamp;
use crate::core::ids::SessionId;
use crate::domain::sessions::lifecycle::RevokeError;
use crate::domain::sessions::{Remember, Session};
use crate::http::date_time::date_time;
use crate::http::guard::{Confirmed, SignedIn};
use crate::http::problem::{ApiError, Code, Problem};
use crate::http::request::context::request_context;
use crate::http::state::AppState;

pub struct SessionsApi(pub Arc<AppState>);

/// A session. It starts when a user signs in with a browser or another client.
#[derive(Object)]
#[oai(rename = "Session")]
pub struct SessionView {
    /// The identifier of the session in lists: 22 characters of base64url. It is not a secret and
    /// does not authorize requests.
    #[oai(validator(min_length = 22, max_length = 22, pattern = "^[A-Za-z0-9_-]{22}$"))]
    pub id: String,
    /// Whether this is the session of the request.
    pub current: bool,
    /// Whether the session lasts longer because the user asked to stay signed in.
    pub remember: bool,
    /// When the session was created.
    pub created_at: OffsetDateTime,
    /// When the session was last used, accurate to one minute.
    pub last_seen_at: OffsetDateTime,
    /// When the session expires if it is not used until then. Each use postpones this, but never
    /// beyond `expires_at`. The operator sets the period; it is longer with `remember`.
    pub idle_expires_at: OffsetDateTime,
    /// When the session expires even if it is used. The operator sets the period from its creation;
    /// it is longer with `remember`.
    pub expires_at: OffsetDateTime,
    /// When the user last showed a password: at the sign-in, or at a confirmation.
    pub authenticated_at: OffsetDateTime,
    /// Until when the session may call the operations that require a confirmation: 15 minutes after
    /// a sign-in or a confirmation. It is absent if the session is not confirmed.
    #[oai(skip_serializing_if_is_none)]
    pub confirmed_until: Option<OffsetDateTime>,
    /// The IP address of the client that created the session.
    #[oai(skip_serializing_if_is_none, validator(max_length = 45))]
    pub address: Option<String>,
    /// The name of the browser or program that created the session, for people.
    #[oai(skip_serializing_if_is_none, validator(max_length = 64))]
    pub browser: Option<String>,
}

impl SessionView {
    /// The view of a session, for a request that belongs to the session `current`.
    pub fn of(session: &Session, current: &SessionId, now: Timestamp) -> Self {
        Self {
            id: session.id.as_str().to_owned(),
            current: session.id == *current,
            remember: session.remember == Remember::Yes,
            created_at: date_time(session.created_at),
            last_seen_at: date_time(session.last_seen_at),
            idle_expires_at: date_time(session.idle_at),
            expires_at: date_time(session.expires_at),
            authenticated_at: date_time(session.authenticated_at),
            confirmed_until: session.confirmed_until(now).map(date_time),
            address: session.client.address.clone(),
            browser: session.client.browser.clone(),
        }
    }
}

/// A page of sessions, newest first.
#[derive(Object)]
pub struct SessionPage {
    /// The sessions of this page.
    #[oai(validator(max_items = 100))]
    pub sessions: Vec<SessionView>,
    /// The `cursor` of the next page. It is absent on the last page.
    #[oai(skip_serializing_if_is_none, validator(max_length = 41))]
    pub next_cursor: Option<String>,
}

/// The result of revoking sessions.
#[derive(Object)]
pub struct Revoked {
    /// The number of sessions that were revoked. The session of the request is not counted and
    /// remains active.
    #[oai(validator(minimum(value = "0")))]
    pub revoked: i64,
}

#[derive(ApiResponse)]
enum SessionAnswer {
    /// The session of this request.
    #[oai(status = 200, content_type = "application/json")]
    Session(Json<SessionView>),
}

#[derive(ApiResponse)]
enum SessionsAnswer {
    /// A page of active sessions.
    #[oai(status = 200, content_type = "application/json")]
    Sessions(Json<SessionPage>),
}

#[derive(ApiResponse)]
enum RevokeAnswer {
    /// The session was revoked. Its cookie is refused from now on.
    #[oai(status = 204)]
    Revoked,
    /// `confirmation_required`: the `id` is that of another session, and the session of this request
    /// was not confirmed in the last 15 minutes. Confirm it with `confirmWithPassword`, then repeat
    /// the request.
    #[oai(status = 403, content_type = "application/problem+json")]
    NotConfirmed(Json<Problem>),
    /// `not_found`: the account has no active session with this `id`.
    #[oai(status = 404, content_type = "application/problem+json")]
    NoSuchSession(Json<Problem>),
    /// `too_many_attempts`: the account made too many changes. An account can make 30 changes at
    /// once, then one every two seconds. The session was not revoked.
    #[oai(status = 429, content_type = "application/problem+json")]
    TooManyAttempts(
        Json<Problem>,
        /// The number of seconds to wait before the next attempt.
        #[oai(header = "Retry-After")]
        u64,
    ),
}

#[derive(ApiResponse)]
enum RevokeOthersAnswer {
    /// All sessions of the account except the session of this request were revoked.
    #[oai(status = 200, content_type = "application/json")]
    Revoked(Json<Revoked>),
    /// `too_many_attempts`: the account made too many changes. An account can make 30 changes at
    /// once, then one every two seconds. No session was revoked.
    #[oai(status = 429, content_type = "application/problem+json")]
    TooManyAttempts(
        Json<Problem>,
        /// The number of seconds to wait before the next attempt.
        #[oai(header = "Retry-After")]
        u64,
    ),
}

#[OpenApi]
impl SessionsApi {
    /// Get the current session
    ///
    /// Returns when the session was created, when it was last used, and when it expires.
    #[oai(path = "/session", method = "get", operation_id = "getSession", tag = "Tag::Sessions")]
    async fn get_session(&self, who: SignedIn) -> Result<SessionAnswer, ApiError> {
        let session = &who.0.session;
        let now = self.0.domain.clock.now();
        Ok(SessionAnswer::Session(Json(SessionView::of(session, &session.id, now))))
    }

    /// List the active sessions
    ///
    /// Returns the active sessions of the account in pages, newest first.
    #[oai(path = "/sessions", method = "get", operation_id = "listSessions", tag = "Tag::Sessions")]
    async fn list_sessions(
        &self,
        who: SignedIn,
        /// The maximum number of sessions in the page.
        #[oai(default = "fifty", validator(minimum(value = "1"), maximum(value = "100")))]
        limit: Query<u32>,
        /// The `next_cursor` of the previous page. Omit it to get the first page.
        #[oai(validator(
            min_length = 24,
            max_length = 41,
            pattern = "^[0-9]{1,18}[.][A-Za-z0-9_-]{22}$"
        ))]
        cursor: Query<Option<String>>,
    ) -> Result<SessionsAnswer, ApiError> {
        let behind = cursor.0.as_deref().map(read_cursor).transpose()?;
        let limit = usize::try_from(limit.0).unwrap_or(1);
        let who = &who.0;
        let page =
            self.0.domain.sessions.list_sessions(&who.account.id, behind.as_ref(), limit).await?;
        let now = self.0.domain.clock.now();
        // A request with a replaced token is not confirmed, although its session is.
        let view = |one: &Session| {
            let one = if one.id == who.session.id { &who.session } else { one };
            SessionView::of(one, &who.session.id, now)
        };
        let views = page.sessions.iter().map(view).collect();
        let next_cursor = page.next.as_ref().map(cursor_behind);
        Ok(SessionsAnswer::Sessions(Json(SessionPage { sessions: views, next_cursor })))
    }

    /// Revoke all other sessions
    ///
    /// Revokes all sessions of the account except the session of this request. The user is then
    /// signed out everywhere else.
    #[oai(
        path = "/sessions",
        method = "delete",
        operation_id = "revokeOtherSessions",
        tag = "Tag::Sessions"
    )]
    async fn revoke_other_sessions(
        &self,
        who: Confirmed,
        request: &Request,
    ) -> Result<RevokeOthersAnswer, ApiError> {
        let (who, context) = (&who.0, request_context(request));
        let sessions = &self.0.domain.sessions;
        match sessions.revoke_others(&who.account.id, &who.session.id, &context).await {
            Ok(ended) => {
                let revoked = i64::try_from(ended).unwrap_or(i64::MAX);
                Ok(RevokeOthersAnswer::Revoked(Json(Revoked { revoked })))
            }
            Err(RevokeError::TooManyAttempts { wait }) => {
                Ok(Problem::rate_limited(RevokeOthersAnswer::TooManyAttempts, wait))
            }
            Err(RevokeError::Internal(fault)) => Err(fault.into()),
        }
    }

    /// Revoke a session
    ///
    /// Revokes one session of the account: the session of this request or another one. When the
    /// response arrives, the cookie of that session is already refused.
    ///
    /// To revoke another session, the user must have signed in or confirmed the session in the last
    /// 15 minutes. See `confirmWithPassword`.
    #[oai(
        path = "/sessions/:id",
        method = "delete",
        operation_id = "revokeSession",
        tag = "Tag::Sessions"
    )]
    async fn revoke_session(
        &self,
        who: SignedIn,
        /// The `id` of the session, as in the list.
        id: Path<String>,
        request: &Request,
    ) -> Result<RevokeAnswer, ApiError> {
        let is_own = who.session_id() == id.0;
        if !is_own && !self.0.is_confirmed(&*self.0.signed_in_uncached(request).await?) {
            let problem = Problem::of(Code::ConfirmationRequired);
            return Ok(RevokeAnswer::NotConfirmed(Json(problem)));
        }
        let context = request_context(request);
        match self.0.domain.sessions.revoke_own(&who.0.account.id, &id.0, &context).await {
            Ok(true) => Ok(RevokeAnswer::Revoked),
            Ok(false) => Ok(RevokeAnswer::NoSuchSession(Json(Problem::of(Code::NotFound)))),
            Err(RevokeError::TooManyAttempts { wait }) => {
                Ok(Problem::rate_limited(RevokeAnswer::TooManyAttempts, wait))
            }
            Err(RevokeError::Internal(fault)) => Err(fault.into()),
        }
    }
}

fn fifty() -> u32 {
    50
}
