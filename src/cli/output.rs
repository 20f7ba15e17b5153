//! The output of commands, and their errors: one sentence for the operator.

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

/// Prints a text. If the reader has closed the pipe, as `head` does, the program exits quietly.
pub(super) fn print_text(text: &str) -> Outcome {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        printed => Ok(printed?),
    }
}

/// Exits because of a usage error that only shows at run time, with the same exit code as clap.
pub(super) fn exit_with_usage_error(sentence: &str) -> ! {
    print_error(sentence);
    std::process::exit(2)
}

/// Prints the sentence of a command that failed.
pub(super) fn print_error(sentence: &str) {
    let name = terminal::paint("cloakroom:", terminal::BAD, terminal::is_error_colored());
    let _ = writeln!(io::stderr(), "{name} {sentence}"); // the exit code reports it, too
}
