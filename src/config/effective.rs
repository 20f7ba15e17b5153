//! The effective settings: every value set, and checked.

use std::env;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use serde::Serialize;

use super::accounts::Accounts;
use super::api_tokens::ApiTokens;
use super::cookie::Cookie;
use super::database_url::{DatabaseUrl, default_database_url, require_known_engine};
use super::error::ConfigError;
use super::log::Log;
use super::mail::Mail;
use super::network::{
    DEFAULT_LISTEN, parse_hosts, parse_networks, require_listen_port, require_metrics_port,
};
use super::passwords::Passwords;
use super::public_url::{PublicUrl, parse_origins};
use super::registration::Registration;
use super::sessions::Sessions;
use super::settings::Settings;
use super::site::Site;
use super::sources::DEFAULT_FILES;
use super::tls::Tls;
use super::tokens::Tokens;

/// The effective settings. Serialized, they are a `cloakroom.toml` with its secrets masked.
#[derive(Debug, Clone, Serialize)]
pub struct Config {
    pub listen: SocketAddr,
    pub public_url: PublicUrl,
    pub database_url: DatabaseUrl,
    /// The maximum number of connections to PostgreSQL. One more connection listens for
    /// notifications.
    pub database_connections: u32,
    pub data_dir: PathBuf,
    pub registration: Registration,
    /// Whether `registration` was set, instead of left at its default.
    #[serde(skip)]
    pub registration_is_set: bool,
    pub insecure_http: bool,
    /// Whether Swagger UI is served.
    pub docs: bool,
    /// Host names that the service accepts in addition to that of `public_url`, in lower case.
    pub allowed_hosts: Vec<String>,
    /// Other origins whose pages may send requests with the cookie, as in the header `Origin`.
    pub allowed_origins: Vec<String>,
    /// Networks of proxies whose forwarding headers are trusted.
    pub trusted_proxies: Vec<IpNet>,
    /// The origins of apps behind a proxy, to which a user may be redirected after signing in.
    pub apps: Vec<String>,
    /// The address of the metrics listener, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics_listen: Option<SocketAddr>,
    pub accounts: Accounts,
    pub sessions: Sessions,
    pub site: Site,
    pub cookie: Cookie,
    pub passwords: Passwords,
    /// Without a certificate, `listen` accepts clear text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    pub tokens: Tokens,
    pub api_tokens: ApiTokens,
    /// Without it, the service sends no mail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mail: Option<Mail>,
    pub log: Log,
    /// The settings file that was read, if there is one.
    #[serde(skip)]
    pub file: Option<PathBuf>,
}

impl Config {
    /// Writes mail to files, unless the settings name a mail server.
    pub fn mail_to_files(&mut self) {
        self.mail.get_or_insert_with(|| Mail::to_files(&self.site.name, &self.public_url));
    }
}

/// Two cores keep no more connections busy, and each connection is a process of the PostgreSQL
/// server.
const DEFAULT_CONNECTIONS: u32 = 10;
/// PostgreSQL itself allows 100 connections by default, for all nodes together.
const MAX_CONNECTIONS: u32 = 1000;

/// The default name of the data folder.
const DEFAULT_DATA_DIR: &str = "cloakroom-data";
/// The name of the key folder in the data folder.
const KEY_FOLDER: &str = "keys";

impl Config {
    /// Merges all sources and checks the result. If `file` is given, it must exist.
    pub fn load(file: Option<&Path>, flags: Settings) -> Result<Self, ConfigError> {
        Self::check(Settings::load(file)?.merge(flags))
    }

    /// The folder of signing keys, peppers and server secrets.
    pub fn key_folder(&self) -> PathBuf {
        self.data_dir.join(KEY_FOLDER)
    }

    /// Says where the settings come from, for error messages.
    pub fn source(&self) -> String {
        if let Some(file) = &self.file {
            return format!("the settings come from {}", file.display());
        }
        let here = env::current_dir().map(|here| here.display().to_string());
        format!(
            "no settings file was found, neither {} in {} nor {}",
            DEFAULT_FILES[0],
            here.as_deref().unwrap_or("the current folder"),
            DEFAULT_FILES[1]
        )
    }

    /// Fills in the defaults and refuses settings that are invalid or contradictory.
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
        let sessions = Sessions::check(settings.sessions)?;
        let tokens = Tokens::check(settings.tokens, &public_url)?;
        let api_tokens = ApiTokens::check(settings.api_tokens)?;
        let site = Site::check(settings.site)?;
        let mail = Mail::check(settings.mail, &site.name, &public_url)?;
        let apps = parse_origins("apps", settings.apps)?;
        let serves_apps = !apps.is_empty() || cookie.domain.is_some();
        // Every account can use every app behind the proxy, so registration is closed by default.
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
            sessions,
            site,
            cookie,
            passwords,
            tls,
            tokens,
            api_tokens,
            mail,
            log: Log::check(settings.log),
            file: settings.file,
        })
    }
}

impl Config {
    /// Whether accounts give access to apps behind a proxy or below a cookie domain.
    fn serves_apps(&self) -> bool {
        !self.apps.is_empty() || self.cookie.domain.is_some()
    }

    /// Whether anyone can register and thereby get access to the apps.
    pub fn opens_apps_to_all(&self) -> bool {
        self.registration == Registration::Open && self.serves_apps()
    }

    /// Describes who may register, and how to change that, in a sentence for the operator.
    pub fn who_may_register(&self) -> String {
        match self.registration {
            Registration::Open if self.serves_apps() => {
                "open: anyone can register, and can then use every app that accepts any account; \
                 set registration = \"closed\" unless this is intended"
                    .to_owned()
            }
            Registration::Open => "open: anyone can register".to_owned(),
            Registration::Invite => "by invite: `cloakroom invite` creates invites".to_owned(),
            Registration::Closed if self.registration_is_set => {
                "closed: `cloakroom user add NAME` creates accounts".to_owned()
            }
            Registration::Closed => {
                "closed, because apps or cookie.domain is set: `cloakroom user add NAME` creates \
                 accounts; to let users register, set registration to \"invite\" or \"open\""
                    .to_owned()
            }
        }
    }
}

/// Checks the maximum number of connections to PostgreSQL.
fn check_connections(setting: Option<u32>) -> Result<u32, ConfigError> {
    let connections = setting.unwrap_or(DEFAULT_CONNECTIONS);
    if (1..=MAX_CONNECTIONS).contains(&connections) {
        return Ok(connections);
    }
    Err(ConfigError::new(format!(
        "database_connections = {connections} must be between 1 and {MAX_CONNECTIONS}"
    )))
}
