//! The bodies of requests and responses, which report their progress to the timer.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http_body_util::combinators::BoxBody;
use hyper::body::{Body, Bytes, Frame, SizeHint};

use super::connection_timer::ConnectionTimer;
use super::deadlines::IoObserver;
use super::http2::StreamGuard;

/// The size of the chunks of a response on HTTP/2: one frame.
const PIECE: usize = 16 * 1024;

/// hyper reads into a buffer of 8 KiB, and a chunk of a body keeps its whole buffer alive. Smaller
/// chunks are copied: otherwise a client that sends its body byte by byte would occupy 8 KiB for
/// each byte.
const COPIED: usize = 4 * 1024;

/// A request body that reports when it is complete or was dropped.
pub struct ObservedBody {
    body: BoxBody<Bytes, io::Error>,
    timer: Arc<ConnectionTimer>,
    /// Whether it counts its bytes. On HTTP/1.1 the stream of the connection counts them.
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
        Poll::Ready(frame.map(|frame| frame.map(|frame| frame.map_data(copy_if_small))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The same bytes, copied out of their buffer if they are few.
fn copy_if_small(bytes: Bytes) -> Bytes {
    if bytes.len() < COPIED { Bytes::copy_from_slice(&bytes) } else { bytes }
}

impl Drop for ObservedBody {
    fn drop(&mut self) {
        self.timer.has_body(self.is_complete);
    }
}

/// A response body on HTTP/1.1 that reports when all of it was handed to hyper.
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

/// A response body on HTTP/2. Its request counts as in progress until all of the body was handed to
/// h2.
///
/// It is handed over in chunks, because h2 buffers all it gets, however little the client reads.
pub struct ChunkedBody {
    body: BoxBody<Bytes, io::Error>,
    /// The part of the body that was not handed over yet.
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

    /// Polled for more when the client has room for it.
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
