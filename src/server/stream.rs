//! A connection's bytes and the bodies of a request and its answer, which tell how they get on.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http_body_util::combinators::BoxBody;
use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::crowd::Presence;
use super::deadlines::{Pulse, Watch};

/// After a refusal no more of what the client still sends is read.
const REST: usize = 64 * 1024;
/// As much of an answer is handed over to HTTP/2 at once: a frame.
const PIECE: usize = 16 * 1024;

/// hyper reads into a buffer of 8 KiB, which a piece of a body keeps alive as a whole. Smaller pieces are
/// copied: a client that sends its body byte by byte would take 8 KiB for each.
const COPIED: usize = 4 * 1024;

/// A socket that tells how it gets on.
///
/// A socket that is closed with bytes unread resets the connection, and the client may lose the
/// answer (RFC 9112, section 9.6): after a refusal it is read on for a while, and what comes is
/// thrown away.
#[derive(Debug)]
pub struct Watched<S, W> {
    stream: S,
    watch: Arc<W>,
    /// What was read already and is to be read again.
    ahead: Bytes,
    /// Bytes that may still be thrown away, once it is being closed.
    rest: Option<usize>,
}

impl<S, W> Watched<S, W> {
    pub fn new(stream: S, watch: Arc<W>) -> Self {
        Self { stream, watch, ahead: Bytes::new(), rest: None }
    }

    /// Whatever reads next gets these bytes first.
    pub fn put_back(&mut self, bytes: Bytes) {
        self.ahead = bytes;
    }
}

impl<S: AsyncRead + Unpin, W: Watch> AsyncRead for Watched<S, W> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            let count = self.ahead.len().min(buffer.remaining());
            buffer.put_slice(&self.ahead.split_to(count));
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        if let Some(bytes) = buffer.filled().get(before..).filter(|bytes| !bytes.is_empty()) {
            self.watch.has_read(bytes);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin, W: Watch> Watched<S, W> {
    /// Tells what came of a write.
    fn told<T>(&self, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match &written {
            Poll::Ready(Ok(_)) => self.watch.has_written(),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => self.watch.is_held_up(),
        }
        written
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin, W: Watch> AsyncWrite for Watched<S, W> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.told(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.told(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_flush(cx) {
            Poll::Ready(flushed) => {
                flushed?;
                self.watch.has_flushed();
                Poll::Ready(Ok(()))
            }
            Poll::Pending => {
                self.watch.is_held_up();
                Poll::Pending
            }
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut rest = if let Some(rest) = self.rest {
            rest
        } else {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
            if self.watch.closes() { REST } else { 0 }
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

/// A request's body that tells when it is complete, or given up.
pub struct Told {
    body: BoxBody<Bytes, io::Error>,
    pulse: Arc<Pulse>,
    /// Are its bytes counted here? In HTTP/1.1 they are those of the connection.
    counts: bool,
    is_complete: bool,
}

impl Told {
    pub fn new(body: BoxBody<Bytes, io::Error>, pulse: Arc<Pulse>, counts: bool) -> Self {
        Self { body, pulse, counts, is_complete: false }
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
        if self.counts
            && let Some(Ok(frame)) = &frame
        {
            self.pulse.has_read(frame.data_ref().map_or(0, Bytes::len));
        }
        self.is_complete |= frame.is_none() || self.body.is_end_stream();
        Poll::Ready(frame.map(|frame| frame.map(|frame| frame.map_data(unshared))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The same bytes, without the buffer they came in if they are few.
fn unshared(bytes: Bytes) -> Bytes {
    if bytes.len() < COPIED { Bytes::copy_from_slice(&bytes) } else { bytes }
}

impl Drop for Told {
    fn drop(&mut self) {
        self.pulse.has_body(self.is_complete);
    }
}

/// An answer's body in HTTP/1.1 that tells when all of it is handed over.
pub struct Answered {
    body: BoxBody<Bytes, io::Error>,
    pulse: Arc<Pulse>,
}

impl Answered {
    pub fn new(body: BoxBody<Bytes, io::Error>, pulse: Arc<Pulse>) -> Self {
        Self { body, pulse }
    }
}

impl Body for Answered {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Answered {
    fn drop(&mut self) {
        self.pulse.has_sent();
    }
}

/// An answer's body in HTTP/2, whose request is under way until all of it is handed over.
///
/// That is done in pieces: h2 takes in whatever it is given, however little the client wants of it.
pub struct Sent {
    body: BoxBody<Bytes, io::Error>,
    /// What came of the body and is not handed over.
    ready: Bytes,
    presence: Presence,
}

impl Sent {
    pub fn new(body: BoxBody<Bytes, io::Error>, presence: Presence) -> Self {
        Self { body, ready: Bytes::new(), presence }
    }
}

impl Body for Sent {
    type Data = Bytes;
    type Error = io::Error;

    /// Asked for more as soon as the client has room for it.
    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.presence.pulse.has_written();
        if self.ready.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(bytes) => self.ready = bytes,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                other => return Poll::Ready(other),
            }
        }
        let count = self.ready.len().min(PIECE);
        Poll::Ready(Some(Ok(Frame::data(self.ready.split_to(count)))))
    }

    fn is_end_stream(&self) -> bool {
        self.ready.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let ready = u64::try_from(self.ready.len()).unwrap_or(u64::MAX);
        let mut hint = self.body.size_hint();
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper + ready);
        }
        hint.set_lower(hint.lower() + ready);
        hint
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, Full};

    use super::*;

    #[tokio::test]
    async fn a_body_that_comes_byte_by_byte_keeps_no_buffer_for_each() {
        for (size, is_copied) in [(1, true), (COPIED, false)] {
            let buffer = Bytes::from(vec![b' '; 2 * COPIED]);
            let piece = Full::new(buffer.slice(..size)).map_err(|never| match never {});
            let body = Told::new(BoxBody::new(piece), Arc::new(Pulse::new()), false);
            let read = body.collect().await.unwrap();
            assert_eq!(buffer.is_unique(), is_copied, "{size} bytes");
            assert_eq!(read.to_bytes().len(), size);
        }
    }
}
