//! The client of a request, for rate limits and the hashing queue.

use std::net::IpAddr;

use crate::core::secret::DeviceToken;
use crate::core::usernames::Username;
use crate::domain::audit::context::RequestContext;
use crate::domain::passwords::queue::Share;

/// What is known about the client of a request.
#[derive(Debug, Default)]
pub struct Requester {
    /// `None` if the request has no address, or one that all clients share.
    pub address: Option<IpAddr>,
    /// The device tokens that the client presents.
    pub devices: Vec<DeviceToken>,
    /// The request context for security events.
    pub context: RequestContext,
}

impl Requester {
    /// The share of the hashing queue: by address and user name.
    pub(crate) fn share(&self, username: Option<&Username>) -> Share {
        Share::new(self.address, username.map(Username::as_str))
    }
}
