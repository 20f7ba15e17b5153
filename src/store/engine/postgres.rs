//! Opens PostgreSQL: one address, or several of which one is the primary.

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgSslMode};
use sqlx::{Connection, PgConnection, PgPool};
use tokio::time::timeout;
use url::Url;

use crate::store::{OpenError, line_ends, not_migrated};

/// How long a request waits for a free connection; its caller gets 503 then.
const ACQUIRE: Duration = Duration::from_secs(1);
/// How long a server may take to answer who connects, when it is one of several.
const CONNECT: Duration = Duration::from_secs(1);
/// What every connection for requests asks of the server, unless the address says otherwise: no
/// statement takes longer, and who goes away in a transaction holds nothing up.
const DEADLINES: [(&str, &str); 2] =
    [("statement_timeout", "2s"), ("idle_in_transaction_session_timeout", "5s")];

pub(in crate::store) static MIGRATIONS: Migrator = sqlx::migrate!("./migrations/postgres");

/// What is written differently for SQLite.
pub(in crate::store) mod statements {
    /// The row of the account is locked, so that a new password waits for the session, or the session
    /// for the new password: else one that is being added would be missed by who ends all.
    pub const INSERT_SESSION: &str = crate::store::sessions::insertion!(" for share");

    pub const COUNT_TURN: &str = crate::store::attempts::turn_counting!("greatest");

    /// Notes that a session of an account ($1) ended at an instant ($2), in the transaction that ends
    /// it, and wakes who listens when that is committed. The lock is held until then, so that the
    /// positions become visible in their order, and who reads on behind one misses none.
    pub const NOTE_ENDING: &str = "insert into endings (account_id, at)
         select $1, $2 from (select pg_advisory_xact_lock(7165635143914926441)) turn
         returning pg_notify('cloakroom_endings', '')";
}

/// The channel on which an ending wakes who listens.
pub(in crate::store) const CHANNEL: &str = "cloakroom_endings";

#[derive(Debug)]
pub struct Pools {
    pub pool: PgPool,
    pub servers: Arc<Servers>,
}

/// The servers that an address names. One of them, the primary, takes writes.
#[derive(Debug)]
pub struct Servers {
    all: Vec<PgConnectOptions>,
    primary: AtomicUsize,
    born: Instant,
    /// Milliseconds from `born` to when the primary became another.
    changed: AtomicU64,
}

impl Servers {
    fn new(all: Vec<PgConnectOptions>) -> Self {
        Self { all, primary: AtomicUsize::new(0), born: Instant::now(), changed: AtomicU64::new(0) }
    }

