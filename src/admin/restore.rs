//! Restores the database and the keys of a backup to an installation that has none.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::installation::Installation;
use super::manifest::{DATABASE, FileEntry, KEYS, Manifest, ManifestError};
use super::progress::{Phase, Progress};
use super::temp_artifact::{TempArtifact, folder_of};
use super::transfer::{TransferError, describe_changes, transfer_file};
use crate::app;
use crate::config::Config;
use crate::core::clock::Clock;
use crate::core::secret::random_id;
use crate::domain::audit::event::Event;
use crate::domain::audit::journal::AuditLog;
use crate::domain::keys::peppers::Peppers;
use crate::domain::keys::server_secret::ServerSecrets;
use crate::domain::keys::tokens::KeyRing;
use crate::domain::keys::{files, server_secret};
use crate::embed::Error;
use crate::store::{Contents, Store};

/// The options of a restore.
#[derive(Debug, Clone, Copy, Default)]
pub struct RestoreOptions {
    /// Whether to keep the sessions of the backup, including those that were revoked after it.
    pub keep_sessions: bool,
    /// Whether to keep the invites of the backup, including those that were used after it.
    pub keep_invites: bool,
    /// Whether to restore only the database, for use with the keys that exist.
    pub without_keys: bool,
}

/// The result of a restore. `cloakroom restore --json` prints it as JSON.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct RestoreReport {
    /// When the copy of the database began.
    pub made_at: String,
    /// The database URL with its password masked.
    pub database: String,
    pub accounts: u64,
    /// The number of sessions in the backup.
    pub sessions: u64,
    pub sessions_ended: u64,
    /// The number of invites in the backup.
    pub invites: u64,
    pub invites_taken_back: u64,
    /// The number of API tokens of the backup, all of which were revoked.
    pub api_tokens_revoked: u64,
    /// The number of key files that were restored.
    pub keys: usize,
    #[serde(skip)]
    pub key_folder: PathBuf,
    /// Whether there is a signing key, without which the service cannot start.
    #[serde(skip)]
    pub has_signing_keys: bool,
    /// The ids of peppers that passwords need, but whose files are missing.
    #[serde(skip)]
    pub missing_peppers: Vec<String>,
    /// Why the service cannot start because of its server secrets, if that is the case.
    #[serde(skip)]
    pub missing_server_secret: Option<String>,
    /// Triggers on tables that are not Cloakroom's, which are active in the restored database.
    #[serde(skip)]
    pub foreign_triggers: Vec<String>,
}

/// The error of a restore.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error(
        "the schema of the backup is newer than this program (migration {schema}; the program \
         supports {newest}); restore the backup with cloakroom {version} or newer"
    )]
    NewerSchema { schema: i64, newest: i64, version: String },
    #[error("the backup's {DATABASE} cannot be used: {0}")]
    Unusable(Error),
    #[error(
        "the backup is damaged: {DATABASE} does not match the manifest; restore another backup"
    )]
    OtherDatabase,
    #[error(
        "another program changed the schema in the backup's {DATABASE}: {0}; restore another backup"
    )]
    ForeignChanges(String),
    #[error("there are other keys in {path}; move them to another place, or restore only the database", path = .0.display())]
    OtherKeys(PathBuf),
    #[error("{path} already exists; stop the service and move it to another place first", path = .0.display())]
    AlreadyThere(PathBuf),
    #[error("cannot write {path}: {1}", path = .0.display())]
    Write(PathBuf, io::Error),
    #[error("cannot restore to {path}: {1}", path = .0.display())]
    Rename(PathBuf, io::Error),
    /// The disk failed to keep the copy.
    #[error(transparent)]
    Sync(io::Error),
    #[error(transparent)]
    Transfer(#[from] TransferError),
    #[error(transparent)]
    Other(Error),
}

impl<E: Into<Error>> From<E> for RestoreError {
    fn from(error: E) -> Self {
        Self::Other(error.into())
    }
}

