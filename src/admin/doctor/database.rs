//! Checks the schema, the tables and the clock of the database.

use std::time::Duration;

use super::findings::{Diagnosis, Verdict};
use crate::config::Config;
use crate::core::clock::{Clock, Timestamp};
use crate::domain::clock_check;
use crate::store::{DatabaseReport, DefinitionReport, OpenError, Schema, Store};

/// The difference that is normal between clocks that a time server sets, with some reserve.
const MAX_CLOCK_DIFFERENCE: Duration = Duration::from_secs(5);

pub(super) fn check_database(config: &Config, report: &DatabaseReport, found: &mut Diagnosis) {
    const ABOUT: &str = "database";
    if let Some(damage) = &report.damage {
        let says = format!(
            "{} is damaged: {damage}; stop the service, move the database to another place, and restore a backup",
            config.database_url
        );
        found.add(ABOUT, Verdict::Wrong, says);
        return;
    }
    let engine = &report.engine;
    match report.schema {
        Schema::Current(last) => {
            let says = format!("{engine}, migration {last}, accounts: {}", report.accounts);
            found.add(ABOUT, Verdict::Ok, says);
        }
        Schema::None => {
            let says = format!(
                "{engine}: the database has no tables, and {}; to create them, start the service, \
                 or name another database with --config or --database-url",
                config.source()
            );
            found.add(ABOUT, Verdict::Wrong, says);
        }
        Schema::Older(last) => {
            let newest = Store::newest_schema();
            let says = format!(
                "{engine}, migration {last} of {newest}; the next start migrates the database; create a backup first"
            );
            found.add(ABOUT, Verdict::Note, says);
        }
        Schema::Newer(version) => {
            let says = format!(
                "the schema of the database is newer than this program (migration {version}); \
                 start a newer version of cloakroom, or restore a backup from before the upgrade"
            );
            found.add(ABOUT, Verdict::Wrong, says);
        }
        Schema::LineEnds(version) => {
            found.add(ABOUT, Verdict::Wrong, OpenError::LineEnds(version).to_string());
        }
        Schema::Changed(version) => {
            let says = format!(
                "migration {version} in this program differs from the one that ran on the database; start the release that ran it"
            );
            found.add(ABOUT, Verdict::Wrong, says);
        }
    }
    if report.is_read_only {
        let says = "the database is read-only, so users cannot sign in: \
                    default_transaction_read_only is on for the user or the database, or the \
                    server is a standby; turn it off, or connect to the primary";
        found.add(ABOUT, Verdict::Wrong, says);
    }
    if !report.unwritable.is_empty() {
        let says = format!(
            "the database user has no write access to {}; grant it as described in docs/postgresql.md",
            report.unwritable.join(", ")
        );
        found.add(ABOUT, Verdict::Wrong, says);
    }
    if !report.demo_users.is_empty() {
        let says = format!(
            "there are users called {}, which --demo creates with publicly known passwords; \
             delete them, or set new passwords with `cloakroom user passwd`",
            report.demo_users.join(" and ")
        );
        found.add(ABOUT, Verdict::Note, says);
    }
}

/// Checks that the tables match the migrations.
pub(super) fn check_definitions(report: Option<&DefinitionReport>, found: &mut Diagnosis) {
    const ABOUT: &str = "schema";
    let Some(report) = report else {
        let says = "the schema was not compared with the migrations, because the database user \
                    cannot create temporary tables; see docs/postgresql.md";
        return found.add(ABOUT, Verdict::Note, says);
    };
    for difference in &report.differences {
        let says = format!(
            "{difference}: another program changed the schema; find out which, and restore a \
             backup from before the change"
        );
        found.add(ABOUT, Verdict::Wrong, says);
    }
    for view in &report.views {
        let says = format!(
            "the view {view} reads tables of Cloakroom, and `cloakroom restore` refuses a backup that contains it; drop the view before a backup"
        );
        found.add(ABOUT, Verdict::Note, says);
    }
    if !report.foreign_triggers.is_empty() {
        let says = format!(
            "there are triggers on tables that do not belong to Cloakroom: {}",
            report.foreign_triggers.join(", ")
        );
        found.add(ABOUT, Verdict::Note, says);
    }
    if report.differences.is_empty() {
        found.add(ABOUT, Verdict::Ok, "the schema matches the migrations");
    }
}

pub(super) fn check_clock(report: &DatabaseReport, found: &mut Diagnosis) {
    let now = Clock::System.now();
    let newest = report.newest.map(Timestamp::from_millis);
    let ahead = newest.filter(|newest| clock_check::is_behind(now, *newest));
    if let Some(newest) = ahead {
        found.add("clock", Verdict::Wrong, clock_check::describe_lag(now, newest));
    }
    let Some(server) = report.server_clock.map(Timestamp::from_millis) else {
        if ahead.is_none() {
            found.add("clock", Verdict::Ok, format!("the clock shows {}", now.to_rfc3339()));
        }
        return;
    };
    let differ = now.since(server).max(server.since(now));
    if differ > MAX_CLOCK_DIFFERENCE {
        let says = format!(
            "the clock shows {}, and the clock of the database server {}; synchronize both with a time server",
            now.to_rfc3339(),
            server.to_rfc3339()
        );
        found.add("clock", Verdict::Note, says);
    } else if ahead.is_none() {
        found.add(
            "clock",
            Verdict::Ok,
            format!(
                "the clock shows {}, and so does the clock of the database server",
                now.to_rfc3339()
            ),
        );
    }
}
