//! Detects migrations whose line endings a checkout has changed to CRLF.

use sha2::{Digest, Sha384};
use sqlx::migrate::Migration;

use super::open_error::OpenError;

/// The error for a migration that ran with another checksum.
pub fn mismatch(known: &Migration, ran: &[u8]) -> OpenError {
    if differ_in_line_ends(known.sql.as_str(), ran) {
        return OpenError::LineEnds(known.version);
    }
    OpenError::Changed(known.version)
}

/// Whether the checksum is that of the same text with other line endings.
pub fn differ_in_line_ends(sql: &str, checksum: &[u8]) -> bool {
    let lf = sql.replace("\r\n", "\n");
    let crlf = lf.replace('\n', "\r\n");
    [lf, crlf].iter().any(|text| Sha384::digest(text.as_bytes())[..] == *checksum)
}
