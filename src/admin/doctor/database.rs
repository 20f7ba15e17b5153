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
            "{} is damaged: {damage}; stop the service, move it away, and restore a backup",
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
                "{engine}, without tables yet, and {}; the first start makes them, or name another \
                 place by --config or --database-url",
                config.source()
            );
            found.add(ABOUT, Verdict::Wrong, says);
        }
        Schema::Older(last) => {
            let newest = Store::newest_schema();
            let says = format!(
                "{engine}, at migration {last} of {newest}; the next start migrates it: back it up before"
            );
            found.add(ABOUT, Verdict::Note, says);
        }
        Schema::Newer(version) => {
            let says = format!(
                "it is newer than this program (it has migration {version}); start a newer cloakroom, or \
                 restore the backup from before the upgrade"
            );
            found.add(ABOUT, Verdict::Wrong, says);
        }
        Schema::LineEnds(version) => {
            found.add(ABOUT, Verdict::Wrong, OpenError::LineEnds(version).to_string());
        }
        Schema::Changed(version) => {
            let says = format!(
                "migration {version} was changed after it ran; start the release that ran it"
            );
            found.add(ABOUT, Verdict::Wrong, says);
        }
    }
    if report.is_read_only {
        let says = "it takes no writes: default_transaction_read_only is on for its user or database, or \
                    the server is a standby; nobody can sign in";
        found.add(ABOUT, Verdict::Wrong, says);
    }
    if !report.unwritable.is_empty() {
        let says = format!(
            "its user may not write {}; grant that, as docs/postgresql.md says",
            report.unwritable.join(", ")
        );
        found.add(ABOUT, Verdict::Wrong, says);
    }
    if !report.demo_users.is_empty() {
        let says = format!(
            "there are users called {}, as --demo adds them with passwords that everybody knows; delete \
             them, or give them new ones by `cloakroom user passwd`",
            report.demo_users.join(" and ")
        );
        found.add(ABOUT, Verdict::Note, says);
    }
}

/// Checks that the tables match the migrations.
pub(super) fn check_definitions(report: Option<&DefinitionReport>, found: &mut Diagnosis) {
    const ABOUT: &str = "schema";
    let Some(report) = report else {
        let says = "the tables cannot be compared with the migrations: the database's user may make no \
                    temporary tables there; see docs/postgresql.md";
        return found.add(ABOUT, Verdict::Note, says);
    };
    for difference in &report.differences {
        let says = format!(
            "{difference}: something else than cloakroom changed it; find out what, and restore a backup \
             from before"
        );
        found.add(ABOUT, Verdict::Wrong, says);
    }
    for view in &report.views {
        let says = format!(
            "the view {view} reads Cloakroom's tables, and `cloakroom restore` refuses a backup that has it"
        );
        found.add(ABOUT, Verdict::Note, says);
    }
    if !report.foreign_triggers.is_empty() {
        let says = format!(
            "there are triggers on tables that are not Cloakroom's: {}",
            report.foreign_triggers.join(", ")
        );
        found.add(ABOUT, Verdict::Note, says);
    }
    if report.differences.is_empty() {
        found.add(ABOUT, Verdict::Ok, "the tables are as the migrations make them");
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
            found.add("clock", Verdict::Ok, format!("it is {}", now.to_rfc3339()));
        }
        return;
    };
    let differ = now.since(server).max(server.since(now));
    if differ > MAX_CLOCK_DIFFERENCE {
        let says = format!(
            "it is {} here and {} at the database's server; let a time server set both",
            now.to_rfc3339(),
            server.to_rfc3339()
        );
        found.add("clock", Verdict::Note, says);
    } else if ahead.is_none() {
        found.add(
            "clock",
            Verdict::Ok,
            format!("it is {}, at the database's server, too", now.to_rfc3339()),
        );
    }
}
