//! The settings in force.

use std::env;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use serde::Serialize;

use super::accounts::Accounts;
use super::cookie::Cookie;
use super::database_url::{DatabaseUrl, default_database_url, require_known_engine};
use super::error::ConfigError;
use super::log::Log;
use super::network::{
    DEFAULT_LISTEN, parse_hosts, parse_networks, require_listen_port, require_metrics_port,
};
use super::passwords::Passwords;
use super::public_url::{PublicUrl, parse_origins};
use super::registration::Registration;
use super::settings::Settings;
use super::site::Site;
use super::sources::DEFAULT_FILES;
use super::tls::Tls;
use super::tokens::Tokens;

/// The settings in force. Printed, it is a `cloakroom.toml` with its secrets masked.
#[derive(Debug, Clone, Serialize)]
pub struct Config {
    pub listen: SocketAddr,
    pub public_url: PublicUrl,
    pub database_url: DatabaseUrl,
    /// To a PostgreSQL; one more listens.
    pub database_connections: u32,
    pub data_dir: PathBuf,
    pub registration: Registration,
    /// Is that a setting, or the default?
    #[serde(skip)]
    pub registration_is_set: bool,
    pub insecure_http: bool,
    /// Is Swagger UI served?
    pub docs: bool,
    /// Names under which it answers besides the one of `public_url`, in small letters.
    pub allowed_hosts: Vec<String>,
    /// Other origins whose pages may call with the cookie, as they stand in the header `Origin`.
    pub allowed_origins: Vec<String>,
    /// Networks of proxies whose word on where a request comes from is taken.
    pub trusted_proxies: Vec<IpNet>,
    /// The origins of apps behind a proxy, at which one may go on after signing in.
    pub apps: Vec<String>,
    /// Where Prometheus reads the metrics, if anywhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics_listen: Option<SocketAddr>,
    pub accounts: Accounts,
    pub site: Site,
    pub cookie: Cookie,
    pub passwords: Passwords,
    /// Without it, `listen` is clear text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    pub tokens: Tokens,
    pub log: Log,
    /// The settings file that was read.
    #[serde(skip)]
    pub file: Option<PathBuf>,
}

/// Two cores keep no more connections to PostgreSQL busy, and each is a process of the server.
const DEFAULT_CONNECTIONS: u32 = 10;
/// PostgreSQL itself has 100 unless told otherwise, for all nodes together.
const MAX_CONNECTIONS: u32 = 1000;

/// The data folder, unless another one is named.
const DEFAULT_DATA_DIR: &str = "cloakroom-data";
/// The folder of the keys, in the data folder.
const KEY_FOLDER: &str = "keys";

impl Config {
    /// Puts the sources together. A file that was named must be there.
    pub fn load(file: Option<&Path>, flags: Settings) -> Result<Self, ConfigError> {
        Self::check(Settings::load(file)?.merge(flags))
    }

    /// The folder of the signing keys, the peppers and the server secrets.
    pub fn key_folder(&self) -> PathBuf {
        self.data_dir.join(KEY_FOLDER)
    }

    /// Where the settings come from, for messages about what was not found.
    pub fn source(&self) -> String {
        if let Some(file) = &self.file {
            return format!("the settings are those of {}", file.display());
        }
        let here = env::current_dir().map(|here| here.display().to_string());
        format!(
            "there is no settings file: neither {} in {} nor {}",
            DEFAULT_FILES[0],
            here.as_deref().unwrap_or("the current folder"),
            DEFAULT_FILES[1]
        )
    }

    /// Fills the gaps with the defaults and refuses what cannot be meant.
    pub fn check(settings: Settings) -> Result<Self, ConfigError> {
        let listen = settings.listen.unwrap_or(DEFAULT_LISTEN);
        let insecure_http = settings.insecure_http.unwrap_or(false);
        let tls = Tls::check(settings.tls)?;
        let public_url = PublicUrl::check(settings.public_url.as_deref(), listen, tls.is_some())?;
        if !insecure_http {
            public_url.require_https_on_network(listen)?;
        }
        let folder = settings.file.as_deref().and_then(Path::parent).unwrap_or(Path::new(""));
        let data_dir = settings.data_dir.unwrap_or_else(|| folder.join(DEFAULT_DATA_DIR));
        require_listen_port(listen)?;
        require_metrics_port(settings.metrics_listen)?;
        let database_url = settings.database_url.unwrap_or_else(|| default_database_url(&data_dir));
        require_known_engine(&database_url)?;
        let database_connections = check_connections(settings.database_connections)?;
        let cookie = Cookie::check(settings.cookie, &public_url)?;
        let passwords = Passwords::check(settings.passwords)?;
        let tokens = Tokens::check(settings.tokens, &public_url)?;
        let apps = parse_origins("apps", settings.apps)?;
        let serves_apps = !apps.is_empty() || cookie.domain.is_some();
        // an account is let through to every app behind the proxy
        let default_registration =
            if serves_apps { Registration::Closed } else { Registration::Open };
        Ok(Self {
            listen,
            public_url,
            database_url,
            database_connections,
            data_dir,
            registration: settings.registration.unwrap_or(default_registration),
            registration_is_set: settings.registration.is_some(),
            insecure_http,
            docs: settings.docs.unwrap_or(true),
            allowed_hosts: parse_hosts(&settings.allowed_hosts.unwrap_or_default())?,
            allowed_origins: parse_origins("allowed_origins", settings.allowed_origins)?,
            trusted_proxies: parse_networks(&settings.trusted_proxies.unwrap_or_default())?,
            apps,
            metrics_listen: settings.metrics_listen,
            accounts: Accounts::check(settings.accounts),
            site: Site::check(settings.site)?,
            cookie,
            passwords,
            tls,
            tokens,
            log: Log::check(settings.log),
            file: settings.file,
        })
    }
}

impl Config {
    /// Are accounts for apps behind a proxy, or below a domain?
    fn serves_apps(&self) -> bool {
        !self.apps.is_empty() || self.cookie.domain.is_some()
    }

    /// Can anyone get into the apps by registering?
    pub fn opens_apps_to_all(&self) -> bool {
        self.registration == Registration::Open && self.serves_apps()
    }

    /// Who may register, and how to change that, in a sentence for the operator.
    pub fn who_may_register(&self) -> String {
        match self.registration {
            Registration::Open if self.serves_apps() => {
                "open: anyone can register, and gets into the apps that take any account; set \
                 registration = \"closed\" unless that is meant"
                    .to_owned()
            }
            Registration::Open => "open: anyone can register".to_owned(),
            Registration::Invite => {
                "by invite: `cloakroom invite` makes one for each account".to_owned()
            }
            Registration::Closed if self.registration_is_set => {
                "closed: `cloakroom user add NAME` makes accounts".to_owned()
            }
            Registration::Closed => {
                "closed, because apps or cookie.domain is set: `cloakroom user add NAME` makes \
                 accounts; registration = \"invite\" or \"open\" lets others make them"
                    .to_owned()
            }
        }
    }
}

/// How many connections to PostgreSQL there are at most.
fn check_connections(setting: Option<u32>) -> Result<u32, ConfigError> {
    let connections = setting.unwrap_or(DEFAULT_CONNECTIONS);
    if (1..=MAX_CONNECTIONS).contains(&connections) {
        return Ok(connections);
    }
    Err(ConfigError::new(format!(
        "database_connections = {connections} must be between 1 and {MAX_CONNECTIONS}"
    )))
}
