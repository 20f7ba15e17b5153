//! The command `cloakroom openapi`.

use clap::{Args, ValueEnum};

use super::output::{Outcome, print_text};
use crate::http::{document, yaml};

const EXAMPLES: &str = "\
Examples:
  cloakroom openapi > openapi.json
  cloakroom openapi --format yaml | less";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Openapi {
    /// How to write it
    #[arg(long, value_enum, default_value_t = Format::Json)]
    format: Format,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Json,
    Yaml,
}

impl Openapi {
    pub fn run(&self) -> Outcome {
        let json = document();
        let text = match self.format {
            Format::Json => json,
            Format::Yaml => yaml(json.as_bytes()),
        };
        print_text(&text)
    }
}
