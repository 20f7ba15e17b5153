//! Handles Ctrl-C and SIGTERM for commands that have to clean up.

use tokio::signal::unix::{SignalKind, signal};

/// Installs handlers for Ctrl-C and SIGTERM. The returned future resolves at the first signal.
pub(super) fn wait_for_interrupt() -> impl Future<Output = ()> {
    let mut terminate = signal(SignalKind::terminate()).expect("SIGTERM can be listened for");
    let mut interrupt = signal(SignalKind::interrupt()).expect("SIGINT can be listened for");
    async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
}
