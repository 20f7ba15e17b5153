//! `cloakroom backup`.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use clap::Args;
use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};

use super::manifest::{self, DATABASE, Entry, KEYS, MANIFEST, Manifest, Unfinished};
use super::restore::changes;
use super::times::rfc3339;
use super::{Failed, Outcome, say, terminal};
use crate::app;
use crate::config::Config;
use crate::core::clock::{Clock, Timestamp};
use crate::core::ownership;
use crate::core::secret::random_id;
use crate::domain::peppers::Peppers;
use crate::domain::server_secret::ServerSecrets;
use crate::domain::tokens::Keys;
use crate::store::{Contents, Store};

const EXAMPLES: &str = "\
Examples:
  cloakroom backup /var/backups/cloakroom     a new folder in there, with the time in its name
  find /var/backups/cloakroom -maxdepth 1 -name 'cloakroom-*' -mtime +30 -exec rm -r {} +
  cloakroom backup --without-keys /mnt/usb    the keys are kept elsewhere

Whoever holds a backup with its keys can sign in as anybody: keep it as you keep the keys.
`cloakroom restore` brings one back.";

/// Back up the database and the signing keys, beside a running service
///
/// A backup is a folder: the database in one SQLite file, the keys, and a manifest with the SHA-256 of
/// each. It holds everything that was answered before it was begun, is checked page by page before
/// it gets its name, and never replaces anything. A PostgreSQL is copied to an SQLite file, too, so
/// that either can be restored to either. The database is not migrated by it.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Backup {
    /// The folder in which to make the backup, a folder with the time in its name; missing folders on
    /// the way to it are made [default: the current folder]
    #[arg(value_name = "FOLDER")]
    to: Option<PathBuf>,
    /// Leave the signing keys out
    #[arg(long)]
    without_keys: bool,
    /// Say what was backed up as one JSON object
    #[arg(long)]
    json: bool,
}

impl Backup {
    pub async fn run(self, config: &Config) -> Outcome {
        let interrupted = interrupted(); // from here on, before there is anything to clear away
        app::require_database(config).await?;
        let began = Clock::System.now();
        let folder = self.place(began)?;
        let name = folder.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        let beside = manifest::folder_of(&folder).join(format!(".{name}.{}.partial", random_id()));
        let partial = Unfinished::folder(beside.clone())
            .map_err(|error| Failed(format!("cannot make {}: {error}", beside.display())))?;
        let work = async {
            self.keys(config)?; // before anything is copied for nothing
            write(config, &partial.path, began, || self.keys(config)).await
        };
        let manifest = tokio::select! {
            written = work => written?,
            () = interrupted => {
                return Err(Failed("interrupted; there is no backup".to_owned()));
            }
        };
        partial.finish(&folder).map_err(|error| {
            Failed(format!("cannot give the backup its name {}: {error}", folder.display()))
        })?;
        report(&folder, &manifest, self.json)
    }

    /// Where the backup goes: into a folder, which is made with its parents.
    fn place(&self, now: Timestamp) -> Result<PathBuf, Failed> {
        let name = format!("cloakroom-{}", stamp(now));
        let Some(to) = &self.to else { return Ok(PathBuf::from(name)) };
        if to.join(MANIFEST).exists() {
            return Err(Failed(format!("{} is a backup; name the folder it is in", to.display())));
        }
        if fs::metadata(to).is_ok_and(|about| about.is_file()) {
            return Err(Failed(format!("{} is a file; name a folder", to.display())));
        }
        app::make_folder(to)
            .map_err(|error| Failed(format!("cannot make {}: {error}", to.display())))?;
        Ok(to.join(name))
    }

    /// The files of the keys to take along.
    fn keys(&self, config: &Config) -> Result<Vec<PathBuf>, Failed> {
        if self.without_keys {
            return Ok(Vec::new());
        }
        let folder = config.data_dir.join(KEYS);
        let keys = Keys::read(&folder, &config.public_url.origin())?;
        let keys = keys.ok_or_else(|| {
            Failed(format!(
                "there are no signing keys in {}; if they are kept elsewhere, say --without-keys",
                folder.display()
            ))
        })?;
        let peppers = Peppers::read(&folder)?;
        let secrets = ServerSecrets::read(&folder)?.map(|secrets| secrets.paths());
        let keys = keys.public().into_iter().map(|key| key.path);
        let keys = keys.chain(peppers.paths().map(Path::to_owned));
        Ok(keys.chain(secrets.unwrap_or_default()).collect())
    }
}

/// Ends no more by Ctrl-C or SIGTERM, and waits for them.
pub(super) fn interrupted() -> impl Future<Output = ()> {
    let mut terminate = signal(SignalKind::terminate()).expect("SIGTERM can be listened for");
    let mut interrupt = signal(SignalKind::interrupt()).expect("SIGINT can be listened for");
    async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
}

/// A time that names a file and sorts: 2026-11-28T004124.123Z.
fn stamp(now: Timestamp) -> String {
    let millis = now.millis().rem_euclid(1000);
    let text = rfc3339(now).replace(':', "");
    format!("{}.{millis:03}Z", text.trim_end_matches('Z'))
}

