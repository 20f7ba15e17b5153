//! Instants as the API writes them.

use time::OffsetDateTime;

use crate::core::clock::Timestamp;

/// An instant as RFC 3339 writes it, to the second.
pub fn date_time(at: Timestamp) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(at.seconds()).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}
