//! Times in API responses.

use time::OffsetDateTime;

use crate::core::clock::Timestamp;

/// A time in the format of RFC 3339, to the second.
pub fn date_time(at: Timestamp) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(at.seconds()).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}
