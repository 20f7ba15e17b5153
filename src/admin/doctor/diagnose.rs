//! Runs all checks.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use super::certificate::check_certificate;
use super::database::{check_clock, check_database, check_definitions};
use super::files::{check_database_files, check_key_files, check_left_over, check_room};
use super::findings::{Diagnosis, Verdict};
use super::keys::{check_peppers, check_server_secrets, check_signing_keys, unseen_keys};
use super::listener::check_listener;
use super::mail::check_mail;
use super::ownership::check_data_folder;
use super::settings::{check_registration, check_settings, report_setup_events};
use crate::admin::installation::Installation;
use crate::config::Config;
use crate::core::clock::Clock;
use crate::core::ownership;
use crate::domain::demo_users::DEMO_USERS;
use crate::domain::keys::tokens::KeyRing;
use crate::store::{CheckLevel, DatabaseReport, MailCounts, Store};

/// How thorough the checks are.
#[derive(Debug, Clone, Copy, Default)]
pub struct DoctorOptions {
    /// Whether to check every index and reference of an SQLite database. With millions of rows this
    /// takes minutes.
    pub full: bool,
}

/// Checks the settings, files, keys, database, clock, disk, mail server and certificate of an
/// installation. Each finding says what to do. Nothing is changed, created or migrated.
pub async fn diagnose(installation: &Installation, options: DoctorOptions) -> Diagnosis {
    let config = installation.config();
    let mut found = Diagnosis::default();
    check_settings(config, &mut found);
    check_registration(config, &mut found);
    let is_there = check_data_folder(&config.data_dir, &mut found);
    let file = match Store::file_of(config.database_url.expose()) {
        Ok(file) => file,
        Err(error) => {
            found.add("database", Verdict::Wrong, error.to_string());
            return found;
        }
    };
    let needs = check_store(config, file.as_deref(), options, &mut found).await;
    if let Some(file) = &file {
        check_database_files(file, &config.data_dir, &mut found);
    }
    let mut kids = unseen_keys(&config.data_dir);
    if is_there {
        let key_folder = config.key_folder();
        check_key_files(&config.data_dir, &key_folder, &mut found);
        kids = check_signing_keys(config, needs.accounts, &mut found);
        check_peppers(config, needs.peppers, &mut found);
        check_server_secrets(config, needs.server_secrets, &mut found);
        check_left_over([&config.data_dir, &key_folder], &mut found);
        check_room(&config.data_dir, needs.size, &mut found);
    }
    check_mail(config, needs.mails, &mut found).await;
    check_certificate(config, &mut found);
    check_listener(config, kids.as_deref(), &mut found).await;
    found
}

/// The number of accounts and mails in the database, the keys that it needs, and its size.
#[derive(Default)]
struct Needs {
    accounts: i64,
    peppers: Vec<(String, i64)>,
    server_secrets: Vec<(String, i64)>,
    /// The mails in the outbox.
    mails: MailCounts,
    /// The size of the SQLite file, or 0.
    size: u64,
}

/// Checks the database, if there is one.
async fn check_store(
    config: &Config,
    file: Option<&Path>,
    options: DoctorOptions,
    found: &mut Diagnosis,
) -> Needs {
    let seen = file.map(fs::metadata);
    let is_hidden =
        matches!(&seen, Some(Err(error)) if error.kind() == ErrorKind::PermissionDenied);
    let size = seen.and_then(Result::ok).map(|meta| meta.len());
    let mut needs = Needs { size: size.unwrap_or_default(), ..Needs::default() };
    if let (Some(file), None | Some(0)) = (file, size) {
        let says = describe_absence(config, file, is_hidden && size.is_none());
        found.add("database", Verdict::Wrong, says);
        return needs;
    }
    let level = if options.full { CheckLevel::Full } else { CheckLevel::Quick };
    let names = DEMO_USERS.map(|(name, _)| name);
    let address = config.database_url.expose(); // for the driver that connects
    match Store::inspect_at(address, level, &names, Clock::System.now().millis()).await {
        Ok(report) => {
            check_report(config, &report, found);
            (needs.accounts, needs.mails) = (report.accounts, report.mails);
            (needs.peppers, needs.server_secrets) = (report.peppers, report.server_secrets);
        }
        Err(error) => found.add("database", Verdict::Wrong, error.to_string()),
    }
    needs
}

fn check_report(config: &Config, report: &DatabaseReport, found: &mut Diagnosis) {
    check_database(config, report, found);
    report_setup_events(config, &report.setup, found);
    check_definitions(report.definitions.as_ref(), found);
    check_clock(report, found);
}

/// Explains that the database file does not exist, and what to do.
fn describe_absence(config: &Config, file: &Path, is_hidden: bool) -> String {
    let shown = file.display();
    if is_hidden {
        return format!(
            "cannot read {shown}: permission denied; {}",
            ownership::describe_denial(file)
        );
    }
    if KeyRing::are_in(&config.key_folder()).unwrap_or(false) {
        return format!(
            "the database at {shown} is missing: it existed, because there are signing keys; \
             restore a backup with `cloakroom restore`, or create an empty database with \
             `cloakroom migrate`"
        );
    }
    format!(
        "there is no database at {shown}, and {}; to create it, start the service, or name \
         another place with --config, --data-dir or --database-url",
        config.source()
    )
}
