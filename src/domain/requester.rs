//! The client that sends a request, as far as limits and queues count it.

use std::net::IpAddr;

use crate::core::secret::DeviceToken;
use crate::core::usernames::Username;
use crate::domain::audit::context::RequestContext;
use crate::domain::passwords::queue::Share;

/// Who asks, as far as that is known.
#[derive(Debug, Default)]
pub struct Requester {
    /// `None`: it came by no address, or by one that everybody has.
    pub address: Option<IpAddr>,
    /// As which it says it has signed in before.
    pub devices: Vec<DeviceToken>,
    /// What security events say of the request.
    pub context: RequestContext,
}

impl Requester {
    /// Whose share of the hash queue its request takes: that of its address and of a user name.
    pub(crate) fn share(&self, username: Option<&Username>) -> Share {
        Share::new(self.address, username.map(Username::as_str))
    }
}