/// Restores a backup to an installation that has no database. Every byte is checked before anything
/// is written, and nothing is replaced. An older backup is migrated.
///
/// A restore would revive sessions that were revoked after the backup, and invites that were used
/// after it. Unless the options say otherwise, it ends all sessions and revokes all invites.
/// It always removes the API tokens, some of which may have been revoked after the backup, the mails
/// of the outbox, which would be sent a second time, and the digests of mailed codes and links,
/// which may have been used since.
pub async fn restore_backup(
    installation: &Installation,
    from: &Path,
    options: RestoreOptions,
    mut on_progress: impl FnMut(Progress),
) -> Result<RestoreReport, RestoreError> {
    let config = installation.config();
    let Checked { manifest, contents, foreign_triggers } =
        check_backup(from, &mut on_progress).await?;
    let keys = if options.without_keys { Vec::new() } else { choose_keys(config, &manifest)? };
    let file = Store::file_of(config.database_url.expose())?; // for the driver that connects
    if let Some(file) = &file {
        require_absence(file)?;
    }
    let key_folder = app::make_folders(config)?;
    // The copy is migrated and prepared under a temporary name next to its destination.
    let place = file.clone().unwrap_or_else(|| config.data_dir.join(DATABASE));
    let path = folder_of(&place).join(format!(".{DATABASE}.{}.restoring", random_id()));
    let copy = TempArtifact::copy_file(&from.join(DATABASE), path.clone())
        .map_err(|error| RestoreError::Write(path, error))?;
    let prepared = prepare_copy(&copy.path, &manifest.made_at, options).await?;
    // The keys come first: without a database they make no service, and an interrupted restore can
    // be run again.
    let lock = files::lock(&key_folder)?;
    for name in &keys {
        restore_key(&from.join(KEYS).join(name), &key_folder.join(name))?;
    }
    drop(lock);
    match file {
        Some(file) => copy.finish(&file).map_err(|error| RestoreError::Rename(file, error))?,
        None => transfer_file(&copy.path, &config.database_url, on_progress).await?,
    }
    Event::DatabaseRestored.log(&manifest.made_at);
    let peppers = Peppers::read(&key_folder)?;
    let secrets = ServerSecrets::read(&key_folder)?;
    let secrets =
        server_secret::check(&key_folder, secrets.as_ref(), prepared.server_secrets_in_use);
    Ok(RestoreReport {
        database: config.database_url.to_string(),
        accounts: contents.rows_of("accounts"),
        sessions: contents.rows_of("sessions"),
        sessions_ended: prepared.sessions_ended,
        invites: contents.rows_of("invites"),
        invites_taken_back: prepared.invites_taken_back,
        api_tokens_revoked: prepared.api_tokens_revoked,
        keys: keys.len(),
        has_signing_keys: KeyRing::read(&key_folder, &config.public_url.origin())?.is_some(),
        missing_peppers: {
            let needed = prepared.peppers_in_use.into_iter();
            needed.filter(|id| peppers.find(id).is_none()).collect()
        },
        missing_server_secret: secrets.err().map(|missing| missing.to_string()),
        foreign_triggers,
        key_folder,
        made_at: manifest.made_at,
    })
}

/// A backup that passed all checks.
struct Checked {
    manifest: Manifest,
    contents: Contents,
    foreign_triggers: Vec<String>,
}

/// Checks every byte of the backup, and whether this program may restore it.
async fn check_backup(
    from: &Path,
    on_progress: &mut impl FnMut(Progress),
) -> Result<Checked, RestoreError> {
    let manifest = Manifest::read(from)?;
    let (mut done, total) = (0, manifest.bytes());
    manifest.check(from, |bytes| {
        done += bytes;
        on_progress(Progress { phase: Phase::Checking, done, total });
    })?;
    let newest = Store::newest_schema();
    if manifest.schema > newest {
        let (schema, version) = (manifest.schema, manifest.version);
        return Err(RestoreError::NewerSchema { schema, newest, version });
    }
    let database = from.join(DATABASE);
    let contents = Store::inspect(&database).await;
    let contents = contents.map_err(|error| RestoreError::Unusable(error.into()))?;
    let is_same = contents.schema == manifest.schema
        && contents.rows.iter().all(|(table, rows)| manifest.rows.get(*table) == Some(rows));
    if !is_same {
        return Err(RestoreError::OtherDatabase);
    }
    let report = Store::check_file_definitions(&database, contents.schema).await?;
    if let Some(changes) = describe_changes(&report) {
        return Err(RestoreError::ForeignChanges(changes));
    }
    Ok(Checked { manifest, contents, foreign_triggers: report.foreign_triggers })
}

