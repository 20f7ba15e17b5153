//! Properties of the terminal: colors, the width of tables, and hints for the next step.

use std::io::{self, IsTerminal, Write};

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};

/// The maximum width of a line, which is also that of the help. Longer lines are hard to read.
const MAX_WIDTH: usize = 100;

pub(super) const HEADER: Style = Style::new().bold();
pub(super) const GOOD: Style = AnsiColor::Green.on_default();
pub(super) const WARNING: Style = AnsiColor::Yellow.on_default();
pub(super) const BAD: Style = AnsiColor::Red.on_default().bold();
const FAINT: Style = Style::new().dimmed();

/// Whether standard output is colored. A terminal is, unless `NO_COLOR` or `CLICOLOR=0` is set;
/// with `CLICOLOR_FORCE` everything is.
pub(super) fn is_output_colored() -> bool {
    AutoStream::choice(&io::stdout()) != ColorChoice::Never
}

/// Whether standard error is colored.
pub(super) fn is_error_colored() -> bool {
    AutoStream::choice(&io::stderr()) != ColorChoice::Never
}

/// Applies a style to a text, if colors are enabled.
pub(super) fn paint(text: &str, style: Style, is_colored: bool) -> String {
    if is_colored && style != Style::new() {
        format!("{style}{text}{style:#}")
    } else {
        text.to_owned()
    }
}

/// The maximum width of a line on standard output. Only a terminal has one: elsewhere, a row is one
/// line of any length.
pub(super) fn output_width() -> Option<usize> {
    let stdout = io::stdout();
    if !stdout.is_terminal() {
        return None;
    }
    let columns = terminal_size::terminal_size_of(&stdout).map(|(width, _)| usize::from(width.0));
    Some(columns.unwrap_or(MAX_WIDTH).min(MAX_WIDTH))
}

/// Prints a warning to standard error. The command succeeds nevertheless.
pub(super) fn warn(text: &str) {
    let warning = paint("warning:", WARNING, is_error_colored());
    let _ = writeln!(io::stderr(), "{warning} {text}"); // a command does not fail because of this
}

/// Prints a hint for the next step on a terminal. Scripts do not see it.
pub(super) fn hint(text: &str) {
    let mut stderr = io::stderr();
    if io::stdout().is_terminal() && stderr.is_terminal() {
        // A successful command does not fail because of a hint.
        let _ = writeln!(stderr, "{}", paint(text, FAINT, is_error_colored()));
    }
}
