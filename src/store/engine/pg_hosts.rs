//! The hosts of a PostgreSQL cluster, and which of them is the primary.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection, PgPool};
use tokio::time::timeout;

use crate::store::open_error::OpenError;

/// The timeout of a connection to one of several hosts.
const CONNECT: Duration = Duration::from_secs(1);

/// The hosts that a URL names. One of them is the primary, which accepts writes.
#[derive(Debug)]
pub struct PgHosts {
    pub all: Vec<PgConnectOptions>,
    pub primary: AtomicUsize,
    started_at: Instant,
    /// When the primary changed, in milliseconds after `started_at`.
    changed: AtomicU64,
}

impl PgHosts {
    pub fn new(all: Vec<PgConnectOptions>) -> Self {
        Self {
            all,
            primary: AtomicUsize::new(0),
            started_at: Instant::now(),
            changed: AtomicU64::new(0),
        }
    }

    /// Connects to the primary: tries the last known primary first, then the others in their order.
    pub async fn connect(&self) -> Result<(usize, PgConnection), sqlx::Error> {
        let known = self.primary.load(Ordering::Relaxed);
        let mut failed = None;
        for n in (0..self.all.len()).map(|n| (known + n) % self.all.len()) {
            let connected = timeout(CONNECT, connect_writable(&self.all[n])).await;
            match connected.unwrap_or_else(|_| Err(too_late())) {
                Ok(connection) => return Ok((n, connection)),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        Err(failed.expect("an address names a server"))
    }

    /// Sends all further requests to this primary. Connections to the previous one are not used any
    /// more.
    pub fn switch_primary(&self, pool: &PgPool, primary: usize) {
        if self.primary.swap(primary, Ordering::SeqCst) != primary {
            pool.set_connect_options(self.all[primary].clone());
            self.changed.store(millis(self.started_at.elapsed()), Ordering::SeqCst);
            let server = &self.all[primary];
            tracing::warn!(
                "the primary database server is now {} {}",
                server.get_host(),
                server.get_port()
            );
        }
    }

    pub fn options(&self) -> &PgConnectOptions {
        &self.all[self.primary.load(Ordering::Relaxed)]
    }

    /// Whether a connection of this age leads to the current primary.
    pub fn is_current(&self, age: Duration) -> bool {
        let changed = self.changed.load(Ordering::SeqCst);
        changed == 0 || millis(self.started_at.elapsed().saturating_sub(age)) >= changed
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn too_late() -> sqlx::Error {
    std::io::Error::new(std::io::ErrorKind::TimedOut, "the server does not respond").into()
}

/// Connects to a host and requires that it accepts writes.
async fn connect_writable(options: &PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    let mut connection = PgConnection::connect_with(options).await?;
    let is_standby: bool =
        sqlx::query_scalar("select pg_is_in_recovery()").fetch_one(&mut connection).await?;
    if is_standby {
        let error = std::io::Error::other("the server is a standby, which does not accept writes");
        return Err(error.into());
    }
    Ok(connection)
}

/// The error when no host can be reached. It names the hosts, which the URL may leave to the
/// environment.
pub fn unreachable(servers: &PgHosts, error: &sqlx::Error) -> OpenError {
    let at = |server: &PgConnectOptions| format!("{}:{}", server.get_host(), server.get_port());
    let at = servers.all.iter().map(at).collect::<Vec<_>>().join(", ");
    OpenError::Unreachable(format!("{at}: {}", in_one_line(error)))
}

pub fn in_one_line(error: &sqlx::Error) -> String {
    error.to_string().replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::engine::pg_address::parse;

    #[test]
    fn a_connection_from_before_the_primary_changed_is_used_no_more() {
        let all = parse("postgres://one,two/x").unwrap();
        let started_at = Instant::now().checked_sub(Duration::from_secs(100)).unwrap();
        let servers = PgHosts { started_at, ..PgHosts::new(all) };
        let (young, old) = (Duration::from_secs(10), Duration::from_secs(50));
        assert!(servers.is_current(old));
        servers.changed.store(70_000, Ordering::SeqCst);
        assert!(servers.is_current(young) && !servers.is_current(old));
    }
}
