//! What a connection is doing, and since when.

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;

use super::deadlines::{Deadlines, IoObserver};

#[derive(Debug, Clone, Copy)]
enum Phase {
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
pub struct ConnectionTimer(Mutex<State>);

#[derive(Debug)]
struct State {
    phase: Phase,
    /// Has the client sent something of its next request before it had this answer?
    is_ahead: bool,
    /// Was a body left unread?
    has_rest: bool,
    /// Was all of the answer handed over to be written?
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

    /// Bytes came in.
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

    /// A head is complete, and the service looks at it.
    pub fn has_asked(&self, has_body: bool) {
        let since = Instant::now();
        let mut state = self.state();
        (state.is_ahead, state.has_rest, state.is_sent) = (false, false, false);
        state.phase =
            if has_body { Phase::Body { since, bytes: 0 } } else { Phase::Answering { since } };
    }

    /// The body is complete, or the service wants no more of it.
    pub fn has_body(&self, is_complete: bool) {
        let mut state = self.state();
        state.has_rest |= !is_complete;
        if matches!(state.phase, Phase::Body { .. }) {
            state.phase = Phase::Answering { since: Instant::now() };
        }
    }

    /// Was a body left unread? Then nothing behind it can be found, and the connection ends.
    pub fn has_rest(&self) -> bool {
        self.state().has_rest
    }

    /// The service has an answer.
    pub fn has_answer(&self) {
        self.state().phase = Phase::Writing { since: Instant::now() };
    }

    /// All of the answer was handed over to be written.
    pub fn has_sent(&self) {
        let mut state = self.state();
        state.is_sent = true;
        // what was handed over last is not flushed yet
        if matches!(state.phase, Phase::Idle { .. }) {
            state.phase = Phase::Writing { since: Instant::now() };
        }
    }

    /// The buffers of the idle connection are released.
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

    fn is_held_up(&self) {} // it has been writing since it wrote last

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
        false // HTTP/1.1 has no word for it
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(timer: &ConnectionTimer) -> Instant {
        timer.due(&Deadlines::default())
    }

    /// Seconds until the connection is closed.
    fn left(timer: &ConnectionTimer) -> f64 {
        (due(timer) - Instant::now()).as_secs_f64().round()
    }

    #[expect(clippy::float_cmp, reason = "whole seconds")]
    #[test]
    fn every_part_of_a_request_has_its_time() {
        let timer = ConnectionTimer::new();
        let first = due(&timer);
        assert_eq!(left(&timer), 10.0);
        timer.has_read(1);
        assert_eq!(due(&timer), first, "a first byte gives no more time for the first head");
        timer.has_asked(true);
        assert_eq!(left(&timer), 5.0);
        timer.has_read(5_000);
        assert_eq!(left(&timer), 10.0, "500 bytes a second");
        timer.has_read(1_000_000);
        assert_eq!(left(&timer), 20.0, "and no more time than any body has");
        timer.has_body(true);
        assert_eq!(left(&timer), 30.0);
        timer.has_answer();
        let stalled = due(&timer);
        assert_eq!(left(&timer), 20.0);
        timer.has_written();
        assert!(due(&timer) > stalled, "something was taken in");
        timer.has_flushed();
        assert_eq!(left(&timer), 75.0, "more of the answer may follow");
        assert!(!timer.can_release_buffers());
        timer.has_sent();
        assert!(!timer.can_release_buffers(), "the rest of it is not flushed");
        timer.has_flushed();
        assert_eq!(left(&timer), 0.0, "it keeps its buffers for a moment");
        assert!(timer.can_release_buffers());
        timer.release_buffers();
        assert_eq!(left(&timer), 75.0);
        timer.has_read(1);
        assert_eq!(left(&timer), 10.0, "the next request has begun");
        timer.has_asked(false);
        timer.has_read(1);
        timer.has_answer();
        timer.has_flushed();
        assert_eq!(left(&timer), 10.0, "and the one after it was sent ahead");
        assert!(timer.closes(), "it may still be sending");
        assert_eq!(left(&timer), 2.0);
    }

    #[test]
    fn only_whoever_may_still_be_sending_is_read_on() {
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
