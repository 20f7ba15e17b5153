//! `cloakroom key`.

use std::path::Path;

use clap::Subcommand;

use super::{Failed, Outcome, say};
use crate::app;
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::audit::Event;
use crate::domain::tokens::Keys;

#[derive(Debug, Subcommand)]
pub enum Key {
    /// List the keys, the oldest first
    List,
    /// Make a new key, which signs from now on. The others go on verifying what they signed;
    /// remove the file of one to refuse its tokens at once
    Rotate,
}

impl Key {
    pub fn run(&self, config: &Config) -> Outcome {
        let folder = app::make_folders(config)?;
        match self {
            Self::List => list(config, &folder),
            Self::Rotate => rotate(&folder),
        }
    }
}

fn list(config: &Config, folder: &Path) -> Outcome {
    let keys = Keys::read(folder, &config.public_url.origin())?;
    let keys = keys.ok_or_else(|| {
        Failed(format!("there are no keys in {}; the first start makes one", folder.display()))
    })?;
    for key in keys.public() {
        let does = if key.signs { "signs" } else { "verifies" };
        say(&format!("{}  {does:<8}  {}", key.kid, key.path.display()))?;
    }
    Ok(())
}

fn rotate(folder: &Path) -> Outcome {
    let _held = Keys::hold(folder)?;
    let path = Keys::create(folder, Clock::System.now())?;
    let name = path.file_stem().map(|name| name.to_string_lossy()).unwrap_or_default();
    Event::KeyRotated.note_thing(&name);
    say(&format!("{} signs from now on", path.display()))
}
