//! Opens the database for commands that need nothing else.

use super::output::Outcome;
use crate::app;
use crate::config::Config;
use crate::store::Store;

/// Opens the database, which must exist, and closes it after the work.
pub(super) async fn with_store(
    config: &Config,
    work: impl AsyncFnOnce(&Store) -> Outcome,
) -> Outcome {
    app::require_database(config).await?;
    let store = Store::open(config.database_url.expose()).await?; // for the driver that connects
    let outcome = work(&store).await;
    store.close().await;
    outcome
}
