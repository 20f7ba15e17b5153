//! The request during which a security event happens.

use std::net::IpAddr;

use crate::core::ids::SessionId;

/// The origin of an event. The default is for events outside of requests: commands of operators,
/// and background jobs.
#[derive(Debug, Clone, Default)]
pub struct RequestContext {
    /// The address of the client.
    pub address: Option<IpAddr>,
    /// The value of `X-Request-Id`.
    pub request_id: Option<String>,
}

/// What authenticates a request.
#[derive(Debug, Clone, Copy)]
pub enum Credential<'a> {
    Session(&'a SessionId),
    /// The id of the API token.
    ApiToken(&'a str),
}
