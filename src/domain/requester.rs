//! The client of a request, for rate limits and the hashing queue.

use std::net::IpAddr;

use crate::core::secret::DeviceToken;
use crate::domain::audit::context::RequestContext;
use crate::domain::passwords::queue::Share;

/// The client of a request, by which its user recognizes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientInfo {
    /// The IP address of the client.
    pub address: Option<String>,
    /// The name of the browser.
    pub browser: Option<String>,
}

/// What is known about the client of a request.
#[derive(Debug, Default)]
pub struct Requester {
    /// `None` if the request has no address, or one that all clients share.
    pub address: Option<IpAddr>,
    /// The device tokens that the client presents.
    pub devices: Vec<DeviceToken>,
    /// The request context for security events.
    pub context: RequestContext,
    /// The client as mail names it. Its browser is one of a fixed list: a client may send any text,
    /// and mail programs make a link of everything that looks like a host.
    pub mailed: ClientInfo,
}

impl Requester {
    /// The share of the hashing queue: by address, and by the name that was typed.
    pub(crate) fn share(&self, name: Option<&str>) -> Share {
        Share::new(self.address, name)
    }
}
