//! What the process does at signals: it stops at SIGTERM and Ctrl-C, reads again what it can at
//! SIGHUP, and goes on at SIGUSR1 and SIGUSR2. Each of them ends a process that does not listen.

use std::sync::{Arc, Weak};

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::domain::Domain;
use crate::domain::jobs;

/// The signals that a service knows.
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

/// The signals at which a service goes on.
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
    /// Listens from now on: a client that knows the service runs may ask it to stop.
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

    /// Done at the first one, when it is no longer ready. A second one ends the process at once.
    pub(super) async fn asked_to_stop(mut self, domain: Arc<Domain>) {
        self.next().await;
        domain.leave();
        tracing::info!("stopping; answers under way are finished first");
        tokio::spawn(async move {
            self.next().await;
            std::process::exit(1);
        });
    }
}

impl ReloadSignals {
    /// Listens from now on. The process no longer ends by them, even when this is dropped.
    pub fn listen() -> Self {
        Self {
            hangup: listen(SignalKind::hangup()),
            user_1: listen(SignalKind::user_defined1()),
            user_2: listen(SignalKind::user_defined2()),
        }
    }

    /// Answers them until the domain is gone. The certificate listens for SIGHUP itself, see
    /// `Tls::watch`.
    pub(super) async fn follow(mut self, domain: Weak<Domain>) {
        loop {
            let name = tokio::select! {
                _ = self.hangup.recv() => None,
                _ = self.user_1.recv() => Some("SIGUSR1"),
                _ = self.user_2.recv() => Some("SIGUSR2"),
            };
            let Some(domain) = domain.upgrade() else { return };
            if let Some(name) = name {
                tracing::info!("{name} does nothing here; the service goes on");
            } else {
                tracing::info!(
                    "SIGHUP: reading the certificate, the signing keys, the peppers and the server secrets \
                     again; settings need a restart"
                );
                jobs::keys::reload_keys(&domain).await;
            }
        }
    }
}
