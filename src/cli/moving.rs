//! `cloakroom move`: from one database to another.

use std::time::Instant;

use clap::Args;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};

use super::{Failed, Outcome, say, terminal};
use crate::config::{Config, DatabaseUrl};
use crate::store::{Progress, Store};

const EXAMPLES: &str = "\
Examples, with the service stopped:
  export DATABASE_URL=postgres://cloakroom:…@db.example/cloakroom
  cloakroom move --from sqlite://cloakroom-data/cloakroom.db
  cloakroom move --from \"$DATABASE_URL\" --to sqlite://back.db

The signing keys stay where they are, and everybody stays signed in. The old database is not changed.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Move {
    /// The database to move from: sqlite://… or postgres://…. Stop the service first
    #[arg(long, value_name = "URL")]
    from: DatabaseUrl,
    /// The database to move to, an empty one [default: the one of the settings, where a password is
    /// in no argument]
    #[arg(long, value_name = "URL")]
    to: Option<DatabaseUrl>,
}

impl Move {
    pub async fn run(&self, config: &Config) -> Outcome {
        let to = self.to.as_ref().unwrap_or(&config.database_url);
        if self.from.expose() == to.expose() {
            return Err(Failed(format!("{to} is where it is already")));
        }
        // the driver connects by these addresses
        if let Some(file) = Store::file_of(self.from.expose())?.filter(|file| !file.exists()) {
            return Err(Failed(format!("there is no database at {}", file.display())));
        }
        let start = Instant::now();
        let source = Store::open(&patient(&self.from)).await?;
        let target = Store::open(&patient(to)).await?;
        require_own_definitions(&source, &self.from).await?;
        require_own_definitions(&target, to).await?;
        let rows = source.count_rows().await?;
        let bar = bar(rows);
        let moved = source.move_to(&target, |progress| match progress {
            Progress::Copied(rows) => bar.inc(u64::try_from(rows).unwrap_or_default()),
            Progress::Compared(rows) => {
                bar.set_message("comparing");
                bar.inc(u64::try_from(rows).unwrap_or_default());
            }
        });
        let moved = moved.await;
        bar.finish_and_clear();
        source.close().await;
        target.close().await;
        moved?;
        say(&format!(
            "moved {} rows to {to} in {} s, and they are the same there; keep the keys in {}",
            HumanCount(rows),
            start.elapsed().as_secs(),
            config.data_dir.display()
        ))?;
        terminal::hint(
            "Next: name the new database in the settings (database_url), and start the service",
        );
        Ok(())
    }
}

/// Refuses a database whose own tables were changed by other means: what they hold is in doubt, and a
/// trigger there would act on what is moved.
pub(super) async fn require_own_definitions(store: &Store, address: &DatabaseUrl) -> Outcome {
    let Some(report) = store.check_definitions().await? else { return Ok(()) };
    if report.differences.is_empty() {
        return Ok(());
    }
    let differences: Vec<_> = report.differences.iter().map(ToString::to_string).collect();
    store.close().await;
    Err(Failed(format!(
        "something else than cloakroom changed the database at {address}: {}; nothing was moved",
        differences.join("; ")
    )))
}

/// The address by which the driver connects, without the deadline that PostgreSQL has for requests:
/// counting millions of rows takes longer.
pub(super) fn patient(address: &DatabaseUrl) -> String {
    let address = address.expose(); // for the driver
    if address.starts_with("sqlite:") || address.contains("statement_timeout") {
        return address.to_owned();
    }
    let and = if address.contains('?') { '&' } else { '?' };
    format!("{address}{and}options[statement_timeout]=0")
}

/// A bar that counts each row twice, on a terminal only.
fn bar(rows: u64) -> ProgressBar {
    let style = "{msg} {wide_bar} {percent}% {eta} left";
    let style = ProgressStyle::with_template(style).expect("a template that is right");
    ProgressBar::new(2 * rows).with_style(style).with_message("copying")
}
