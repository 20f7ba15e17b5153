//! Inspects the rows: how many there are, which keys they need, and what they reveal about the
//! setup.

use sqlx::{AssertSqlSafe, PgPool};

use super::report::{SETUP_EVENTS, SetupEvent};
use crate::core::error::InternalError;
use crate::store::Store;
use crate::store::engine::connection::Pool;
use crate::store::errors::context;
use crate::store::transfer::TABLES;

/// The maximum number of reported events; each is a line of the report.
const MAX_SETUP_EVENTS: i64 = 20;

impl Store {
    /// The latest time that is recorded in the database.
    pub async fn newest_instant(&self) -> Result<Option<i64>, InternalError> {
        newest_instant(self.reader()).await.map_err(context("finding the newest time"))
    }
}

/// The latest time that is recorded in the database.
pub async fn newest_instant(pool: Pool<'_>) -> sqlx::Result<Option<i64>> {
    let mut newest: Option<i64> = None;
    for sql in [
        "select max(created_at) from accounts",
        "select max(created_at) from sessions",
        "select max(last_seen_at) from sessions",
    ] {
        newest = newest.max(pool.query(sql).fetch_value().await?);
    }
    Ok(newest)
}

/// Lists the setup events of the last day before the newest event, so that problems that were fixed
/// disappear.
pub async fn setup_events(pool: Pool<'_>) -> sqlx::Result<Vec<SetupEvent>> {
    let [public_url, forwarded] = SETUP_EVENTS;
    pool.query(
        "select event, thing, max(at) as at from events
         where event in ($1, $2)
           and at > (select coalesce(max(at), 0) from events) - 24 * 60 * 60 * 1000
         group by event, thing order by max(at) desc, thing limit $3",
    )
    .bind(public_url)
    .bind(forwarded)
    .bind(MAX_SETUP_EVENTS)
    .fetch_all()
    .await
}

/// Counts the passwords that need each pepper.
pub async fn count_peppers(pool: Pool<'_>) -> sqlx::Result<Vec<(String, i64)>> {
    pool.query("select pepper, count(*) from accounts where pepper is not null group by pepper")
        .fetch_all()
        .await
}

pub async fn count_accounts(pool: Pool<'_>) -> sqlx::Result<i64> {
    pool.query("select count(*) from accounts").fetch_value().await
}

/// Filters the names for those that an account has.
pub async fn find_names(pool: Pool<'_>, names: &[&'static str]) -> sqlx::Result<Vec<&'static str>> {
    let mut found = Vec::new();
    for name in names {
        let count = pool.query("select count(*) from accounts where username = $1").bind(*name);
        if count.fetch_value::<i64>().await? > 0 {
            found.push(*name);
        }
    }
    Ok(found)
}

/// Lists the tables that this PostgreSQL user may not write.
pub async fn find_unwritable(pool: &PgPool) -> sqlx::Result<Vec<&'static str>> {
    let mut unwritable = Vec::new();
    for table in TABLES {
        let may = format!(
            "select coalesce(has_table_privilege(to_regclass('{0}'), 'insert')
                 and has_table_privilege(to_regclass('{0}'), 'delete'), true)",
            table.name
        );
        if !sqlx::query_scalar(AssertSqlSafe(may)).fetch_one(pool).await? {
            unwritable.push(table.name);
        }
    }
    Ok(unwritable)
}
