//! What a connection is doing, and until when it may: one clock a connection, none a request.
//!
//! The times are those that slow clients are measured by (OWASP ASVS 5.0, section 15.2): whoever
//! sends or takes in too slowly is closed, and cannot hold a place for longer than this.

use std::sync::{Mutex, MutexGuard};
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
pub trait Watch: Send + Sync + 'static {
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

#[derive(Debug, Clone, Copy)]
enum Doing {
    /// A head is awaited or read.
    Head {
        since: Instant,
        has_begun: bool,
    },
    /// The service waits for a body.
    Body {
        since: Instant,
        bytes: u32,
    },
    Answering {
        since: Instant,
    },
    /// The answer is on its way; `since` something of it was taken in.
    Writing {
        since: Instant,
    },
    Idle {
        since: Instant,
        has_buffers: bool,
    },
    Lingering {
        since: Instant,
    },
}

/// What a connection is doing, one request after the other; in HTTP/2, what one request is. Told by
/// its stream and its service, asked by its task.
#[derive(Debug)]
pub struct Pulse(Mutex<State>);

#[derive(Debug)]
struct State {
    doing: Doing,
    /// Has the client sent something of its next request before it had this answer?
    is_ahead: bool,
    /// Was a body left unread?
    has_rest: bool,
    /// Was all of the answer handed over to be written?
    is_sent: bool,
}

