//! Opens PostgreSQL.

use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

use super::{OpenError, not_migrated};

/// How long a request waits for a free connection; its caller gets 503 then.
const ACQUIRE: Duration = Duration::from_secs(1);

/// Connects and migrates; sqlx holds an advisory lock while the migrations run.
pub async fn open(address: &str) -> Result<PgPool, OpenError> {
    let pool = PgPoolOptions::new()
        .acquire_timeout(ACQUIRE)
        .connect(address)
        .await
        .map_err(|error| OpenError::Unreachable(error.to_string()))?;
    sqlx::migrate!("./migrations/postgres").run(&pool).await.map_err(not_migrated)?;
    Ok(pool)
}
