//! Ctrl-C and SIGTERM, for commands that clear away what they have begun.

use tokio::signal::unix::{SignalKind, signal};

/// Ends no more by Ctrl-C or SIGTERM, and waits for them.
pub(super) fn interrupted() -> impl Future<Output = ()> {
    let mut terminate = signal(SignalKind::terminate()).expect("SIGTERM can be listened for");
    let mut interrupt = signal(SignalKind::interrupt()).expect("SIGINT can be listened for");
    async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
}
