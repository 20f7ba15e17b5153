//! What depends on a terminal: colors, the width of a table, and hints for the next step.

use std::io::{self, IsTerminal, Write};

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};

/// Longer lines are hard to read; the help has the same limit.
const MAX_WIDTH: usize = 100;

pub(super) const HEADER: Style = Style::new().bold();
pub(super) const GOOD: Style = AnsiColor::Green.on_default();
pub(super) const WARNING: Style = AnsiColor::Yellow.on_default();
pub(super) const BAD: Style = AnsiColor::Red.on_default().bold();
const FAINT: Style = Style::new().dimmed();

/// Does standard output take colors? A terminal does, unless `NO_COLOR` or `CLICOLOR=0` is set;
/// with `CLICOLOR_FORCE` anything does.
pub(super) fn is_output_colored() -> bool {
    AutoStream::choice(&io::stdout()) != ColorChoice::Never
}

/// Does the standard error output take colors?
pub(super) fn is_error_colored() -> bool {
    AutoStream::choice(&io::stderr()) != ColorChoice::Never
}

/// The text in a style, or as it is where no color is wanted.
pub(super) fn paint(text: &str, style: Style, is_colored: bool) -> String {
    if is_colored && style != Style::new() {
        format!("{style}{text}{style:#}")
    } else {
        text.to_owned()
    }
}

/// How many columns a line of standard output may have. Only a terminal limits them: elsewhere a row is
/// one line, however long it is.
pub(super) fn output_width() -> Option<usize> {
    let stdout = io::stdout();
    if !stdout.is_terminal() {
        return None;
    }
    let columns = terminal_size::terminal_size_of(&stdout).map(|(width, _)| usize::from(width.0));
    Some(columns.unwrap_or(MAX_WIDTH).min(MAX_WIDTH))
}

/// Says on the standard error output what is worth knowing of a command that is done all the same.
pub(super) fn warn(text: &str) {
    let warning = paint("warning:", WARNING, is_error_colored());
    let _ = writeln!(io::stderr(), "{warning} {text}"); // the command does not fail because of it
}

/// Tells a person at a terminal what the next step may be. A script sees nothing of it.
pub(super) fn hint(text: &str) {
    let mut stderr = io::stderr();
    if io::stdout().is_terminal() && stderr.is_terminal() {
        // a command that did its work does not fail because of a hint
        let _ = writeln!(stderr, "{}", paint(text, FAINT, is_error_colored()));
    }
}
