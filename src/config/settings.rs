//! The settings of one source, before the sources are merged.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;

use super::accounts::AccountSettings;
use super::comma_list::CommaList;
use super::cookie::CookieSettings;
use super::database_url::DatabaseUrl;
use super::log::LogSettings;
use super::network::deserialize_address;
use super::passwords::PasswordSettings;
use super::registration::Registration;
use super::site::SiteSettings;
use super::tls::TlsSettings;
use super::tokens::TokenSettings;

/// The settings of one source. A setting that is missing here comes from the source with the next
/// lower priority.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    #[serde(deserialize_with = "deserialize_address")]
    pub listen: Option<SocketAddr>,
    pub public_url: Option<String>,
    pub database_url: Option<DatabaseUrl>,
    pub database_connections: Option<u32>,
    pub data_dir: Option<PathBuf>,
    pub registration: Option<Registration>,
    pub accounts: AccountSettings,
    pub insecure_http: Option<bool>,
    pub docs: Option<bool>,
    pub allowed_hosts: Option<CommaList>,
    pub allowed_origins: Option<CommaList>,
    pub trusted_proxies: Option<CommaList>,
    pub apps: Option<CommaList>,
    #[serde(deserialize_with = "deserialize_address")]
    pub metrics_listen: Option<SocketAddr>,
    pub site: SiteSettings,
    pub cookie: CookieSettings,
    pub passwords: PasswordSettings,
    pub tls: TlsSettings,
    pub tokens: TokenSettings,
    pub log: LogSettings,
    /// The settings file that was read, if there is one.
    #[serde(skip)]
    pub file: Option<PathBuf>,
}

impl Settings {
    /// Merges two sources: the settings of `over` win.
    pub(super) fn merge(self, over: Self) -> Self {
        Self {
            listen: over.listen.or(self.listen),
            public_url: over.public_url.or(self.public_url),
            database_url: over.database_url.or(self.database_url),
            database_connections: over.database_connections.or(self.database_connections),
            data_dir: over.data_dir.or(self.data_dir),
            registration: over.registration.or(self.registration),
            accounts: self.accounts.merge(over.accounts),
            insecure_http: over.insecure_http.or(self.insecure_http),
            docs: over.docs.or(self.docs),
            allowed_hosts: over.allowed_hosts.or(self.allowed_hosts),
            allowed_origins: over.allowed_origins.or(self.allowed_origins),
            trusted_proxies: over.trusted_proxies.or(self.trusted_proxies),
            apps: over.apps.or(self.apps),
            metrics_listen: over.metrics_listen.or(self.metrics_listen),
            site: self.site.merge(over.site),
            cookie: self.cookie.merge(over.cookie),
            passwords: self.passwords.merge(over.passwords),
            tls: self.tls.merge(over.tls),
            tokens: self.tokens.merge(over.tokens),
            log: self.log.merge(over.log),
            file: over.file.or(self.file),
        }
    }
}
