//! The state of a connection, and the deadline of that state.

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;

use super::deadlines::{Deadlines, IoObserver};

#[derive(Debug, Clone, Copy)]
enum Phase {
    /// Waiting for the head of a request, or reading it.
    Head {
        since: Instant,
        has_begun: bool,
    },
    /// The service is waiting for the body.
    Body {
        since: Instant,
        bytes: u32,
    },
    Answering {
        since: Instant,
    },
    /// The response is being written. `since` is the last time at which the client accepted some of
    /// it.
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

/// The state of an HTTP/1.1 connection, or of a request on HTTP/2. The stream and the service
/// update it, and the task of the connection checks it.
#[derive(Debug)]
pub struct ConnectionTimer(Mutex<State>);

#[derive(Debug)]
struct State {
    phase: Phase,
    /// Whether the client has sent a part of its next request before it received this response.
    is_ahead: bool,
    /// Whether a body was left unread.
    has_rest: bool,
    /// Whether all of the response was handed over to be written.
    is_sent: bool,
}

impl ConnectionTimer {
    pub fn new() -> Self {
        let phase = Phase::Head { since: Instant::now(), has_begun: false };
        Self(Mutex::new(State { phase, is_ahead: false, has_rest: false, is_sent: false }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("nobody panics while holding it")
    }

    /// Records that bytes were read.
    pub fn has_read(&self, count: usize) {
        let mut state = self.state();
        match &mut state.phase {
            Phase::Head { has_begun, .. } => *has_begun = true,
            Phase::Idle { .. } => {
                state.phase = Phase::Head { since: Instant::now(), has_begun: true };
            }
            Phase::Body { bytes, .. } => {
                *bytes = bytes.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
            }
            Phase::Answering { .. } | Phase::Writing { .. } => state.is_ahead = true,
            Phase::Lingering { .. } => {}
        }
    }

    /// Records that a head is complete, and that the service handles the request.
    pub fn has_asked(&self, has_body: bool) {
        let since = Instant::now();
        let mut state = self.state();
        (state.is_ahead, state.has_rest, state.is_sent) = (false, false, false);
        state.phase =
            if has_body { Phase::Body { since, bytes: 0 } } else { Phase::Answering { since } };
    }

    /// Records that the body is complete, or that the service does not need the rest of it.
    pub fn has_body(&self, is_complete: bool) {
        let mut state = self.state();
        state.has_rest |= !is_complete;
        if matches!(state.phase, Phase::Body { .. }) {
            state.phase = Phase::Answering { since: Instant::now() };
        }
    }

    /// Whether a body was left unread. Then the next request cannot be found, and the connection is
    /// closed.
    pub fn has_rest(&self) -> bool {
        self.state().has_rest
    }

    /// Records that the service has a response.
    pub fn has_answer(&self) {
        self.state().phase = Phase::Writing { since: Instant::now() };
    }

    /// Records that all of the response was handed over to be written.
    pub fn has_sent(&self) {
        let mut state = self.state();
        state.is_sent = true;
        // The last part may not be flushed yet.
        if matches!(state.phase, Phase::Idle { .. }) {
            state.phase = Phase::Writing { since: Instant::now() };
        }
    }

    /// Records that the buffers of the idle connection were released.
    pub fn release_buffers(&self) {
        if let Phase::Idle { has_buffers, .. } = &mut self.state().phase {
            *has_buffers = false;
        }
    }
}

impl IoObserver for ConnectionTimer {
    fn has_read(&self, bytes: &[u8]) {
        self.has_read(bytes.len());
    }

    fn has_written(&self) {
        let mut state = self.state();
        if let Phase::Writing { since } = &mut state.phase {
            *since = Instant::now();
        }
    }

    fn is_held_up(&self) {} // the time counts from the last write

    fn has_flushed(&self) {
        let mut state = self.state();
        if let Phase::Writing { since } = state.phase {
            state.phase = if state.is_ahead {
                Phase::Head { since, has_begun: true }
            } else {
                Phase::Idle { since, has_buffers: true }
            };
        }
    }

    fn closes(&self) -> bool {
        let mut state = self.state();
        let lingers = state.has_rest || matches!(state.phase, Phase::Head { has_begun: true, .. });
        if !matches!(state.phase, Phase::Lingering { .. }) {
            state.phase = Phase::Lingering { since: Instant::now() };
        }
        lingers
    }

    fn can_release_buffers(&self) -> bool {
        let state = self.state();
        state.is_sent && matches!(state.phase, Phase::Idle { has_buffers: true, .. })
    }

    fn due(&self, deadlines: &Deadlines) -> Instant {
        let state = self.state();
        match state.phase {
            Phase::Head { since, .. } => since + deadlines.head,
            Phase::Body { since, bytes } => {
                let paid = Duration::from_secs(1) * bytes / deadlines.least_rate;
                since + paid.max(deadlines.grace).min(deadlines.body)
            }
            Phase::Answering { since } => since + deadlines.answer,
            Phase::Writing { since } => since + deadlines.stall,
            Phase::Idle { since, has_buffers: true } if state.is_sent => {
                since + deadlines.idle_buffers.min(deadlines.idle)
            }
            Phase::Idle { since, .. } => since + deadlines.idle,
            Phase::Lingering { since } => since + deadlines.linger,
        }
    }

    fn says_goodbye(&self) -> bool {
        false // HTTP/1.1 has no such message
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(timer: &ConnectionTimer) -> Instant {
        timer.due(&Deadlines::default())
    }

    /// Checks that the connection is closed this long after one of the events since `start`.
    #[track_caller]
    fn assert_due(timer: &ConnectionTimer, start: Instant, after: Duration) {
        let due = timer.due(&Deadlines::default());
        assert!((start + after..=Instant::now() + after).contains(&due), "not after {after:?}");
    }

    #[test]
    fn every_part_of_a_request_has_its_time() {
        let (start, seconds) = (Instant::now(), Duration::from_secs);
        let timer = ConnectionTimer::new();
        let first = due(&timer);
        assert_due(&timer, start, seconds(10));
        timer.has_read(1);
        assert_eq!(due(&timer), first, "a first byte gives no more time for the first head");
        timer.has_asked(true);
        assert_due(&timer, start, seconds(5));
        timer.has_read(5_000);
        assert_due(&timer, start, seconds(10)); // 500 bytes a second
        timer.has_read(1_000_000);
        assert_due(&timer, start, seconds(20)); // and no more time than any body has
        timer.has_body(true);
        assert_due(&timer, start, seconds(30));
        timer.has_answer();
        let stalled = due(&timer);
        assert_due(&timer, start, seconds(20));
        timer.has_written();
        assert!(due(&timer) > stalled, "something was taken in");
        timer.has_flushed();
        assert_due(&timer, start, seconds(75)); // more of the answer may follow
        assert!(!timer.can_release_buffers());
        timer.has_sent();
        assert!(!timer.can_release_buffers(), "the rest of it is not flushed");
        timer.has_flushed();
        assert_due(&timer, start, Duration::from_millis(100)); // it keeps its buffers for a moment
        assert!(timer.can_release_buffers());
        timer.release_buffers();
        assert_due(&timer, start, seconds(75));
        timer.has_read(1);
        assert_due(&timer, start, seconds(10)); // the next request has begun
        timer.has_asked(false);
        timer.has_read(1);
        timer.has_answer();
        timer.has_flushed();
        assert_due(&timer, start, seconds(10)); // and the one after it was sent ahead
        assert!(timer.closes(), "it may still be sending");
        assert_due(&timer, start, seconds(2));
    }

    #[test]
    fn it_reads_on_only_while_the_client_may_still_be_sending() {
        let timer = ConnectionTimer::new();
        assert!(!timer.closes());
        let timer = ConnectionTimer::new();
        timer.has_asked(true);
        timer.has_body(false);
        timer.has_answer();
        timer.has_flushed();
        assert!(timer.closes());
    }
}
