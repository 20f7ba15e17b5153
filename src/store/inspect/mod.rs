//! A look at a database that changes nothing, whatever state it is in.

use std::path::Path;
use std::time::Duration;

use rustix::fs::{Access, AtFlags, CWD, accessat};
use rustix::io::Errno;
use sqlx::migrate::Migrator;
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::SqlitePoolOptions;
use sqlx::{AssertSqlSafe, FromRow};

use crate::core::error::Fault;
use crate::core::ownership;
use crate::store::definitions::{self, DefinitionReport};
use crate::store::engine::{postgres, sqlite};
use crate::store::file_guard::Files;
use crate::store::held_usernames::SECRETS_IN_USE;
use crate::store::line_ends::differ_in_line_ends;
use crate::store::transfer::TABLES;
use crate::store::{OpenError, Pool, Store, broken, is_damage, on_engine};

/// How long a look waits for a database.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is there.
#[derive(Debug)]
pub struct Look {
    /// The engine and its version.
    pub engine: String,
    pub schema: Schema,
    /// What is wrong with the pages, as far as it was looked at.
    pub damage: Option<String>,
    pub accounts: i64,
    /// The peppers that passwords need, and how many do.
    pub peppers: Vec<(String, i64)>,
    /// The server secrets that held user names need, and how many do.
    pub server_secrets: Vec<(String, i64)>,
    /// The latest instant that anything in it says it happened at.
    pub newest: Option<i64>,
    /// Those of the names that were asked for that somebody has.
    pub demo_users: Vec<&'static str>,
    /// Tables that this user may not write.
    pub unwritable: Vec<&'static str>,
    /// Does the server, the database or the role take no writes at all?
    pub is_read_only: bool,
    /// The server's own clock, in milliseconds, when it was asked.
    pub server_clock: Option<i64>,
    /// What running services saw of a wrong set-up, the last first.
    pub setup: Vec<SetupEvent>,
    /// How its tables differ from those of the migrations, if they can be compared.
    pub definitions: Option<DefinitionReport>,
}

/// The event by which a running service says that a setting or a proxy is wrong.
#[derive(Debug, PartialEq, Eq, FromRow)]
pub struct SetupEvent {
    pub event: String,
    /// The origin or the address that it is about.
    pub thing: String,
    /// The last time.
    pub at: i64,
}

/// The events that name what is wrong with a set-up.
pub const SETUP_EVENTS: [&str; 2] = ["public_url_mismatch", "forwarded_ignored"];

/// As many are looked at: each has its line.
const MAX_SETUP_EVENTS: i64 = 20;

/// Where the schema stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schema {
    /// There are no tables of ours.
    None,
    Older(i64),
    Current(i64),
    Newer(i64),
    /// A migration is not the one that ran.
    Changed(i64),
    /// A migration has other line ends than the one that ran.
    LineEnds(i64),
}

/// How thoroughly an SQLite file is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Every page.
    Quick,
    /// And every index and reference.
    Full,
}

impl Store {
    /// The latest instant that anything in the database says it happened at.
    pub async fn newest_instant(&self) -> Result<Option<i64>, Fault> {
        newest_instant(&self.reader()).await.map_err(broken("looking for the newest instant"))
    }

