//! Backups: a folder with the database and the keys, created while the service runs.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::installation::Installation;
use super::manifest::{DATABASE, FileEntry, KEYS, MANIFEST, Manifest};
use super::progress::{Phase, Progress};
use super::temp_artifact::{TempArtifact, copy_file, folder_of};
use super::transfer::describe_changes;
use crate::app;
use crate::config::Config;
use crate::core::clock::{Clock, Timestamp};
use crate::core::ownership;
use crate::core::secret::random_id;
use crate::domain::keys::peppers::Peppers;
use crate::domain::keys::server_secret::ServerSecrets;
use crate::domain::keys::tokens::KeyRing;
use crate::embed::Error;
use crate::store::{BackupError as CopyError, Contents, Store};

/// The destination and the contents of a backup.
#[derive(Debug, Clone, Default)]
pub struct BackupOptions {
    /// The folder in which the backup is created. It is created with its parents if it does not
    /// exist. The default is the current folder.
    pub folder: Option<PathBuf>,
    /// Whether to omit the signing keys, the peppers and the server secrets.
    pub without_keys: bool,
}

/// The result of creating a backup.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Backup {
    /// The folder of the backup, with the time in its name.
    pub path: PathBuf,
    pub manifest: Manifest,
    /// Changes to the database that Cloakroom did not make, because of which [`restore_backup`]
    /// refuses this backup.
    ///
    /// [`restore_backup`]: super::restore_backup
    pub foreign_changes: Option<String>,
}

/// The error of creating a backup.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    #[error("{path} is a backup; name the folder that contains it", path = .0.display())]
    IsABackup(PathBuf),
    #[error("{path} is a file; name a folder", path = .0.display())]
    IsAFile(PathBuf),
    #[error("cannot create {path}: {1}", path = .0.display())]
    MakeFolder(PathBuf, io::Error),
    #[error("there are no signing keys in {path}", path = .0.display())]
    NoKeys(PathBuf),
    #[error("cannot write {path}: {1}", path = .0.display())]
    Write(PathBuf, io::Error),
    #[error("cannot read {path}: {1}", path = .0.display())]
    Read(PathBuf, io::Error),
    #[error("the copy is damaged: {0}")]
    DamagedCopy(Error),
    #[error("cannot rename the backup to {path}: {1}", path = .0.display())]
    Rename(PathBuf, io::Error),
    #[error(transparent)]
    Other(Error),
}

impl<E: Into<Error>> From<E> for BackupError {
    fn from(error: E) -> Self {
        Self::Other(error.into())
    }
}

/// Creates a backup: a snapshot of the database with every acknowledged write, and the keys. The
/// backup is checked before it gets its name, and replaces nothing. The database is not migrated.
/// PostgreSQL is copied to an SQLite file, too, so that a backup can be restored to either engine.
pub async fn create_backup(
    installation: &Installation,
    options: &BackupOptions,
    on_progress: impl FnMut(Progress),
) -> Result<Backup, BackupError> {
    let config = installation.config();
    app::require_database(config).await?;
    let began = Clock::System.now();
    let path = choose_folder(options.folder.as_deref(), began)?;
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let partial = folder_of(&path).join(format!(".{name}.{}.partial", random_id()));
    let partial = TempArtifact::create_folder(partial.clone())
        .map_err(|error| BackupError::MakeFolder(partial, error))?;
    find_keys(config, options)?; // fails before the database is copied
    let database = partial.path.join(DATABASE);
    let copied = copy_database(config, &database, on_progress).await?;
    let mut manifest = Manifest::new(began.to_rfc3339(), copied.engine, copied.contents.schema);
    let rows = copied.contents.rows.iter();
    manifest.rows = rows.map(|(table, rows)| ((*table).to_owned(), *rows)).collect();
    // After the database, so that every hash in the copy finds its pepper.
    let keys = find_keys(config, options)?;
    if !keys.is_empty() {
        copy_keys(&keys, &partial.path.join(KEYS), &mut manifest)?;
    }
    manifest.files.insert(DATABASE.to_owned(), read_entry(&database)?);
    write_manifest(&manifest, &partial.path)?;
    partial.finish(&path).map_err(|error| BackupError::Rename(path.clone(), error))?;
    Ok(Backup { path, manifest, foreign_changes: copied.foreign_changes })
}

