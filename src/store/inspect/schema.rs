//! Inspects the file and the schema.

use sqlx::migrate::Migrator;

use super::report::{CheckLevel, Schema};
use crate::store::engine::connection::Pool;
use crate::store::line_ends::differ_in_line_ends;

/// The engine and its version.
pub async fn engine(pool: Pool<'_>) -> sqlx::Result<String> {
    match pool {
        Pool::Sqlite(pool, _) => {
            let version: String =
                sqlx::query_scalar("select sqlite_version()").fetch_one(pool).await?;
            Ok(format!("SQLite {version}"))
        }
        Pool::Postgres(pool) => {
            let version: String = sqlx::query_scalar("show server_version").fetch_one(pool).await?;
            Ok(format!("PostgreSQL {version}"))
        }
    }
}

/// The damage in an SQLite file, if there is any.
pub async fn damage(pool: &sqlx::SqlitePool, level: CheckLevel) -> sqlx::Result<Option<String>> {
    let check = match level {
        CheckLevel::Quick => "pragma quick_check(1)",
        CheckLevel::Full => "pragma integrity_check(1)",
    };
    let found: Vec<String> = sqlx::query_scalar(check).fetch_all(pool).await?;
    if found != ["ok"] {
        return Ok(Some(found.join("; ").replace('\n', " ")));
    }
    if level == CheckLevel::Full {
        let lost = sqlx::query("pragma foreign_key_check").fetch_all(pool).await?.len();
        if lost > 0 {
            return Ok(Some(format!("{lost} rows refer to missing rows")));
        }
    }
    Ok(None)
}

/// Determines the state of the schema.
pub async fn schema(pool: Pool<'_>, known: &Migrator) -> sqlx::Result<Schema> {
    let has_run = match pool {
        Pool::Sqlite(pool, _) => {
            let there = "select count(*) from sqlite_schema where name = '_sqlx_migrations'";
            sqlx::query_scalar::<_, i64>(there).fetch_one(pool).await? > 0
        }
        Pool::Postgres(pool) => {
            let there = "select to_regclass('_sqlx_migrations') is not null";
            sqlx::query_scalar(there).fetch_one(pool).await?
        }
    };
    if !has_run {
        return Ok(Schema::None);
    }
    let ran = "select version, checksum from _sqlx_migrations where success order by version";
    let ran: Vec<(i64, Vec<u8>)> = pool.query(ran).fetch_all().await?;
    for (version, checksum) in &ran {
        match known.iter().find(|migration| migration.version == *version) {
            None => return Ok(Schema::Newer(*version)),
            Some(known) if known.checksum[..] != checksum[..] => {
                return Ok(if differ_in_line_ends(known.sql.as_str(), checksum) {
                    Schema::LineEnds(*version)
                } else {
                    Schema::Changed(*version)
                });
            }
            Some(_) => {}
        }
    }
    let last = ran.last().map_or(0, |(version, _)| *version);
    let is_current = ran.len() == known.iter().count();
    Ok(if is_current { Schema::Current(last) } else { Schema::Older(last) })
}
