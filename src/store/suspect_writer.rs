//! Detects a writer connection that has become useless: SQLite opens a file that is not writable
//! for reading only, and such a connection can never write, even after the disk has recovered.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::errors::{is_damage, primary_code};

/// Set from a write that failed because of the file until a write succeeds. Meanwhile each write
/// opens a new connection, which sees the present state of the file.
#[derive(Debug, Clone, Default)]
pub struct SuspectWriter(Arc<AtomicBool>);

impl SuspectWriter {
    pub fn is_suspect(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub fn record_error(&self, error: &sqlx::Error) {
        if is_of_connection(error) || is_damage(error) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    pub fn clear(&self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// Whether a new connection might succeed: READONLY 8, IOERR 10. CANTOPEN is not among them: this
/// connection is open, and where no file can be opened, a new one would fail too.
pub fn is_of_connection(error: &sqlx::Error) -> bool {
    primary_code(error).is_some_and(|code| matches!(code, 8 | 10))
}
