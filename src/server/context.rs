//! The state that the connections of one listener share.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use poem::Response;
use poem::endpoint::BoxEndpoint;

use super::deadlines::Deadlines;
use super::tls::Tls;

/// The state that the connections of one listener share.
pub struct ServerContext {
    pub route: BoxEndpoint<'static, Response>,
    pub deadlines: Deadlines,
    pub tls: Option<Arc<Tls>>,
    /// Whether every response is the last one of its connection.
    pub is_closing: AtomicBool,
}

/// The phase of the shutdown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ShutdownPhase {
    Running,
    /// HTTP/2 connections are told by GOAWAY that no further request is accepted.
    Draining,
    /// Idle connections are closed.
    Closing,
}
