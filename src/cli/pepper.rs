//! The command `cloakroom pepper`.

use std::path::Path;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::confirm::Confirmation;
use super::key::tell;
use super::output::{Outcome, print_line};
use super::secret_state::{SecretState, show_path};
use super::store::with_store;
use super::table::{Cell, Table};
use super::terminal;
use crate::admin::keys::folder_for_new_key;
use crate::config::Config;
use crate::core::clock::Clock;
use crate::domain::audit::event::Event;
use crate::domain::keys::peppers::{KnownPepper, Peppers};
use crate::domain::passwords::forget;
use crate::store::Store;

const EXAMPLES: &str = "\
Examples:
  cloakroom pepper add         Create a pepper, before or after you add users
  cloakroom pepper list        Show how many passwords need each pepper

You can remove the file of a pepper that no password needs. A pepper protects passwords only if an
attacker can get the database without the keys: for example with PostgreSQL, or from backups that
were created with --without-keys. Back up the file of the pepper: without it, users cannot sign in.";

/// Manage peppers: secrets outside the database that are part of the password hashes
///
/// A pepper is a file in the key folder. An attacker who has only the database cannot test
/// passwords against hashes with a pepper. A password hash gets the newest pepper when the password
/// is set and when its user signs in. Until then, it needs the older pepper, and the service does
/// not start if that pepper is missing.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Pepper {
    #[command(subcommand)]
    command: PepperCommand,
}

#[derive(Debug, Subcommand)]
enum PepperCommand {
    /// List the peppers, oldest first, and how many passwords need each pepper
    List {
        /// Print one JSON object per line
        #[arg(long)]
        json: bool,
    },
    /// Create a pepper, which is used for new password hashes. If several nodes use the database,
    /// copy the file to all nodes; all nodes must run this version
    Add,
    /// Remove the passwords that need a lost pepper, and print the names of their users
    ///
    /// Use this command only if the file of the pepper is lost. The passwords are removed
    /// permanently: set new ones with `cloakroom user passwd`. On a terminal, the command asks for
    /// confirmation.
    Forget {
        /// The id of the pepper, as in `pepper list`
        id: String,
        #[command(flatten)]
        confirmation: Confirmation,
    },
}

impl Pepper {
    pub async fn run(&self, config: &Config, named: Option<&Path>) -> Outcome {
        if let PepperCommand::Forget { confirmation, .. } = &self.command {
            confirmation.require_yes_or_terminal("removes passwords permanently");
        }
        let folder = config.key_folder();
        match &self.command {
            PepperCommand::Add => {
                add(config, &folder_for_new_key(config, named, "pepper add")?).await
            }
            PepperCommand::List { json } => {
                with_store(config, async |store| list(&folder, store, *json).await).await
            }
            PepperCommand::Forget { id, confirmation } => {
                with_store(config, async |store| {
                    announce_forget(&folder, store, id).await?;
                    confirmation.ask("Remove the passwords of these users permanently?")?;
                    forget(config, store, id).await
                })
                .await
            }
        }
    }
}

async fn add(config: &Config, folder: &Path) -> Outcome {
    let now = Clock::System.now();
    let (id, path) = Peppers::create(folder, now)?;
    tell(config, Event::PepperAdded, &id, now).await;
    print_line(&format!(
        "{id} is now used for new password hashes; back up its file: {}",
        path.display()
    ))?;
    terminal::hint("`cloakroom pepper list` shows how many passwords need it");
    Ok(())
}

#[derive(Serialize)]
struct PepperLine<'a> {
    /// `null` for the passwords without a pepper.
    id: Option<&'a str>,
    state: SecretState,
    passwords: i64,
    path: Option<String>,
}

async fn list(folder: &Path, store: &Store, json: bool) -> Outcome {
    let peppers = Peppers::read(folder)?.list(store).await?;
    let mut lines: Vec<_> = peppers.iter().map(line).collect();
    let passwords = store.count_unpeppered().await?;
    lines.push(PepperLine { id: None, state: SecretState::Without, passwords, path: None });
    if json {
        return lines.iter().try_for_each(|line| print_line(&serde_json::to_string(line)?));
    }
    let rows: Vec<_> = lines.into_iter().map(row).collect();
    Table::new(["ID", "STATE", "PASSWORDS", "FILE"]).print(&rows)
}

fn line(pepper: &KnownPepper) -> PepperLine<'_> {
    PepperLine {
        id: Some(&pepper.id),
        state: SecretState::new(pepper.path.as_deref(), pepper.is_current),
        passwords: pepper.passwords,
        path: show_path(pepper.path.as_ref()),
    }
}

fn row(line: PepperLine<'_>) -> [Cell; 4] {
    [
        line.id.unwrap_or("-").into(),
        line.state.cell(),
        line.passwords.to_string().into(),
        line.path.unwrap_or_default().into(),
    ]
}

/// Prints the users whose passwords will be removed. If this fails, nothing is removed.
async fn announce_forget(folder: &Path, store: &Store, id: &str) -> Outcome {
    for name in Peppers::read(folder)?.affected_users(id, store).await? {
        print_line(&name)?;
    }
    Ok(())
}

async fn forget(config: &Config, store: &Store, id: &str) -> Outcome {
    forget::forget_pepper(id, store, config.passwords.cost).await?;
    tell(config, Event::PepperForgotten, id, Clock::System.now()).await;
    terminal::hint(
        "Next: set a new password for each of these users with `cloakroom user passwd NAME`",
    );
    Ok(())
}
