//! Connections of which a test chooses every byte.

use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Longer than anything takes on a busy machine. A test that passes does not wait this long.
pub const LONG: Duration = Duration::from_mins(2);

/// A limit for something that must be quick. It is checked as it is if `ALONE` says that the machine
/// does nothing else; otherwise the limit only says that the thing ends.
pub fn limit(alone: Duration) -> Duration {
    if std::env::var_os("ALONE").is_some() { alone } else { LONG.max(alone) }
}

pub fn connect(at: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(at).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream.set_write_timeout(Some(LONG)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// What is left to read until the service closes the connection.
pub fn rest(stream: &mut impl Read) -> String {
    let start = Instant::now();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(start.elapsed() < LONG, "it was not closed");
    String::from_utf8_lossy(&answer).into_owned()
}
