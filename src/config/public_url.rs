//! `public_url`: the URL at which users reach the service.

use std::net::SocketAddr;

use serde::Serialize;
use url::{Origin, Url};

use super::comma_list::CommaList;
use super::error::ConfigError;
use super::network::reachable;

/// The URL at which users reach the service: an http or https origin.
#[derive(Debug, Clone)]
pub struct PublicUrl(Url);

impl PublicUrl {
    /// Whether the scheme is https. If it is, cookies are `Secure`.
    pub fn is_secure(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// The host without the port.
    pub fn host(&self) -> String {
        self.0.host_str().unwrap_or_default().to_owned()
    }

    /// The host as in the domain of a mail address: an IP address is in brackets (RFC 5321, section
    /// 4.1.3).
    pub fn mail_domain(&self) -> String {
        match self.0.host() {
            Some(url::Host::Domain(name)) => name.to_owned(),
            Some(url::Host::Ipv4(address)) => format!("[{address}]"),
            Some(url::Host::Ipv6(address)) => format!("[IPv6:{address}]"),
            None => String::new(),
        }
    }

    /// The value of the header `Host`.
    pub fn authority(&self) -> String {
        self.0.authority().to_owned()
    }

    /// The value of the header `Origin`.
    pub fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }

    /// All origins that count as the service's own. On loopback these include its other names.
    pub fn origins(&self) -> Vec<String> {
        let Origin::Tuple(scheme, _, port) = self.0.origin() else { return Vec::new() };
        let mut origins = vec![self.origin()];
        if self.is_loopback() {
            let names = ["localhost", "127.0.0.1", "[::1]"];
            let urls = names.map(|host| Url::parse(&format!("{scheme}://{host}:{port}")));
            origins.extend(urls.iter().flatten().map(|url| url.origin().ascii_serialization()));
        }
        origins
    }

    /// Whether the URL is reachable from this machine only.
    pub fn is_loopback(&self) -> bool {
        match self.0.host() {
            Some(url::Host::Domain(name)) => name == "localhost",
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
    }

    /// Parses the setting, or derives the origin from the address that the service listens on. With
    /// a certificate, the scheme is https.
    pub(super) fn check(
        setting: Option<&str>,
        listen: SocketAddr,
        has_tls: bool,
    ) -> Result<Self, ConfigError> {
        let scheme = if has_tls { "https" } else { "http" };
        let url = match setting {
            Some(text) => Self::parse("public_url", text)?,
            None => Self::parse("public_url", &format!("{scheme}://{}", reachable(listen)))?,
        };
        if has_tls && !url.is_secure() {
            return Err(ConfigError::new(format!(
                "public_url = \"{}\" must be an https URL, because tls.certificate is set",
                url.origin()
            )));
        }
        Ok(url)
    }

    /// Refuses clear text on an address that other machines can reach.
    pub(super) fn require_https_on_network(&self, listen: SocketAddr) -> Result<(), ConfigError> {
        if self.is_secure() || listen.ip().is_loopback() {
            return Ok(());
        }
        Err(ConfigError::new(format!(
            "public_url = \"{}\" is not encrypted, but listen = \"{listen}\" can be reached from \
             a network; set an https public_url, or set insecure_http = true",
            self.origin()
        )))
    }

    fn parse(setting: &str, text: &str) -> Result<Self, ConfigError> {
        if text.contains('@') {
            return Err(ConfigError::new(format!(
                "{setting} must not contain a user name or a password"
            )));
        }
        let refused = |why| ConfigError::new(format!("{setting} = {text:?} {why}"));
        let url = Url::parse(text).map_err(|_| refused("is not a URL"))?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(refused("must start with http:// or https:// and contain a host"));
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(refused("must not contain anything after the host and the port"));
        }
        Ok(Self(url))
    }
}

impl Serialize for PublicUrl {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.origin())
    }
}

/// Parses exact origins: no patterns, and not `null`, which every sandboxed page sends.
pub(super) fn parse_origins(
    setting: &str,
    list: Option<CommaList>,
) -> Result<Vec<String>, ConfigError> {
    let origin = |text: &String| PublicUrl::parse(setting, text).map(|url| url.origin());
    list.unwrap_or_default().0.iter().map(origin).collect()
}
