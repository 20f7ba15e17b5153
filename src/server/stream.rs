//! The stream of a connection, which reports its progress.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use hyper::body::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::deadlines::IoObserver;

/// The maximum number of bytes that are read and discarded after a refusal.
const REST: usize = 64 * 1024;
/// A socket that reports its progress.
///
/// If a socket is closed with unread bytes, the connection is reset and the client may lose the
/// response (RFC 9112, section 9.6). So after a refusal, the rest of the request is read for a
/// while and discarded.
#[derive(Debug)]
pub struct ObservedStream<S, W> {
    stream: S,
    observer: Arc<W>,
    /// Bytes that were read already and are to be read again.
    ahead: Bytes,
    /// How many more bytes may be discarded, once the stream is being closed.
    rest: Option<usize>,
}

impl<S, W> ObservedStream<S, W> {
    pub fn new(stream: S, observer: Arc<W>) -> Self {
        Self { stream, observer, ahead: Bytes::new(), rest: None }
    }

    /// Returns these bytes to the stream: the next read gets them first.
    pub fn put_back(&mut self, bytes: Bytes) {
        self.ahead = bytes;
    }
}

impl<S: AsyncRead + Unpin, W: IoObserver> AsyncRead for ObservedStream<S, W> {
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
            self.observer.has_read(bytes);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin, W: IoObserver> ObservedStream<S, W> {
    /// Reports the result of a write.
    fn report_write<T>(&self, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match &written {
            Poll::Ready(Ok(_)) => self.observer.has_written(),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => self.observer.is_held_up(),
        }
        written
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin, W: IoObserver> AsyncWrite for ObservedStream<S, W> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.report_write(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.report_write(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_flush(cx) {
            Poll::Ready(flushed) => {
                flushed?;
                self.observer.has_flushed();
                Poll::Ready(Ok(()))
            }
            Poll::Pending => {
                self.observer.is_held_up();
                Poll::Pending
            }
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut rest = if let Some(rest) = self.rest {
            rest
        } else {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
            if self.observer.closes() { REST } else { 0 }
        };
        let mut thrown_away = [0; 4096];
        while rest > 0 {
            self.rest = Some(rest);
            let most = rest.min(thrown_away.len());
            let mut buffer = ReadBuf::new(&mut thrown_away[..most]);
            match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => rest -= buffer.filled().len(),
                Ok(()) | Err(_) => break, // the client has closed the connection, too
            }
        }
        self.rest = Some(0);
        Poll::Ready(Ok(()))
    }
}
