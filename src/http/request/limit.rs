//! The size limits of bodies, and a body that fails at its limit.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use http_body_util::combinators::BoxBody;
use hyper::body::{Body as HttpBody, Bytes, Frame, SizeHint};

/// The maximum size of a body of our operations in bytes. `Code::PayloadTooLarge` states it, too.
pub const MAX_BODY_BYTES: usize = 16 * 1024;

/// A body that fails when it exceeds its limit.
pub struct LimitedBody {
    body: BoxBody<Bytes, io::Error>,
    left: u64,
    limit: usize,
}

impl LimitedBody {
    pub fn new(body: BoxBody<Bytes, io::Error>, limit: usize) -> Self {
        Self { body, left: u64::try_from(limit).unwrap_or(u64::MAX), limit }
    }
}

impl HttpBody for LimitedBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let too_large = |limit| Poll::Ready(Some(Err(io::Error::other(TooLarge(limit)))));
        // A body that declares a larger size is not read at all.
        if self.body.size_hint().lower() > self.left {
            return too_large(self.limit);
        }
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            let length = frame.data_ref().map_or(0, |data| data.len() as u64);
            match self.left.checked_sub(length) {
                Some(left) => self.left = left,
                None => return too_large(self.limit),
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body is larger than this many bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the body is larger than {0} bytes")]
pub struct TooLarge(pub usize);

impl TooLarge {
    /// The limit, if it is the reason why reading the body failed.
    pub fn from_io_error(error: &io::Error) -> Option<Self> {
        let cause = error.get_ref()?;
        let within = || cause.downcast_ref::<io::Error>().and_then(Self::from_io_error);
        cause.downcast_ref().copied().or_else(within)
    }
}

/// A number of bytes for people: `16 KiB`.
pub fn format_bytes(bytes: usize) -> String {
    const KIB: usize = 1024;
    const MIB: usize = 1024 * KIB;
    match bytes {
        bytes if bytes >= MIB && bytes.is_multiple_of(MIB) => format!("{} MiB", bytes / MIB),
        bytes if bytes >= KIB && bytes.is_multiple_of(KIB) => format!("{} KiB", bytes / KIB),
        bytes => format!("{bytes} bytes"),
    }
}
