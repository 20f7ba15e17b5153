//! What the connections of one listener share.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use poem::Response;
use poem::endpoint::BoxEndpoint;

use super::deadlines::Deadlines;
use super::tls::Tls;

/// What the connections of one listener share.
pub struct ServerContext {
    pub route: BoxEndpoint<'static, Response>,
    pub deadlines: Deadlines,
    pub tls: Option<Arc<Tls>>,
    /// Every answer is the last one of its connection.
    pub is_closing: AtomicBool,
}

/// How far the end has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ShutdownPhase {
    Running,
    /// HTTP/2 has a way to agree on the last request.
    Draining,
    /// A connection that sends nothing is closed.
    Closing,
}