    /// Looks at the database at an address. An SQLite file is there already.
    pub async fn look(
        address: &str,
        depth: Depth,
        demo_users: &[&'static str],
        now: i64,
    ) -> Result<Look, OpenError> {
        let Some(file) = Self::file_of(address)? else {
            let options = postgres::primary(address).await?;
            let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(PATIENCE);
            let pool = pool.connect_lazy_with(options);
            let seen =
                look(Pool::Postgres(&pool), &postgres::MIGRATIONS, depth, (demo_users, now)).await;
            pool.close().await;
            return seen.map_err(|fault| OpenError::Unreachable(fault.to_string()));
        };
        for suffix in ["", "-wal", "-shm"] {
            require_readable(&file.with_file_name(named(&file, suffix)))?;
        }
        // without a log beside it nobody writes it, and not even a lock is needed
        let has_log = file.with_file_name(named(&file, "-wal")).exists();
        let options = sqlite::parse(address)?
            .read_only(true)
            .create_if_missing(false)
            .immutable(!has_log)
            .busy_timeout(sqlite::BUSY);
        let pool = SqlitePoolOptions::new().max_connections(1).acquire_timeout(PATIENCE);
        let pool = pool.connect_lazy_with(options);
        let files = Files::unwatched();
        let sqlite = Pool::Sqlite(&pool, &files);
        let seen = look(sqlite, &sqlite::MIGRATIONS, depth, (demo_users, now)).await;
        pool.close().await;
        seen.map_err(|fault| {
            let says = format!("{}: {fault}", file.display());
            let is_damaged = fault.cause().downcast_ref().is_some_and(is_damage);
            if is_damaged { OpenError::Damaged(says) } else { OpenError::Unreachable(says) }
        })
    }
}

/// An error that says what to do, if this user may not read it. That is no damage.
fn require_readable(file: &Path) -> Result<(), OpenError> {
    match accessat(CWD, file, Access::READ_OK, AtFlags::EACCESS) {
        Err(Errno::ACCESS) => Err(OpenError::Forbidden(ownership::describe_denial(file))),
        Ok(()) | Err(_) => Ok(()), // what else is wrong, the driver says
    }
}

fn named(file: &Path, ending: &str) -> std::ffi::OsString {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(ending);
    name
}

/// The latest instant that anything in the database says it happened at.
async fn newest_instant(pool: &Pool<'_>) -> sqlx::Result<Option<i64>> {
    on_engine!(pool, |pool| {
        async {
            let mut newest: Option<i64> = None;
            for sql in [
                "select max(created_at) from accounts",
                "select max(created_at) from sessions",
                "select max(last_seen_at) from sessions",
            ] {
                newest = newest.max(sqlx::query_scalar(sql).fetch_one(*pool).await?);
            }
            Ok(newest)
        }
        .await
    })
}

async fn look(
    pool: Pool<'_>,
    known: &Migrator,
    depth: Depth,
    (demo_users, now): (&[&'static str], i64),
) -> Result<Look, Fault> {
    let failed = || broken("looking at the database");
    let mut seen = Look {
        engine: engine(&pool).await.map_err(failed())?,
        schema: Schema::None,
        damage: None,
        accounts: 0,
        peppers: Vec::new(),
        server_secrets: Vec::new(),
        newest: None,
        demo_users: Vec::new(),
        unwritable: Vec::new(),
        is_read_only: false,
        server_clock: None,
        setup: Vec::new(),
        definitions: Some(DefinitionReport::default()),
    };
    if let Pool::Sqlite(sqlite, _) = pool {
        seen.damage = damage(sqlite, depth).await.map_err(failed())?;
    }
    if let Pool::Postgres(postgres) = pool {
        let clock = "select (extract(epoch from clock_timestamp()) * 1000)::bigint";
        seen.server_clock =
            Some(sqlx::query_scalar(clock).fetch_one(postgres).await.map_err(failed())?);
    }
    seen.schema = schema(&pool, known).await.map_err(failed())?;
    if seen.schema == Schema::None {
        return Ok(seen);
    }
    if let Schema::Older(version) | Schema::Current(version) = seen.schema {
        seen.definitions = definitions::check(&pool, version).await.map_err(failed())?;
    }
    seen.newest = newest_instant(&pool).await.map_err(failed())?;
    seen.accounts = on_engine!(&pool, |pool| {
        sqlx::query_scalar("select count(*) from accounts").fetch_one(*pool).await
    })
    .map_err(failed())?;
    if let Schema::Current(_) = seen.schema {
        let peppers =
            "select pepper, count(*) from accounts where pepper is not null group by pepper";
        let peppers = on_engine!(&pool, |pool| sqlx::query_as(peppers).fetch_all(*pool).await);
        seen.peppers = peppers.map_err(failed())?;
        seen.setup = setup_events(&pool).await.map_err(failed())?;
        let secrets = on_engine!(&pool, |pool| {
            sqlx::query_as(SECRETS_IN_USE).bind(now).fetch_all(*pool).await
        });
        seen.server_secrets = secrets.map_err(failed())?;
    }
    for name in demo_users {
        let named = "select count(*) from accounts where username = $1";
        let named = on_engine!(&pool, |pool| {
            sqlx::query_scalar::<_, i64>(named).bind(*name).fetch_one(*pool).await
        });
        if named.map_err(failed())? > 0 {
            seen.demo_users.push(name);
        }
    }
    if let Pool::Postgres(postgres) = pool {
        let read_only = "select current_setting('transaction_read_only') = 'on'";
        seen.is_read_only =
            sqlx::query_scalar(read_only).fetch_one(postgres).await.map_err(failed())?;
        for table in TABLES {
            let may = format!(
                "select coalesce(has_table_privilege(to_regclass('{0}'), 'insert')
                     and has_table_privilege(to_regclass('{0}'), 'delete'), true)",
                table.name
            );
            let may = sqlx::query_scalar(AssertSqlSafe(may)).fetch_one(postgres).await;
            if !may.map_err(failed())? {
                seen.unwritable.push(table.name);
            }
        }
    }
    Ok(seen)
}

/// Those of the last day before the newest event, so that what was mended is not told for ever.
async fn setup_events(pool: &Pool<'_>) -> sqlx::Result<Vec<SetupEvent>> {
    let [public_url, forwarded] = SETUP_EVENTS;
    let events = "select event, thing, max(at) as at from events
         where event in ($1, $2)
           and at > (select coalesce(max(at), 0) from events) - 24 * 60 * 60 * 1000
         group by event, thing order by max(at) desc, thing limit $3";
    on_engine!(pool, |pool| {
        let query = sqlx::query_as(events).bind(public_url).bind(forwarded);
        query.bind(MAX_SETUP_EVENTS).fetch_all(*pool).await
    })
}

async fn engine(pool: &Pool<'_>) -> sqlx::Result<String> {
    match pool {
        Pool::Sqlite(pool, _) => {
            let version: String =
                sqlx::query_scalar("select sqlite_version()").fetch_one(*pool).await?;
            Ok(format!("SQLite {version}"))
        }
        Pool::Postgres(pool) => {
            let version: String =
                sqlx::query_scalar("show server_version").fetch_one(*pool).await?;
            Ok(format!("PostgreSQL {version}"))
        }
    }
}

async fn damage(pool: &sqlx::SqlitePool, depth: Depth) -> sqlx::Result<Option<String>> {
    let check = match depth {
        Depth::Quick => "pragma quick_check(1)",
        Depth::Full => "pragma integrity_check(1)",
    };
    let found: Vec<String> = sqlx::query_scalar(check).fetch_all(pool).await?;
    if found != ["ok"] {
        return Ok(Some(found.join("; ").replace('\n', " ")));
    }
    if depth == Depth::Full {
        let lost = sqlx::query("pragma foreign_key_check").fetch_all(pool).await?.len();
        if lost > 0 {
            return Ok(Some(format!("{lost} rows refer to rows that are gone")));
        }
    }
    Ok(None)
}

async fn schema(pool: &Pool<'_>, known: &Migrator) -> sqlx::Result<Schema> {
    let has_run = match pool {
        Pool::Sqlite(pool, _) => {
            let there = "select count(*) from sqlite_schema where name = '_sqlx_migrations'";
            sqlx::query_scalar::<_, i64>(there).fetch_one(*pool).await? > 0
        }
        Pool::Postgres(pool) => {
            let there = "select to_regclass('_sqlx_migrations') is not null";
            sqlx::query_scalar(there).fetch_one(*pool).await?
        }
    };
    if !has_run {
        return Ok(Schema::None);
    }
    let ran = "select version, checksum from _sqlx_migrations where success order by version";
    let ran: Vec<(i64, Vec<u8>)> =
        on_engine!(pool, |pool| sqlx::query_as(ran).fetch_all(*pool).await)?;
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
