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
    /// A file in CSV format with a header, or in JSON Lines format. Required columns: `username`
    /// and `password_hash`; optional columns: `disabled` (true or false), `created_at` (RFC
    /// 3339), `display_name`, `roles`, `email` and `email_verified` (true or false)
    file: PathBuf,
    /// The format of the file; required if the file name does not end in .csv, .jsonl or .ndjson
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Skip invalid rows and import the others; otherwise, nothing is imported if a row is invalid
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
    print_line(&format!("imported {}; {} already existed", users(added), were(existing)))?;
    if without_password > 0 {
        print_line(&format!(
            "{} no password and cannot sign in; set one with `cloakroom user passwd NAME`",
            have(without_password)
        ))?;
    }
    if refused > 0 {
        return Err(CliError(format!("{} invalid and skipped", rows_are(refused))));
    }
    Ok(())
}

fn describe(error: ImportError) -> CliError {
    match error {
        ImportError::UnknownFormat(_) => CliError(format!("{error}; set the format with --format")),
        ImportError::Refused(_) => {
            CliError(format!("{error}; correct the rows, or skip them with --skip-bad"))
        }
        error => error.into(),
    }
}

fn users(n: u64) -> String {
    if n == 1 { "1 user".to_owned() } else { format!("{n} users") }
}

fn rows_are(n: u64) -> String {
    if n == 1 { "1 row was".to_owned() } else { format!("{n} rows were") }
}

fn were(n: u64) -> String {
    if n == 1 { "1 user".to_owned() } else { format!("{n} users") }
}

fn have(n: u64) -> String {
    if n == 1 { "1 of them has".to_owned() } else { format!("{n} of them have") }
}
