//! The header by which a request is found in the log.

use std::sync::atomic::{AtomicU64, Ordering};

use poem::http::{HeaderName, HeaderValue};

use crate::core::secret::random_bytes;

pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Names for requests: 64 random bits of this process, and a count.
pub struct RequestIds {
    process: u64,
    count: AtomicU64,
}

impl RequestIds {
    pub fn new() -> Self {
        Self { process: u64::from_ne_bytes(random_bytes()), count: AtomicU64::new(0) }
    }

    pub fn next(&self) -> HeaderValue {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let id = format!("{:016x}-{count:x}", self.process);
        HeaderValue::try_from(id).expect("hexadecimal digits make a header")
    }
}
