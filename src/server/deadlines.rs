//! What a connection is doing, and until when it may: one clock a connection, none a request.
//!
//! The times are those that slow clients are measured by (OWASP ASVS 5.0, section 15.2): whoever
//! sends or takes in too slowly is closed, and cannot hold a place for longer than this.

use std::time::Duration;

use tokio::time::Instant;

/// How long a connection may take for what.
#[derive(Debug, Clone)]
pub struct Deadlines {
    /// From the connection to the end of the TLS handshake; the time for the head runs meanwhile.
    pub handshake: Duration,
    /// From the connection, or from the first byte of a later request, to the end of the head.
    pub head: Duration,
    /// From the end of the head to the end of the body.
    pub body: Duration,
    /// A body is not measured by its rate before this.
    pub grace: Duration,
    /// Bytes a second of a body, from its beginning.
    pub least_rate: u32,
    /// From the end of the request to its answer.
    pub answer: Duration,
    /// While an answer is sent and the client takes nothing of it in.
    pub stall: Duration,
    /// Between an answer and the next request.
    pub idle: Duration,
    /// An idle connection keeps its buffers as long, and waits for the next request without them.
    pub idle_buffers: Duration,
    /// Reading on after a refusal, so that the client gets to read it.
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
            answer: seconds(30), // the longest wait of ours is 2 s
            stall: seconds(20),
            idle: seconds(75), // proxies keep theirs for 60 s: they are to close first
            idle_buffers: Duration::from_millis(100),
            linger: seconds(2),
        }
    }
}

/// Who hears how a connection gets on, and knows until when it may.
pub trait IoObserver: Send + Sync + 'static {
    /// These bytes came in.
    fn has_read(&self, bytes: &[u8]);
    /// The client has room for more of an answer.
    fn has_written(&self);
    /// The client has no room for more.
    fn is_held_up(&self);
    /// Nothing is left to write.
    fn has_flushed(&self);
    /// The connection is about to be closed. May the client still be sending?
    fn closes(&self) -> bool;
    /// Is nothing under way for which the connection needs its buffers?
    fn can_release_buffers(&self) -> bool;
    /// When the connection is closed or its buffers are released, unless it does something else by then.
    fn due(&self, deadlines: &Deadlines) -> Instant;
    /// It is overdue. Is the client told first, and given a moment?
    fn says_goodbye(&self) -> bool;
}
