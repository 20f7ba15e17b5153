//! The command `cloakroom config`.

use clap::Args;

use super::output::{Outcome, print_line, print_text};
use crate::config::Config;

const EXAMPLES: &str = "\
Examples:
  cloakroom config > cloakroom.toml      a file to begin with; put masked passwords back in
  CLOAKROOM_REGISTRATION=closed cloakroom config --json | jq .registration

The defaults, then the settings file, then the environment, then flags: the later one counts. The
settings file is the one of --config, else of CLOAKROOM_CONFIG, else cloakroom.toml in the current
folder, else /etc/cloakroom/cloakroom.toml; relative paths in it start at its folder.";

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
            return print_line(&serde_json::to_string(config)?);
        }
        print_text(&toml::to_string(config)?)
    }
}
