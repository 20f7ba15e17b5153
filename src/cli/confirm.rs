//! A question before something is gone for good.

use std::io::{self, BufRead, IsTerminal, Read, Write};

use clap::Args;

use super::output::{CliError, Outcome, exit_with_usage_error};

/// More bytes of an answer are not read.
const MAX_ANSWER: u64 = 1024;

/// For commands that destroy what no other command brings back. What can be made good again, such as a
/// disabled user, an ended session or a withdrawn invite, is not asked about.
#[derive(Debug, Args)]
pub(super) struct Confirmation {
    /// Do not ask; needed where there is no terminal to ask at
    #[arg(long, short)]
    yes: bool,
}

impl Confirmation {
    /// Ends the program as for any wrong usage, before anything is opened, if it would have to ask and
    /// cannot.
    pub(super) fn require_yes_or_terminal(&self, does: &str) {
        let can_ask = io::stdin().is_terminal() && io::stderr().is_terminal();
        if !self.yes && !can_ask {
            exit_with_usage_error(&format!(
                "this {does} for good; say --yes where no terminal can ask"
            ));
        }
    }

    /// Goes on if the answer is yes, or if nobody is to be asked.
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
            _ => Err(CliError("nothing was changed".to_owned())),
        }
    }
}
