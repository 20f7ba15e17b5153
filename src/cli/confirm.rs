//! Asks for confirmation before data is deleted permanently.

use std::io::{self, BufRead, IsTerminal, Read, Write};

use clap::Args;

use super::output::{CliError, Outcome, exit_with_usage_error};

/// The maximum length of an answer in bytes.
const MAX_ANSWER: u64 = 1024;

/// For commands that delete something that no other command can restore. Commands whose effect can
/// be undone, such as disabling a user, ending a session or revoking an invite, do not ask.
#[derive(Debug, Args)]
pub(super) struct Confirmation {
    /// Do not ask for confirmation; required if there is no terminal
    #[arg(long, short)]
    yes: bool,
}

impl Confirmation {
    /// Exits with a usage error, before anything is opened, if confirmation is needed and there is
    /// no terminal.
    pub(super) fn require_yes_or_terminal(&self, does: &str) {
        let can_ask = io::stdin().is_terminal() && io::stderr().is_terminal();
        if !self.yes && !can_ask {
            exit_with_usage_error(&format!(
                "this command {does}; use --yes to confirm it without a terminal"
            ));
        }
    }

    /// Returns if the user confirms, or with `--yes`.
    pub(super) fn ask(&self, question: &str) -> Outcome {
        if self.yes {
            return Ok(());
        }
        let mut prompt = io::stderr().lock();
        write!(prompt, "{question} [y/N] ")?;
        prompt.flush()?;
        let mut answer = String::new();
        io::stdin().lock().take(MAX_ANSWER).read_line(&mut answer)?;
        match answer.trim().to_ascii_lowercase().as_str() {
            "y" | "yes" => Ok(()),
            _ => Err(CliError("not confirmed; nothing was changed".to_owned())),
        }
    }
}
