//! The command `cloakroom restore`.

use std::path::PathBuf;

use clap::Args;

use super::interrupt::wait_for_interrupt;
use super::output::{CliError, Outcome, print_line};
use super::progress::Bar;
use super::terminal;
use crate::admin::{Installation, RestoreError, RestoreOptions, RestoreReport, restore_backup};
use crate::config::Config;
use crate::core::quantities::Count;

const EXAMPLES: &str = "\
Examples:
  cloakroom restore /var/backups/cloakroom/cloakroom-2026-11-28T004124.123Z
  cloakroom --data-dir drill restore BACKUP     Test a backup in a separate folder
  DATABASE_URL=postgres://… cloakroom restore BACKUP

A restore undoes every change that was made after the backup:
  - Passwords and user names are restored to their state at the time of the backup. Users who were
    disabled after the backup are active again, and users who were deleted exist again.
  - Users have the roles that they had at the time of the backup. Roles that were taken after the
    backup count again.
  - All sessions are revoked, because the backup contains sessions that were revoked after the
    backup. Use --keep-sessions to keep them.
  - All API tokens are revoked, because the backup contains tokens that were revoked after the
    backup. Programs need new ones: `cloakroom audit --event api_token_created` names the users.
  - All invites are revoked, because the backup contains invites that were used after the backup.
    Use --keep-invites to keep them.
  - Signing keys that were removed after the backup exist again, except with --without-keys.
  - Failed sign-in attempts and known devices are restored to their state at the time of the backup.

After a restore, find the users who changed their password, were disabled or lost a role after the
backup: see the log, or run `cloakroom audit` on the old database. Set a new password for these
users, disable them again, or take the role again.";

/// Restore the database and the keys from a backup
///
/// The command verifies the whole backup before it writes anything, and does not overwrite existing
/// files. If the database still exists, stop the service and move the data folder to another place
/// first. A backup with an older schema is migrated. A backup with a newer schema is refused.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag that somebody types")]
pub struct Restore {
    /// The backup: a folder that `cloakroom backup` created
    #[arg(value_name = "BACKUP")]
    from: PathBuf,
    /// Keep the sessions of the backup. This includes sessions that were revoked after the backup
    #[arg(long)]
    keep_sessions: bool,
    /// Keep the invites of the backup. This includes invites that were used after the backup
    #[arg(long)]
    keep_invites: bool,
    /// Restore only the database, and use the existing keys
    #[arg(long)]
    without_keys: bool,
    /// Print the result as a JSON object
    #[arg(long)]
    json: bool,
}

impl Restore {
    pub async fn run(self, config: &Config) -> Outcome {
        let interrupted = wait_for_interrupt();
        let installation = Installation::from(config.clone());
        let options = RestoreOptions {
            keep_sessions: self.keep_sessions,
            keep_invites: self.keep_invites,
            without_keys: self.without_keys,
        };
        let bar = Bar::new();
        let show = |progress| bar.show(progress);
        let restored = tokio::select! {
            restored = restore_backup(&installation, &self.from, options, show) => restored,
            () = interrupted => {
                return Err(CliError("interrupted; no database was restored".to_owned()));
            }
        };
        drop(bar);
        let report = restored.map_err(describe)?;
        warn(&report);
        self.print(&report)
    }

    fn print(&self, report: &RestoreReport) -> Outcome {
        if self.json {
            return print_line(&serde_json::to_string(report)?);
        }
        print_line(&format!("restored {} to its state at {}", report.database, report.made_at))?;
        print_line(&format!("  accounts    {}", Count(report.accounts)))?;
        print_line(&if self.keep_sessions {
            format!("  sessions    {}, kept from the backup", Count(report.sessions))
        } else {
            match report.sessions_ended {
                0 => "  sessions    none; the backup contains none".to_owned(),
                ended => format!(
                    "  sessions    none; {} sessions of the backup were revoked",
                    Count(ended)
                ),
            }
        })?;
        print_line(&if self.keep_invites {
            format!("  invites     {}, kept from the backup", Count(report.invites))
        } else {
            match report.invites_taken_back {
                0 => "  invites     none; the backup contains none".to_owned(),
                taken => format!(
                    "  invites     none; {} invites of the backup were revoked",
                    Count(taken)
                ),
            }
        })?;
        print_line(&match report.api_tokens_revoked {
            0 => "  api tokens  none; the backup contains none".to_owned(),
            revoked => format!(
                "  api tokens  none; {} API tokens of the backup were revoked",
                Count(revoked)
            ),
        })?;
        print_line(&match report.keys {
            0 if !report.has_signing_keys => "  keys        none".to_owned(),
            0 => format!("  keys        the existing keys in {}", report.key_folder.display()),
            n => format!("  keys        {n}, in {}", report.key_folder.display()),
        })?;
        print_line(
            "Changes after the backup to passwords, to roles, and to disabled or deleted users are lost; see `cloakroom restore --help`.",
        )?;
        terminal::hint("Next: run `cloakroom doctor` to check the result, then start the service");
        Ok(())
    }
}

/// Warns about what is missing or unusual.
fn warn(report: &RestoreReport) {
    let folder = report.key_folder.display();
    if !report.foreign_triggers.is_empty() {
        terminal::warn(&format!(
            "the backup contains triggers on tables that do not belong to Cloakroom; they are \
             active in the restored database: {}",
            report.foreign_triggers.join(", ")
        ));
    }
    for id in &report.missing_peppers {
        terminal::warn(&format!(
            "the pepper {id} is missing from {folder}, and passwords in the backup require it; \
             copy its file to this folder before you start the service"
        ));
    }
    if let Some(missing) = &report.missing_server_secret {
        terminal::warn(&format!("the service cannot start: {missing}"));
    }
    if !report.has_signing_keys {
        terminal::warn(&format!(
            "there are no signing keys in {folder}; copy the keys from the time of the backup to \
             this folder, or run `cloakroom --data-dir {} key rotate` to create a key",
            report.key_folder.parent().unwrap_or(&report.key_folder).display()
        ));
    }
}

fn describe(error: RestoreError) -> CliError {
    if let RestoreError::OtherKeys(_) = error {
        return CliError(format!("{error} with --without-keys"));
    }
    error.into()
}
