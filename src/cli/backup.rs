//! The command `cloakroom backup`.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::interrupt::wait_for_interrupt;
use super::output::{CliError, Outcome, print_line};
use super::progress::Bar;
use super::terminal;
use crate::admin::{BackupError, BackupOptions, DATABASE, Installation, Manifest, create_backup};
use crate::config::Config;
use crate::core::quantities::{Bytes, Count};

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
        let interrupted = wait_for_interrupt(); // installed before there is anything to remove
        let installation = Installation::from(config.clone());
        let options = BackupOptions { folder: self.to, without_keys: self.without_keys };
        let bar = Bar::new();
        let made = tokio::select! {
            made = create_backup(&installation, &options, |progress| bar.show(progress)) => made,
            () = interrupted => {
                return Err(CliError("interrupted; there is no backup".to_owned()));
            }
        };
        drop(bar);
        let backup = made.map_err(describe)?;
        if let Some(changes) = &backup.foreign_changes {
            terminal::warn(&format!("`cloakroom restore` will refuse this backup: {changes}"));
        }
        report(&backup.path, &backup.manifest, self.json)
    }
}

fn describe(error: BackupError) -> CliError {
    if let BackupError::NoKeys(_) = error {
        return CliError(format!("{error}; if they are kept elsewhere, say --without-keys"));
    }
    error.into()
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
        return print_line(&serde_json::to_string(&report)?);
    }
    let rows = |table: &str| Count(manifest.rows.get(table).copied().unwrap_or_default());
    print_line(&format!("backed up to {}", folder.display()))?;
    print_line(&format!(
        "  database    accounts: {}, sessions: {}, invites: {}; migration {}; {}",
        rows("accounts"),
        rows("sessions"),
        rows("invites"),
        manifest.schema,
        Bytes(manifest.files.get(DATABASE).map_or(0, |entry| entry.bytes))
    ))?;
    print_line(&match manifest.keys().count() {
        0 => "  keys        none: keep those in the data folder elsewhere".to_owned(),
        n => format!("  keys        {n}: whoever holds this backup can sign in as anybody"),
    })?;
    print_line(
        "  checked     every page and reference of the copy; the manifest has the SHA-256 of each file",
    )?;
    terminal::hint(&format!(
        "Next: copy it to another machine, and try it there: cloakroom --data-dir trial \
         --database-url sqlite://trial/{DATABASE} restore {}",
        folder.display()
    ));
    Ok(())
}
