//! Following the folder of the keys.

use std::sync::Weak;
use std::time::Instant;

use crate::core::interval::{LogLimiter, Periodic};
use crate::domain::Domain;
use crate::domain::audit::event::Event;
use crate::domain::jobs::rounds::{FOLLOW_INTERVAL, next_until_closing};
use crate::domain::keys::files::KeyError;
use crate::domain::keys::peppers::PepperError;
use crate::domain::keys::server_secret::ServerSecretError;

/// Takes up new keys, peppers and server secrets and lets go of removed ones until the domain is
/// gone.
pub async fn watch_keys(domain: Weak<Domain>) {
    let mut limiters = <[LogLimiter; 3]>::default();
    let mut rounds = Periodic::every(FOLLOW_INTERVAL, domain);
    while let Some(domain) = next_until_closing(&mut rounds).await {
        let errors = reload_key_folder(&domain).await;
        if domain.shutdown.is_closing() {
            continue; // then the database's errors say nothing
        }
        domain.counters.note_key_errors(errors.each_ref().map(Vec::len));
        for (limiter, errors) in limiters.iter_mut().zip(errors) {
            if !errors.is_empty() {
                let say = || errors.iter().for_each(|error| tracing::error!("{error}"));
                limiter.log(Instant::now(), say);
            }
        }
    }
}

/// Takes up new keys, peppers and server secrets at once, as at SIGHUP, and says what is wrong.
pub async fn reload_keys(domain: &Domain) {
    let errors = reload_key_folder(domain).await;
    errors.iter().flatten().for_each(|error| tracing::error!("{error}"));
}

/// Takes up what has changed in the folder of the keys. What is wrong comes back: of signing keys, of
/// peppers, and of server secrets.
async fn reload_key_folder(domain: &Domain) -> [Vec<String>; 3] {
    let keys = reload_signing_keys(domain).unwrap_or_else(|error| vec![error]);
    let peppers = reload_peppers(domain).await.unwrap_or_else(|error| vec![error]);
    let secrets = reload_server_secrets(domain).await.unwrap_or_else(|error| vec![error]);
    [sentences(&keys), sentences(&peppers), sentences(&secrets)]
}

/// Uses new signing keys, and no longer those that were removed. What is wrong comes back.
fn reload_signing_keys(domain: &Domain) -> Result<Vec<KeyError>, KeyError> {
    let (has_changed, errors) = domain.keys.reload()?;
    if has_changed {
        domain.session_cache.all_changed();
        domain.audit.outside_requests().record(Event::KeysChanged);
    }
    Ok(errors)
}

/// Uses new peppers, and no longer those that were removed, unless a password needs them. What is wrong
/// comes back.
async fn reload_peppers(domain: &Domain) -> Result<Vec<PepperError>, PepperError> {
    let (changed, errors) = domain.hasher.peppers().reread(&domain.store).await?;
    if let Some(peppers) = changed {
        domain.hasher.set_peppers(peppers);
        domain.audit.outside_requests().record(Event::PeppersChanged);
    }
    Ok(errors)
}

/// Uses new server secrets, and no longer those that were removed, unless a row needs them. What cannot
/// be done comes back.
async fn reload_server_secrets(
    domain: &Domain,
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
