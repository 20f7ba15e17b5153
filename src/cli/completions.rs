//! `cloakroom completions`.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, Outcome, print};

const EXAMPLES: &str = "\
Examples:
  cloakroom completions bash > /etc/bash_completion.d/cloakroom
  cloakroom completions zsh > \"${fpath[1]}/_cloakroom\"
  cloakroom completions fish > ~/.config/fish/completions/cloakroom.fish";

/// Print the completions of a shell; needs no database and no settings
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Completions {
    /// Which shell
    shell: Shell,
}

impl Completions {
    pub fn run(self) -> Outcome {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "cloakroom", &mut script);
        print(&String::from_utf8(script)?)
    }
}
