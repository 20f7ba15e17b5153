//! The request id, by which a request is found in the log.

use std::sync::atomic::{AtomicU64, Ordering};

use poem::http::{HeaderName, HeaderValue};

use crate::core::secret::random_bytes;

pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Generates request ids: 64 random bits of this process, and a counter, both as hexadecimal
/// digits.
pub struct RequestIds {
    /// The random bits, and a hyphen.
    prefix: [u8; PREFIX],
    count: AtomicU64,
}

const PREFIX: usize = 17;

impl RequestIds {
    pub fn new() -> Self {
        let mut prefix = [b'-'; PREFIX];
        write_hex(&mut prefix[..PREFIX - 1], u64::from_ne_bytes(random_bytes()));
        Self { prefix, count: AtomicU64::new(0) }
    }

    /// Written by hand, because it runs for every request, and `format!` takes several times as
    /// many instructions.
    pub fn next(&self) -> HeaderValue {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let digits = 1 + count.checked_ilog2().unwrap_or_default() as usize / 4;
        let mut id = [0; PREFIX + 16];
        id[..PREFIX].copy_from_slice(&self.prefix);
        write_hex(&mut id[PREFIX..PREFIX + digits], count);
        HeaderValue::from_bytes(&id[..PREFIX + digits]).expect("hexadecimal digits make a header")
    }
}

/// Writes the last hexadecimal digits of a number, as many as fit.
fn write_hex(room: &mut [u8], mut number: u64) {
    for digit in room.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(number & 15) as usize];
        number >>= 4;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_named_by_the_process_and_its_number() {
        let ids = RequestIds { prefix: *b"00000000000000ab-", count: AtomicU64::new(0) };
        assert_eq!(ids.next(), "00000000000000ab-0");
        for (count, name) in [(1, "1"), (15, "f"), (16, "10"), (4096, "1000")] {
            ids.count.store(count, Ordering::Relaxed);
            assert_eq!(ids.next(), format!("00000000000000ab-{name}"));
        }
        ids.count.store(u64::MAX, Ordering::Relaxed);
        assert_eq!(ids.next(), format!("00000000000000ab-{:x}", u64::MAX));
    }
}
