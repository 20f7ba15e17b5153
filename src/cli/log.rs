//! The log format: lines for people on a terminal, and JSON, one object in each line, for programs.

use std::fmt::{self, Debug, Write as _};
use std::io::{self, IsTerminal};

use tracing::Metadata;
use tracing::field::{Field, Visit};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::filter::filter_fn;
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
    let from_environment = EnvFilter::try_from_default_env();
    let chosen = from_environment.map_or_else(|_| usual.to_owned(), |filter| filter.to_string());
    let lines = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(format!("audit=info,{chosen}")))
        .with_writer(io::stderr)
        .log_internal_errors(false); // a full or broken log must not stop the service
    let for_people = match format {
        LogFormat::Auto => is_terminal,
        LogFormat::Human => true,
        LogFormat::Json => false,
    };
    if for_people {
        let lines = lines.with_ansi(terminal::is_error_colored()).fmt_fields(ForPeople);
        lines.finish().with(filter_fn(is_safe)).init();
    } else {
        let lines = lines.json().flatten_event(true).with_span_list(false);
        lines.finish().with(filter_fn(is_safe)).init();
    }
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
