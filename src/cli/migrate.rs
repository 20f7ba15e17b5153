//! `cloakroom migrate`.

use super::{Outcome, say};
use crate::app;
use crate::config::Config;
use crate::store::Store;

/// Opening the database brings it up to date.
pub async fn run(config: &Config) -> Outcome {
    app::make_folders(config)?;
    let store = Store::open(config.database_url.expose()).await?; // the driver connects with it
    let versions = store.migrations().await?;
    store.close().await;
    let last = versions.last().copied().unwrap_or_default();
    say(&format!("{} is up to date at migration {last}", config.database_url))
}
