//! The command `cloakroom user import`: imports users of another system from a CSV or JSON Lines
//! file.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::output::{CliError, Outcome, print_line};
use super::progress::Bar;
use crate::admin::{
    ImportError, ImportEvent, ImportFormat, ImportOptions, ImportReport, import_into,
};
use crate::domain::AuthService;

#[derive(Debug, Args)]
pub struct Import {
    /// CSV with a header, or JSON Lines: `username`, `password_hash`, and if you like `disabled` (true
    /// or false) and `created_at` (RFC 3339)
    file: PathBuf,
    /// The format, if the file's name does not end in .csv, .jsonl or .ndjson
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Import the other rows when some are refused, instead of none
    #[arg(long)]
    skip_bad: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Csv,
    Jsonl,
}

impl From<Format> for ImportFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Csv => Self::Csv,
            Format::Jsonl => Self::Jsonl,
        }
    }
}

impl Import {
    pub async fn run(&self, domain: &AuthService) -> Outcome {
        let format = self.format.map(ImportFormat::from);
        let options = ImportOptions { format, skip_refused: self.skip_bad };
        let bar = Bar::new();
        let imported = import_into(domain, &self.file, options, |event| match event {
            ImportEvent::Progress(progress) => bar.show(progress),
            ImportEvent::Refused(row) => bar.suspend(|| {
                // Errors are ignored: the number of refused rows is printed at the end.
                let _ = writeln!(io::stderr(), "line {}: {}", row.line, row.reason);
            }),
        });
        let imported = imported.await;
        drop(bar);
        print(&imported.map_err(describe)?)
    }
}

fn print(report: &ImportReport) -> Outcome {
    let ImportReport { added, existing, refused, without_password } = *report;
    print_line(&format!("imported {}; {} there already", users(added), were(existing)))?;
    if without_password > 0 {
        print_line(&format!(
            "{} no password and cannot sign in until given one",
            have(without_password)
        ))?;
    }
    if refused > 0 {
        return Err(CliError(format!("{} refused and left out", rows_are(refused))));
    }
    Ok(())
}

fn describe(error: ImportError) -> CliError {
    match error {
        ImportError::UnknownFormat(_) => CliError(format!("{error}; name its --format")),
        ImportError::Refused(_) => {
            CliError(format!("{error}; mend them, or leave them out by --skip-bad"))
        }
        error => error.into(),
    }
}

fn users(n: u64) -> String {
    if n == 1 { "1 user".to_owned() } else { format!("{n} users") }
}

fn rows_are(n: u64) -> String {
    if n == 1 { "1 row is".to_owned() } else { format!("{n} rows are") }
}

fn were(n: u64) -> String {
    if n == 1 { "1 was".to_owned() } else { format!("{n} were") }
}

fn have(n: u64) -> String {
    if n == 1 { "1 of them has".to_owned() } else { format!("{n} of them have") }
}
