//! The signals of the process: it stops at SIGTERM and Ctrl-C, reloads keys and certificates at
//! SIGHUP, and ignores SIGUSR1 and SIGUSR2. Each of them would end a process without a handler.

use std::sync::{Arc, Weak};

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::domain::AuthService;
use crate::domain::jobs;

/// The signals that a service handles.
#[derive(Debug)]
pub struct Signals {
    pub(super) stop: StopSignals,
    pub(super) reload: ReloadSignals,
}

/// SIGTERM and Ctrl-C.
#[derive(Debug)]
pub(super) struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

/// The signals after which a service continues.
#[derive(Debug)]
pub struct ReloadSignals {
    hangup: Signal,
    user_1: Signal,
    user_2: Signal,
}

fn listen(kind: SignalKind) -> Signal {
    signal(kind).expect("a signal that is not KILL or STOP can be listened for")
}

impl Signals {
    /// Installs the handlers. Call this before clients can learn that the service runs.
    pub fn listen() -> Self {
        let terminate = listen(SignalKind::terminate());
        let interrupt = listen(SignalKind::interrupt());
        Self { stop: StopSignals { terminate, interrupt }, reload: ReloadSignals::listen() }
    }
}

impl StopSignals {
    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Resolves at the first signal, after the service has stopped being ready. A second signal
    /// ends the process immediately.
    pub(super) async fn asked_to_stop(mut self, domain: Arc<AuthService>) {
        self.next().await;
        domain.begin_shutdown();
        tracing::info!("shutting down; requests in progress are completed first");
        tokio::spawn(async move {
            self.next().await;
            std::process::exit(1);
        });
    }
}

impl ReloadSignals {
    /// Installs the handlers. From now on these signals do not end the process, even after this is
    /// dropped.
    pub fn listen() -> Self {
        Self {
            hangup: listen(SignalKind::hangup()),
            user_1: listen(SignalKind::user_defined1()),
            user_2: listen(SignalKind::user_defined2()),
        }
    }

    /// Handles the signals until the domain is dropped. The certificate handles SIGHUP itself, see
    /// `Tls::watch`.
    pub(super) async fn follow(mut self, domain: Weak<AuthService>) {
        loop {
            let name = tokio::select! {
                _ = self.hangup.recv() => None,
                _ = self.user_1.recv() => Some("SIGUSR1"),
                _ = self.user_2.recv() => Some("SIGUSR2"),
            };
            let Some(domain) = domain.upgrade() else { return };
            if let Some(name) = name {
                tracing::info!("ignored the signal {name}; the service continues");
            } else {
                tracing::info!(
                    "SIGHUP: reloading the certificate, the signing keys, the peppers and the \
                     server secrets; changed settings require a restart"
                );
                jobs::keys::reload_keys(&domain).await;
            }
        }
    }
}
