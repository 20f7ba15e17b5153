//! Sends the mails of the outbox.

use std::sync::Weak;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::core::error::InternalError;
use crate::core::interval::LogLimiter;
use crate::domain::AuthService;
use crate::domain::mail::outbox::Round;
use crate::domain::mail::retry::{ServerBackoff, spread};

/// The interval at which a node looks for mails that are due again, or that other processes queued.
const POLL_INTERVAL: Duration = Duration::from_secs(5);

/// Sends mails until the domain is dropped or the shutdown begins. A mail that this node queues
/// wakes it, but not while the mail server is away: many mails would otherwise ask for it without a
/// pause.
pub async fn send_mails(domain: Weak<AuthService>) {
    let (mut backoff, mut limiter) = (ServerBackoff::default(), LogLimiter::default());
    loop {
        let Some(domain) = domain.upgrade() else { return };
        if !domain.outbox.has_server() || domain.shutdown.is_shutting_down() {
            return;
        }
        let (waker, shutdown) = (domain.outbox.waker(), domain.shutdown.clone());
        let round = domain.outbox.send_due().await;
        if let Err(fault) = &round {
            domain.shutdown.warn(fault);
        }
        drop(domain);
        let is_waking = matches!(round, Ok(Round::Done));
        let wait = next_wait(round, &mut backoff, &mut limiter);
        tokio::select! {
            () = sleep(wait) => {}
            () = waker.notified(), if is_waking => {}
            () = shutdown.wait_for_begin() => {}
        }
    }
}

/// How long the worker waits after a round.
fn next_wait(
    round: Result<Round, InternalError>,
    backoff: &mut ServerBackoff,
    limiter: &mut LogLimiter,
) -> Duration {
    match round {
        Ok(Round::More) => {
            backoff.reset();
            Duration::ZERO
        }
        Ok(Round::Done) => {
            backoff.reset();
            spread(POLL_INTERVAL, 20)
        }
        Ok(Round::ServerFailed(failure)) => {
            limiter.log(Instant::now(), || tracing::warn!("mail waits in the outbox: {failure}"));
            backoff.next_wait()
        }
        Err(_) => spread(POLL_INTERVAL, 20),
    }
}
