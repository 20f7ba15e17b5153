//! The definitions in an SQLite database.

use std::collections::BTreeSet;

use sqlx::{AssertSqlSafe, Connection, Row, SqliteConnection};

use super::report::{DefinitionReport, Definitions, MIGRATIONS_TABLE, compare, tables};
use crate::store::engine::migrations;

pub async fn check(
    connection: &mut SqliteConnection,
    schema: i64,
) -> sqlx::Result<DefinitionReport> {
    let mut reference = SqliteConnection::connect("sqlite::memory:").await?;
    for migration in migrations::SQLITE.iter().filter(|migration| migration.version <= schema) {
        sqlx::raw_sql(migration.sql.clone()).execute(&mut reference).await?;
    }
    let made = read(&mut reference).await?;
    reference.close().await?;
    let own = tables(&made);
    let mut report = DefinitionReport::default();
    let mut found = Definitions::new();
    for (key, sql) in read(connection).await? {
        let (table, kind, name) = &key;
        let is_own = own.contains(table);
        if table == MIGRATIONS_TABLE && kind == "table" {
            continue;
        }
        if is_own {
            found.insert(key, sql);
        } else if kind == "trigger" {
            report.foreign_triggers.push(format!("{name} on {table}"));
        } else if kind == "view" && reads_any(connection, name, &sql, &own).await? {
            report.views.push(name.clone());
        }
    }
    report.differences = compare(&found, &made);
    Ok(report)
}

/// Reads every definition in an SQLite database, except for SQLite's own tables.
async fn read(connection: &mut SqliteConnection) -> sqlx::Result<Definitions> {
    // SQLite keeps the name of a trigger's table as it was written, in any case. Automatic indexes
    // follow from their tables.
    let rows: Vec<(String, String, String, String)> = sqlx::query_as(
        "select lower(tbl_name), type, lower(name), coalesce(sql, '') from sqlite_schema
         where lower(tbl_name) not like 'sqlite\\_%' escape '\\'
             and lower(name) not like 'sqlite\\_%' escape '\\'",
    )
    .fetch_all(connection)
    .await?;
    // A checkout may have changed the line endings.
    let rows = rows.into_iter().map(|(table, kind, name, sql)| {
        let sql = sql.replace('\r', "");
        ((table, kind, name), sql)
    });
    Ok(rows.collect())
}

/// Whether a view reads one of these tables, according to the bytecode that SQLite compiles for it.
async fn reads_any(
    connection: &mut SqliteConnection,
    view: &str,
    sql: &str,
    tables: &BTreeSet<String>,
) -> sqlx::Result<bool> {
    let pages: Vec<(i64, String)> =
        sqlx::query_as("select rootpage, lower(tbl_name) from sqlite_schema where rootpage > 0")
            .fetch_all(&mut *connection)
            .await?;
    let explain = format!("explain select * from \"{}\"", view.replace('"', "\"\""));
    let Ok(steps) = sqlx::query(AssertSqlSafe(explain)).fetch_all(connection).await else {
        // The view does not compile here if it uses functions of an embedder: search the words of
        // its text instead.
        let words = sql.split(|c: char| c != '_' && !c.is_ascii_alphanumeric());
        return Ok(words.map(str::to_ascii_lowercase).any(|word| tables.contains(&word)));
    };
    for step in steps {
        if step.try_get::<String, _>("opcode")? == "OpenRead" {
            let page = step.try_get::<i64, _>("p2")?;
            if pages.iter().any(|(root, table)| *root == page && tables.contains(table)) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}
