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
  cloakroom key rotate        once a year, or when somebody leaves who could read the keys
  cloakroom key list          then remove the file of the old one, 30 days later or at once";

#[derive(Debug, Subcommand)]
pub enum Key {
    /// List the keys, the oldest first
    List {
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Make a new key, which signs from now on. The others go on verifying what they signed;
    /// remove the file of one to refuse its tokens at once
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
struct Line<'a> {
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
            let line = Line { kid: &key.kid, signs: key.signs, path };
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
    print_line(&format!("{} signs from now on", path.display()))?;
    terminal::hint(
        "Next: back it up by `cloakroom backup`, and remove the file of the old key in 30 days: \
         `cloakroom key list` names it",
    );
    Ok(())
}

/// Records an event about a key.
pub(super) async fn tell(config: &Config, event: Event, id: &str, now: Timestamp) {
    if let Err(why) = record_key_event(config, event, id, now).await {
        terminal::warn(&format!("it is done, but the event could not be written down: {why}"));
    }
}
