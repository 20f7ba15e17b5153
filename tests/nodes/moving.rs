//! Tests of `cloakroom move` with `ROWS` accounts and sessions, to PostgreSQL and back, on a server
//! with durable commits.

use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Connection, SqliteConnection};

use super::asked;
use super::postgres::Server;
use super::service::{Client, Cluster};
use crate::support::raw::limit;

/// Limit for a million accounts with as many sessions, on two cores.
const BOUND: Duration = Duration::from_mins(5);
const TABLES: [&str; 9] = [
    "accounts",
    "roles",
    "sessions",
    "ended_tokens",
    "session_data",
    "api_tokens",
    "invites",
    "login_attempts",
    "events",
];

/// Inserts accounts, sessions, invites and attempts, some of them with unusual values.
async fn fill(db: &mut SqliteConnection, rows: u64) {
    let counted =
        format!("with recursive n(i) as (select 1 union all select i + 1 from n where i < {rows})");
    let fill = [
        format!(
            "{counted} insert into accounts
                 (id, username, password_hash, created_at, disabled_at, password_version,
                  display_name)
             select hex(randomblob(11)), 'user' || i,
                    '$argon2id$v=19$m=19456,t=2,p=1$' || hex(randomblob(8)) || '$' || hex(randomblob(20)),
                    1700000000000 + i, case when i % 1000 = 0 then 1700000000001 + i end, i % 5,
                    case when i % 3 = 0 then 'Żółw ' || char(128034) || ' ' || i end
             from n"
        ),
        // a browser's name may contain any character, including those that are special for COPY
        "insert into sessions (digest, id, account_id, remember, created_at, last_seen_at,
                               expires_at, ended_at, idle_timeout, address, browser)
         select randomblob(32), hex(randomblob(11)), id, rowid % 2, created_at, created_at + 1000,
                created_at + 2592000000, case when rowid % 3 = 0 then created_at + 5000 end,
                case when rowid % 4 > 0 then 28800000 end,
                case when rowid % 7 > 0 then '10.1.' || (rowid % 256) || '.7' end,
                case rowid % 5 when 0 then null when 1 then '' when 2 then char(9, 10, 13, 92) || 'N'
                               when 3 then 'Firefox on Linux' else 'Żółw ' || char(128034) end
         from accounts where username like 'user%'"
            .to_owned(),
        // several roles of one account, which are sorted by bytes on both engines
        "insert into roles (account_id, role, given_at)
         select id, role, created_at from accounts,
                (select 'editor' as role union select 'a-b' union select 'a.b' union select 'ab')
         where username like 'user%' and accounts.rowid % 10 = 1"
            .to_owned(),
        "insert into invites (digest, id, created_at, expires_at)
         select randomblob(32), hex(randomblob(11)), -1, 9223372036854775807
         from accounts where rowid % 1000 = 1"
            .to_owned(),
        "insert into api_tokens (digest, id, account_id, name, roles, created_at, expires_at,
                                 last_used_at)
         select randomblob(32), hex(randomblob(11)), id, 'Żółw ' || char(128034) || ' ' || rowid,
                case when rowid % 20 = 3 then 'admin editor' else '' end, created_at,
                9223372036854775807, case when rowid % 3 = 0 then created_at + 1000 end
         from accounts where rowid % 10 = 3"
            .to_owned(),
        "insert into session_data (key, session_id, value, version)
         select id || ' cart', id, '{\"a\": \"\\n\"}', rowid from sessions where rowid % 1000 = 2"
            .to_owned(),
        "insert into events (id, at, event, refusal, account_id, session_id, thing, count, address,
                             request_id)
         select randomblob(16), created_at, 'signed_in', 0, id, null, null, rowid, '10.1.1.1', null
         from accounts where rowid % 100 = 3"
            .to_owned(),
        "insert into login_attempts (key, failures, free_at, last_at)
         select case rowid when 2 then x'' when 3 then x'00' else randomblob(32) end, rowid, 0, -rowid
         from accounts where rowid % 100 < 5"
            .to_owned(),
    ];
    for sql in fill {
        sqlx::query(AssertSqlSafe(sql)).execute(&mut *db).await.unwrap();
    }
}

/// The number of rows of a table that are in only one of two files.
async fn differences(db: &mut SqliteConnection, table: &str) -> i64 {
    let sql = format!(
        "select (select count(*) from (select * from main.{table} except select * from back.{table}))
              + (select count(*) from (select * from back.{table} except select * from main.{table}))
              + abs((select count(*) from main.{table}) - (select count(*) from back.{table}))"
    );
    sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(db).await.unwrap()
}

#[tokio::test]
#[ignore = "wants PostgreSQL: tests/e2e/nodes"]
async fn a_million_accounts_with_their_sessions_move_there_and_back_in_time() {
    let rows = asked("ROWS", 20_000);
    let server = Server::durable();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| format!("sqlite://{}/{name}", folder.path().display());
    let (here, there, back) = (file("here.db"), super::address(&server), file("back.db"));
    let mut cluster = Cluster::of(1, &here);
    let client = |cluster: &Cluster| Client::of(cluster.nodes[0].at);
    let cookie = client(&cluster).register("ann", 1).unwrap().1.unwrap();
    cluster.end();

    let mut db = SqliteConnection::connect(&here).await.unwrap();
    fill(&mut db, rows).await;
    for (from, to) in [(&here, &there), (&there, &back)] {
        let start = Instant::now();
        let said = cluster.run(&["move", "--from", from, "--to", to]);
        let took = start.elapsed();
        println!("{rows} accounts with their sessions in {took:.1?}: {}", said.trim());
        assert!(said.contains("and compared them"), "{said}");
        assert!(took < limit(BOUND), "{took:?}");
    }

    sqlx::query(AssertSqlSafe(format!("attach '{}/back.db' as back", folder.path().display())))
        .execute(&mut db)
        .await
        .unwrap();
    for table in TABLES {
        assert_eq!(differences(&mut db, table).await, 0, "{table} after the way there and back");
    }
    let sql = "select (select count(*) from accounts) || ' ' || (select count(*) from invites)";
    let here: String = sqlx::query_scalar(sql).fetch_one(&mut db).await.unwrap();
    assert_eq!(server.sql(sql), here);
    for database in [&there, &back] {
        cluster.start_on(database);
        assert_eq!(client(&cluster).private(&cookie), Some(200), "whoever was signed in still is");
        assert_eq!(client(&cluster).log_in("ann").unwrap().0, 200);
        cluster.end();
    }
}
