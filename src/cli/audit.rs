//! The command `cloakroom audit`.

use std::time::Duration;

use clap::Args;
use serde::Serialize;
use strum::VariantNames;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::output::{CliError, Outcome, print_line};
use super::store::with_store;
use super::table::{Cell, Table};
use super::terminal;
use super::times::{relative, rfc3339};
use crate::config::Config;
use crate::core::clock::{Clock, Timestamp, days, hours, mins};
use crate::core::ids::AccountId;
use crate::core::usernames::Username;
use crate::domain::audit::event::Event;
use crate::domain::audit::query;
use crate::domain::audit::query::AuditQuery;
use crate::store::{NamedEventRow, Store};

const EXAMPLES: &str = "\
Examples:
  cloakroom audit                                     The newest 100 events
  cloakroom audit --account ann --since 7d            The events of the user ann in the last week
  cloakroom audit --event login_failed --since 1h --json | jq .address
  cloakroom audit --since 2026-11-28T00:00:00Z --until 2026-11-29T00:00:00Z --limit 100000

docs/reference/events.md lists the events. A running service stores each event within one second.
Events are kept for 90 days, at most the newest million. Repeated refusals for the same account and
address are stored as one event per minute with a count; the log contains each of them.";

/// Show security events: sign-ins, failed sign-ins and changes, with user and address
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Audit {
    /// Show only events of this user: a user name or an account id. For a deleted user, use the id
    #[arg(long, value_name = "NAME|ID", allow_hyphen_values = true)]
    account: Option<String>,
    /// Show only events at or after this time: a time (2026-11-28T00:00:00Z) or an age (30m, 12h,
    /// 7d)
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    since: Option<TimeArg>,
    /// Show only events before this time: a time or an age, as for --since
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    until: Option<TimeArg>,
    /// Show only this type of event; can be repeated
    #[arg(long, value_name = "EVENT", value_parser = event)]
    event: Vec<Event>,
    /// The maximum number of events to show; the newest are shown
    #[arg(long, value_name = "NUMBER", default_value_t = 100)]
    limit: usize,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
}

/// A time, or how long ago it was.
#[derive(Debug, Clone, Copy)]
enum TimeArg {
    At(Timestamp),
    Ago(Duration),
}

impl TimeArg {
    fn seen_from(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Ago(time) => now.minus(time),
        }
    }
}

fn parse_time(text: &str) -> Result<TimeArg, String> {
    let wrong = "use a time such as 2026-11-28T00:00:00Z, or an age such as 30m, 12h or 7d";
    if let Ok(at) = OffsetDateTime::parse(text, &Rfc3339) {
        let millis = i64::try_from(at.unix_timestamp_nanos() / 1_000_000);
        return Ok(TimeArg::At(Timestamp::from_millis(millis.map_err(|_| wrong)?)));
    }
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number = u64::from(digits.parse::<u32>().map_err(|_| wrong)?);
    match &text[digits.len()..] {
        "s" => Ok(TimeArg::Ago(Duration::from_secs(number))),
        "m" => Ok(TimeArg::Ago(mins(number))),
        "h" => Ok(TimeArg::Ago(hours(number))),
        "d" => Ok(TimeArg::Ago(days(number))),
        _ => Err(wrong.to_owned()),
    }
}

fn event(name: &str) -> Result<Event, String> {
    name.parse()
        .map_err(|_| format!("unknown event; the events are {}", Event::VARIANTS.join(", ")))
}

impl Audit {
    pub async fn run(self, config: &Config) -> Outcome {
        with_store(config, async |store| self.show(store).await).await
    }

    async fn show(self, store: &Store) -> Outcome {
        let now = Clock::System.now();
        let account = match &self.account {
            Some(text) => Some(account(store, text).await?),
            None => None,
        };
        // Includes events of clocks that are ahead.
        let until = now.plus(days(3650));
        let question = AuditQuery {
            account,
            since: self.since.map_or(Timestamp::from_millis(0), |since| since.seen_from(now)),
            until: self.until.map_or(until, |until| until.seen_from(now)),
            events: self.event,
            limit: self.limit,
        };
        let rows = query::find_events(store, &question).await?;
        if self.json {
            return rows
                .iter()
                .try_for_each(|row| print_line(&serde_json::to_string(&AuditLine::of(row))?));
        }
        let rows: Vec<_> = rows.iter().map(|event| row(event, now)).collect();
        if rows.is_empty() {
            terminal::hint("No event matches; see `cloakroom audit --help`");
        }
        Table::new(["WHEN", "EVENT", "USER", "DETAILS"]).print(&rows)
    }
}

/// Finds the account with this user name, or with this id, even if it was deleted.
async fn account(store: &Store, text: &str) -> Result<AccountId, CliError> {
    if let Ok(username) = Username::parse(text)
        && let Some(row) = store.account_named(username.as_str()).await?
    {
        return Ok(row.id.into());
    }
    // 128 bits in base64url.
    let is_id =
        text.len() == 22 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    if is_id {
        return Ok(text.to_owned().into());
    }
    Err(CliError(format!(
        "there is no user {text:?}; for a deleted user, use the account id, which is in the log and in `cloakroom audit --json`"
    )))
}

#[derive(Serialize)]
struct AuditLine<'a> {
    at: String,
    event: &'a str,
    account: Option<&'a str>,
    username: Option<&'a str>,
    session: Option<&'a str>,
    id: Option<&'a str>,
    count: i64,
    address: Option<&'a str>,
    request_id: Option<&'a str>,
}

impl<'a> AuditLine<'a> {
    fn of(row: &'a NamedEventRow) -> Self {
        let event = &row.event;
        Self {
            at: rfc3339(Timestamp::from_millis(event.at)),
            event: &event.event,
            account: event.account_id.as_deref(),
            username: row.username.as_deref(),
            session: event.session_id.as_deref(),
            id: event.thing.as_deref(),
            count: event.count,
            address: event.address.as_deref(),
            request_id: event.request_id.as_deref(),
        }
    }
}

fn row(row: &NamedEventRow, now: Timestamp) -> [Cell; 4] {
    let event = &row.event;
    let user = row.username.as_deref().or(event.account_id.as_deref());
    let address = event.address.as_deref().map(|address| format!("from {address}"));
    let count = (event.count != 1).then(|| format!("{} times", event.count));
    let session = event.session_id.as_deref().map(|session| format!("session {session}"));
    let details = [address, count, session, event.thing.clone()];
    [
        relative(Timestamp::from_millis(event.at), now).into(),
        (&*event.event).into(),
        user.unwrap_or("-").into(),
        details.into_iter().flatten().collect::<Vec<_>>().join(", ").into(),
    ]
}
