//! The command `cloakroom completions`.

use clap::{Args, Command};
use clap_complete::Shell;

use super::output::{Outcome, print_text};

const EXAMPLES: &str = "\
Examples:
  cloakroom completions bash > /etc/bash_completion.d/cloakroom
  cloakroom completions zsh > \"${fpath[1]}/_cloakroom\"
  cloakroom completions fish > ~/.config/fish/completions/cloakroom.fish";

/// Print a completion script for a shell; requires no database and no settings
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub fn run(self, command: &mut Command) -> Outcome {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, command, "cloakroom", &mut script);
        print_text(&String::from_utf8(script)?)
    }
}