impl Pulse {
    pub fn new() -> Self {
        let doing = Doing::Head { since: Instant::now(), has_begun: false };
        Self(Mutex::new(State { doing, is_ahead: false, has_rest: false, is_sent: false }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("nobody panics while holding it")
    }

    /// Bytes came in.
    pub fn has_read(&self, count: usize) {
        let mut state = self.state();
        match &mut state.doing {
            Doing::Head { has_begun, .. } => *has_begun = true,
            Doing::Idle { .. } => {
                state.doing = Doing::Head { since: Instant::now(), has_begun: true };
            }
            Doing::Body { bytes, .. } => {
                *bytes = bytes.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
            }
            Doing::Answering { .. } | Doing::Writing { .. } => state.is_ahead = true,
            Doing::Lingering { .. } => {}
        }
    }

    /// A head is complete, and the service looks at it.
    pub fn has_asked(&self, has_body: bool) {
        let since = Instant::now();
        let mut state = self.state();
        (state.is_ahead, state.has_rest, state.is_sent) = (false, false, false);
        state.doing =
            if has_body { Doing::Body { since, bytes: 0 } } else { Doing::Answering { since } };
    }

    /// The body is complete, or the service wants no more of it.
    pub fn has_body(&self, is_complete: bool) {
        let mut state = self.state();
        state.has_rest |= !is_complete;
        if matches!(state.doing, Doing::Body { .. }) {
            state.doing = Doing::Answering { since: Instant::now() };
        }
    }

    /// Was a body left unread? Then nothing behind it can be found, and the connection ends.
    pub fn has_rest(&self) -> bool {
        self.state().has_rest
    }

    /// The service has an answer.
    pub fn has_answer(&self) {
        self.state().doing = Doing::Writing { since: Instant::now() };
    }

    /// All of the answer was handed over to be written.
    pub fn has_sent(&self) {
        let mut state = self.state();
        state.is_sent = true;
        // what was handed over last is not flushed yet
        if matches!(state.doing, Doing::Idle { .. }) {
            state.doing = Doing::Writing { since: Instant::now() };
        }
    }

    /// The buffers of the idle connection are released.
    pub fn release_buffers(&self) {
        if let Doing::Idle { has_buffers, .. } = &mut self.state().doing {
            *has_buffers = false;
        }
    }
}

impl Watch for Pulse {
    fn has_read(&self, bytes: &[u8]) {
        self.has_read(bytes.len());
    }

    fn has_written(&self) {
        let mut state = self.state();
        if let Doing::Writing { since } = &mut state.doing {
            *since = Instant::now();
        }
    }

    fn is_held_up(&self) {} // it has been writing since it wrote last

    fn has_flushed(&self) {
        let mut state = self.state();
        if let Doing::Writing { since } = state.doing {
            state.doing = if state.is_ahead {
                Doing::Head { since, has_begun: true }
            } else {
                Doing::Idle { since, has_buffers: true }
            };
        }
    }

    fn closes(&self) -> bool {
        let mut state = self.state();
        let lingers = state.has_rest || matches!(state.doing, Doing::Head { has_begun: true, .. });
        if !matches!(state.doing, Doing::Lingering { .. }) {
            state.doing = Doing::Lingering { since: Instant::now() };
        }
        lingers
    }

    fn can_release_buffers(&self) -> bool {
        let state = self.state();
        state.is_sent && matches!(state.doing, Doing::Idle { has_buffers: true, .. })
    }

    fn due(&self, deadlines: &Deadlines) -> Instant {
        let state = self.state();
        match state.doing {
            Doing::Head { since, .. } => since + deadlines.head,
            Doing::Body { since, bytes } => {
                let paid = Duration::from_secs(1) * bytes / deadlines.least_rate;
                since + paid.max(deadlines.grace).min(deadlines.body)
            }
            Doing::Answering { since } => since + deadlines.answer,
            Doing::Writing { since } => since + deadlines.stall,
            Doing::Idle { since, has_buffers: true } if state.is_sent => {
                since + deadlines.idle_buffers.min(deadlines.idle)
            }
            Doing::Idle { since, .. } => since + deadlines.idle,
            Doing::Lingering { since } => since + deadlines.linger,
        }
    }

    fn says_goodbye(&self) -> bool {
        false // HTTP/1.1 has no word for it
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(pulse: &Pulse) -> Instant {
        pulse.due(&Deadlines::default())
    }

    /// Seconds until the connection is closed.
    fn left(pulse: &Pulse) -> f64 {
        (due(pulse) - Instant::now()).as_secs_f64().round()
    }

    #[expect(clippy::float_cmp, reason = "whole seconds")]
    #[test]
    fn every_part_of_a_request_has_its_time() {
        let pulse = Pulse::new();
        let first = due(&pulse);
        assert_eq!(left(&pulse), 10.0);
        pulse.has_read(1);
        assert_eq!(due(&pulse), first, "a first byte gives no more time for the first head");
        pulse.has_asked(true);
        assert_eq!(left(&pulse), 5.0);
        pulse.has_read(5_000);
        assert_eq!(left(&pulse), 10.0, "500 bytes a second");
        pulse.has_read(1_000_000);
        assert_eq!(left(&pulse), 20.0, "and no more time than any body has");
        pulse.has_body(true);
        assert_eq!(left(&pulse), 30.0);
        pulse.has_answer();
        let stalled = due(&pulse);
        assert_eq!(left(&pulse), 20.0);
        pulse.has_written();
        assert!(due(&pulse) > stalled, "something was taken in");
        pulse.has_flushed();
        assert_eq!(left(&pulse), 75.0, "more of the answer may follow");
        assert!(!pulse.can_release_buffers());
        pulse.has_sent();
        assert!(!pulse.can_release_buffers(), "the rest of it is not flushed");
        pulse.has_flushed();
        assert_eq!(left(&pulse), 0.0, "it keeps its buffers for a moment");
        assert!(pulse.can_release_buffers());
        pulse.release_buffers();
        assert_eq!(left(&pulse), 75.0);
        pulse.has_read(1);
        assert_eq!(left(&pulse), 10.0, "the next request has begun");
        pulse.has_asked(false);
        pulse.has_read(1);
        pulse.has_answer();
        pulse.has_flushed();
        assert_eq!(left(&pulse), 10.0, "and the one after it was sent ahead");
        assert!(pulse.closes(), "it may still be sending");
        assert_eq!(left(&pulse), 2.0);
    }

    #[test]
    fn only_whoever_may_still_be_sending_is_read_on() {
        let pulse = Pulse::new();
        assert!(!pulse.closes());
        let pulse = Pulse::new();
        pulse.has_asked(true);
        pulse.has_body(false);
        pulse.has_answer();
        pulse.has_flushed();
        assert!(pulse.closes());
    }
}
