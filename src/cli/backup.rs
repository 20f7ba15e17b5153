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
  cloakroom backup /var/backups/cloakroom     Create a backup in this folder
  find /var/backups/cloakroom -maxdepth 1 -name 'cloakroom-*' -mtime +30 -exec rm -r {} +
  cloakroom backup --without-keys /mnt/usb    Create a backup without the keys

Protect backups as you protect the keys: a person who has a backup with its keys can sign in as any
user. `cloakroom restore` restores a backup.";

/// Back up the database and the keys, also while the service runs
///
/// A backup is a folder that contains the database as an SQLite file, the keys, and a manifest with
/// the SHA-256 hash of each file. It contains all changes that the service confirmed before the
/// backup began. The command verifies the copy before it gives the folder its final name, and does
/// not overwrite existing files. A PostgreSQL database is also copied to an SQLite file, so that a
/// backup can be restored to SQLite and to PostgreSQL. The command does not migrate the database.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Backup {
    /// The folder in which to create the backup; it is created if it does not exist. The backup is
    /// a new folder in it whose name contains the time [default: the current folder]
    #[arg(value_name = "FOLDER")]
    to: Option<PathBuf>,
    /// Do not include the keys
    #[arg(long)]
    without_keys: bool,
    /// Print the result as a JSON object
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
                return Err(CliError("interrupted; no backup was created".to_owned()));
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
        return CliError(format!(
            "{error}; if you store the keys in another place, use --without-keys"
        ));
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
        0 => "  keys        none; back up the keys in the data folder separately".to_owned(),
        n => format!("  keys        {n}; a person who has this backup can sign in as any user"),
    })?;
    print_line(
        "  verified    every page and reference of the copy; the manifest contains the SHA-256 hash of each file",
    )?;
    terminal::hint(&format!(
        "Next: copy the backup to another machine, and test it there: cloakroom --data-dir trial \
         --database-url sqlite://trial/{DATABASE} restore {}",
        folder.display()
    ));
    Ok(())
}
