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
  cloakroom pepper add         once, before the first user, or whenever
  cloakroom pepper list        how many passwords need which; a file that none needs can be removed

A pepper is worth something where the database may be stolen and the keys are elsewhere: with
PostgreSQL, or where backups are made with --without-keys. Back its file up: without it nobody
signs in.";

/// Make and list peppers, secrets that the hashes of passwords need beside the database
///
/// Whoever gets at the database alone cannot try passwords on hashes that were made with a pepper. It is a
/// file in the folder of the keys. Passwords get the newest one when they are set, and when their users sign
/// in; until then the older ones are needed, and the service does not start without them.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Pepper {
    #[command(subcommand)]
    command: PepperCommand,
}

#[derive(Debug, Subcommand)]
enum PepperCommand {
    /// List the peppers, the oldest first, and how many passwords need each
    List {
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Make a pepper, which goes into new hashes from now on. All nodes must run this version, and have its
    /// file before people sign in there
    Add,
    /// Take the passwords away that need a pepper whose file is lost, for good, and print whose they were:
    /// give these users new ones by `cloakroom user passwd`. On a terminal it asks first
    Forget {
        /// The pepper's id, as the service and `pepper list` name it
        id: String,
        #[command(flatten)]
        confirmation: Confirmation,
    },
}

impl Pepper {
    pub async fn run(&self, config: &Config, named: Option<&Path>) -> Outcome {
        if let PepperCommand::Forget { confirmation, .. } = &self.command {
            confirmation.require_yes_or_terminal("takes passwords away");
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
                    confirmation.ask("Take the passwords of these users away for good?")?;
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
    print_line(&format!("{id} goes into new hashes from now on; back it up: {}", path.display()))?;
    terminal::hint("`cloakroom pepper list` tells how many passwords need it");
    Ok(())
}

#[derive(Serialize)]
struct Line<'a> {
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
    lines.push(Line { id: None, state: SecretState::Without, passwords, path: None });
    if json {
        return lines.iter().try_for_each(|line| print_line(&serde_json::to_string(line)?));
    }
    let rows: Vec<_> = lines.into_iter().map(row).collect();
    Table::new(["ID", "STATE", "PASSWORDS", "FILE"]).print(&rows)
}

fn line(pepper: &KnownPepper) -> Line<'_> {
    Line {
        id: Some(&pepper.id),
        state: SecretState::new(pepper.path.as_deref(), pepper.is_current),
        passwords: pepper.passwords,
        path: show_path(pepper.path.as_ref()),
    }
}

fn row(line: Line<'_>) -> [Cell; 4] {
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
    terminal::hint("Next: `cloakroom user passwd NAME` gives each of them a new password");
    Ok(())
}
