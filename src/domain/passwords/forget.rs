//! Taking passwords away whose pepper is lost.

use crate::core::error::InternalError;
use crate::domain::passwords::cost::HashCost;
use crate::domain::passwords::stored::NO_PASSWORD;
use crate::store::Store;

/// Rows a statement changes at once: some milliseconds of the one writer.
const BATCH: i64 = 500;

/// Removes the passwords that need a pepper. Their users cannot sign in until they get other passwords; sessions
/// stay active.
pub async fn forget_pepper(id: &str, store: &Store, cost: HashCost) -> Result<(), InternalError> {
    while store.remove_peppered(id, NO_PASSWORD, cost.micros(), BATCH).await? > 0 {}
    Ok(())
}
