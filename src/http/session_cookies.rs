//! The cookies of a session that begins, and the end of those that a request brings.

use poem::http::{HeaderValue, header};
use poem::{Request, Response};

use super::extra_cookie::AlsoSet;
use super::set_cookie::Keep;
use super::state::Front;
use crate::core::error::Fault;
use crate::domain::sessions::Ticket;
use crate::domain::throttle::limits::DEVICE;
use crate::http::date_time::date_time;

impl Front {
    /// Ends every session whose cookie came with the request: a planted cookie beside the real one
    /// does not keep that alive.
    pub async fn end_presented(&self, request: &Request) -> Result<(), Fault> {
        for token in self.cookie.all(request) {
            self.domain.sessions.log_out(token).await?;
        }
        Ok(())
    }

    /// `Set-Cookie` for a ticket.
    pub fn handing_out(&self, ticket: &Ticket) -> String {
        let until = date_time(ticket.session.expires_at);
        self.cookie.set(&ticket.token, ticket.keep_for.map(|time| Keep { time, until }))
    }

    /// The cookie by which the client is known the next time.
    pub fn device_of(&self, ticket: &Ticket) -> Option<AlsoSet> {
        let until = date_time(ticket.session.created_at.plus(DEVICE));
        let keep = Keep { time: DEVICE, until };
        ticket.device.as_ref().map(|token| AlsoSet(self.device.set(token, keep)))
    }

    /// Sets the cookies of a ticket.
    pub fn hand_out(&self, response: &mut Response, ticket: &Ticket) {
        let set = HeaderValue::try_from(self.handing_out(ticket)).expect("a token makes a header");
        response.headers_mut().insert(header::SET_COOKIE, set);
        if let Some(device) = self.device_of(ticket) {
            response.set_data(device);
        }
    }
}
