//! Migrations that a checkout with CRLF line ends has changed.

use sha2::{Digest, Sha384};
use sqlx::migrate::Migration;

use super::open_error::OpenError;

/// What is wrong with a migration that ran with another checksum.
pub fn mismatch(known: &Migration, ran: &[u8]) -> OpenError {
    if differ_in_line_ends(known.sql.as_str(), ran) {
        return OpenError::LineEnds(known.version);
    }
    OpenError::Changed(known.version)
}

/// Is this the checksum of the same text with other line ends?
pub fn differ_in_line_ends(sql: &str, checksum: &[u8]) -> bool {
    let lf = sql.replace("\r\n", "\n");
    let crlf = lf.replace('\n', "\r\n");
    [lf, crlf].iter().any(|text| Sha384::digest(text.as_bytes())[..] == *checksum)
}
