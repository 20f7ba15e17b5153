//! Removes passwords whose pepper is lost.

use crate::core::error::InternalError;
use crate::domain::passwords::cost::Argon2Params;
use crate::domain::passwords::stored::NO_PASSWORD;
use crate::store::Store;

/// The number of rows that a statement changes, which occupies the writer for a few milliseconds.
const BATCH: i64 = 500;

/// Removes the passwords that need a pepper. Their users cannot sign in until they get new
/// passwords. Sessions stay active.
pub async fn forget_pepper(
    id: &str,
    store: &Store,
    cost: Argon2Params,
) -> Result<(), InternalError> {
    while store.remove_peppered(id, NO_PASSWORD, cost.micros(), BATCH).await? > 0 {}
    Ok(())
}
