//! `cloakroom config`.

use std::io::{self, Write};

use clap::Args;

use super::{Outcome, say};
use crate::config::Config;

const EXAMPLES: &str = "\
Examples:
  cloakroom config > cloakroom.toml      a file to begin with; put masked passwords back in
  CLOAKROOM_REGISTRATION=closed cloakroom config --json | jq .registration

The defaults, then cloakroom.toml, then the environment, then flags: what comes later counts.";

/// Print the settings in force as a cloakroom.toml, secrets masked
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Show {
    /// One JSON object
    #[arg(long)]
    json: bool,
}

impl Show {
    pub fn run(&self, config: &Config) -> Outcome {
        if self.json {
            return say(&serde_json::to_string(config)?);
        }
        let text = toml::to_string(config)?;
        io::stdout().write_all(text.as_bytes())?;
        Ok(())
    }
}
