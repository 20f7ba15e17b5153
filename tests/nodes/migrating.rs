//! R-11 on PostgreSQL: nodes that start concurrently on an older schema and are killed during the
//! migration.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use sqlx::postgres::PgPool;

use super::asked;
use super::postgres::Server;
use super::service::{Client, Cluster, Node};

/// The number of accounts, each with one session.
const ACCOUNTS: u32 = 100_000;
/// The oldest schema.
const OLDEST: i64 = 1;

/// A digest of the schema, without sqlx's own table, which exists from the start of a migration.
const SHAPE: &str = "select md5(coalesce(string_agg(part, ',' order by part), '')) from (
     select concat_ws(' ', table_name, column_name, data_type, is_nullable, column_default)
     from information_schema.columns where table_schema = 'public'
     union all select indexdef from pg_indexes where schemaname = 'public'
     union all select conname || pg_get_constraintdef(oid) from pg_constraint
               where connamespace = 'public'::regnamespace
     ) parts (part) where part not like '%\\_sqlx\\_migrations%'";
/// A digest of the original rows in the columns that they had at first.
const ROWS: &str = "select md5(string_agg(concat_ws(' ', accounts.id, username, password_hash,
         accounts.created_at, disabled_at, digest, sessions.id, remember, last_seen_at, expires_at,
         ended_at), ',' order by accounts.id))
     from accounts left join sessions on account_id = accounts.id";
const VERSIONS: &str = "select coalesce(max(version), 0) || ' ' || count(*) from _sqlx_migrations";

/// Runs the migrations up to this version from their files.
async fn migrate(server: &Server, database: &str, version: i64) {
    let address = format!("postgres://{}/{database}", server.host());
    let pool = PgPool::connect(&address).await.unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/postgres");
    let migrator = sqlx::migrate::Migrator::new(folder).await.unwrap();
    migrator.run_to(version, &pool).await.unwrap();
    pool.close().await;
}

/// The digest of the schema after each migration.
async fn shapes(server: &Server) -> BTreeMap<i64, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/postgres");
    let migrator = sqlx::migrate::Migrator::new(folder).await.unwrap();
    server.sql("create database shapes");
    let mut shapes = BTreeMap::from([(0, server.sql_in("shapes", SHAPE))]);
    for migration in migrator.iter() {
        migrate(server, "shapes", migration.version).await;
        shapes.insert(migration.version, server.sql_in("shapes", SHAPE));
    }
    shapes
}

#[tokio::test]
#[ignore = "wants PostgreSQL: tests/e2e/nodes"]
async fn r_11_nodes_that_start_at_once_and_are_killed_leave_the_old_schema_or_the_new() {
    let rounds = asked("KILLS", 8);
    let server = Server::start();
    let shapes = shapes(&server).await;
    let newest = *shapes.last_key_value().unwrap().0;
    server.sql("create database old");
    server.sql("create database empty");
    migrate(&server, "old", OLDEST).await;
    server.sql_in(
        "old",
        &format!(
            "insert into accounts select i, 'user' || i, md5(i::text), i, nullif(i % 3, 0)
             from generate_series(1, {ACCOUNTS}) i;
             insert into sessions select sha256(i::text::bytea), 's' || i, i, i % 2, i, i, i, nullif(i % 5, 0)
             from generate_series(1, {ACCOUNTS}) i"
        ),
    );
    let rows = server.sql_in("old", ROWS);
    let at = |database: &str| format!("postgres://{}/{database}", server.host());
    let cluster = Cluster::of(0, &at("old"));
    let start_two = || [(); 2].map(|()| cluster.start(&at("round"), &["migrate"]));
    let ended = |children: [Child; 2]| children.map(|mut child| child.wait().unwrap().success());

    let renew = |template: &str| {
        server.sql("drop database if exists round with (force)");
        server.sql(&format!("create database round template {template}"));
    };
    // measures a migration without a kill
    renew("old");
    let start = Instant::now();
    assert_eq!(ended(start_two()), [true, true], "one migrates, the other one waits");
    let takes = start.elapsed();
    let (mut random, mut left) = (1_u64, BTreeMap::<i64, u32>::new());
    for round in 0..rounds {
        let is_empty = round % 5 == 4;
        renew(if is_empty { "empty" } else { "old" });
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let moment =
            takes.mul_f64(f64::from(u32::try_from(random >> 33).unwrap()) / f64::from(1_u32 << 31));
        let mut children = start_two();
        thread::sleep(moment);
        match round % 3 {
            0 => children.iter_mut().for_each(|child| child.kill().unwrap()),
            1 => children[usize::try_from(random >> 40).unwrap() % 2].kill().unwrap(),
            _ => drop(server.sql(
                "select pg_terminate_backend(pid) from pg_stat_activity where datname = 'round'",
            )),
        }
        ended(children); // the other process may continue the migration
        let gone = "select count(*) from pg_stat_activity where datname = 'round'";
        let start = Instant::now();
        while server.sql(gone) != "0" {
            assert!(start.elapsed() < Duration::from_secs(10), "a backend works on for nobody");
            thread::sleep(Duration::from_millis(20));
        }
        let check = |at_least: i64| {
            let has_begun =
                server.sql_in("round", "select to_regclass('_sqlx_migrations') is not null");
            let versions =
                if has_begun == "t" { server.sql_in("round", VERSIONS) } else { "0 0".to_owned() };
            let (version, count) = versions.split_once(' ').unwrap();
            assert_eq!(version, count, "round {round}: each migration ran once");
            let version: i64 = version.parse().unwrap();
            assert!(version >= at_least, "round {round}: {version}");
            let shape = server.sql_in("round", SHAPE);
            assert_eq!(
                shape, shapes[&version],
                "round {round}: whole migrations only, at {version}"
            );
            if !is_empty {
                assert_eq!(
                    server.sql_in("round", ROWS),
                    rows,
                    "round {round}: every row is as it was"
                );
            }
            version
        };
        *left.entry(check(if is_empty { 0 } else { OLDEST })).or_default() += 1;
        assert_eq!(ended(start_two()), [true, true], "round {round}: the next start completes it");
        check(newest);
    }
    println!(
        "R-11: {rounds} rounds of two that start at once ({takes:.0?} undisturbed), killed; schemas left: {left:?}"
    );
}

#[test]
#[ignore = "wants PostgreSQL: tests/e2e/nodes"]
fn att_19_20_two_nodes_that_start_at_once_on_an_empty_database_both_become_ready() {
    let server = Server::start();
    let at = format!("postgres://{}/round", server.host());
    for round in 0..asked("STARTS", 50) {
        server.sql("drop database if exists round with (force)");
        server.sql("create database round");
        let cluster = Cluster::of(2, &at);
        assert!(cluster.nodes.iter().all(Node::is_ready), "round {round}");
        let [one, two] = [0, 1].map(|n| Client::of(cluster.nodes[n].at));
        let (status, cookie) = one.register("ann", 1).unwrap();
        assert_eq!(status, 201, "round {round}");
        assert_eq!(two.private(&cookie.unwrap()), Some(200), "round {round}: one signing key");
    }
}
