//! Checks the signing keys, the peppers and the server secrets.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use super::findings::{Diagnosis, Verdict};
use crate::config::Config;
use crate::domain::keys::files::KeyError;
use crate::domain::keys::peppers::Peppers;
use crate::domain::keys::server_secret::ServerSecrets;
use crate::domain::keys::tokens::KeyRing;
use crate::domain::keys::{files, server_secret};

/// The ids of the signing keys while the key folder has not been read: an empty list, or `None`
/// (unknown) if permissions hide the data folder.
pub(super) fn unseen_keys(data_folder: &Path) -> Option<Vec<String>> {
    let seen = fs::metadata(data_folder);
    let is_denied = seen.is_err_and(|error| error.kind() == ErrorKind::PermissionDenied);
    (!is_denied).then(Vec::new)
}

/// Checks the signing keys. Returns the ids of the keys, or `None` if the keys cannot be read.
pub(super) fn check_signing_keys(
    config: &Config,
    accounts: i64,
    found: &mut Diagnosis,
) -> Option<Vec<String>> {
    let folder = config.key_folder();
    let shown = folder.display();
    match KeyRing::read(&folder, &config.public_url.origin()) {
        Ok(Some(keys)) => {
            let says = format!("{} in {shown}", keys.public().len());
            found.add("keys", Verdict::Ok, says);
            return Some(keys.public().into_iter().map(|key| key.kid).collect());
        }
        Ok(None) if accounts > 0 => {
            let says = format!(
                "the signing keys are missing from {shown}: they existed, because there are \
                 accounts; restore them from a backup, or run `cloakroom --data-dir {} key \
                 rotate`, which creates a key and signs out all users",
                config.data_dir.display()
            );
            found.add("keys", Verdict::Wrong, says);
        }
        Ok(None) => {
            let says = format!(
                "there are no signing keys in {shown}; the first start of the service creates one"
            );
            found.add("keys", Verdict::Wrong, says);
        }
        Err(error) => {
            found.add("keys", Verdict::Wrong, error.to_string());
            return None;
        }
    }
    Some(Vec::new())
}

/// Checks that every pepper exists that a password hash needs.
pub(super) fn check_peppers(config: &Config, needed: Vec<(String, i64)>, found: &mut Diagnosis) {
    const ABOUT: &str = "peppers";
    let folder = config.key_folder();
    let there = match Peppers::read(&folder) {
        Ok(there) => there,
        Err(error) => return found.add(ABOUT, Verdict::Wrong, error.to_string()),
    };
    let mut is_whole = true;
    for (id, passwords) in needed {
        if there.find(&id).is_none() {
            found.add(ABOUT, Verdict::Wrong, there.missing(id, passwords).to_string());
            is_whole = false;
        }
    }
    if let Some(current) = there.current().filter(|_| is_whole) {
        let says = format!(
            "{} in {}; new hashes use {}",
            there.paths().count(),
            folder.display(),
            current.id()
        );
        found.add(ABOUT, Verdict::Ok, says);
    }
}

/// Checks that there is a server secret, and that every server secret exists that a held user name
/// needs.
pub(super) fn check_server_secrets(
    config: &Config,
    needed: Vec<(String, i64)>,
    found: &mut Diagnosis,
) {
    const ABOUT: &str = "server secret";
    let folder = config.key_folder();
    let secrets = match ServerSecrets::read(&folder) {
        Ok(secrets) => secrets,
        Err(error) => return found.add(ABOUT, Verdict::Wrong, error.to_string()),
    };
    if let Err(error) = server_secret::check(&folder, secrets.as_ref(), needed) {
        return found.add(ABOUT, Verdict::Wrong, error.to_string());
    }
    let shown = folder.display();
    match secrets {
        Some(secrets) => {
            let says = format!(
                "{} in {shown}; new digests use {}",
                secrets.paths().len(),
                secrets.current_id()
            );
            found.add(ABOUT, Verdict::Ok, says);
        }
        None if files::is_read_only(&folder) => {
            let error = KeyError::ReadOnly(folder.clone(), "server-secret add");
            found.add(ABOUT, Verdict::Wrong, error.to_string());
        }
        None => {
            let says = format!(
                "there is no server secret in {shown}; the next start of the service creates one"
            );
            found.add(ABOUT, Verdict::Note, says);
        }
    }
}
