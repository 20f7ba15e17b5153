//! Taking passwords away whose pepper is lost.

use crate::core::error::Fault;
use crate::domain::passwords::cost::HashCost;
use crate::domain::passwords::stored::NO_PASSWORD;
use crate::store::Store;

/// Rows a statement changes at once: some milliseconds of the one writer.
const BATCH: i64 = 500;

/// Takes the passwords away that need a pepper. Nobody signs in to these accounts until they are given
/// others; who is signed in stays so.
pub async fn forget_pepper(id: &str, store: &Store, cost: HashCost) -> Result<(), Fault> {
    while store.remove_peppered(id, NO_PASSWORD, cost.micros(), BATCH).await? > 0 {}
    Ok(())
}
