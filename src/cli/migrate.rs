//! The command `cloakroom migrate`.

use clap::Args;
use serde::Serialize;

use super::output::{Outcome, print_line};
use super::terminal;
use crate::admin::keys::make_first_keys;
use crate::app;
use crate::config::Config;
use crate::store::Store;

const EXAMPLES: &str = "\
Examples:
  cloakroom backup before-the-upgrade && cloakroom migrate
  DATABASE_URL=postgres://owner@db.example/cloakroom cloakroom migrate    As the owner of the schema

The service also does this when it starts. If the SQLite database or the signing key does not
exist, the command creates it. To return to an older schema, you need a backup.";

/// Migrate the database to the newest schema, and print its version
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Migrate {
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct MigrationStatus {
    database: String,
    migration: i64,
}

impl Migrate {
    /// Opens the database, which migrates it. Also creates the first signing key and the first
    /// server secret, because `user add` needs them.
    pub async fn run(&self, config: &Config) -> Outcome {
        app::make_folders(config)?;
        let store = Store::open(config.database_url.expose()).await?; // for the driver
        make_first_keys(config, &store).await?;
        let versions = store.migrations().await?;
        store.close().await;
        let migration = versions.last().copied().unwrap_or_default();
        let database = config.database_url.to_string();
        if self.json {
            return print_line(&serde_json::to_string(&MigrationStatus { database, migration })?);
        }
        print_line(&format!("{database} is up to date at migration {migration}"))?;
        terminal::hint(
            "Next: start the service with `cloakroom`, or check the installation with `cloakroom doctor`",
        );
        Ok(())
    }
}
