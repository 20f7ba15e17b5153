//! The deadlines of connections: one timer for each connection, none for each request.
//!
//! OWASP ASVS 5.0, section 15.2, asks for them: a client that sends or reads too slowly is
//! disconnected, so it cannot occupy a connection for longer.

use std::time::Duration;

use tokio::time::Instant;

/// The maximum time of each state of a connection.
#[derive(Debug, Clone)]
pub struct Deadlines {
    /// From the connection to the end of the TLS handshake. The deadline for the head runs at the
    /// same time.
    pub handshake: Duration,
    /// From the connection, or from the first byte of a later request, to the end of the head.
    pub head: Duration,
    /// From the end of the head to the end of the body.
    pub body: Duration,
    /// How long a body may be slower than the minimum rate.
    pub grace: Duration,
    /// The minimum rate of a body in bytes per second, on average since its start.
    pub least_rate: u32,
    /// From the end of the request to its response.
    pub answer: Duration,
    /// While a response is sent and the client reads nothing.
    pub stall: Duration,
    /// Between a response and the next request.
    pub idle: Duration,
    /// How long an idle connection keeps its buffers. It then waits for the next request without
    /// them.
    pub idle_buffers: Duration,
    /// How long the rest of a refused request is read, so that the client can read the response.
    pub linger: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            handshake: seconds(5),
            head: seconds(10),
            body: seconds(20),
            grace: seconds(5),
            least_rate: 500,
            answer: seconds(30), // our longest wait is 2 s
            stall: seconds(20),
            idle: seconds(75), // proxies close theirs after 60 s, and should be the first to close
            idle_buffers: Duration::from_millis(100),
            linger: seconds(2),
        }
    }
}

/// Observes a connection, and knows its deadline.
pub trait IoObserver: Send + Sync + 'static {
    /// These bytes were read.
    fn has_read(&self, bytes: &[u8]);
    /// The client accepted more of a response.
    fn has_written(&self);
    /// The client does not accept more.
    fn is_held_up(&self);
    /// Everything is written.
    fn has_flushed(&self);
    /// The connection is being closed. Returns whether the client may still be sending.
    fn closes(&self) -> bool;
    /// Whether the connection is idle, so that its buffers can be released.
    fn can_release_buffers(&self) -> bool;
    /// When the connection is closed or its buffers are released, unless its state changes before.
    fn due(&self, deadlines: &Deadlines) -> Instant;
    /// The deadline has passed. Returns whether the client is told first, and gets a moment to
    /// react.
    fn says_goodbye(&self) -> bool;
}
