//! `cloakroom pepper`.

use std::path::Path;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::confirm::Confirmation;
use super::key::tell;
use super::table::{Cell, Table};
use super::{Failed, Outcome, say, terminal};
use crate::admin::keys::folder_for_new_key;
use crate::app;
use crate::config::Config;
use crate::core::clock::Clock;
use crate::domain::audit::Event;
use crate::domain::peppers::{self, KnownPepper, Peppers};
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
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
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
        if let What::Forget { confirmation, .. } = &self.what {
            confirmation.require_yes_or_terminal("takes passwords away");
        }
        let folder = config.key_folder();
        match &self.what {
            What::Add => add(config, &folder_for_new_key(config, named, "pepper add")?).await,
            What::List { json } => {
                let store = store(config).await?;
                let listed = list(&folder, &store, *json).await;
                store.close().await;
                listed
            }
            What::Forget { id, confirmation } => {
                let store = store(config).await?;
                let forgot = async {
                    announce_forget(&folder, &store, id).await?;
                    confirmation.ask("Take the passwords of these users away for good?")?;
                    forget(config, &store, id).await
                };
                let forgot = forgot.await;
                store.close().await;
                forgot
            }
        }
    }
}

async fn store(config: &Config) -> Result<Store, Failed> {
    app::require_database(config).await?;
    Ok(Store::open(config.database_url.expose()).await?) // the driver connects with it
}

async fn add(config: &Config, folder: &Path) -> Outcome {
    let now = Clock::System.now();
    let (id, path) = Peppers::create(folder, now)?;
    tell(config, Event::PepperAdded, &id, now).await;
    say(&format!("{id} goes into new hashes from now on; back it up: {}", path.display()))?;
    terminal::hint("`cloakroom pepper list` tells how many passwords need it");
    Ok(())
}

#[derive(Serialize)]
struct Line<'a> {
    /// `null` for the passwords that need none.
    id: Option<&'a str>,
    state: &'a str,
    passwords: i64,
    path: Option<String>,
}

async fn list(folder: &Path, store: &Store, json: bool) -> Outcome {
    let peppers = Peppers::read(folder)?.known(store).await?;
    let mut lines = Vec::new();
    for KnownPepper { id, path, is_current, passwords } in &peppers {
        let state = match path {
            None => "missing",
            Some(_) if *is_current => "current",
            Some(_) => "older",
        };
        let path = path.as_ref().map(|path| path.display().to_string());
        lines.push(Line { id: Some(id), state, passwords: *passwords, path });
    }
    let passwords = store.count_unpeppered().await?;
    lines.push(Line { id: None, state: "without", passwords, path: None });
    if json {
        return lines.iter().try_for_each(|line| say(&serde_json::to_string(line)?));
    }
    let rows: Vec<_> = lines.into_iter().map(row).collect();
    Table::new(["ID", "STATE", "PASSWORDS", "FILE"]).print(&rows)
}

fn row(line: Line<'_>) -> [Cell; 4] {
    let style = match line.state {
        "missing" => terminal::BAD,
        "current" => terminal::GOOD,
        _ => anstyle::Style::new(),
    };
    [
        line.id.unwrap_or("-").into(),
        Cell::styled(line.state, style),
        line.passwords.to_string().into(),
        line.path.unwrap_or_default().into(),
    ]
}

/// Prints whose passwords will be gone. That comes first: if it cannot be printed, they stay.
async fn announce_forget(folder: &Path, store: &Store, id: &str) -> Outcome {
    for name in Peppers::read(folder)?.left_without(id, store).await? {
        say(&name)?;
    }
    Ok(())
}

async fn forget(config: &Config, store: &Store, id: &str) -> Outcome {
    peppers::forget(id, store, config.passwords.cost).await?;
    tell(config, Event::PepperForgotten, id, Clock::System.now()).await;
    terminal::hint("Next: `cloakroom user passwd NAME` gives each of them a new password");
    Ok(())
}
