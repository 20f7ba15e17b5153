//! Checks the host of a request against the names of this service.
//!
//! A page of `evil.example` whose name was changed to resolve to 127.0.0.1 (DNS rebinding) has the
//! same origin as the service for its browser, apart from cookies. Its requests have `evil.example`
//! as their host, and are refused. IP addresses cannot be rebound, so requests to an address, as
//! probes and proxies send them, are accepted.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use poem::Request;
use poem::http::uri::Authority;
use poem::http::{Version, header};

use crate::http::problem::{ApiError, Code, Problem};

/// The names of this service. All IP addresses are accepted, too.
#[derive(Debug, Clone)]
pub struct Hosts {
    /// The most frequent value of `Host`.
    own: String,
    /// In lower case. A name that starts with a dot covers all names that end with it.
    names: Vec<String>,
}

impl Hosts {
    /// `own` includes the port, `names` do not.
    pub fn new(own: String, names: Vec<String>) -> Self {
        Self { own, names }
    }

    /// The problem, if the request is not for this service.
    pub fn refusal(&self, request: &Request) -> Option<ApiError> {
        // Before HTTP/1.1, the header is optional (RFC 9112, section 3.2).
        let mut hosts = request.headers().get_all(header::HOST).iter();
        let host = match (hosts.next(), hosts.next()) {
            (Some(host), None) => host.to_str().ok(),
            (None, _) if request.version() < Version::HTTP_11 => Some(self.own.as_str()),
            (None, _) | (Some(_), Some(_)) => None,
        };
        let Some(is_known) = host.and_then(|host| self.know(host)) else {
            let detail = "Send exactly one `Host` header.".to_owned();
            return Some(Problem { detail, ..Problem::of(Code::InvalidRequest) }.into());
        };
        let target = request.uri().authority(); // it takes precedence over `Host`
        let is_known = is_known && target.is_none_or(|target| self.know_name(target.host()));
        (!is_known && !is_page_asset(request)).then(|| ApiError::of(Code::UnknownHost))
    }

    /// Whether the host is one of this service. `None` if it is not a name or an address with an optional
    /// port (RFC 3986, section 3.2, without a user).
    fn know(&self, host: &str) -> Option<bool> {
        if host == self.own {
            return Some(true);
        }
        let authority = host.parse::<Authority>().ok().filter(|_| !host.contains('@'))?;
        Some(self.know_name(authority.host()))
    }

    fn know_name(&self, host: &str) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        let v6 = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        v6.is_some_and(|address| address.parse::<Ipv6Addr>().is_ok())
            || host.parse::<Ipv4Addr>().is_ok()
            || host == "localhost"
            || self.names.iter().any(|name| match name.strip_prefix('.') {
                Some(domain) => host == domain || host.ends_with(name.as_str()),
                None => host == *name,
            })
    }
}

/// Whether the request is for the style, the script or the logo of the pages. They are the same for
/// every client, and the page about the refusal needs them.
fn is_page_asset(request: &Request) -> bool {
    request.uri().path().starts_with("/assets/")
}

/// Whether the host is this machine. Browsers trust such an origin also with http (W3C, Secure
/// Contexts, section 3.1).
pub fn is_loopback(request: &Request) -> bool {
    request.header(header::HOST).is_some_and(is_loopback_host)
}

/// Parses `Host` without a copy, because this runs for every page.
fn is_loopback_host(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next(),
        None => host.split(':').next(),
    };
    let name = name.unwrap_or_default();
    let is_below_localhost = name
        .len()
        .checked_sub(".localhost".len())
        .and_then(|start| name.get(start..))
        .is_some_and(|end| end.eq_ignore_ascii_case(".localhost"));
    name.eq_ignore_ascii_case("localhost")
        || is_below_localhost
        || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_known_by_its_names_and_addresses() {
        for host in [
            "localhost",
            "LocalHost:8000",
            "a.LOCALHOST:1",
            "127.0.0.1:80",
            "127.9.9.9",
            "[::1]:8000",
        ] {
            assert!(is_loopback_host(host), "{host}");
        }
        for host in [
            "",
            "10.1.2.3:8000",
            "0.0.0.0",
            "notlocalhost",
            "localhost.example",
            "[::2]",
            "127.0.0.1.evil.example",
        ] {
            assert!(!is_loopback_host(host), "{host}");
        }
    }

    #[test]
    fn names_are_known_by_the_settings_and_addresses_by_themselves() {
        let names = ["id.example.org", "cloakroom", ".apps.example.org"].map(str::to_owned);
        let hosts = Hosts::new("id.example.org".to_owned(), names.to_vec());
        for (host, known) in [
            ("id.example.org", Some(true)),
            ("ID.example.ORG:8443", Some(true)),
            ("id.example.org.", Some(true)),
            ("cloakroom:8000", Some(true)),
            ("apps.example.org", Some(true)),
            ("a.b.apps.example.org", Some(true)),
            ("localhost:1", Some(true)),
            ("127.0.0.1", Some(true)),
            ("10.1.2.3:8000", Some(true)),
            ("[::1]:8000", Some(true)),
            ("evilapps.example.org", Some(false)),
            ("example.org", Some(false)),
            ("id.example.org.evil.example", Some(false)),
            ("localhost.evil.example", Some(false)),
            ("127.0.0.1.evil.example", Some(false)),
            ("0x7f000001", Some(false)),
            ("", None),
            ("a b", None),
            ("id.example.org@evil.example", None),
            ("evil.example@id.example.org", None),
            ("id.example.org/x", None),
        ] {
            assert_eq!(hosts.know(host), known, "{host:?}");
        }
    }
}
