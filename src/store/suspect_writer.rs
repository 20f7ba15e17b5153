//! Is the connection that writes of any use still? SQLite opens a file to read that it cannot open to
//! write, and such a connection never writes, however well the disk is again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::errors::{is_damage, primary_code};

/// From a write that failed with the file to one that succeeds; until then each write opens a connection.
/// So the database is looked at as it is, and not as a connection remembers it.
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

/// May another connection do what this one did not: READONLY 8, IOERR 10? CANTOPEN is not among them: this
/// one is open, and where no file can be opened another would not be.
pub fn is_of_connection(error: &sqlx::Error) -> bool {
    primary_code(error).is_some_and(|code| matches!(code, 8 | 10))
}
