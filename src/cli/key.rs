//! The command `cloakroom key`.

use std::path::Path;

use clap::Subcommand;
use serde::Serialize;

use super::output::{Outcome, print_line};
use super::table::{Cell, Table};
use super::terminal;
use crate::admin::keys::{folder_for_new_key, record_key_event};
use crate::app::StartError;
use crate::config::Config;
use crate::core::clock::{Clock, Timestamp};
use crate::domain::audit::event::Event;
use crate::domain::keys::files;
use crate::domain::keys::tokens::KeyRing;

pub(super) const EXAMPLES: &str = "\
Examples:
  cloakroom key rotate        Once a year, or when a person who could read the keys leaves
  cloakroom key list          Find the file of the old key, to remove it at once or when its sessions have ended";

#[derive(Debug, Subcommand)]
pub enum Key {
    /// List the keys, oldest first
    List {
        /// Print one JSON object per line
        #[arg(long)]
        json: bool,
    },
    /// Create a new key, which signs all new tokens. The older keys still verify the tokens that
    /// they signed; to refuse these tokens at once, remove the file of the key
    Rotate,
}

impl Key {
    pub async fn run(&self, config: &Config, named: Option<&Path>) -> Outcome {
        match self {
            Self::List { json } => list(config, *json),
            Self::Rotate => rotate(config, named).await,
        }
    }
}

#[derive(Serialize)]
struct KeyLine<'a> {
    kid: &'a str,
    signs: bool,
    path: String,
}

fn list(config: &Config, json: bool) -> Outcome {
    let folder = config.key_folder();
    let keys = KeyRing::read(&folder, &config.public_url.origin())?;
    let keys = keys.ok_or_else(|| StartError::NoKeys { folder, settings: config.source() })?;
    let mut rows = Vec::new();
    for key in keys.public() {
        let path = key.path.display().to_string();
        if json {
            let line = KeyLine { kid: &key.kid, signs: key.signs, path };
            print_line(&serde_json::to_string(&line)?)?;
            continue;
        }
        let does = if key.signs {
            Cell::with_style("signs", terminal::GOOD)
        } else {
            Cell::from("verifies")
        };
        rows.push([key.kid.into(), does, path.into()]);
    }
    Table::new(["ID", "USE", "FILE"]).print(&rows)
}

async fn rotate(config: &Config, named: Option<&Path>) -> Outcome {
    let folder = folder_for_new_key(config, named, "key rotate")?;
    let held = files::lock(&folder)?;
    let now = Clock::System.now();
    let path = KeyRing::create(&folder, now)?;
    drop(held);
    let name = path.file_stem().map(|name| name.to_string_lossy()).unwrap_or_default();
    tell(config, Event::KeyRotated, &name, now).await;
    print_line(&format!("{} is now used to sign new tokens", path.display()))?;
    terminal::hint(&format!(
        "Next: back up the new key with `cloakroom backup`. After {}, the longest lifetime of a \
         session, remove the file of the old key; `cloakroom key list` shows its path",
        config.sessions.longest()
    ));
    Ok(())
}

/// Records an event about a key. A failure is only a warning, because the command has succeeded.
pub(super) async fn tell(config: &Config, event: Event, id: &str, now: Timestamp) {
    if let Err(why) = record_key_event(config, event, id, now).await {
        terminal::warn(&format!(
            "the command succeeded, but its event could not be written to the audit log: {why}"
        ));
    }
}
