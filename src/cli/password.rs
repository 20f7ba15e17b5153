//! Reads passwords from a prompt or from standard input, never from an argument.

use std::fmt::Display;
use std::io::{self, BufRead, IsTerminal, Read};

use zeroize::Zeroizing;

use super::output::CliError;
use crate::core::secret::Password;

/// The maximum number of bytes that are read. No password is that long.
const MAX_BYTES: u64 = 64 * 1024;

/// Asks twice on a terminal; otherwise reads the first line of standard input. A password that
/// violates a rule is refused before it has to be repeated.
pub fn read_new<T, E: Display>(check: impl Fn(&Password) -> Result<T, E>) -> Result<T, CliError> {
    let check = |typed: &Password| check(typed).map_err(|bad| CliError(bad.to_string()));
    if !io::stdin().is_terminal() {
        let mut line = Zeroizing::new(String::new());
        io::stdin().lock().take(MAX_BYTES).read_line(&mut line).map_err(|error| {
            CliError(format!("cannot read the password from standard input: {error}"))
        })?;
        if line.is_empty() {
            return Err(CliError("standard input contains no password".to_owned()));
        }
        let typed = line.strip_suffix('\n').unwrap_or(&line);
        let typed = typed.strip_suffix('\r').unwrap_or(typed);
        return check(&Password::new(typed.to_owned()));
    }
    let ask = |prompt| rpassword::prompt_password(prompt).map(Password::new);
    let first = ask("New password: ")?;
    let checked = check(&first)?;
    let second = ask("Repeat the password: ")?;
    // compared to detect typing errors
    if first.expose() == second.expose() {
        Ok(checked)
    } else {
        Err(CliError("the passwords do not match; nothing was changed".to_owned()))
    }
}
