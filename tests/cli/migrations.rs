//! Tests that both folders of migrations agree, and that databases migrated by sqlx itself are
//! accepted.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use cloakroom::store::{AccountChange, Store};
use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use sqlx::{AssertSqlSafe, PgPool};

use crate::support::database::{Database, Schema};

fn files(engine: &str) -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(engine);
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect()
}

/// A migration without comments and spacing, with one name for each type of both engines.
fn shape(sql: &str) -> Vec<String> {
    let types = [("integer", "#int"), ("bigint", "#int"), ("blob", "#bytes"), ("bytea", "#bytes")];
    let code: Vec<&str> = sql.lines().map(|line| line.split("--").next().unwrap()).collect();
    let code = code.join(" ").replace(") strict", ")");
    let code = code
        .replace("integer primary key autoincrement", "#counted")
        .replace("bigint  generated always as identity primary key", "#counted");
    let mut words = Vec::new();
    for word in code.split_whitespace() {
        let (bare, end) = word.split_at(word.trim_end_matches([',', ';']).len());
        let known = types.iter().find(|(name, _)| *name == bare).map_or(bare, |(_, kind)| kind);
        words.push(format!("{known}{end}"));
    }
    words
}

#[test]
fn both_engines_have_the_same_tables_and_columns() {
    let (sqlite, postgres) = (files("sqlite"), files("postgres"));
    assert!(sqlite.keys().eq(postgres.keys()), "the same file names");
    assert!(!sqlite.is_empty());
    for (name, sql) in &sqlite {
        assert_eq!(shape(sql), shape(&postgres[name]), "{name}");
    }
}

#[test]
fn every_sqlite_table_is_strict() {
    for (name, sql) in files("sqlite") {
        let tables = sql.matches("create table").count();
        assert_eq!(sql.matches(") strict;").count(), tables, "{name}");
    }
}

async fn made_by_sqlx(file: &Path) -> SqlitePool {
    let options = SqliteConnectOptions::new().filename(file).create_if_missing(true);
    let pool = SqlitePool::connect_with(options).await.unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/sqlite");
    Migrator::new(folder).await.unwrap().run(&pool).await.unwrap();
    pool
}

fn address(file: &Path) -> String {
    format!("sqlite://{}", file.display())
}

#[tokio::test]
async fn a_database_that_sqlx_migrated_is_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.db");
    made_by_sqlx(&file).await.close().await;
    let store = Store::open(&address(&file)).await.unwrap();
    assert_eq!(store.migrations().await.unwrap().len(), files("sqlite").len());
}

#[tokio::test]
async fn a_database_that_the_service_migrated_is_accepted_by_sqlx() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.db");
    Store::open(&address(&file)).await.unwrap().close().await;
    let pool = made_by_sqlx(&file).await;
    let applied: i64 = sqlx::query_scalar("select count(*) from _sqlx_migrations where success")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(usize::try_from(applied).unwrap(), files("sqlite").len());
}

#[tokio::test]
async fn sta_11_an_older_program_refuses_a_newer_database() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.db");
    let pool = made_by_sqlx(&file).await;
    sqlx::query(
        "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
         values (9999, 'from the future', true, x'00', 0)",
    )
    .execute(&pool)
    .await
    .unwrap();
    let error = Store::open(&address(&file)).await.unwrap_err().to_string();
    assert!(error.contains("newer than this program"), "{error}");
}

