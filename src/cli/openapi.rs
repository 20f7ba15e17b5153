//! The command `cloakroom openapi`.

use clap::{Args, ValueEnum};

use super::output::{Outcome, print_text};
use crate::http::{document, in_version_3_1, yaml};

const EXAMPLES: &str = "\
Examples:
  cloakroom openapi > openapi.json
  cloakroom openapi --format yaml | less
  cloakroom openapi --openapi-version 3.1 > openapi-3.1.json";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Openapi {
    /// The format of the document
    #[arg(long, value_enum, default_value_t = Format::Json)]
    format: Format,
    /// The version of the OpenAPI specification. The document in 3.1 is derived from the one in 3.0
    #[arg(long, value_enum, default_value_t = Version::V3_0)]
    openapi_version: Version,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Json,
    Yaml,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Version {
    #[value(name = "3.0")]
    V3_0,
    #[value(name = "3.1")]
    V3_1,
}

impl Openapi {
    pub fn run(&self) -> Outcome {
        let json = match self.openapi_version {
            Version::V3_0 => document(),
            Version::V3_1 => in_version_3_1(document().as_bytes()),
        };
        let text = match self.format {
            Format::Json => json,
            Format::Yaml => yaml(json.as_bytes()),
        };
        print_text(&text)
    }
}
