//! The rounds in which background work is done.

use std::sync::Arc;
use std::time::Duration;

use crate::core::interval::Periodic;
use crate::domain::Domain;

/// How often the feed is read, and the keys are looked at: an ending elsewhere is heard of within this
/// and a little, and at once where the database wakes who listens.
pub(super) const FOLLOW_INTERVAL: Duration = Duration::from_millis(200);

/// The next round, until the end, when the database is closed.
pub(super) async fn next_until_closing(rounds: &mut Periodic<Domain>) -> Option<Arc<Domain>> {
    rounds.next().await.filter(|domain| !domain.shutdown.is_closing())
}
