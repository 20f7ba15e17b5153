//! `getSession`, and a session as the API shows it.

use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};
use time::OffsetDateTime;

use super::Tag;
use super::guard::SignedIn;
use super::problem::Failure;
use crate::clock::Timestamp;
use crate::domain::sessions::{Remember, Session};

pub struct SessionsApi;

/// A session: somebody signed in from somewhere.
#[derive(Object)]
#[oai(rename = "Session")]
pub struct SessionView {
    /// The session's name in lists: 22 characters of base64url. It is no secret and opens nothing.
    #[oai(validator(min_length = 22, max_length = 22, pattern = "^[A-Za-z0-9_-]{22}$"))]
    pub id: String,
    /// Is it the session of this request?
    pub current: bool,
    /// Did the person ask to stay signed in?
    pub remember: bool,
    /// When it began.
    pub created_at: OffsetDateTime,
    /// When it was last used, to the minute.
    pub last_seen_at: OffsetDateTime,
    /// When it ends unless it is used before: 8 hours after its last use, 14 days with `remember`.
    pub idle_expires_at: OffsetDateTime,
    /// When it ends however much it is used: 24 hours after it began, 30 days with `remember`.
    pub expires_at: OffsetDateTime,
}

impl SessionView {
    /// The session of the request that it answers.
    pub fn current(session: &Session) -> Self {
        Self {
            id: session.id.as_str().to_owned(),
            current: true,
            remember: session.remember == Remember::Yes,
            created_at: date_time(session.created_at),
            last_seen_at: date_time(session.last_seen_at),
            idle_expires_at: date_time(session.idle_at),
            expires_at: date_time(session.expires_at),
        }
    }
}

/// An instant as RFC 3339 writes it, to the second.
pub fn date_time(at: Timestamp) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(at.seconds()).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

#[derive(ApiResponse)]
enum SessionAnswer {
    /// The session of this request.
    #[oai(status = 200, content_type = "application/json")]
    Session(Json<SessionView>),
}

#[OpenApi]
impl SessionsApi {
    /// The current session
    ///
    /// When it began, when it was last used and when it ends.
    #[oai(path = "/session", method = "get", operation_id = "getSession", tag = "Tag::Sessions")]
    async fn get_session(&self, who: SignedIn) -> Result<SessionAnswer, Failure> {
        Ok(SessionAnswer::Session(Json(SessionView::current(&who.0.session))))
    }
}
