//! Tests of the host program's own tables in Cloakroom's database.

use std::borrow::Cow;

use cloakroom::{Cloakroom, Database, Settings};
use poem::http::Method;
use sqlx::migrate::{Migration, MigrationType, Migrator};

use crate::app::{Client, TestApp, mounted};

const NOTES: &str = "create table notes (
    account_id text not null references accounts (id) on delete cascade, text text not null)";

/// The host program's migrations, recorded in a table of this name.
fn migrations(table: &'static str) -> Migrator {
    let migration = Migration::new(
        1,
        Cow::Borrowed("notes"),
        MigrationType::Simple,
        sqlx::SqlStr::from_static(NOTES),
        false,
    );
    let mut migrator = Migrator::DEFAULT;
    migrator.migrations = Cow::Owned(vec![migration]);
    migrator.dangerous_set_table_name(table);
    migrator
}

async fn migrate(database: &Database, table: &'static str) -> Result<(), String> {
    let migrator = migrations(table);
    let done = match database {
        Database::Sqlite(pool) => migrator.run(pool).await,
        Database::Postgres(pool) => migrator.run(pool).await,
        _ => panic!("a new engine"),
    };
    done.map_err(|error| error.to_string())
}

async fn run(database: &Database, sql: &'static str) {
    match database {
        Database::Sqlite(pool) => drop(sqlx::query(sql).execute(pool).await.unwrap()),
        Database::Postgres(pool) => drop(sqlx::query(sql).execute(pool).await.unwrap()),
        _ => panic!("a new engine"),
    }
}

#[tokio::test]
async fn theirs_and_cloakrooms_migrations_leave_each_other_alone() {
    let app = TestApp::new().await;
    let in_one_table = app.cloakroom.database();
    let error = migrate(&in_one_table, "_sqlx_migrations").await.unwrap_err();
    assert!(error.contains("migration"), "in one table they get into each other's way: {error}");
    // with PostgreSQL, sqlx keeps its lock after a failure until the connection is closed
    match in_one_table {
        Database::Sqlite(pool) => pool.close().await,
        Database::Postgres(pool) => pool.close().await,
        _ => panic!("a new engine"),
    }
    let app = TestApp::new().await;
    let database = app.cloakroom.database();
    for _ in 0..2 {
        migrate(&database, "_notes_migrations").await.unwrap();
        app.second_node().await;
    }
}

#[tokio::test]
async fn rows_that_refer_to_an_account_go_when_it_is_closed() {
    let app = TestApp::new().await;
    let database = app.cloakroom.database();
    migrate(&database, "_notes_migrations").await.unwrap();
    let mounted = mounted(&app.cloakroom, ());
    let ann = Client::signed_in(&mounted, "ann").await;
    run(&database, "insert into notes select id, 'buy milk' from accounts").await;
    let count = "select count(*) from notes";
    assert_eq!(app.database.count(count).await, 1);
    let closed = ann.send(Method::DELETE, "/me", None).await;
    assert_eq!(closed.status.as_u16(), 204);
    assert_eq!(app.database.count(count).await, 0);
}

#[tokio::test]
async fn who_queries_slowly_keeps_nobody_waiting_who_is_signed_in() {
    let app = TestApp::new().await;
    let Database::Sqlite(pool) = app.cloakroom.database() else { return };
    let mounted = mounted(&app.cloakroom, ());
    let ann = Client::signed_in(&mounted, "ann").await;
    let mut all = Vec::new();
    for _ in 0..4 {
        all.push(pool.acquire().await.unwrap()); // takes every connection of the pool
    }
    assert_eq!(ann.get("/sessions").await.status.as_u16(), 200);
}

#[tokio::test]
async fn settings_are_those_of_the_file_and_wrong_ones_are_named() {
    for (toml, about) in [
        ("listn = \"127.0.0.1:8000\"", "listn"),
        ("listen = \"0.0.0.0:8000\"", "can be reached from a network"),
        ("passwords.min_length = 1", "passwords.min_length"),
        ("database_url = \"mysql://x\"", "must start with sqlite: or postgres:"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let opened = async {
            Cloakroom::open(Settings::from_toml(toml)?.data_dir(folder.path().join("data"))).await
        };
        let error = opened.await.unwrap_err().to_string();
        assert!(error.contains(about), "{toml}: {error}");
    }
    let missing = Settings::load_from("no-such-file.toml").unwrap_err().to_string();
    assert!(missing.contains("no-such-file.toml"), "{missing}");
}