/// The path of the new backup. Its parent folder is created if it does not exist.
fn choose_folder(to: Option<&Path>, now: Timestamp) -> Result<PathBuf, BackupError> {
    let name = format!("cloakroom-{}", format_stamp(now));
    let Some(to) = to else { return Ok(PathBuf::from(name)) };
    if to.join(MANIFEST).exists() {
        return Err(BackupError::IsABackup(to.to_owned()));
    }
    if fs::metadata(to).is_ok_and(|about| about.is_file()) {
        return Err(BackupError::IsAFile(to.to_owned()));
    }
    app::make_folder(to).map_err(|error| BackupError::MakeFolder(to.to_owned(), error))?;
    Ok(to.join(name))
}

/// A time for file names, which sorts by time: 2026-11-28T004124.123Z.
fn format_stamp(now: Timestamp) -> String {
    let millis = now.millis().rem_euclid(1000);
    let text = now.to_rfc3339().replace(':', "");
    format!("{}.{millis:03}Z", text.trim_end_matches('Z'))
}

/// The key files that belong to the backup.
fn find_keys(config: &Config, options: &BackupOptions) -> Result<Vec<PathBuf>, BackupError> {
    if options.without_keys {
        return Ok(Vec::new());
    }
    let folder = config.key_folder();
    let keys = KeyRing::read(&folder, &config.public_url.origin())?;
    let keys = keys.ok_or_else(|| BackupError::NoKeys(folder.clone()))?;
    let peppers = Peppers::read(&folder)?;
    let secrets = ServerSecrets::read(&folder)?.map(|secrets| secrets.paths());
    let keys = keys.public().into_iter().map(|key| key.path);
    let keys = keys.chain(peppers.paths().map(Path::to_owned));
    Ok(keys.chain(secrets.unwrap_or_default()).collect())
}

/// The copy of a database.
struct Copied {
    engine: &'static str,
    contents: Contents,
    foreign_changes: Option<String>,
}

/// Copies the database to a file, and checks every page and reference of the copy.
async fn copy_database(
    config: &Config,
    to: &Path,
    mut on_progress: impl FnMut(Progress),
) -> Result<Copied, BackupError> {
    let write_error = |error| BackupError::Write(to.to_owned(), error);
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to);
    let made = made.and_then(|file| ownership::give_to_folder_owner(&file, to));
    made.map_err(write_error)?;
    let address = config.database_url.expose(); // for the driver that connects
    let (mut done, mut total) = (0, 0);
    let copied = Store::back_up(address, to, |now, all| {
        (done, total) = (now, all);
        on_progress(Progress { phase: Phase::Copying, done, total });
    });
    copied.await?;
    on_progress(Progress { phase: Phase::Checking, done, total });
    let contents = Store::inspect(to).await;
    let contents = contents.map_err(|error: CopyError| BackupError::DamagedCopy(error.into()))?;
    let report = Store::check_file_definitions(to, contents.schema).await?;
    File::open(to).and_then(|file| file.sync_all()).map_err(write_error)?;
    let engine = if Store::file_of(address)?.is_some() { "sqlite" } else { "postgres" };
    Ok(Copied { engine, contents, foreign_changes: describe_changes(&report) })
}

fn copy_keys(keys: &[PathBuf], to: &Path, manifest: &mut Manifest) -> Result<(), BackupError> {
    let write_error = |error| BackupError::Write(to.to_owned(), error);
    let made = DirBuilder::new().mode(0o700).create(to);
    made.and_then(|()| ownership::give_folder(to)).map_err(write_error)?;
    for key in keys {
        let name = key.file_name().unwrap_or_default();
        let copy = to.join(name);
        copy_file(key, &copy).map_err(|error| BackupError::Write(copy.clone(), error))?;
        let name = format!("{KEYS}/{}", name.to_string_lossy()); // the name in the manifest
        manifest.files.insert(name, read_entry(&copy)?);
    }
    File::open(to).and_then(|folder| folder.sync_all()).map_err(write_error)
}

fn read_entry(path: &Path) -> Result<FileEntry, BackupError> {
    FileEntry::read(path, |_| ()).map_err(|error| BackupError::Read(path.to_owned(), error))
}

/// Writes the manifest, and syncs the folder.
fn write_manifest(manifest: &Manifest, folder: &Path) -> Result<(), BackupError> {
    let path = folder.join(MANIFEST);
    let text = serde_json::to_string_pretty(manifest).expect("strings and numbers make JSON");
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    let written = file.and_then(|mut file| {
        writeln!(file, "{text}")?;
        ownership::give_to_folder_owner(&file, &path)?;
        file.sync_all()
    });
    written.map_err(|error| BackupError::Write(path, error))?;
    let synced = File::open(folder).and_then(|file| file.sync_all());
    synced.map_err(|error| BackupError::Write(folder.to_owned(), error))
}
