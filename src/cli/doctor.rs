//! The command `cloakroom doctor`: finds what is wrong, and says what to do. It changes nothing.

use clap::Args;

use super::output::{CliError, Outcome, print_line};
use super::table::{Cell, Table};
use super::terminal;
use crate::admin::{Diagnosis, DoctorOptions, Finding, Installation, Verdict, diagnose};
use crate::config::{Config, ConfigError};

const EXAMPLES: &str = "\
Examples:
  cloakroom doctor                        Run it at any time, also if the service does not start
  sudo -u cloakroom cloakroom doctor      As the user that runs the service, with its settings
  cloakroom doctor --full                 Check all indexes, too; takes minutes for millions of rows
  cloakroom doctor --json | jq '.findings[] | select(.verdict == \"wrong\")'

The exit code is 1 if a problem is found. The command does not change anything.";

/// Find problems with the settings, files, keys, database, clock, disk, mail server and certificate,
/// and say how to fix them
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Doctor {
    /// Also check every index and reference of an SQLite database
    #[arg(long)]
    full: bool,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

impl Doctor {
    pub async fn run(&self, config: Result<&Config, ConfigError>) -> Outcome {
        let found = match config {
            Ok(config) => {
                let installation = Installation::from(config.clone());
                diagnose(&installation, DoctorOptions { full: self.full }).await
            }
            Err(error) => {
                let (about, verdict, says) = ("settings", Verdict::Wrong, error.to_string());
                Diagnosis { findings: vec![Finding { about, verdict, says }] }
            }
        };
        if self.json {
            print_line(&serde_json::to_string(&found)?)?;
        } else {
            let rows: Vec<_> = found.findings.iter().map(row).collect();
            Table::new(["STATE", "ABOUT", "FINDING"]).print(&rows)?;
        }
        match found.count(Verdict::Wrong) {
            0 => Ok(()),
            1 => Err(CliError("1 problem was found".to_owned())),
            n => Err(CliError(format!("{n} problems were found"))),
        }
    }
}

fn row(finding: &Finding) -> [Cell; 3] {
    let verdict = match finding.verdict {
        Verdict::Ok => Cell::with_style("ok", terminal::GOOD),
        Verdict::Note => Cell::with_style("note", terminal::WARNING),
        Verdict::Wrong => Cell::with_style("WRONG", terminal::BAD),
    };
    [verdict, finding.about.into(), (&*finding.says).into()]
}
