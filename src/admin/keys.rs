//! Creates keys for operators, and records events about them.

use std::path::{Path, PathBuf};

use crate::app::{self, StartError, lock_keys};
use crate::config::Config;
use crate::core::clock::{Clock, Timestamp};
use crate::domain::audit::event::Event;
use crate::domain::audit::journal::AuditLog;
use crate::domain::keys::files;
use crate::domain::keys::server_secret::ServerSecrets;
use crate::domain::keys::tokens::KeyRing;
use crate::embed::Error;
use crate::store::Store;

/// The key folder for a command that adds a key. The first key is only created in a folder that
/// `--data-dir` names: elsewhere no service might ever read it.
pub(crate) fn folder_for_new_key(
    config: &Config,
    named: Option<&Path>,
    command: &'static str,
) -> Result<PathBuf, StartError> {
    let folder = config.key_folder();
    if named.is_some() {
        return app::make_folders(config);
    }
    if KeyRing::are_in(&folder)? {
        return Ok(folder);
    }
    let data_dir = config.data_dir.clone();
    Err(StartError::UnnamedFolder { folder, data_dir, command, settings: config.source() })
}

/// Creates the first signing key and the first server secret, like a start of the service. It does
/// not replace lost ones, and does nothing in a read-only folder.
pub(crate) async fn make_first_keys(config: &Config, store: &Store) -> Result<(), StartError> {
    let folder = app::make_folders(config)?;
    let _held = lock_keys(&folder).await?;
    let now = Clock::System.now();
    if !KeyRing::are_in(&folder)? && !store.has_accounts().await? {
        KeyRing::create(&folder, now)?;
    }
    if ServerSecrets::are_in(&folder)? || files::is_read_only(&folder) {
        return Ok(());
    }
    if store.server_secrets_in_use(now.millis()).await?.is_empty() {
        ServerSecrets::create(&folder, now)?;
    }
    Ok(())
}

/// Logs an event about a key, and writes it to the database if there is one with accounts.
pub(crate) async fn record_key_event(
    config: &Config,
    event: Event,
    id: &str,
    now: Timestamp,
) -> Result<(), Error> {
    event.log(id);
    let address = config.database_url.expose(); // for the driver that connects
    if !Store::exists(address).await? {
        return Ok(()); // creates no database
    }
    let store = Store::open(address).await?;
    let written = write_key_event(&store, event, id, now).await;
    store.close().await;
    written
}

async fn write_key_event(
    store: &Store,
    event: Event,
    id: &str,
    now: Timestamp,
) -> Result<(), Error> {
    let events = AuditLog::new(Clock::System);
    if store.has_accounts().await? {
        events.record_for_id(now, event, id);
    }
    Ok(events.write(store, now).await?)
}
