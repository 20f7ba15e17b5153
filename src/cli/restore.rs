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
  cloakroom --data-dir drill restore BACKUP     into a folder of its own, to see that it works
  DATABASE_URL=postgres://… cloakroom restore BACKUP

A restore goes back in time, for everything that was changed since the backup:
  - passwords, user names and disabled users are as they were; deleted users are there again
  - sessions that were ended would be good again: so all are ended (--keep-sessions)
  - invites that were used would be good again: so all are taken back (--keep-invites)
  - keys that were removed are there again (--without-keys restores none)
  - tries that failed since are not counted, and known browsers are those of then
Give those a new password, or disable them, who did so or were since the backup: the events in the
log, and `cloakroom audit` on what is left of the old database, say who.";

/// Restore a backup: the database and the keys of then, where none are now
///
/// Every byte is checked before anything is touched. What is there stays: to go back from a database
/// that is still there, stop the service and move the data folder away first. An older backup is
/// migrated; one of a newer schema is refused. All sessions end, because the backup would revive
/// those that were ended since.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag that somebody types")]
pub struct Restore {
    /// The folder that `cloakroom backup` made
    #[arg(value_name = "BACKUP")]
    from: PathBuf,
    /// Let everybody stay signed in who was when the backup was made, whoever signed out since
    #[arg(long)]
    keep_sessions: bool,
    /// Leave the invites in force, those that were used since, too
    #[arg(long)]
    keep_invites: bool,
    /// Restore the database alone, and use the signing keys that are there
    #[arg(long)]
    without_keys: bool,
    /// Say what was restored as one JSON object
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
                return Err(CliError("interrupted; there is no new database".to_owned()));
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
        print_line(&format!("restored {}, as it was at {}", report.database, report.made_at))?;
        print_line(&format!("  accounts    {}", Count(report.accounts)))?;
        print_line(&if self.keep_sessions {
            format!("  sessions    {}, as they were", Count(report.sessions))
        } else {
            match report.sessions_ended {
                0 => "  sessions    none, and there were none then".to_owned(),
                ended => format!(
                    "  sessions    none: {} of then ended, because they may have ended since",
                    Count(ended)
                ),
            }
        })?;
        print_line(&if self.keep_invites {
            format!("  invites     {}, those that were used since, too", Count(report.invites))
        } else {
            match report.invites_taken_back {
                0 => "  invites     none, and there were none then".to_owned(),
                taken => format!(
                    "  invites     none: {} of then taken back, because they may have been used since",
                    Count(taken)
                ),
            }
        })?;
        print_line(&match report.keys {
            0 if !report.has_signing_keys => "  keys        none".to_owned(),
            0 => format!("  keys        those that were in {}", report.key_folder.display()),
            n => format!("  keys        {n}, in {}", report.key_folder.display()),
        })?;
        print_line(
            "Passwords and disabled or deleted users are as they were then; see `cloakroom restore --help`.",
        )?;
        terminal::hint("Next: `cloakroom doctor` looks at all of it; then start the service");
        Ok(())
    }
}

/// Warns about what is missing or unusual.
fn warn(report: &RestoreReport) {
    let folder = report.key_folder.display();
    if !report.foreign_triggers.is_empty() {
        terminal::warn(&format!(
            "the backup has triggers on tables that are not Cloakroom's, which act in the restored database: \
             {}",
            report.foreign_triggers.join(", ")
        ));
    }
    for id in &report.missing_peppers {
        terminal::warn(&format!(
            "there is no pepper {id} in {folder}, which passwords of then need: put its file there before you \
             start the service"
        ));
    }
    if let Some(missing) = &report.missing_server_secret {
        terminal::warn(&format!("the service does not start yet: {missing}"));
    }
    if !report.has_signing_keys {
        terminal::warn(&format!(
            "there are no signing keys in {folder}: put those of then there, or run `cloakroom --data-dir {} \
             key rotate`, which makes one",
            report.key_folder.parent().unwrap_or(&report.key_folder).display()
        ));
    }
}

fn describe(error: RestoreError) -> CliError {
    if let RestoreError::OtherKeys(_) = error {
        return CliError(format!("{error}, by --without-keys"));
    }
    error.into()
}
