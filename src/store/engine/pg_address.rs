//! Parses the URL of a PostgreSQL database, which may name several hosts.

use std::str::FromStr;

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use url::Url;

use crate::store::open_error::OpenError;

/// Timeouts of every connection that serves requests, unless the URL sets them: for a statement,
/// and for a transaction whose client does nothing.
const DEADLINES: [(&str, &str); 2] =
    [("statement_timeout", "2s"), ("idle_in_transaction_session_timeout", "5s")];

/// Parses the URL into the options of each host. Hosts are separated by commas, as in libpq.
pub fn parse(address: &str) -> Result<Vec<PgConnectOptions>, OpenError> {
    let bad = |why: &dyn std::fmt::Display| OpenError::BadAddress(why.to_string());
    let (scheme, rest) =
        address.split_once("://").ok_or_else(|| bad(&"it does not contain ://"))?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    let (user, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    let at = if user.is_empty() { "" } else { "@" };
    let servers = hosts.split(',').map(|host| {
        let address = format!("{scheme}://{user}{at}{host}{rest}");
        let mut url = Url::parse(&address).map_err(|error| bad(&error))?;
        remove_unknown_parameters(&mut url);
        let options = PgConnectOptions::from_str(url.as_str()).map_err(|error| bad(&error))?;
        Ok(require_encryption(&url, options))
    });
    servers.collect()
}

/// The URL parameters that the driver supports. It logs all others with their values, and the value
/// of a misspelled parameter may be a password.
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
        // A name without a value may be the rest of a password.
        let is_word = !value.is_empty()
            && name.len() <= 32
            && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        let name = if is_word { format!("`{name}`") } else { "with an invalid name".to_owned() };
        tracing::warn!("the database URL has an unknown parameter {name}, which is ignored");
    }
    url.set_query(None);
    if !known.is_empty() {
        url.query_pairs_mut().extend_pairs(known);
    }
}

/// Requires TLS and a verified host name for connections over a network, unless the URL or the
/// environment sets the mode.
fn require_encryption(url: &Url, options: PgConnectOptions) -> PgConnectOptions {
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

/// Adds the timeouts that the URL does not set.
pub fn with_deadlines(options: PgConnectOptions) -> PgConnectOptions {
    let said = options.get_options().unwrap_or_default().to_owned();
    options.options(DEADLINES.into_iter().filter(|(name, _)| !said.contains(name)))
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
        let with_deadlines =
            |address| with_deadlines(only(address)).get_options().unwrap_or_default().to_owned();
        let usual = with_deadlines("postgres://localhost/x");
        assert!(usual.contains("statement_timeout=2s"), "{usual}");
        let own = with_deadlines("postgres://localhost/x?options[statement_timeout]=9s");
        assert!(own.contains("=9s") && !own.contains("=2s") && own.contains("=5s"), "{own}");
    }
}
