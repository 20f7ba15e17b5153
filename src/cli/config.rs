//! The command `cloakroom config`.

use clap::Args;

use super::output::{Outcome, print_line, print_text};
use crate::config::Config;

const EXAMPLES: &str = "\
Examples:
  cloakroom config > cloakroom.toml      Create a settings file; then replace the masked passwords
  CLOAKROOM_REGISTRATION=closed cloakroom config --json | jq .registration

Settings come from the defaults, the settings file, environment variables and flags. Each of these
overrides the previous ones. The settings file is the file that --config or CLOAKROOM_CONFIG names;
otherwise cloakroom.toml in the current folder, or else /etc/cloakroom/cloakroom.toml. Relative
paths in the file are relative to its folder.";

/// Print the current settings in the format of cloakroom.toml, with secrets masked
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Show {
    /// Print a JSON object
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
