//! The command `cloakroom server-secret`.

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
use crate::domain::keys::server_secret::{KnownServerSecret, ServerSecrets};
use crate::domain::keys::{files, server_secret};
use crate::store::Store;

const EXAMPLES: &str = "\
Examples:
  cloakroom server-secret list        which there are, and how many held user names need each
  cloakroom server-secret add         after a person who could read the current one left
  cloakroom server-secret forget ID   if its file is lost, and no backup has it

Back the file up: without it, user names that are held cannot be recognized, and the service
does not start.";

/// Make and list server secrets, from which the service derives keys
///
/// A server secret is a file in the folder of the signing keys; the first start makes one. A key that is
/// derived from it makes the digests of user names that are held, another one those under which failed
/// attempts are counted, so that neither can be guessed from the database alone. The newest secret by
/// name is used for what is new, and the older ones for finding what was made with them.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ServerSecret {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the server secrets, the oldest first, and how many held user names need each
    List {
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Make a server secret, which is used for what is new from now on. All counters of failed
    /// attempts begin again. The file of an older one can be removed when no held user name needs it
    Add,
    /// Give up what needs a server secret whose file is lost: the user names held under it can be
    /// registered again. On a terminal it asks first
    Forget {
        /// The server secret's id, as the service and `server-secret list` name it
        id: String,
        #[command(flatten)]
        confirmation: Confirmation,
    },
}

impl ServerSecret {
    pub async fn run(&self, config: &Config, named: Option<&Path>) -> Outcome {
        if let Command::Forget { confirmation, .. } = &self.command {
            confirmation.require_yes_or_terminal("releases user names");
        }
        let folder = config.key_folder();
        match &self.command {
            Command::Add => {
                let folder = folder_for_new_key(config, named, "server-secret add")?;
                add(config, &folder).await
            }
            Command::List { json } => {
                with_store(config, async |store| list(&folder, store, *json).await).await
            }
            Command::Forget { id, confirmation } => {
                confirmation.ask("Let anyone register the user names that need it?")?;
                with_store(config, async |store| forget(config, &folder, store, id).await).await
            }
        }
    }
}

async fn add(config: &Config, folder: &Path) -> Outcome {
    let lock = files::lock(folder)?; // a service that is starting creates no second one
    let now = Clock::System.now();
    let (id, path) = ServerSecrets::create(folder, now)?;
    drop(lock);
    tell(config, Event::ServerSecretAdded, &id, now).await;
    print_line(&format!("{id} is the server secret from now on; back it up: {}", path.display()))?;
    terminal::hint(
        "`cloakroom server-secret list` tells how many held user names need the older ones",
    );
    Ok(())
}

#[derive(Serialize)]
struct Line<'a> {
    id: &'a str,
    state: SecretState,
    held_usernames: i64,
    path: Option<String>,
}

async fn list(folder: &Path, store: &Store, json: bool) -> Outcome {
    let secrets = server_secret::list(folder, store, Clock::System.now()).await?;
    let lines: Vec<_> = secrets.iter().map(line).collect();
    if json {
        return lines.iter().try_for_each(|line| print_line(&serde_json::to_string(line)?));
    }
    let rows: Vec<_> = lines.into_iter().map(row).collect();
    Table::new(["ID", "STATE", "HELD NAMES", "USED FOR", "FILE"]).print(&rows)
}

fn line(secret: &KnownServerSecret) -> Line<'_> {
    Line {
        id: &secret.id,
        state: SecretState::new(secret.path.as_deref(), secret.is_current),
        held_usernames: secret.held_usernames,
        path: show_path(secret.path.as_ref()),
    }
}

fn row(line: Line<'_>) -> [Cell; 5] {
    let used_for = match line.state {
        SecretState::Current => "new held names, failed attempts",
        SecretState::Missing | SecretState::Older | SecretState::Without => "held names",
    };
    [
        line.id.into(),
        line.state.cell(),
        line.held_usernames.to_string().into(),
        used_for.into(),
        line.path.unwrap_or_default().into(),
    ]
}

async fn forget(config: &Config, folder: &Path, store: &Store, id: &str) -> Outcome {
    let released = server_secret::forget(folder, id, store).await?;
    tell(config, Event::ServerSecretForgotten, id, Clock::System.now()).await;
    print_line(&format!("{id} is forgotten; user names that are no longer held: {released}"))
}
