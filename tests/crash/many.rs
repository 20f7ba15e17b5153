//! a million rows of each kind, at the start and while the cleaner deletes them.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use sqlx::sqlite::{SqliteConnectOptions, SqliteSynchronous};
use sqlx::{AssertSqlSafe, Connection, SqliteConnection};

use super::model::{Operation, User};
use super::rows::block;
use super::service::Service;

const READY: Duration = Duration::from_secs(1);
/// Limit for the 99th percentile of guarded reads while the cleaner runs.
const P99: Duration = Duration::from_millis(50);
/// Interval between two reads.
const EVERY: Duration = Duration::from_millis(5);
/// Interval between two counts of the rows left.
const LOOK: Duration = Duration::from_millis(500);
/// Limit for the whole cleaning. The cleaner runs every half minute, each time until nothing is
/// left to delete.
const CLEARED: Duration = Duration::from_mins(20);

fn sql(file: &Path, statements: &[String]) -> i64 {
    block(async {
        let options = SqliteConnectOptions::new().filename(file);
        let options = options.synchronous(SqliteSynchronous::Off).pragma("cache_size", "-262144");
        let mut db = SqliteConnection::connect_with(&options).await.unwrap();
        for sql in statements {
            sqlx::query(AssertSqlSafe(sql.clone())).execute(&mut db).await.unwrap();
        }
        let left = "select count(*) from sessions where expires_at < last_seen_at";
        let left = sqlx::query_scalar(left).fetch_one(&mut db).await.unwrap();
        db.close().await.unwrap();
        left
    })
}

#[test]
#[ignore = "takes minutes: tests/e2e/crash"]
fn r_17_many_rows_hold_up_neither_the_start_nor_who_reads_while_they_are_cleared_away() {
    let rows = super::asked("ROWS", 20_000);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cloakroom-data/cloakroom.db");
    let mut service = Service::start(folder.path());
    let mut ann = User::new("ann".to_owned());
    ann.ask_for(Operation::Register, &service.client(), &super::crowd::Tally::default());
    let cookie = ann.state.live.values().next().unwrap().cookie.clone();
    service.kill();
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis();
    let sessions = |ends: &str| {
        format!(
            "insert into sessions (digest, id, account_id, remember, created_at, last_seen_at,
                                   expires_at)
             select randomblob(32), hex(randomblob(16)), id, 0, {now}, {now}, {ends} from accounts
             where username like 'user%'"
        )
    };
    let users = format!(
        "insert into accounts (id, username, password_hash, created_at)
         with recursive n(i) as (select 1 union all select i + 1 from n where i < {rows})
         select hex(randomblob(16)), 'user' || i, '$argon2id$' || hex(randomblob(32)), {now} from n"
    );
    let truncate = "pragma wal_checkpoint(truncate)".to_owned();
    sql(&file, &[users, sessions(&format!("{now} + 86400000")), truncate.clone()]);

    let began = Instant::now();
    service = Service::start(folder.path());
    assert_eq!(service.client().get("/readyz", None).unwrap().status, 200);
    let ready = began.elapsed();
    assert_eq!(service.client().private(&cookie), Some(200));
    let mut first = User::new("first".to_owned());
    first.ask_for(Operation::Register, &service.client(), &super::crowd::Tally::default());
    assert!(first.state.is_there);
    service.kill();

    sql(&file, &[sessions(&format!("{now} - 1")), truncate]);
    service = Service::start(folder.path());
    let (client, began) = (service.client(), Instant::now());
    let (mut times, mut looked) = (Vec::new(), Instant::now());
    let mut left = rows.cast_signed();
    let mut untouched = began;
    while left > 0 {
        let asked = Instant::now();
        assert_eq!(client.private(&cookie), Some(200));
        let time = asked.elapsed();
        times.push(time);
        if looked.elapsed() > LOOK {
            left = sql(&file, &[]);
            looked = Instant::now();
            if left == rows.cast_signed() {
                // the cleaner has not started yet
                times.clear();
                untouched = looked;
            }
        }
        assert!(began.elapsed() < CLEARED, "{left} rows are left");
        std::thread::sleep(EVERY.saturating_sub(time));
    }
    let took = untouched.elapsed();
    times.sort();
    let p99 = times[times.len() * 99 / 100];
    println!(
        "R-17: ready after {ready:?} with {rows} users and {rows} sessions; while {rows} expired ones \
         were cleared away in {took:?}, {} guarded reads: median {:?}, p99 {p99:?}, most {:?}",
        times.len(),
        times[times.len() / 2],
        times[times.len() - 1]
    );
    assert!(ready < READY, "{ready:?}");
    assert!(p99 < P99, "{p99:?}");
}
