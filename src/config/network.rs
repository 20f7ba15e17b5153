//! Parses addresses to listen on, host names and networks.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, de};

use super::comma_list::CommaList;
use super::error::ConfigError;

/// The default address of the service.
pub(super) const DEFAULT_LISTEN: SocketAddr =
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8000);

/// Parses an address to listen on, as an operator writes it.
pub fn parse_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "use an IP address and a port, such as 127.0.0.1:8000".to_owned())
}

pub(super) fn deserialize_address<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<SocketAddr>, D::Error> {
    let text = String::deserialize(from)?;
    let no = |_| {
        de::Error::custom(format!(
            "{text:?} must be an IP address and a port, such as 127.0.0.1:8000"
        ))
    };
    text.parse().map(Some).map_err(no)
}

/// The address to use in a URL: loopback if the service listens on all interfaces.
pub(super) fn reachable(listen: SocketAddr) -> SocketAddr {
    match listen.ip() {
        ip if ip.is_unspecified() => {
            SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), listen.port())
        }
        _ => listen,
    }
}

/// Refuses port 0, because the port of `listen` is part of the default `public_url`.
pub(super) fn require_listen_port(listen: SocketAddr) -> Result<(), ConfigError> {
    if listen.port() != 0 {
        return Ok(());
    }
    Err(ConfigError::new(format!(
        "listen = \"{listen}\" must name a port other than 0, because the port is part of public_url"
    )))
}

/// Refuses port 0, because Prometheus is configured with the port of `metrics_listen`.
pub(super) fn require_metrics_port(listen: Option<SocketAddr>) -> Result<(), ConfigError> {
    let Some(at) = listen.filter(|at| at.port() == 0) else { return Ok(()) };
    Err(ConfigError::new(format!(
        "metrics_listen = \"{at}\" must name a port other than 0; otherwise, Prometheus cannot find it"
    )))
}

/// Parses host names without a port, as in the header `Host`. A name that starts with a dot covers
/// all names below it.
pub(super) fn parse_hosts(list: &CommaList) -> Result<Vec<String>, ConfigError> {
    let host = |text: &String| {
        let name = text.strip_prefix('.').unwrap_or(text);
        let is_label = |label: &str| {
            !label.is_empty()
                && label.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
        };
        if name.split('.').all(is_label) {
            return Ok(text.to_ascii_lowercase());
        }
        Err(ConfigError::new(format!(
            "allowed_hosts = {text:?} must be a host name without a port, such as id.internal, or \
             a domain for all its subdomains, such as .example.org"
        )))
    };
    list.0.iter().map(host).collect()
}

pub(super) fn parse_networks(list: &CommaList) -> Result<Vec<IpNet>, ConfigError> {
    let network = |text: &String| {
        let alone = text.parse::<IpAddr>().map(IpNet::from);
        alone.or_else(|_| text.parse()).map_err(|_| {
            ConfigError::new(format!(
                "trusted_proxies = {text:?} must be an IP address or a network such as 10.0.0.0/8"
            ))
        })
    };
    list.0.iter().map(network).collect()
}
