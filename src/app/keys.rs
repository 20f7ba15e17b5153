//! Loads the signing keys and the server secrets of the data folder, and creates the first one of
//! each.

use std::fs::File;
use std::path::Path;

use super::error::StartError;
use crate::config::Config;
use crate::core::clock::Clock;
use crate::core::error::InternalError;
use crate::domain::keys::files::KeyError;
use crate::domain::keys::server_secret::{ServerSecretError, ServerSecrets};
use crate::domain::keys::tokens::KeyRing;
use crate::domain::keys::{files, server_secret};
use crate::store::Store;

/// Reads the signing keys and the server secrets, and creates the first one of each. The lock
/// prevents that two processes do so at the same time: with two first keys, sessions would be
/// refused, and with two first secrets, attempts would be counted twice.
pub(super) async fn load_keys(
    folder: &Path,
    config: &Config,
    store: &Store,
    clock: &Clock,
) -> Result<(KeyRing, ServerSecrets), StartError> {
    let _held = lock_keys(folder).await?;
    let keys = load_signing_keys(folder, config, store, clock).await?;
    Ok((keys, load_server_secrets(folder, store, clock).await?))
}

/// Waits for the lock of the key folder.
pub async fn lock_keys(folder: &Path) -> Result<Option<File>, StartError> {
    let folder = folder.to_owned();
    let waited = tokio::task::spawn_blocking(move || files::lock(&folder)).await;
    Ok(waited.map_err(|error| InternalError::new("waiting for the keys", error))??)
}

async fn load_signing_keys(
    folder: &Path,
    config: &Config,
    store: &Store,
    clock: &Clock,
) -> Result<KeyRing, StartError> {
    let issuer = config.public_url.origin();
    if let Some(keys) = KeyRing::read(folder, &issuer)? {
        return Ok(keys);
    }
    if store.has_accounts().await? {
        return Err(KeyError::Gone(folder.to_owned()).into());
    }
    KeyRing::create(folder, clock.now())?;
    KeyRing::read(folder, &issuer)?.ok_or_else(|| KeyError::Gone(folder.to_owned()).into())
}

/// Reads the server secrets. A new installation gets one here, and so does one that is older than
/// server secrets. A lost secret is not replaced while rows need it.
pub(super) async fn load_server_secrets(
    folder: &Path,
    store: &Store,
    clock: &Clock,
) -> Result<ServerSecrets, StartError> {
    let now = clock.now();
    let secrets = ServerSecrets::read(folder)?;
    let needed = store.server_secrets_in_use(now.millis()).await?;
    server_secret::check(folder, secrets.as_ref(), needed)?;
    if let Some(secrets) = secrets {
        return Ok(secrets);
    }
    let (id, path) = ServerSecrets::create(folder, now)?;
    tracing::debug!("created the server secret {id}: {}", path.display());
    let secrets = ServerSecrets::read(folder)?;
    Ok(secrets.ok_or_else(|| ServerSecretError::NoneLeft(folder.to_owned()))?)
}
