//! The state of an HTTP/2 connection with concurrent requests.
//!
//! Each request has the same deadlines as on HTTP/1.1. If one is overdue, the client is told by
//! GOAWAY that no more requests are accepted, and has a moment to finish the others.

use std::sync::{Arc, Mutex, MutexGuard};

use tokio::time::Instant;

use super::connection_timer::ConnectionTimer;
use super::deadlines::{Deadlines, IoObserver};
use super::frames::{Frames, Read};

/// A connection with its requests in progress.
#[derive(Debug)]
pub struct Http2Connection(Mutex<State>);

#[derive(Debug)]
struct State {
    frames: Frames,
    /// Since when a head is expected or unfinished. The first one is expected from the start.
    head: Option<Instant>,
    /// Since when no request is in progress.
    idle: Instant,
    /// Since when the client reads nothing.
    held_up: Option<Instant>,
    /// When the client was told to leave, or disconnected.
    leaving: Option<Instant>,
    streams: Vec<Arc<ConnectionTimer>>,
}

/// A request that is in progress until this is dropped.
#[derive(Debug)]
pub struct StreamGuard {
    connection: Arc<Http2Connection>,
    pub timer: Arc<ConnectionTimer>,
}

impl Http2Connection {
    pub fn new() -> Self {
        let now = Instant::now();
        Self(Mutex::new(State {
            frames: Frames::new(),
            head: Some(now),
            idle: now,
            held_up: None,
            leaving: None,
            streams: Vec::new(),
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("nobody panics while holding it")
    }

    /// Records that a head is complete, and that the service handles the request.
    pub fn enter(self: &Arc<Self>, has_body: bool) -> StreamGuard {
        let timer = Arc::new(ConnectionTimer::new());
        timer.has_asked(has_body);
        self.state().streams.push(Arc::clone(&timer));
        StreamGuard { connection: Arc::clone(self), timer }
    }
}

impl Drop for StreamGuard {
    fn drop(&mut self) {
        let mut state = self.connection.state();
        state.streams.retain(|one| !Arc::ptr_eq(one, &self.timer));
        if state.streams.is_empty() {
            state.idle = Instant::now();
        }
    }
}

impl IoObserver for Http2Connection {
    fn has_read(&self, bytes: &[u8]) {
        let mut state = self.state();
        let Read { has_ended, is_in_head } = state.frames.read(bytes);
        if has_ended {
            state.head = None;
        }
        if is_in_head {
            state.head.get_or_insert_with(Instant::now);
        }
    }

    fn has_written(&self) {
        self.state().held_up = None;
    }

    fn is_held_up(&self) {
        self.state().held_up.get_or_insert_with(Instant::now);
    }

    fn has_flushed(&self) {
        self.state().held_up = None;
    }

    fn closes(&self) -> bool {
        self.state().leaving.get_or_insert_with(Instant::now);
        true // it may send at any time
    }

    fn can_release_buffers(&self) -> bool {
        false // the buffers contain the state of HPACK and of flow control
    }

    fn due(&self, deadlines: &Deadlines) -> Instant {
        let state = self.state();
        if let Some(since) = state.leaving {
            return since + deadlines.linger;
        }
        let head = state.head.map(|since| since + deadlines.head);
        let stall = state.held_up.map(|since| since + deadlines.stall);
        let streams = state.streams.iter().map(|one| one.due(deadlines));
        let due = streams.chain(head).chain(stall).min();
        due.unwrap_or_else(|| state.idle + deadlines.idle)
    }

    fn says_goodbye(&self) -> bool {
        self.state().leaving.replace(Instant::now()).is_none()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Checks that the client is told to leave this long after one of the events since `start`.
    #[track_caller]
    fn assert_due(connection: &Http2Connection, start: Instant, after: Duration) {
        let due = connection.due(&Deadlines::default());
        assert!((start + after..=Instant::now() + after).contains(&due), "not after {after:?}");
    }

    #[test]
    fn the_stream_with_the_longest_deadline_sets_the_deadline_of_the_connection() {
        let (start, seconds) = (Instant::now(), Duration::from_secs);
        let connection = Arc::new(Http2Connection::new());
        assert_due(&connection, start, seconds(10)); // for the first head
        connection.has_read(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
        assert_due(&connection, start, seconds(10));
        connection.has_read(b"\0\0\x01\x01\x04\0\0\0\x01\x88");
        let (one, other) = (connection.enter(false), connection.enter(true));
        assert_due(&connection, start, seconds(5)); // for the body
        other.timer.has_read(1_000_000);
        assert_due(&connection, start, seconds(20));
        one.timer.has_answer();
        drop(other);
        assert_due(&connection, start, seconds(20)); // to take the answer in
        drop(one);
        assert_due(&connection, start, seconds(75));
        connection.has_read(b"\0\0\x08\x06\0\0\0\0\0pingpong");
        assert_due(&connection, start, seconds(75)); // a ping is no request
        connection.has_read(b"\0\0\x01\x01\0\0\0\0\x03\x88");
        assert_due(&connection, start, seconds(10)); // for the rest of the head
        connection.has_read(b"\0\0\0\x09\x04\0\0\0\x03");
        assert_due(&connection, start, seconds(75));
        connection.is_held_up();
        assert_due(&connection, start, seconds(20));
        connection.has_written();
        assert!(connection.says_goodbye());
        assert_due(&connection, start, seconds(2));
        assert!(!connection.says_goodbye(), "once");
    }
}
