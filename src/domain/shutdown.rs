//! Whether the service is about to end.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::core::error::InternalError;

#[derive(Debug, Default)]
pub struct Shutdown {
    /// Has it been told to end?
    is_leaving: AtomicBool,
    /// Is the database closed, or about to be, because this is the end?
    is_closing: AtomicBool,
}

impl Shutdown {
    /// From now on other nodes are to be asked; what is asked nevertheless is answered.
    pub fn leave(&self) {
        self.is_leaving.store(true, Ordering::Relaxed);
    }

    pub fn is_leaving(&self) -> bool {
        self.is_leaving.load(Ordering::Relaxed)
    }

    /// The database is about to be closed.
    pub fn begin_closing(&self) {
        self.is_closing.store(true, Ordering::Relaxed);
    }

    /// Is this the end? Then what goes on in the background ends, too.
    pub fn is_closing(&self) -> bool {
        self.is_closing.load(Ordering::Relaxed)
    }

    /// Logs what failed in the background, unless it failed because the database was closed at the end.
    pub fn warn(&self, fault: &InternalError) {
        if !self.is_closing() {
            tracing::warn!("{fault}");
        }
    }
}
