//! What a command prints, and how it fails: one sentence for the operator who typed it.

use std::io::{self, Write};

use super::terminal;

/// Why a command failed, in one sentence.
#[derive(Debug)]
pub(super) struct CliError(pub String);

impl<E: std::error::Error> From<E> for CliError {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

pub(super) type Outcome = Result<(), CliError>;

/// Prints a line.
pub(super) fn print_line(line: &str) -> Outcome {
    print_text(&format!("{line}\n"))
}

/// Prints a text. When the reader has gone, as `head` does, the program ends quietly.
pub(super) fn print_text(text: &str) -> Outcome {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        printed => Ok(printed?),
    }
}

/// Ends the program for a wrong usage that only shows when it runs, as clap ends it for the others.
pub(super) fn exit_with_usage_error(sentence: &str) -> ! {
    print_error(sentence);
    std::process::exit(2)
}

/// Prints the one sentence of a command that failed.
pub(super) fn print_error(sentence: &str) {
    let name = terminal::paint("cloakroom:", terminal::BAD, terminal::is_error_colored());
    let _ = writeln!(io::stderr(), "{name} {sentence}"); // the exit code says it, too
}
