//! The rounds of the background jobs.

use std::sync::Arc;
use std::time::Duration;

use crate::core::interval::Periodic;
use crate::domain::AuthService;

/// The interval at which the revocation feed is read and the key folder is checked. Revocations of
/// other nodes arrive within a little more than this, or immediately if the database notifies the
/// feed.
pub(super) const FOLLOW_INTERVAL: Duration = Duration::from_millis(200);

/// Waits for the next round. Returns `None` when the service shuts down and the database is closed.
pub(super) async fn next_until_closing(
    rounds: &mut Periodic<AuthService>,
) -> Option<Arc<AuthService>> {
    rounds.next().await.filter(|domain| !domain.shutdown.is_closing())
}