    /// Connects to the primary: the one that was it, or else the first that is it now.
    pub async fn connect(&self) -> Result<(usize, PgConnection), sqlx::Error> {
        let known = self.primary.load(Ordering::Relaxed);
        let mut failed = None;
        for n in (0..self.all.len()).map(|n| (known + n) % self.all.len()) {
            let connected = timeout(CONNECT, writable(&self.all[n])).await;
            match connected.unwrap_or_else(|_| Err(too_late())) {
                Ok(connection) => return Ok((n, connection)),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        Err(failed.expect("an address names a server"))
    }

    /// Has requests go to this one from now on; what is connected to another is used no more.
    pub fn turn_to(&self, pool: &PgPool, primary: usize) {
        if self.primary.swap(primary, Ordering::SeqCst) != primary {
            pool.set_connect_options(self.all[primary].clone());
            self.changed.store(millis(self.born.elapsed()), Ordering::SeqCst);
            let server = &self.all[primary];
            tracing::warn!("the primary is {} {} now", server.get_host(), server.get_port());
        }
    }

    fn options(&self) -> &PgConnectOptions {
        &self.all[self.primary.load(Ordering::Relaxed)]
    }

    /// Is a connection of this age one to the primary of now?
    fn is_current(&self, age: Duration) -> bool {
        let changed = self.changed.load(Ordering::SeqCst);
        changed == 0 || millis(self.born.elapsed().saturating_sub(age)) >= changed
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn too_late() -> sqlx::Error {
    std::io::Error::new(std::io::ErrorKind::TimedOut, "the server does not answer").into()
}

/// Connects to a server that takes writes.
async fn writable(options: &PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    let mut connection = PgConnection::connect_with(options).await?;
    let is_standby: bool =
        sqlx::query_scalar("select pg_is_in_recovery()").fetch_one(&mut connection).await?;
    if is_standby {
        let error = std::io::Error::other("the server is a standby, which takes no writes");
        return Err(error.into());
    }
    Ok(connection)
}

/// Says at which servers it was tried, which an address may leave to the environment.
fn unreachable(servers: &Servers, error: &sqlx::Error) -> OpenError {
    let at = |server: &PgConnectOptions| format!("{}:{}", server.get_host(), server.get_port());
    let at = servers.all.iter().map(at).collect::<Vec<_>>().join(", ");
    OpenError::Unreachable(format!("{at}: {}", in_one_line(error)))
}

/// How to connect to the server that takes writes.
pub async fn primary(address: &str) -> Result<PgConnectOptions, OpenError> {
    let servers = Servers::new(parse(address)?);
    let (primary, connection) =
        servers.connect().await.map_err(|error| unreachable(&servers, &error))?;
    connection.close().await.map_err(|error| unreachable(&servers, &error))?;
    Ok(servers.all[primary].clone())
}

/// Connects to the primary, to look at what is there; nothing is migrated.
pub async fn look(address: &str) -> Result<PgConnection, OpenError> {
    let servers = Servers::new(parse(address)?);
    let (_, connection) = servers.connect().await.map_err(|error| unreachable(&servers, &error))?;
    Ok(connection)
}

/// Has any migration run there?
pub async fn has_tables(address: &str) -> Result<bool, OpenError> {
    let servers = Servers::new(parse(address)?);
    let (_, mut connection) =
        servers.connect().await.map_err(|error| unreachable(&servers, &error))?;
    let has_run = sqlx::query_scalar("select to_regclass('_sqlx_migrations') is not null");
    let has_run = has_run.fetch_one(&mut connection).await;
    let _ = connection.close().await; // what it was asked is known
    has_run.map_err(|error| unreachable(&servers, &error))
}

/// Connects and migrates; at most so many connections serve requests, and one more listens.
pub async fn open(address: &str, connections: u32) -> Result<Pools, OpenError> {
    let all = parse(address)?;
    let servers = Servers::new(all.iter().map(|server| hurried(server.clone())).collect());
    let (primary, connection) =
        servers.connect().await.map_err(|error| unreachable(&servers, &error))?;
    connection.close().await.map_err(|error| unreachable(&servers, &error))?;
    servers.primary.store(primary, Ordering::Relaxed);
    // a migration takes as long as it takes, and so do those who wait for it
    let patient = PgPoolOptions::new().max_connections(1).connect_with(all[primary].clone());
    let patient = patient.await.map_err(|error| unreachable(&servers, &error))?;
    migrate(&patient).await?;
    patient.close().await;

    let servers = Arc::new(servers);
    let known = Arc::clone(&servers);
    let pool = PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE)
        .before_acquire(move |_, about| {
            let is_current = known.is_current(about.age);
            Box::pin(async move { Ok(is_current) })
        })
        .connect_lazy_with(servers.options().clone());
    Ok(Pools { pool, servers })
}

/// Is every migration there that this program knows? What it does not know is refused.
pub async fn is_up_to_date(connection: &mut PgConnection) -> Result<bool, OpenError> {
    let applied = applied(connection).await;
    let applied = applied.map_err(|error| not_migrated(MigrateError::Execute(error)))?;
    for (version, checksum) in &applied {
        match MIGRATIONS.iter().find(|migration| migration.version == *version) {
            None => return Err(OpenError::Newer(*version)),
            Some(known) if known.checksum[..] != checksum[..] => {
                return Err(line_ends::mismatch(known, checksum));
            }
            Some(_) => {}
        }
    }
    Ok(applied.len() == MIGRATIONS.iter().count())
}

/// Runs what has not run yet; sqlx holds an advisory lock meanwhile. Where nothing is to be done
/// nothing is locked or made, so that a user who may not change the schema is enough.
async fn migrate(pool: &PgPool) -> Result<(), OpenError> {
    let connection = pool.acquire().await;
    let mut connection = connection.map_err(|error| OpenError::Unreachable(in_one_line(&error)))?;
    let is_done = is_up_to_date(&mut connection).await?;
    drop(connection); // the pool has this one
    if is_done {
        return Ok(());
    }
    MIGRATIONS.run(pool).await.map_err(|error| match &error {
        MigrateError::Execute(sqlx::Error::Database(cause))
        | MigrateError::ExecuteMigration(sqlx::Error::Database(cause), _)
            if cause.code().as_deref() == Some("42501") =>
        {
            OpenError::MayNotMigrate
        }
        _ => not_migrated(error),
    })
}

/// The migrations that ran, and their checksums.
async fn applied(connection: &mut PgConnection) -> Result<Vec<(i64, Vec<u8>)>, sqlx::Error> {
    let has_run: bool = sqlx::query_scalar("select to_regclass('_sqlx_migrations') is not null")
        .fetch_one(&mut *connection)
        .await?;
    if !has_run {
        return Ok(Vec::new());
    }
    sqlx::query_as("select version, checksum from _sqlx_migrations where success order by version")
        .fetch_all(connection)
        .await
}

/// The servers of an address: like one, with commas between hosts, as libpq has it.
fn parse(address: &str) -> Result<Vec<PgConnectOptions>, OpenError> {
    let bad = |why: &dyn std::fmt::Display| OpenError::BadAddress(why.to_string());
    let (scheme, rest) = address.split_once("://").ok_or_else(|| bad(&"it has no ://"))?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    let (user, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    let at = if user.is_empty() { "" } else { "@" };
    let servers = hosts.split(',').map(|host| {
        let address = format!("{scheme}://{user}{at}{host}{rest}");
        let mut url = Url::parse(&address).map_err(|error| bad(&error))?;
        remove_unknown_parameters(&mut url);
        let options = PgConnectOptions::from_str(url.as_str()).map_err(|error| bad(&error))?;
        Ok(guarded(&url, options))
    });
    servers.collect()
}

/// The parameters of an address that the driver knows; it writes others into the log with their
/// values, and one of these may be a password under a wrong name.
const PARAMETERS: [&str; 18] = [
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "ssl-ca",
    "ssl-cert",
    "ssl-key",
    "ssl-mode",
    "ssl-root-cert",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "statement-cache-capacity",
    "user",
];

fn remove_unknown_parameters(url: &mut Url) {
    let is_known = |name: &str| PARAMETERS.contains(&name) || name.starts_with("options[");
    let (known, unknown): (Vec<_>, Vec<_>) =
        url.query_pairs().into_owned().partition(|(name, _)| is_known(name));
    if unknown.is_empty() {
        return;
    }
    for (name, value) in unknown {
        // without a value it may be the rest of a password
        let is_word = !value.is_empty()
            && name.len() <= 32
            && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        let name = if is_word { format!("`{name}`") } else { "that is no word".to_owned() };
        tracing::warn!("the address of the database has a parameter {name}, which is ignored");
    }
    url.set_query(None);
    if !known.is_empty() {
        url.query_pairs_mut().extend_pairs(known);
    }
}

/// What goes over a network is encrypted, to a server that proves its name, unless the address or
/// the environment says otherwise.
fn guarded(url: &Url, options: PgConnectOptions) -> PgConnectOptions {
    let is_said = url.query_pairs().any(|(key, _)| key == "sslmode" || key == "ssl-mode")
        || std::env::var_os("PGSSLMODE").is_some();
    let host = options.get_host();
    let is_local = options.get_socket().is_some()
        || host.starts_with('/')
        || host == "localhost"
        || host
            .trim_matches(['[', ']'])
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback());
    let options = match options.get_application_name() {
        Some(_) => options,
        None => options.application_name(env!("CARGO_PKG_NAME")),
    };
    if is_said || is_local { options } else { options.ssl_mode(PgSslMode::VerifyFull) }
}

/// With the deadlines that the address does not set.
fn hurried(options: PgConnectOptions) -> PgConnectOptions {
    let said = options.get_options().unwrap_or_default().to_owned();
    options.options(DEADLINES.into_iter().filter(|(name, _)| !said.contains(name)))
}

fn in_one_line(error: &sqlx::Error) -> String {
    error.to_string().replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(address: &str) -> PgConnectOptions {
        let [server] = parse(address).unwrap().try_into().unwrap();
        server
    }

    #[test]
    fn what_goes_over_a_network_is_encrypted_unless_the_address_says_otherwise() {
        for (address, verified) in [
            ("postgres://me@db.example/x", true),
            ("postgres://me@10.0.0.1/x", true),
            ("postgres://me@[2001:db8::1]/x", true),
            ("postgres://me@localhost/x", false),
            ("postgres://me@127.0.0.1:5433/x", false),
            ("postgres://me@[::1]/x", false),
            ("postgres://me@%2Frun%2Fpostgresql/x", false),
            ("postgres://me@db.example/x?sslmode=disable", false),
            ("postgres://me@db.example/x?sslmode=require", false),
        ] {
            let mode = only(address).get_ssl_mode();
            assert_eq!(matches!(mode, PgSslMode::VerifyFull), verified, "{address}: {mode:?}");
        }
    }

    #[test]
    fn an_address_may_name_several_servers() {
        let servers = parse("postgresql://me:p%40ss@one,two:5433,[::1]:5434/x?sslmode=require");
        let servers: Vec<_> = servers
            .unwrap()
            .iter()
            .map(|server| (server.get_host().to_owned(), server.get_port()))
            .collect();
        assert_eq!(
            servers,
            [("one".into(), 5432), ("two".into(), 5433), ("[::1]".to_owned(), 5434)]
        );
        assert!(parse("postgres://me@one,:x/y").is_err());
        assert!(parse("postgres:nonsense").is_err());
    }

    #[test]
    fn deadlines_that_the_address_sets_stay_as_they_are() {
        let hurried = |address| hurried(only(address)).get_options().unwrap_or_default().to_owned();
        let usual = hurried("postgres://localhost/x");
        assert!(usual.contains("statement_timeout=2s"), "{usual}");
        let own = hurried("postgres://localhost/x?options[statement_timeout]=9s");
        assert!(own.contains("=9s") && !own.contains("=2s") && own.contains("=5s"), "{own}");
    }

    #[test]
    fn a_connection_from_before_the_primary_changed_is_used_no_more() {
        let all = parse("postgres://one,two/x").unwrap();
        let born = Instant::now().checked_sub(Duration::from_secs(100)).unwrap();
        let servers = Servers { born, ..Servers::new(all) };
        let (young, old) = (Duration::from_secs(10), Duration::from_secs(50));
        assert!(servers.is_current(old));
        servers.changed.store(70_000, Ordering::SeqCst);
        assert!(servers.is_current(young) && !servers.is_current(old));
    }
}
