//! migrations that are killed.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sqlx::{AssertSqlSafe, Connection, SqliteConnection};

use super::rng::Rng;
use super::rows::block;
use super::service::{cloakroom, copy};

async fn open(file: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(file).create_if_missing(true);
    SqliteConnection::connect_with(&options.journal_mode(SqliteJournalMode::Wal)).await.unwrap()
}

/// A database with the schema of the first release, with `users` users and one session for each.
fn old(file: &Path, users: u64) {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/sqlite");
    let first = tempfile::tempdir().unwrap();
    let name = "0001_accounts_and_sessions.sql";
    fs::copy(all.join(name), first.path().join(name)).unwrap();
    block(async {
        let mut db = open(file).await;
        let migrator = Migrator::new(first.path()).await.unwrap();
        migrator.run(&mut db).await.unwrap();
        for sql in [
            format!(
                "insert into accounts (id, username, password_hash, created_at, disabled_at)
                 with recursive n(i) as (select 1 union all select i + 1 from n where i < {users})
                 select hex(randomblob(16)), 'user' || i, '$argon2id$' || hex(randomblob(32)), i,
                        iif(i % 7 = 0, i, null) from n"
            ),
            "insert into sessions (digest, id, account_id, remember, created_at, last_seen_at,
                                   expires_at)
             select randomblob(32), hex(randomblob(16)), id, created_at % 2, created_at, created_at,
                    created_at + 1000 from accounts"
                .to_owned(),
        ] {
            sqlx::query(AssertSqlSafe(sql)).execute(&mut db).await.unwrap();
        }
        sqlx::query("pragma wal_checkpoint(truncate)").execute(&mut db).await.unwrap();
        db.close().await.unwrap();
    });
}

/// The columns that the first release had.
const KNOWN: [(&str, &str); 2] = [
    ("accounts", "id, username, password_hash, created_at, disabled_at"),
    (
        "sessions",
        "digest, id, account_id, remember, created_at, last_seen_at, expires_at, ended_at",
    ),
];

/// Compares every row with the old database, and returns the versions of the migrations that have
/// run.
fn compared(file: &Path, old: &Path) -> Vec<i64> {
    block(async {
        let mut db = open(file).await;
        let ok: String =
            sqlx::query_scalar("pragma integrity_check").fetch_one(&mut db).await.unwrap();
        assert_eq!(ok, "ok");
        let attach = format!("attach '{}' as old", old.display());
        sqlx::query(AssertSqlSafe(attach)).execute(&mut db).await.unwrap();
        for (table, columns) in KNOWN {
            let rows = |of: &str| format!("select {columns} from {of}.{table}");
            for (one, other) in [("main", "old"), ("old", "main")] {
                let differ = format!("select count(*) from ({} except {})", rows(one), rows(other));
                let differ: i64 =
                    sqlx::query_scalar(AssertSqlSafe(differ)).fetch_one(&mut db).await.unwrap();
                assert_eq!(differ, 0, "rows of {table} are in {one} and not in {other}");
            }
        }
        let ran = sqlx::query_scalar("select version from main._sqlx_migrations order by version");
        let ran = ran.fetch_all(&mut db).await.unwrap();
        db.close().await.unwrap();
        ran
    })
}

#[test]
#[ignore = "takes seconds: tests/e2e/crash"]
fn r_11_and_sta_10_a_migration_that_is_killed_is_done_or_not_and_then_goes_on() {
    let users = super::asked("USERS", 100_000);
    let kills = super::asked("MIGRATIONS", 6);
    let made = tempfile::tempdir().unwrap();
    let old_file = made.path().join("cloakroom.db");
    old(&old_file, users);
    let mut rng = Rng::new();
    let (mut whole, mut steps) = (Duration::ZERO, Vec::new());
    // the first run is not killed: it measures how long a migration takes
    for kill in 0..=kills {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("cloakroom-data");
        copy(made.path(), &data);
        let began = Instant::now();
        let mut migration = cloakroom(folder.path(), &["migrate"]).spawn().unwrap();
        if kill > 0 {
            std::thread::sleep(whole.mul_f64(rng.below(1000) as f64 / 1000.0));
            let _ = migration.kill(); // it may have ended already
            migration.wait().unwrap();
            steps.push(compared(&copy(&data, &folder.path().join("aside")), &old_file).len());
            migration = cloakroom(folder.path(), &["migrate"]).spawn().unwrap();
        }
        assert!(migration.wait().unwrap().success(), "it goes on after kill {kill}");
        if kill == 0 {
            whole = began.elapsed();
        }
        let ran = compared(&data.join("cloakroom.db"), &old_file);
        assert_eq!(ran, (1..=i64::try_from(ran.len()).unwrap()).collect::<Vec<_>>());
        assert!(ran.len() >= 4);
    }
    steps.sort_unstable();
    println!(
        "R-11: {kills} kills within {whole:?} of migrating {users} users; so many migrations had run: \
         {steps:?}; every row the same, every second run complete"
    );
}
