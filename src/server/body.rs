//! The bodies of a request and its answer, which tell how they get on.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http_body_util::combinators::BoxBody;
use hyper::body::{Body, Bytes, Frame, SizeHint};

use super::connection_timer::ConnectionTimer;
use super::deadlines::IoObserver;
use super::http2::StreamGuard;

/// As much of an answer is handed over to HTTP/2 at once: a frame.
const PIECE: usize = 16 * 1024;

/// hyper reads into a buffer of 8 KiB, which a piece of a body keeps alive as a whole. Smaller pieces are
/// copied: a client that sends its body byte by byte would take 8 KiB for each.
const COPIED: usize = 4 * 1024;

/// A request's body that tells when it is complete, or given up.
pub struct ObservedBody {
    body: BoxBody<Bytes, io::Error>,
    timer: Arc<ConnectionTimer>,
    /// Are its bytes counted here? In HTTP/1.1 they are those of the connection.
    counts: bool,
    is_complete: bool,
}

impl ObservedBody {
    pub fn new(body: BoxBody<Bytes, io::Error>, timer: Arc<ConnectionTimer>, counts: bool) -> Self {
        Self { body, timer, counts, is_complete: false }
    }
}

impl Body for ObservedBody {
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
            self.timer.has_read(frame.data_ref().map_or(0, Bytes::len));
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

impl Drop for ObservedBody {
    fn drop(&mut self) {
        self.timer.has_body(self.is_complete);
    }
}

/// An answer's body in HTTP/1.1 that tells when all of it is handed over.
pub struct FinishedBody {
    body: BoxBody<Bytes, io::Error>,
    timer: Arc<ConnectionTimer>,
}

impl FinishedBody {
    pub fn new(body: BoxBody<Bytes, io::Error>, timer: Arc<ConnectionTimer>) -> Self {
        Self { body, timer }
    }
}

impl Body for FinishedBody {
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

impl Drop for FinishedBody {
    fn drop(&mut self) {
        self.timer.has_sent();
    }
}

/// An answer's body in HTTP/2, whose request is under way until all of it is handed over.
///
/// That is done in pieces: h2 takes in whatever it is given, however little the client wants of it.
pub struct ChunkedBody {
    body: BoxBody<Bytes, io::Error>,
    /// What came of the body and is not handed over.
    ready: Bytes,
    stream: StreamGuard,
}

impl ChunkedBody {
    pub fn new(body: BoxBody<Bytes, io::Error>, stream: StreamGuard) -> Self {
        Self { body, ready: Bytes::new(), stream }
    }
}

impl Body for ChunkedBody {
    type Data = Bytes;
    type Error = io::Error;

    /// Asked for more as soon as the client has room for it.
    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.stream.timer.has_written();
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
            let body =
                ObservedBody::new(BoxBody::new(piece), Arc::new(ConnectionTimer::new()), false);
            let read = body.collect().await.unwrap();
            assert_eq!(buffer.is_unique(), is_copied, "{size} bytes");
            assert_eq!(read.to_bytes().len(), size);
        }
    }
}
