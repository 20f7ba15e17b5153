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
  cloakroom server-secret list        List the secrets and how many held user names need each
  cloakroom server-secret add         After a person who could read the current secret left
  cloakroom server-secret forget ID   If the file is lost and no backup contains it

Back up the files: if a secret that held user names need is missing, the service does not start.";

/// Manage server secrets, from which the service derives keys
///
/// A server secret is a file in the key folder; the first start of the service creates one. With
/// keys derived from it, the service computes digests of held user names and of the names and
/// addresses for which failed attempts are counted. An attacker who has only the database cannot
/// guess these values. New digests use the newest secret. Older secrets are needed to recognize the
/// digests that they produced.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ServerSecret {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the server secrets, oldest first, and how many held user names need each secret
    List {
        /// Print one JSON object per line
        #[arg(long)]
        json: bool,
    },
    /// Create a server secret, which is used for new digests
    ///
    /// All counters of failed attempts start again at zero. You can remove the file of an older
    /// secret when no held user name needs it.
    Add,
    /// Release the held user names that need a lost server secret
    ///
    /// Use this command only if the file of the secret is lost. The user names can then be
    /// registered again. On a terminal, the command asks for confirmation.
    Forget {
        /// The id of the server secret, as in `server-secret list`
        id: String,
        #[command(flatten)]
        confirmation: Confirmation,
    },
}

impl ServerSecret {
    pub async fn run(&self, config: &Config, named: Option<&Path>) -> Outcome {
        if let Command::Forget { confirmation, .. } = &self.command {
            confirmation.require_yes_or_terminal("releases held user names permanently");
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
                confirmation.ask("Release the user names that need this secret, so that anyone can register them?")?;
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
    print_line(&format!("{id} is now used for new digests; back up its file: {}", path.display()))?;
    terminal::hint(
        "`cloakroom server-secret list` shows how many held user names need the older secrets",
    );
    Ok(())
}

#[derive(Serialize)]
struct ServerSecretLine<'a> {
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

fn line(secret: &KnownServerSecret) -> ServerSecretLine<'_> {
    ServerSecretLine {
        id: &secret.id,
        state: SecretState::new(secret.path.as_deref(), secret.is_current),
        held_usernames: secret.held_usernames,
        path: show_path(secret.path.as_ref()),
    }
}

fn row(line: ServerSecretLine<'_>) -> [Cell; 5] {
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
    print_line(&format!("{id} is forgotten; released user names: {released}"))
}
