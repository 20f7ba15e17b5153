//! The state of the service's shutdown.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

use crate::core::error::InternalError;

#[derive(Debug, Default)]
pub struct Shutdown {
    /// Whether the shutdown has begun.
    is_shutting_down: AtomicBool,
    /// Whether the database is closed, or about to be closed.
    is_closing: AtomicBool,
    begins: Notify,
}

impl Shutdown {
    /// Begins the shutdown: `/readyz` fails from now on, while requests are still answered.
    pub fn begin_shutdown(&self) {
        self.is_shutting_down.store(true, Ordering::SeqCst);
        self.begins.notify_waiters();
    }

    pub fn is_shutting_down(&self) -> bool {
        self.is_shutting_down.load(Ordering::SeqCst)
    }

    /// Waits until the shutdown has begun.
    pub async fn wait_for_begin(&self) {
        let begins = self.begins.notified(); // before the check, so that no beginning is missed
        if !self.is_shutting_down() {
            begins.await;
        }
    }

    /// Records that the database is about to be closed.
    pub fn begin_closing(&self) {
        self.is_closing.store(true, Ordering::Relaxed);
    }

    /// Whether the database is about to be closed. Then background jobs end.
    pub fn is_closing(&self) -> bool {
        self.is_closing.load(Ordering::Relaxed)
    }

    /// Logs the error of a background job, unless the database was closed by the shutdown.
    pub fn warn(&self, fault: &InternalError) {
        if !self.is_closing() {
            tracing::warn!("{fault}");
        }
    }
}