#[tokio::test]
async fn a_migration_that_was_changed_after_it_ran_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.db");
    let pool = made_by_sqlx(&file).await;
    sqlx::query("update _sqlx_migrations set checksum = x'00'").execute(&pool).await.unwrap();
    let error = Store::open(&address(&file)).await.unwrap_err().to_string();
    assert!(error.contains("differs from the one that ran"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_that_start_at_once_migrate_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.db");
    let opened: Vec<_> = (0..8)
        .map(|_| {
            let address = address(&file);
            tokio::spawn(async move { Store::open(&address).await.map(drop) })
        })
        .collect();
    for open in opened {
        open.await.unwrap().unwrap();
    }
}

/// A new schema in the PostgreSQL server that the tests were given, if there is one.
async fn schema() -> Option<Schema> {
    match Database::new(Path::new("")).await {
        Database::Postgres(schema) => Some(schema),
        Database::Sqlite(_) => None,
    }
}

async fn migrated_by_sqlx(schema: &Schema) -> PgPool {
    let pool = PgPool::connect(&schema.address()).await.unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/postgres");
    Migrator::new(folder).await.unwrap().run(&pool).await.unwrap();
    pool
}

#[tokio::test]
async fn on_postgresql_sqlx_and_the_service_accept_each_others_migrations() {
    let Some(schema) = schema().await else { return };
    migrated_by_sqlx(&schema).await.close().await;
    let store = Store::open(&schema.address()).await.unwrap();
    assert_eq!(store.migrations().await.unwrap().len(), files("postgres").len());

    let other = self::schema().await.unwrap();
    Store::open(&other.address()).await.unwrap().close().await;
    let pool = migrated_by_sqlx(&other).await;
    let applied: i64 = sqlx::query_scalar("select count(*) from _sqlx_migrations where success")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(usize::try_from(applied).unwrap(), files("postgres").len());
}

#[tokio::test]
async fn sta_11_on_postgresql_a_newer_or_changed_schema_is_refused() {
    let Some(schema) = schema().await else { return };
    let pool = migrated_by_sqlx(&schema).await;
    for (sql, about) in [
        (
            "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
             values (9999, 'from the future', true, '', 0)",
            "newer than this program",
        ),
        ("delete from _sqlx_migrations where version = 5", "already exists"),
        ("update _sqlx_migrations set checksum = ''", "differs from the one that ran"),
    ] {
        sqlx::query(sql).execute(&pool).await.unwrap();
        let error = Store::open(&schema.address()).await.unwrap_err().to_string();
        assert!(error.contains(about), "{error}");
        sqlx::query("delete from _sqlx_migrations where version = 9999")
            .execute(&pool)
            .await
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_11_on_postgresql_programs_that_start_at_once_migrate_once() {
    let Some(schema) = schema().await else { return };
    let opened: Vec<_> = (0..8)
        .map(|_| {
            let address = schema.address();
            tokio::spawn(async move { Store::open(&address).await.map(drop) })
        })
        .collect();
    for open in opened {
        open.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_role_that_may_not_change_the_schema_is_enough_once_it_is_there() {
    let Some(schema) = schema().await else { return };
    let owner = PgPool::connect(&schema.address()).await.unwrap();
    let role = format!("role_{}", cloakroom::core::secret::random_id().replace('-', "_"));
    let run = async |sql: String| {
        sqlx::query(AssertSqlSafe(sql)).execute(&owner).await.unwrap();
    };
    run(format!("create role \"{role}\" login")).await;
    run(format!("grant usage on schema \"{}\" to \"{role}\"", schema.name)).await;
    let address = schema.address();
    let at = address.rsplit_once('@').unwrap().1;
    let as_role = format!("postgres://{role}@{at}");
    let error = Store::open(&as_role).await.unwrap_err().to_string();
    assert!(error.contains("run `cloakroom migrate` as the owner of the schema"), "{error}");

    let store = Store::open(&schema.address()).await.unwrap();
    store.close().await;
    let all = "select, insert, update, delete on all tables in schema";
    run(format!("grant {all} \"{}\" to \"{role}\"", schema.name)).await;
    let store = Store::open(&as_role).await.unwrap();
    store
        .add_invite(
            cloakroom::core::secret::InviteCode::random().digest(),
            &cloakroom::store::InviteRow {
                id: "an invite".to_owned(),
                created_at: 0,
                expires_at: 1,
            },
        )
        .await
        .unwrap();
    assert_eq!(store.remove_expired_invites(2, 10).await.unwrap(), 1);
    run("insert into accounts (id, username, password_hash, created_at) values ('1', 'ann', '!', 0)"
        .to_owned())
    .await;
    // writes it to the revocation feed
    let disabled = store.disable_account("ann", 1).await.unwrap();
    assert!(matches!(disabled, AccountChange::Changed(_)), "{disabled:?}");
    store.close().await;
    run(format!("drop owned by \"{role}\"")).await;
    run(format!("drop role \"{role}\"")).await;
}
