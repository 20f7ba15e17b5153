//! A connection's bytes and a request's body, both of which tell the [`Pulse`] how they get on.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http_body_util::combinators::BoxBody;
use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::deadlines::Pulse;

/// After a refusal no more of what the client still sends is read.
const REST: usize = 64 * 1024;

/// A socket that tells how it gets on.
///
/// A socket that is closed with bytes unread resets the connection, and the client may lose the
/// answer (RFC 9112, section 9.6): after a refusal it is read on for a while, and what comes is
/// thrown away.
#[derive(Debug)]
pub struct Watched {
    stream: TcpStream,
    pulse: Arc<Pulse>,
    /// Bytes that may still be thrown away, once it is being closed.
    rest: Option<usize>,
}

impl Watched {
    pub fn new(stream: TcpStream, pulse: Arc<Pulse>) -> Self {
        Self { stream, pulse, rest: None }
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        let count = buffer.filled().len() - before;
        if count > 0 {
            self.pulse.has_read(count);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let count = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes))?;
        self.pulse.has_written();
        Poll::Ready(Ok(count))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let count = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, parts))?;
        self.pulse.has_written();
        Poll::Ready(Ok(count))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        self.pulse.has_flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut rest = if let Some(rest) = self.rest {
            rest
        } else {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
            if self.pulse.closes() { REST } else { 0 }
        };
        let mut thrown_away = [0; 4096];
        while rest > 0 {
            self.rest = Some(rest);
            let most = rest.min(thrown_away.len());
            let mut buffer = ReadBuf::new(&mut thrown_away[..most]);
            match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => rest -= buffer.filled().len(),
                Ok(()) | Err(_) => break, // the client has closed, too
            }
        }
        self.rest = Some(0);
        Poll::Ready(Ok(()))
    }
}

/// A body that tells when it is complete, or given up.
pub struct Told {
    body: BoxBody<Bytes, io::Error>,
    pulse: Arc<Pulse>,
    is_complete: bool,
}

impl Told {
    pub fn new(body: BoxBody<Bytes, io::Error>, pulse: Arc<Pulse>) -> Self {
        Self { body, pulse, is_complete: false }
    }
}

impl Body for Told {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        self.is_complete |= frame.is_none() || self.body.is_end_stream();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        self.pulse.has_body(self.is_complete);
    }
}
