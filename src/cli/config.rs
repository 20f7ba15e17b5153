//! `cloakroom config`.

use std::io::{self, Write};

use super::Outcome;
use crate::config::Config;

/// Prints the settings as a `cloakroom.toml`.
pub fn run(config: &Config) -> Outcome {
    let text = toml::to_string(config)?;
    io::stdout().write_all(text.as_bytes())?;
    Ok(())
}
