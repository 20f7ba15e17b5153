//! The command `cloakroom move`: transfers all data from one database to another.

use std::time::Instant;

use clap::Args;

use super::output::{Outcome, print_line};
use super::progress::Bar;
use super::terminal;
use crate::admin::transfer_database;
use crate::config::{Config, DatabaseUrl};
use crate::core::quantities::Count;

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
        let start = Instant::now();
        let bar = Bar::new();
        // For the driver that connects.
        let (from, target) = (self.from.expose(), to.expose());
        let moved = transfer_database(from, target, |progress| bar.show(progress)).await;
        drop(bar);
        print_line(&format!(
            "moved {} rows to {to} in {} s, and they are the same there; keep the keys in {}",
            Count(moved?.rows),
            start.elapsed().as_secs(),
            config.data_dir.display()
        ))?;
        terminal::hint(
            "Next: name the new database in the settings (database_url), and start the service",
        );
        Ok(())
    }
}
