//! The log format: lines for people on a terminal, and JSON, one object in each line, for programs.

use std::env;
use std::fmt::{self, Debug, Write as _};
use std::io::{self, IsTerminal};

use tracing::Metadata;
use tracing::field::{Field, Visit};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::filter::{LevelFilter, Targets, filter_fn};
use tracing_subscriber::fmt::format::{FormatFields, Writer};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::terminal;
use crate::config::LogFormat;
use crate::store::PGPASS_TARGET;

/// Starts logging to standard error. `RUST_LOG` sets the level. Audit lines are always included,
/// unless it contains `audit=off`.
pub(super) fn start(format: LogFormat, usual: &str) {
    let is_terminal = io::stderr().is_terminal();
    let named = env::var("RUST_LOG").ok();
    let (chosen, is_malformed) = targets(named.as_deref(), usual);
    let lines = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE) // the targets limit the levels
        .with_writer(io::stderr)
        .log_internal_errors(false); // a full or broken log must not stop the service
    let for_people = match format {
        LogFormat::Auto => is_terminal,
        LogFormat::Human => true,
        LogFormat::Json => false,
    };
    if for_people {
        let lines = lines.with_ansi(terminal::is_error_colored()).fmt_fields(ForPeople);
        lines.finish().with(chosen).with(filter_fn(is_safe)).init();
    } else {
        let lines = lines.json().flatten_event(true).with_span_list(false);
        lines.finish().with(chosen).with(filter_fn(is_safe)).init();
    }
    if is_malformed {
        tracing::warn!(
            "RUST_LOG is ignored, because it is not a list of levels and targets such as \
             warn,cloakroom=debug; the levels are {usual}"
        );
    }
}

/// The targets and their levels, as in `warn,cloakroom=debug`. If they cannot be parsed, the usual ones,
/// and `true`.
fn targets(named: Option<&str>, usual: &str) -> (Targets, bool) {
    let parse = |levels: &str| {
        if levels.contains('[') {
            return None; // a filter of spans and fields, which would be taken for a target's name
        }
        let levels = levels.split(',').map(str::trim).filter(|level| !level.is_empty());
        ["audit=info"].into_iter().chain(levels).collect::<Vec<_>>().join(",").parse().ok()
    };
    let named = named.filter(|named| !named.trim().is_empty()).map(parse);
    let is_malformed = matches!(named, Some(None));
    let usual = || parse(usual).expect("the usual levels are well formed");
    (named.flatten().unwrap_or_else(usual), is_malformed)
}

/// Filters out a line of the driver that shows a password: it logs malformed lines of a `.pgpass`
/// file verbatim, at every level.
fn is_safe(metadata: &Metadata<'_>) -> bool {
    let is_of_pgpass = metadata.target() == PGPASS_TARGET;
    !(is_of_pgpass && metadata.fields().field("line").is_some())
}

/// Formats the fields on one line. Those of a request are omitted, because its message contains
/// them.
struct ForPeople;

impl<'writer> FormatFields<'writer> for ForPeople {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut fields_written = FieldWriter { writer, is_first: true, outcome: Ok(()) };
        fields.record(&mut fields_written);
        fields_written.outcome
    }
}

struct FieldWriter<'writer> {
    writer: Writer<'writer>,
    is_first: bool,
    outcome: fmt::Result,
}

impl FieldWriter<'_> {
    /// Writes a field on one line. Characters that would end the line or control a terminal are
    /// escaped.
    fn write(&mut self, field: &Field, value: &dyn Debug) -> fmt::Result {
        if !std::mem::take(&mut self.is_first) {
            self.writer.write_char(' ')?;
        }
        if field.name() != "message" {
            write!(self.writer, "{field}=")?;
        }
        write!(OneLine(&mut self.writer), "{value:?}")
    }
}

impl Visit for FieldWriter<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if self.outcome.is_ok() && !field.name().starts_with("request.") {
            self.outcome = self.write(field, value);
        }
    }
}

/// Escapes control characters, and characters that change the direction of text.
struct OneLine<'a, 'w>(&'a mut Writer<'w>);

impl fmt::Write for OneLine<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            match c {
                '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                    write!(self.0, "{}", c.escape_unicode())?;
                }
                c if c.is_control() => write!(self.0, "{}", c.escape_default())?,
                c => self.0.write_char(c)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    const USUAL: &str = "warn,cloakroom=info";

    #[test]
    fn the_environment_chooses_the_levels_of_targets() {
        let (debug, is_malformed) = targets(Some("error, cloakroom::requests=debug,"), USUAL);
        assert!(!is_malformed);
        assert!(debug.would_enable("cloakroom::requests", &Level::DEBUG));
        assert!(!debug.would_enable("cloakroom::store", &Level::INFO));
        assert!(debug.would_enable("elsewhere", &Level::ERROR));
    }

    #[test]
    fn audit_lines_are_included_unless_they_are_turned_off() {
        assert!(targets(Some("off"), USUAL).0.would_enable("audit", &Level::INFO));
        assert!(!targets(Some("audit=off"), USUAL).0.would_enable("audit", &Level::INFO));
    }

    #[test]
    fn levels_that_are_empty_or_malformed_are_the_usual_ones() {
        let (usual, _) = targets(Some(USUAL), USUAL);
        for empty in [None, Some(""), Some(" ")] {
            assert_eq!(targets(empty, USUAL), (usual.clone(), false), "{empty:?}");
        }
        for malformed in ["cloakroom=loud", "a=b=c", "cloakroom[request]=debug"] {
            assert_eq!(targets(Some(malformed), USUAL), (usual.clone(), true), "{malformed:?}");
        }
    }
}