/// The keys to restore: all of them, or those that an interrupted restore has not restored yet. No
/// key is added to a folder with other keys, because it may have been removed after a leak.
fn choose_keys(config: &Config, manifest: &Manifest) -> Result<Vec<String>, RestoreError> {
    let folder = config.key_folder();
    let present = find_present_keys(config, &folder)?;
    let is_present = |name: &str, entry: &FileEntry| {
        let path = present.iter().find(|path| path.ends_with(name));
        path.is_some_and(|path| FileEntry::read(path, |_| ()).is_ok_and(|own| own == *entry))
    };
    let missing: Vec<String> = manifest
        .keys()
        .filter(|(name, entry)| !is_present(name, entry))
        .map(|(name, _)| name.to_owned())
        .collect();
    // This applies to each kind of key separately: a folder without a server secret gets one from
    // the backup.
    let kind = |name: &Path| -> Option<OsString> { name.extension().map(ToOwned::to_owned) };
    let is_among_others = |name: &String| {
        let kind_of = kind(Path::new(name));
        let same = |name: &str| kind(Path::new(name)) == kind_of;
        let in_backup = manifest.keys().filter(|(name, _)| same(name)).count();
        let missing = missing.iter().filter(|name| same(name)).count();
        in_backup - missing < present.iter().filter(|path| kind(path) == kind_of).count()
    };
    if missing.iter().any(is_among_others) {
        return Err(RestoreError::OtherKeys(folder));
    }
    Ok(missing)
}

/// The files of the keys, peppers and server secrets in the key folder.
fn find_present_keys(config: &Config, folder: &Path) -> Result<Vec<PathBuf>, RestoreError> {
    let issuer = config.public_url.origin();
    let keys = if folder.exists() { KeyRing::read(folder, &issuer)? } else { None };
    let keys = keys.map(|keys| keys.public()).unwrap_or_default();
    let peppers = Peppers::read(folder)?;
    let secrets = ServerSecrets::read(folder)?.map(|secrets| secrets.paths());
    let keys = keys.into_iter().map(|key| key.path);
    let keys = keys.chain(peppers.paths().map(Path::to_owned));
    Ok(keys.chain(secrets.unwrap_or_default()).collect())
}

/// What was removed from the copy, and which keys it needs.
struct Prepared {
    sessions_ended: u64,
    invites_taken_back: u64,
    api_tokens_revoked: u64,
    peppers_in_use: Vec<String>,
    server_secrets_in_use: Vec<(String, i64)>,
}

/// Migrates the copy, and removes what must not be revived.
async fn prepare_copy(
    copy: &Path,
    made_at: &str,
    options: RestoreOptions,
) -> Result<Prepared, RestoreError> {
    let store = Store::open_file(copy).await?;
    let (events, now) = (AuditLog::new(Clock::System), Clock::System.now());
    events.record_for_id(now, Event::DatabaseRestored, made_at);
    events.write(&store, now).await?;
    let sessions_ended =
        if options.keep_sessions { 0 } else { store.remove_all_sessions().await? };
    let invites_taken_back =
        if options.keep_invites { 0 } else { store.remove_all_invites().await? };
    let api_tokens_revoked = store.remove_all_api_tokens().await?;
    // Mail of the time of the backup was sent long ago, or is not wanted any more.
    store.remove_all_mails().await?;
    store.remove_all_proofs().await?;
    let peppers_in_use = store.peppers_in_use().await?;
    let server_secrets_in_use = store.server_secrets_in_use(now.millis()).await?;
    store.close().await;
    let synced = File::open(copy).and_then(|file| file.sync_all());
    synced.map_err(RestoreError::Sync)?;
    let _ = fs::remove_file(copy.with_added_extension("migrating")); // opening the copy created it
    Ok(Prepared {
        sessions_ended,
        invites_taken_back,
        api_tokens_revoked,
        peppers_in_use,
        server_secrets_in_use,
    })
}

/// Refuses to replace a database, or to restore next to leftovers of one: SQLite would use an old
/// log for the restored database.
fn require_absence(file: &Path) -> Result<(), RestoreError> {
    for ending in ["", "-wal", "-shm", "-journal"] {
        let mut path = file.as_os_str().to_owned();
        path.push(ending);
        let path = PathBuf::from(path);
        if fs::symlink_metadata(&path).is_ok() {
            return Err(RestoreError::AlreadyThere(path));
        }
    }
    Ok(())
}

/// Restores a key file.
fn restore_key(from: &Path, to: &Path) -> Result<(), RestoreError> {
    let partial = to.with_extension("restoring");
    let _ = fs::remove_file(&partial); // left by an interrupted restore
    let copied = TempArtifact::copy_file(from, partial).and_then(|copy| copy.finish(to));
    copied.map_err(|error| RestoreError::Write(to.to_owned(), error))
}
