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

The keys are not moved, and all users stay signed in. The old database is not changed.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Move {
    /// The source database: sqlite://… or postgres://…. Stop the service first
    #[arg(long, value_name = "URL")]
    from: DatabaseUrl,
    /// The target database, which must be empty [default: the database of the settings, so that its
    /// password is not an argument]
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
            "copied {} rows to {to} in {} s and compared them; the keys remain in {}",
            Count(moved?.rows),
            start.elapsed().as_secs(),
            config.data_dir.display()
        ))?;
        terminal::hint("Next: set database_url to the new database, and start the service");
        Ok(())
    }
}
