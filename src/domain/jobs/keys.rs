//! Follows changes in the key folder.

use std::sync::Weak;
use std::time::Instant;

use crate::core::interval::{LogLimiter, Periodic};
use crate::domain::AuthService;
use crate::domain::audit::event::Event;
use crate::domain::jobs::periodic::{FOLLOW_INTERVAL, next_until_closing};
use crate::domain::keys::files::KeyError;
use crate::domain::keys::peppers::PepperError;
use crate::domain::keys::server_secret::ServerSecretError;

/// Reloads signing keys, peppers and server secrets at an interval, until the domain is dropped.
pub async fn follow_keys(domain: Weak<AuthService>) {
    let mut limiters = <[LogLimiter; 3]>::default();
    let mut rounds = Periodic::every(FOLLOW_INTERVAL, domain);
    while let Some(domain) = next_until_closing(&mut rounds).await {
        let errors = reload_key_folder(&domain).await;
        if domain.shutdown.is_closing() {
            continue; // the database is closed, so its errors mean nothing
        }
        domain.counters.record_key_errors(errors.each_ref().map(Vec::len));
        for (limiter, errors) in limiters.iter_mut().zip(errors) {
            if !errors.is_empty() {
                let say = || errors.iter().for_each(|error| tracing::error!("{error}"));
                limiter.log(Instant::now(), say);
            }
        }
    }
}

/// Reloads signing keys, peppers and server secrets immediately, for SIGHUP, and logs problems.
pub async fn reload_keys(domain: &AuthService) {
    let errors = reload_key_folder(domain).await;
    errors.iter().flatten().for_each(|error| tracing::error!("{error}"));
}

/// Reloads what has changed in the key folder. Returns the problems with signing keys, peppers and
/// server secrets.
async fn reload_key_folder(domain: &AuthService) -> [Vec<String>; 3] {
    let keys = reload_signing_keys(domain).unwrap_or_else(|error| vec![error]);
    let peppers = reload_peppers(domain).await.unwrap_or_else(|error| vec![error]);
    let secrets = reload_server_secrets(domain).await.unwrap_or_else(|error| vec![error]);
    [sentences(&keys), sentences(&peppers), sentences(&secrets)]
}

/// Uses added signing keys, and stops using removed ones. Returns the problems.
fn reload_signing_keys(domain: &AuthService) -> Result<Vec<KeyError>, KeyError> {
    let (has_changed, errors) = domain.keys.reload()?;
    if has_changed {
        domain.session_cache.invalidate_all();
        domain.audit.outside_requests().record(Event::KeysChanged);
    }
    Ok(errors)
}

/// Uses added peppers, and stops using removed ones unless a password needs them. Returns the
/// problems.
async fn reload_peppers(domain: &AuthService) -> Result<Vec<PepperError>, PepperError> {
    let (changed, errors) = domain.hasher.peppers().reread(&domain.store).await?;
    if let Some(peppers) = changed {
        domain.hasher.set_peppers(peppers);
        domain.audit.outside_requests().record(Event::PeppersChanged);
    }
    Ok(errors)
}

/// Uses added server secrets, and stops using removed ones unless a row needs them. Returns the
/// problems.
async fn reload_server_secrets(
    domain: &AuthService,
) -> Result<Vec<ServerSecretError>, ServerSecretError> {
    let now = domain.clock.now();
    let (has_changed, errors) = domain.server_secrets.reload(&domain.store, now).await?;
    if has_changed {
        domain.audit.outside_requests().record(Event::ServerSecretsChanged);
    }
    Ok(errors)
}

fn sentences(errors: &[impl std::error::Error]) -> Vec<String> {
    errors.iter().map(ToString::to_string).collect()
}
