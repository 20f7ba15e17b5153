//! HTTP/2 by hand (RFC 9113 and 7541): frames as bytes, and heads without compression.

use std::io::{self, Read, Write};
use std::time::Duration;

use super::service::Tls;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;

/// A window of zero for every stream.
pub const NO_WINDOW: &[u8] = &[0, 4, 0, 0, 0, 0];

#[derive(Debug)]
pub struct Frame {
    pub kind: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A header field, neither compressed nor indexed.
pub fn field(name: &str, value: &str) -> Vec<u8> {
    let mut field = vec![0];
    for text in [name, value] {
        field.push(u8::try_from(text.len()).ok().filter(|length| *length < 127).unwrap());
        field.extend(text.as_bytes());
    }
    field
}

/// The head of a request.
pub fn head(method: &str, path: &str) -> Vec<u8> {
    let fields =
        [(":method", method), (":scheme", "https"), (":path", path), (":authority", "localhost")];
    fields.map(|(name, value)| field(name, value)).concat()
}

/// A request without a body.
pub fn read(stream: u32, path: &str) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &head("GET", path))
}

/// A request whose body follows.
pub fn write(stream: u32, path: &str) -> Vec<u8> {
    let head = [head("POST", path), field("content-type", "application/json")].concat();
    frame(HEADERS, END_HEADERS, stream, &head)
}

/// A client that can send any bytes.
pub struct Raw(pub Tls);

impl Raw {
    /// Sends the connection preface with these settings.
    pub fn new(mut stream: Tls, settings: &[u8]) -> Self {
        assert_eq!(stream.conn.alpn_protocol(), Some(&b"h2"[..]));
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
        stream.write_all(&frame(SETTINGS, 0, 0, settings)).unwrap();
        Self(stream)
    }

    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)?;
        self.0.flush()
    }

    /// Sets the timeout for reads and writes.
    pub fn patience(&self, patience: Duration) {
        self.0.sock.set_read_timeout(Some(patience)).unwrap();
        self.0.sock.set_write_timeout(Some(patience)).unwrap();
    }

    /// The next frame; none when the connection is closed.
    pub fn next(&mut self) -> io::Result<Option<Frame>> {
        let mut head = [0; 9];
        if let Err(error) = self.0.read_exact(&mut head) {
            return match error.kind() {
                io::ErrorKind::WouldBlock => Err(error),
                _ => Ok(None),
            };
        }
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        self.0.read_exact(&mut payload)?;
        let stream = u32::from_be_bytes(head[5..].try_into().unwrap());
        Ok(Some(Frame { kind: head[3], stream, payload }))
    }

    /// Every frame until the connection is closed.
    pub fn rest(&mut self) -> Vec<Frame> {
        let next = || self.next().expect("it was not closed");
        std::iter::from_fn(next).collect()
    }
}

/// The reason of the last GOAWAY frame, if there is one.
pub fn reason(frames: &[Frame]) -> Option<u32> {
    let last = frames.iter().rfind(|frame| frame.kind == GOAWAY)?;
    Some(u32::from_be_bytes(last.payload[4..8].try_into().unwrap()))
}
