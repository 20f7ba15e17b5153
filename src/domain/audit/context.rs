//! The request during which a security event happens.

use std::net::IpAddr;

/// The origin of an event. The default is for events outside of requests: commands of operators,
/// and background jobs.
#[derive(Debug, Clone, Default)]
pub struct RequestContext {
    /// The address of the client.
    pub address: Option<IpAddr>,
    /// The value of `X-Request-Id`.
    pub request_id: Option<String>,
}