/// Writes a backup to a folder, and checks it.
async fn write(
    config: &Config,
    folder: &Path,
    began: Timestamp,
    keys: impl FnOnce() -> Result<Vec<PathBuf>, Failed>,
) -> Result<Manifest, Failed> {
    let cannot = |path: &Path, error: &dyn std::fmt::Display| {
        Failed(format!("cannot write {}: {error}", path.display()))
    };
    let database = folder.join(DATABASE);
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&database);
    let made = made.and_then(|file| ownership::give_to_folder_owner(&file, &database));
    made.map_err(|error| cannot(&database, &error))?;
    let bar = bar();
    let copied = Store::back_up(config.database_url.expose(), &database, |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    });
    copied.await.map_err(|error| Failed(error.to_string()))?; // the driver connects by the address
    bar.set_message("checking");
    let contents = Store::inspect(&database).await;
    let contents = contents.map_err(|error| Failed(format!("the copy is no good: {error}")))?;
    let report = Store::check_file_definitions(&database, contents.schema).await?;
    if let Some(changes) = changes(&report) {
        terminal::warn(&format!("`cloakroom restore` will refuse this backup: {changes}"));
    }
    File::open(&database).and_then(|file| file.sync_all()).map_err(|e| cannot(&database, &e))?;
    let engine =
        if Store::file_of(config.database_url.expose())?.is_some() { "sqlite" } else { "postgres" };
    let mut manifest = Manifest::new(rfc3339(began), engine, contents.schema);
    manifest.rows = rows(&contents);
    // after the database: whatever a hash in it needs is there by now
    let keys = keys()?;
    if !keys.is_empty() {
        let folder = folder.join(KEYS);
        let made = DirBuilder::new().mode(0o700).create(&folder);
        let made = made.and_then(|()| ownership::give_folder(&folder));
        made.map_err(|error| cannot(&folder, &error))?;
        for key in &keys {
            let to = folder.join(key.file_name().unwrap_or_default());
            manifest::copy(key, &to).map_err(|error| cannot(&to, &error))?;
            manifest.files.insert(name_in(&to), entry(&to)?);
        }
        File::open(&folder).and_then(|file| file.sync_all()).map_err(|e| cannot(&folder, &e))?;
    }
    manifest.files.insert(DATABASE.to_owned(), entry(&database)?);
    let path = folder.join(MANIFEST);
    let text = serde_json::to_string_pretty(&manifest)?;
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    let written = file.and_then(|mut file| {
        writeln!(file, "{text}")?;
        ownership::give_to_folder_owner(&file, &path)?;
        file.sync_all()
    });
    written.map_err(|error| cannot(&path, &error))?;
    File::open(folder).and_then(|file| file.sync_all()).map_err(|error| cannot(folder, &error))?;
    bar.finish_and_clear();
    Ok(manifest)
}

fn entry(path: &Path) -> Result<Entry, Failed> {
    Entry::of(path, |_| ())
        .map_err(|error| Failed(format!("cannot read {}: {error}", path.display())))
}

/// As the manifest has it.
fn name_in(key: &Path) -> String {
    format!("{KEYS}/{}", key.file_name().unwrap_or_default().to_string_lossy())
}

fn rows(contents: &Contents) -> std::collections::BTreeMap<String, u64> {
    contents.rows.iter().map(|(table, rows)| ((*table).to_owned(), *rows)).collect()
}

#[derive(Serialize)]
struct Report<'a> {
    path: String,
    #[serde(flatten)]
    manifest: &'a Manifest,
}

fn report(folder: &Path, manifest: &Manifest, json: bool) -> Outcome {
    if json {
        let report = Report { path: folder.display().to_string(), manifest };
        return say(&serde_json::to_string(&report)?);
    }
    let rows = |table: &str| HumanCount(manifest.rows.get(table).copied().unwrap_or_default());
    say(&format!("backed up to {}", folder.display()))?;
    say(&format!(
        "  database    accounts: {}, sessions: {}, invites: {}; migration {}; {}",
        rows("accounts"),
        rows("sessions"),
        rows("invites"),
        manifest.schema,
        HumanBytes(manifest.files.get(DATABASE).map_or(0, |entry| entry.bytes))
    ))?;
    say(&match manifest.keys().count() {
        0 => "  keys        none: keep those in the data folder elsewhere".to_owned(),
        n => format!("  keys        {n}: whoever holds this backup can sign in as anybody"),
    })?;
    say(
        "  checked     every page and reference of the copy; the manifest has the SHA-256 of each file",
    )?;
    terminal::hint(&format!(
        "Next: copy it to another machine, and try it there: cloakroom --data-dir trial \
         --database-url sqlite://trial/{DATABASE} restore {}",
        folder.display()
    ));
    Ok(())
}

/// A bar on a terminal only.
fn bar() -> ProgressBar {
    let style = "{msg} {wide_bar} {percent}% {eta} left";
    let style = ProgressStyle::with_template(style).expect("a template that is right");
    ProgressBar::new(0).with_style(style).with_message("copying")
}
