//! Sets the cookies of a new session, and ends the sessions of the request's cookies.

use poem::http::{HeaderValue, header};
use poem::{Request, Response};

use super::extra_cookie::ExtraCookie;
use super::request::context::request_context;
use super::set_cookie::CookieLifetime;
use super::state::AppState;
use crate::core::error::InternalError;
use crate::domain::sessions::IssuedSession;
use crate::domain::throttle::limits::DEVICE;
use crate::http::date_time::date_time;

impl AppState {
    /// Ends every session whose cookie came with the request, so that a planted cookie next to the
    /// real one does not keep the real session alive.
    pub async fn revoke_presented_sessions(&self, request: &Request) -> Result<(), InternalError> {
        let context = request_context(request);
        for token in self.cookie.all(request) {
            self.domain.sessions.log_out(token, &context).await?;
        }
        Ok(())
    }

    /// The `Set-Cookie` of a new session.
    pub fn session_cookie(&self, issued: &IssuedSession) -> String {
        let until = date_time(issued.session.expires_at);
        self.cookie.set(&issued.token, issued.keep_for.map(|time| CookieLifetime { time, until }))
    }

    /// The same as the value of the header.
    pub fn session_cookie_header(&self, issued: &IssuedSession) -> HeaderValue {
        HeaderValue::try_from(self.session_cookie(issued)).expect("a token makes a header")
    }

    /// The cookie that identifies the client at its next login.
    pub fn device_cookie(&self, issued: &IssuedSession) -> Option<ExtraCookie> {
        let until = date_time(issued.session.created_at.plus(DEVICE));
        let keep = CookieLifetime { time: DEVICE, until };
        issued.device.as_ref().map(|token| ExtraCookie(self.device.set(token, keep)))
    }

    /// Sets the cookies of a new session.
    pub fn set_session_cookies(&self, response: &mut Response, issued: &IssuedSession) {
        response.headers_mut().insert(header::SET_COOKIE, self.session_cookie_header(issued));
        if let Some(device) = self.device_cookie(issued) {
            response.set_data(device);
        }
    }
}
