//! The settings of one source, before the sources are merged.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;

use super::accounts::AccountSettings;
use super::api_tokens::ApiTokenSettings;
use super::comma_list::CommaList;
use super::cookie::CookieSettings;
use super::database_url::DatabaseUrl;
use super::log::LogSettings;
use super::mail::MailSettings;
use super::network::deserialize_address;
use super::passwords::PasswordSettings;
use super::registration::Registration;
use super::sessions::SessionSettings;
use super::site::SiteSettings;
use super::tls::TlsSettings;
use super::tokens::TokenSettings;

/// The settings of one source. A setting that is missing here comes from the source with the next
/// lower priority.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The address and port to listen on. If it is not a loopback address, `public_url` must begin
    /// with `https://`, or `insecure_http` must be set.
    #[serde(deserialize_with = "deserialize_address")]
    pub listen: Option<SocketAddr>,
    /// The URL at which users reach the service, as they type it. With `https://` the session
    /// cookie is `Secure` and its name begins with `__Host-`, or with `__Secure-` if
    /// `cookie.domain` is set. Default: `http://`, or `https://` with a certificate, and the
    /// address of `listen`.
    pub public_url: Option<String>,
    /// The database: `sqlite://…` or `postgres://…`. The environment variable `DATABASE_URL` is
    /// read, too; `CLOAKROOM_DATABASE_URL` has priority. Default: `cloakroom.db` in the data
    /// folder.
    pub database_url: Option<DatabaseUrl>,
    /// The number of connections that a node opens to PostgreSQL, 1 to 1000; one more connection
    /// listens for revocations. SQLite ignores this setting.
    pub database_connections: Option<u32>,
    /// The folder of the keys and of the SQLite database. The service creates it with mode 0700 and
    /// the key files with mode 0600. Default: `cloakroom-data`, next to the settings file if there
    /// is one.
    pub data_dir: Option<PathBuf>,
    /// The users who can register: `open` (all), `invite` (with a code from `cloakroom invite`) or `closed`.
    /// Default: `open`; `closed` if `apps` or `cookie.domain` is set, because an account then gives
    /// access to the apps.
    pub registration: Option<Registration>,
    pub accounts: AccountSettings,
    pub sessions: SessionSettings,
    /// Allows clear text on addresses other than loopback.
    pub insecure_http: Option<bool>,
    /// Serves Swagger UI at `/docs`. The document itself is always served.
    pub docs: Option<bool>,
    /// Further host names, besides the one of `public_url`, for which the service answers;
    /// `.example.org` stands for all names below it. IP addresses and `localhost` are always
    /// allowed. A request with any other `Host` is answered 421.
    pub allowed_hosts: Option<CommaList>,
    /// Other origins whose pages may send requests with the cookie (CORS with credentials).
    /// Browsers send the cookie from the same site only, because it is `SameSite=Lax`: from
    /// `app.example.org` to `id.example.org`, for example.
    pub allowed_origins: Option<CommaList>,
    /// Addresses or networks of the proxies whose `X-Forwarded-For` is trusted. `Forwarded` (RFC
    /// 7239) is never read.
    pub trusted_proxies: Option<CommaList>,
    /// Origins of apps behind a proxy, such as `https://wiki.example.org`, to which the sign-in
    /// page may lead back.
    pub apps: Option<CommaList>,
    /// The address of a separate listener for Prometheus, such as `127.0.0.1:9100`. Default: none.
    #[serde(deserialize_with = "deserialize_address")]
    pub metrics_listen: Option<SocketAddr>,
    pub site: SiteSettings,
    pub cookie: CookieSettings,
    pub passwords: PasswordSettings,
    pub tls: TlsSettings,
    pub tokens: TokenSettings,
    pub api_tokens: ApiTokenSettings,
    pub mail: MailSettings,
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
            sessions: self.sessions.merge(over.sessions),
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
            api_tokens: self.api_tokens.merge(over.api_tokens),
            mail: self.mail.merge(over.mail),
            log: self.log.merge(over.log),
            file: over.file.or(self.file),
        }
    }
}
