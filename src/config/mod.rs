//! Settings: defaults ← settings file ← environment `CLOAKROOM_*` ← flags, checked once.

use std::borrow::Cow;
use std::fmt;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use url::{Origin, Url};

use crate::clock::days;
use crate::domain::passwords::{BadCost, FEWEST_CHARS, HashCost, LEAST_CHARS};

/// The settings of one source; what it leaves out comes from the one before.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    #[serde(deserialize_with = "some_address")]
    pub listen: Option<SocketAddr>,
    pub public_url: Option<String>,
    pub database_url: Option<DatabaseUrl>,
    pub database_connections: Option<u32>,
    pub data_dir: Option<PathBuf>,
    pub registration: Option<Registration>,
    pub accounts: AccountSettings,
    pub insecure_http: Option<bool>,
    pub docs: Option<bool>,
    pub allowed_hosts: Option<List>,
    pub allowed_origins: Option<List>,
    pub trusted_proxies: Option<List>,
    pub apps: Option<List>,
    #[serde(deserialize_with = "some_address")]
    pub metrics_listen: Option<SocketAddr>,
    pub site: SiteSettings,
    pub cookie: CookieSettings,
    pub passwords: PasswordSettings,
    pub tls: TlsSettings,
    pub tokens: TokenSettings,
    pub log: LogSettings,
    /// The settings file that was read.
    #[serde(skip)]
    pub file: Option<PathBuf>,
}

/// An address to listen on, as somebody writes it.
pub fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "write an address and a port, as in 127.0.0.1:8000".to_owned())
}

fn some_address<'de, D: Deserializer<'de>>(from: D) -> Result<Option<SocketAddr>, D::Error> {
    let text = String::deserialize(from)?;
    let no = |_| de::Error::custom(format!("{text:?} is no address with a port (127.0.0.1:8000)"));
    text.parse().map(Some).map_err(no)
}

/// A list: in the environment and in flags its parts stand in one text, with commas in between.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct List(pub Vec<String>);

impl From<&str> for List {
    fn from(text: &str) -> Self {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        Self(parts.map(str::to_owned).collect())
    }
}

impl<'de> Deserialize<'de> for List {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = List;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list, or a text with commas")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<List, E> {
                Ok(List::from(text))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<List, A::Error> {
                let mut list = Vec::new();
                while let Some(part) = parts.next_element()? {
                    list.push(part);
                }
                Ok(List(list))
            }
        }

        deserializer.deserialize_any(Either)
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AccountSettings {
    pub username_hold: Option<Period>,
}

/// A time in minutes, hours or days, as in `30m`, `12h` or `365d`, or 0 for none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "PeriodText")]
pub struct Period(Duration);

/// A number is one only if it is 0: any other needs a unit.
#[derive(Deserialize)]
#[serde(untagged)]
enum PeriodText {
    Text(String),
    Number(i64),
}

impl Period {
    /// Longer than any account exists, and safe to add to any instant.
    const MAX: Duration = days(36_500);

    pub const fn of(period: Duration) -> Self {
        Self(period)
    }

    pub fn duration(self) -> Duration {
        self.0
    }

    fn parse(text: &str) -> Option<Self> {
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let number: u32 = digits.parse().ok().filter(|_| !digits.starts_with('+'))?;
        let seconds = match (&text[digits.len()..], number) {
            ("m", number) => 60 * u64::from(number),
            ("h", number) => 3600 * u64::from(number),
            ("d", number) => 24 * 3600 * u64::from(number),
            ("", 0) => 0,
            _ => return None,
        };
        let period = Duration::from_secs(seconds);
        (period <= Self::MAX).then_some(Self(period))
    }
}

impl TryFrom<PeriodText> for Period {
    type Error = String;

    fn try_from(text: PeriodText) -> Result<Self, String> {
        let text = match text {
            PeriodText::Text(text) => text,
            PeriodText::Number(number) => number.to_string(),
        };
        Self::parse(&text).ok_or_else(|| {
            format!("{text:?} is no time in minutes, hours or days, as in 30m, 12h or 365d, nor 0")
        })
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_secs() {
            0 => f.write_str("0"),
            secs if secs % 86_400 == 0 => write!(f, "{}d", secs / 86_400),
            secs if secs % 3600 == 0 => write!(f, "{}h", secs / 3600),
            secs => write!(f, "{}m", secs / 60),
        }
    }
}

impl Serialize for Period {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SiteSettings {
    pub name: Option<String>,
    pub color: Option<String>,
    pub logo: Option<PathBuf>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CookieSettings {
    pub name: Option<String>,
    pub domain: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PasswordSettings {
    pub min_length: Option<usize>,
    pub memory_kib: Option<u32>,
    pub passes: Option<u32>,
    pub lanes: Option<u32>,
    pub threads: Option<usize>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsSettings {
    pub certificate: Option<PathBuf>,
    pub key: Option<PathBuf>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TokenSettings {
    pub audiences: Option<List>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogSettings {
    pub format: Option<LogFormat>,
    pub requests: Option<bool>,
}

/// How the log is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", try_from = "String")]
pub enum LogFormat {
    /// For people on a terminal, else as JSON.
    #[default]
    Auto,
    Human,
    Json,
}

impl TryFrom<String> for LogFormat {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "auto" => Ok(Self::Auto),
            "human" => Ok(Self::Human),
            "json" => Ok(Self::Json),
            _ => Err(format!("{text:?} is neither auto nor human nor json")),
        }
    }
}

/// Who may make an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", try_from = "String")]
pub enum Registration {
    Open,
    Invite,
    Closed,
}

impl TryFrom<String> for Registration {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "open" => Ok(Self::Open),
            "invite" => Ok(Self::Invite),
            "closed" => Ok(Self::Closed),
            _ => Err(format!("{text:?} is neither open nor invite nor closed")),
        }
    }
}

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

/// The PEM files of the certificate, with the chain behind it, and of its key.
#[derive(Debug, Clone, Serialize)]
pub struct Tls {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// What becomes of the user names of closed and deleted accounts.
#[derive(Debug, Clone, Serialize)]
pub struct Accounts {
    /// For this long no registration gets such a name.
    pub username_hold: Period,
}

/// How the pages look.
#[derive(Debug, Clone, Serialize)]
pub struct Site {
    pub name: String,
    pub color: Color,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logo: Option<Logo>,
}

/// A colour as CSS has it, such as `#0b5f5a`.
#[derive(Debug, Clone, Copy)]
pub struct Color(pub [u8; 3]);

impl Serialize for Color {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let [red, green, blue] = self.0;
        serializer.serialize_str(&format!("#{red:02x}{green:02x}{blue:02x}"))
    }
}

/// A picture, read from its file.
#[derive(Debug, Clone)]
pub struct Logo {
    path: PathBuf,
    /// Its media type.
    pub kind: &'static str,
    pub bytes: Vec<u8>,
}

impl Serialize for Logo {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.path.serialize(serializer)
    }
}

/// The log on the standard error output.
#[derive(Debug, Clone, Serialize)]
pub struct Log {
    pub format: LogFormat,
    /// Is there a line for each request? Without it the program logs them on a terminal only, and an
    /// embedded service does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<bool>,
}

/// What is asked of new passwords, what hashing one costs, and how many are hashed at once.
#[derive(Debug, Clone, Serialize)]
pub struct Passwords {
    /// The fewest characters.
    pub min_length: usize,
    #[serde(flatten)]
    pub cost: HashCost,
    pub threads: usize,
}

/// What is issued for other services.
#[derive(Debug, Clone, Serialize)]
pub struct Tokens {
    /// The services for which there are tokens, as these name them.
    pub audiences: Vec<String>,
}

/// The name and the reach of the session cookie.
#[derive(Debug, Clone, Serialize)]
pub struct Cookie {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
}

/// Where users reach the service: an http or https origin.
#[derive(Debug, Clone)]
pub struct PublicUrl(Url);

impl PublicUrl {
    /// Is it https? Then cookies are `Secure`.
    pub fn is_secure(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// The name or the address alone.
    pub fn host(&self) -> String {
        self.0.host_str().unwrap_or_default().to_owned()
    }

    /// As it stands in the header `Host`.
    pub fn authority(&self) -> String {
        self.0.authority().to_owned()
    }

    /// As it stands in the header `Origin`.
    pub fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }

    /// The origins of one and the same place: on loopback its other names count, too.
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

    /// Does it name this machine only?
    pub fn is_loopback(&self) -> bool {
        match self.0.host() {
            Some(url::Host::Domain(name)) => name == "localhost",
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
    }

    fn parse(setting: &str, text: &str) -> Result<Self, ConfigError> {
        if text.contains('@') {
            return Err(ConfigError::new(format!("{setting} must not hold a user or a password")));
        }
        let refused = |why| ConfigError::new(format!("{setting} = {text:?} {why}"));
        let url = Url::parse(text).map_err(|_| refused("is not a URL"))?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(refused("must start with http:// or https:// and name a host"));
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(refused("must end after the host and port"));
        }
        Ok(Self(url))
    }
}

impl Serialize for PublicUrl {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.origin())
    }
}

/// The address of the database. Shown, its password is masked.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct DatabaseUrl(String);

impl From<String> for DatabaseUrl {
    fn from(address: String) -> Self {
        Self(address)
    }
}

impl DatabaseUrl {
    /// For the driver that connects.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The same address, in which a relative path of an SQLite file starts at a folder.
    fn relative_to(self, folder: &Path) -> Self {
        let Some(path) = self.0.strip_prefix("sqlite:") else { return self };
        let path = path.strip_prefix("//").unwrap_or(path);
        let is_relative = !path.starts_with(['/', ':']) && !folder.as_os_str().is_empty();
        if !is_relative {
            return self;
        }
        Self(format!("sqlite://{}/{path}", encode_path(folder)))
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.0.split(':').next().unwrap_or_default();
        match Url::parse(&self.0) {
            // a password with an unescaped / # or ? ends the host early, and stands behind it
            Ok(url) if !self.0.split('@').skip(1).any(|_| url.username().is_empty()) => {
                f.write_str(&masked(url).replace("%E2%80%A6", "…"))
            }
            Ok(_) | Err(_) => write!(f, "{scheme}:…"),
        }
    }
}

/// The parameters that hold no secret; others may, or are a password that was cut in two.
const SHOWN_PARAMETERS: [&str; 16] = [
    "application_name",
    "cache",
    "dbname",
    "host",
    "hostaddr",
    "immutable",
    "mode",
    "options",
    "port",
    "sslcert",
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "statement-cache-capacity",
    "user",
    "vfs",
];

/// An address without what is or may be a secret.
fn masked(mut url: Url) -> String {
    if url.password().is_some() {
        let _ = url.set_password(Some("…"));
    }
    if url.fragment().is_some() {
        url.set_fragment(Some("…"));
    }
    let query = url.query().map(|query| {
        let shown = query.split('&').map(|pair| {
            // as the driver reads it, in whatever way the name is escaped
            let name = url::form_urlencoded::parse(pair.as_bytes()).next().map(|(name, _)| name);
            let is_shown = name.as_deref().is_some_and(|name| {
                SHOWN_PARAMETERS.contains(&name) || name.starts_with("options[")
            });
            if is_shown { Cow::from(pair) } else { mask(pair) }
        });
        shown.collect::<Vec<_>>().join("&")
    });
    url.set_query(query.as_deref());
    url.into()
}

/// `name=…` if the name is a plain word.
fn mask(pair: &str) -> Cow<'static, str> {
    match pair.split_once('=') {
        Some((name, _)) if name.bytes().all(|byte| byte.is_ascii_lowercase()) => {
            format!("{name}=…").into()
        }
        Some(_) | None => "…".into(),
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for DatabaseUrl {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What is wrong with the settings, in one sentence that names the setting.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

impl ConfigError {
    fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

/// Fewer is not safe whatever stands beside the password, and more nobody types.
const MIN_LENGTHS: RangeInclusive<usize> = LEAST_CHARS..=64;

/// Two cores keep no more connections to PostgreSQL busy, and each is a process of the server.
const CONNECTIONS: u32 = 10;
/// PostgreSQL itself has 100 unless told otherwise, for all nodes together.
const MOST_CONNECTIONS: u32 = 1000;

/// In a year most of what an app keeps under a user name is gone, or its operator has seen to it.
const USERNAME_HOLD: Period = Period::of(days(365));

/// How the address of a database begins.
const ENGINES: [&str; 3] = ["sqlite:", "postgres:", "postgresql:"];

/// The settings files of which the first that exists is read when none is named.
const FILES: [&str; 2] = ["cloakroom.toml", "/etc/cloakroom/cloakroom.toml"];
/// The variable that names the settings file.
const FILE_VARIABLE: &str = "CLOAKROOM_CONFIG";
/// The data folder, unless another one is named.
const DATA_DIR: &str = "cloakroom-data";

impl Config {
    /// Puts the sources together. A file that was named must be there.
    pub fn load(file: Option<&Path>, flags: Settings) -> Result<Self, ConfigError> {
        Self::check(Settings::gather(file)?.overlaid(flags))
    }

    /// Where the settings come from, for messages about what was not found.
    pub fn source(&self) -> String {
        if let Some(file) = &self.file {
            return format!("the settings are those of {}", file.display());
        }
        let here = std::env::current_dir().map(|here| here.display().to_string());
        format!(
            "there is no settings file: neither {} in {} nor {}",
            FILES[0],
            here.as_deref().unwrap_or("the current folder"),
            FILES[1]
        )
    }

    /// Fills the gaps with the defaults and refuses what cannot be meant.
    pub fn check(settings: Settings) -> Result<Self, ConfigError> {
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 8000));
        let listen = settings.listen.unwrap_or(loopback);
        let insecure_http = settings.insecure_http.unwrap_or(false);
        let tls = Tls::check(settings.tls)?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let public_url = match &settings.public_url {
            Some(text) => PublicUrl::parse("public_url", text)?,
            None => PublicUrl::parse("public_url", &format!("{scheme}://{}", reachable(listen)))?,
        };
        if tls.is_some() && !public_url.is_secure() {
            return Err(ConfigError::new(format!(
                "public_url = \"{}\" is clear text, but tls.certificate is set: give an https \
                 public_url",
                public_url.origin()
            )));
        }
        if !public_url.is_secure() && !listen.ip().is_loopback() && !insecure_http {
            return Err(ConfigError::new(format!(
                "public_url = \"{}\" is clear text, but listen = \"{listen}\" faces a network: \
                 give an https public_url, or set insecure_http = true",
                public_url.origin()
            )));
        }
        let folder = settings.file.as_deref().and_then(Path::parent).unwrap_or(Path::new(""));
        let data_dir = settings.data_dir.unwrap_or_else(|| folder.join(DATA_DIR));
        if listen.port() == 0 {
            return Err(ConfigError::new(format!(
                "listen = \"{listen}\" leaves the port to chance, but it is part of the public_url: \
                 name one"
            )));
        }
        if let Some(at) = settings.metrics_listen.filter(|at| at.port() == 0) {
            return Err(ConfigError::new(format!(
                "metrics_listen = \"{at}\" leaves the port to chance, and Prometheus would not find \
                 it: name one"
            )));
        }
        let database_url = settings.database_url.unwrap_or_else(|| beside(&data_dir));
        if !ENGINES.iter().any(|engine| database_url.expose().starts_with(engine)) {
            return Err(ConfigError::new(
                "database_url, or DATABASE_URL, starts with neither sqlite: nor postgres:",
            ));
        }
        let database_connections = settings.database_connections.unwrap_or(CONNECTIONS);
        if !(1..=MOST_CONNECTIONS).contains(&database_connections) {
            return Err(ConfigError::new(format!(
                "database_connections = {database_connections} must be between 1 and \
                 {MOST_CONNECTIONS}"
            )));
        }
        let cookie = Cookie::check(settings.cookie, &public_url)?;
        let passwords = Passwords::check(&settings.passwords)?;
        let tokens = Tokens::check(settings.tokens, &public_url)?;
        let apps = origins("apps", settings.apps)?;
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
            allowed_hosts: hosts(&settings.allowed_hosts.unwrap_or_default())?,
            allowed_origins: origins("allowed_origins", settings.allowed_origins)?,
            trusted_proxies: networks(&settings.trusted_proxies.unwrap_or_default())?,
            apps,
            metrics_listen: settings.metrics_listen,
            accounts: Accounts {
                username_hold: settings.accounts.username_hold.unwrap_or(USERNAME_HOLD),
            },
            site: Site::check(settings.site)?,
            cookie,
            passwords,
            tls,
            tokens,
            log: Log {
                format: settings.log.format.unwrap_or_default(),
                requests: settings.log.requests,
            },
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

/// Exact origins: no pattern, and no `null`, which every sandboxed page sends.
fn origins(setting: &str, list: Option<List>) -> Result<Vec<String>, ConfigError> {
    let origin = |text: &String| PublicUrl::parse(setting, text).map(|url| url.origin());
    list.unwrap_or_default().0.iter().map(origin).collect()
}

/// Names without a port, as `Host` has them; one that begins with a dot stands for all below it.
fn hosts(list: &List) -> Result<Vec<String>, ConfigError> {
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
            "allowed_hosts = {text:?} is neither a name like id.internal nor, for all names below \
             one, like .example.org; leave out the port"
        )))
    };
    list.0.iter().map(host).collect()
}

fn networks(list: &List) -> Result<Vec<IpNet>, ConfigError> {
    let network = |text: &String| {
        let alone = text.parse::<IpAddr>().map(IpNet::from);
        alone.or_else(|_| text.parse()).map_err(|_| {
            ConfigError::new(format!(
                "trusted_proxies = {text:?} is neither an address nor a network like 10.0.0.0/8"
            ))
        })
    };
    list.0.iter().map(network).collect()
}

impl Settings {
    /// What the file and the environment set.
    pub fn gather(file: Option<&Path>) -> Result<Self, ConfigError> {
        let named = match file {
            Some(file) => Some(file.to_owned()),
            None => variable(FILE_VARIABLE)?.map(PathBuf::from),
        };
        let from_file = match find_file(named, &FILES.map(Path::new))? {
            Some(path) => Self::read_file(path)?,
            None => Self::default(),
        };
        let environment = config::Environment::with_prefix("CLOAKROOM")
            .prefix_separator("_")
            .separator("__")
            .source(Some(variables()?));
        let mut from_environment = read(environment, "the environment (CLOAKROOM_*)")?;
        if from_environment.database_url.is_none() {
            from_environment.database_url = variable("DATABASE_URL")?.map(DatabaseUrl);
        }
        Ok(from_file.overlaid(from_environment))
    }

    /// What a settings file sets. Relative paths in it start at its folder.
    fn read_file(path: PathBuf) -> Result<Self, ConfigError> {
        let source = config::File::from(path.as_path()).format(config::FileFormat::Toml);
        let mut settings = read(source, &path.display().to_string())?;
        let folder = path.parent().unwrap_or(Path::new(""));
        for own in [
            &mut settings.data_dir,
            &mut settings.site.logo,
            &mut settings.tls.certificate,
            &mut settings.tls.key,
        ] {
            *own = own.take().map(|own| folder.join(own));
        }
        settings.database_url = settings.database_url.map(|address| address.relative_to(folder));
        settings.file = Some(path);
        Ok(settings)
    }

    /// What a text sets that has the form of the file.
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        read(config::File::from_str(text, config::FileFormat::Toml), "the settings")
    }

    /// What `over` sets, else what this sets.
    fn overlaid(self, over: Self) -> Self {
        Self {
            listen: over.listen.or(self.listen),
            public_url: over.public_url.or(self.public_url),
            database_url: over.database_url.or(self.database_url),
            database_connections: over.database_connections.or(self.database_connections),
            data_dir: over.data_dir.or(self.data_dir),
            registration: over.registration.or(self.registration),
            accounts: AccountSettings {
                username_hold: over.accounts.username_hold.or(self.accounts.username_hold),
            },
            insecure_http: over.insecure_http.or(self.insecure_http),
            docs: over.docs.or(self.docs),
            allowed_hosts: over.allowed_hosts.or(self.allowed_hosts),
            allowed_origins: over.allowed_origins.or(self.allowed_origins),
            trusted_proxies: over.trusted_proxies.or(self.trusted_proxies),
            apps: over.apps.or(self.apps),
            metrics_listen: over.metrics_listen.or(self.metrics_listen),
            site: SiteSettings {
                name: over.site.name.or(self.site.name),
                color: over.site.color.or(self.site.color),
                logo: over.site.logo.or(self.site.logo),
            },
            cookie: CookieSettings {
                name: over.cookie.name.or(self.cookie.name),
                domain: over.cookie.domain.or(self.cookie.domain),
            },
            passwords: PasswordSettings {
                min_length: over.passwords.min_length.or(self.passwords.min_length),
                memory_kib: over.passwords.memory_kib.or(self.passwords.memory_kib),
                passes: over.passwords.passes.or(self.passwords.passes),
                lanes: over.passwords.lanes.or(self.passwords.lanes),
                threads: over.passwords.threads.or(self.passwords.threads),
            },
            tls: TlsSettings {
                certificate: over.tls.certificate.or(self.tls.certificate),
                key: over.tls.key.or(self.tls.key),
            },
            tokens: TokenSettings { audiences: over.tokens.audiences.or(self.tokens.audiences) },
            log: LogSettings {
                format: over.log.format.or(self.log.format),
                requests: over.log.requests.or(self.log.requests),
            },
            file: over.file.or(self.file),
        }
    }
}

/// More threads than any machine has cores; each takes the memory of a hash.
const MOST_THREADS: usize = 128;

impl Passwords {
    /// Neither so short or so cheap that a stolen table is guessed, nor so dear that nobody signs in.
    fn check(settings: &PasswordSettings) -> Result<Self, ConfigError> {
        let min_length = settings.min_length.unwrap_or(FEWEST_CHARS);
        if !MIN_LENGTHS.contains(&min_length) {
            return Err(ConfigError::new(format!(
                "passwords.min_length = {min_length} is out of bounds: ask for {} to {} characters",
                MIN_LENGTHS.start(),
                MIN_LENGTHS.end()
            )));
        }
        let default = HashCost::DEFAULT;
        let cost = HashCost {
            memory_kib: settings.memory_kib.unwrap_or(default.memory_kib),
            passes: settings.passes.unwrap_or(default.passes),
            lanes: settings.lanes.unwrap_or(default.lanes),
        };
        let HashCost { memory_kib, passes, lanes } = cost;
        cost.check().map_err(|bad| {
            ConfigError::new(match bad {
                BadCost::AboveMost(most) => format!(
                    "passwords.memory_kib = {memory_kib}, passes = {passes} and lanes = {lanes} may \
                     be at most {}, {} and {}, and none of them 0",
                    most.memory_kib, most.passes, most.lanes
                ),
                BadCost::BelowLeast(least) => format!(
                    "passwords.memory_kib = {memory_kib} is too little for passes = {passes}: OWASP \
                     asks for at least {}, or for more passes",
                    least.memory_kib
                ),
            })
        })?;
        // one for each core: more would wait for each other
        let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let threads = settings.threads.unwrap_or_else(|| cores().min(MOST_THREADS));
        if !(1..=MOST_THREADS).contains(&threads) {
            return Err(ConfigError::new(format!(
                "passwords.threads = {threads} must be between 1 and {MOST_THREADS}"
            )));
        }
        Ok(Self { min_length, cost, threads })
    }
}

impl Tls {
    /// Both or neither.
    fn check(settings: TlsSettings) -> Result<Option<Self>, ConfigError> {
        let alone = |one, other| Err(ConfigError::new(format!("{one} is set, but {other} is not")));
        match (settings.certificate, settings.key) {
            (Some(certificate), Some(key)) => Ok(Some(Self { certificate, key })),
            (None, None) => Ok(None),
            (Some(_), None) => alone("tls.certificate", "tls.key"),
            (None, Some(_)) => alone("tls.key", "tls.certificate"),
        }
    }
}

/// As long as the name of a place may be: it stands above each page and in its title.
const LONGEST_NAME: usize = 40;
/// A logo larger than this would be what people wait for.
const LARGEST_LOGO: usize = 256 * 1024;

impl Site {
    fn check(settings: SiteSettings) -> Result<Self, ConfigError> {
        let name = settings.name.unwrap_or_else(|| "Cloakroom".to_owned());
        let is_shown = name.trim() == name && !name.chars().any(char::is_control);
        if name.is_empty() || name.chars().count() > LONGEST_NAME || !is_shown {
            return Err(ConfigError::new(format!(
                "site.name = {name:?} must have 1 to {LONGEST_NAME} characters, none of them a \
                 control character, and no spaces around them"
            )));
        }
        let color = settings.color.unwrap_or_else(|| "#0b5f5a".to_owned());
        let color = Color::parse(&color).ok_or_else(|| {
            ConfigError::new(format!("site.color = {color:?} is not written like #0b5f5a"))
        })?;
        Ok(Self { name, color, logo: settings.logo.map(Logo::read).transpose()? })
    }
}

impl Color {
    fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6)?;
        let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        let [_, color @ ..] = u32::from_str_radix(digits, 16).ok()?.to_be_bytes();
        is_hex.then_some(Self(color)) // a sign is no digit, but may stand before them
    }
}

impl Logo {
    fn read(path: PathBuf) -> Result<Self, ConfigError> {
        let refused =
            |why: &str| ConfigError::new(format!("site.logo = \"{}\" {why}", path.display()));
        let ending = path.extension().map(std::ffi::OsStr::to_ascii_lowercase);
        let kind = match ending.as_ref().and_then(|ending| ending.to_str()) {
            Some("svg") => "image/svg+xml",
            Some("png") => "image/png",
            Some("webp") => "image/webp",
            Some("jpg" | "jpeg") => "image/jpeg",
            _ => return Err(refused("is not called .svg, .png, .webp or .jpg")),
        };
        let bytes =
            std::fs::read(&path).map_err(|error| refused(&format!("cannot be read: {error}")))?;
        if bytes.len() > LARGEST_LOGO {
            return Err(refused("is larger than 256 KiB"));
        }
        Ok(Self { path, kind, bytes })
    }
}

/// As long as the audience of a token may be: `TokenRequest` says so, too.
const LONGEST_AUDIENCE: usize = 200;

impl Tokens {
    /// Any name will do but our own: the session tokens have that one.
    fn check(settings: TokenSettings, public_url: &PublicUrl) -> Result<Self, ConfigError> {
        let List(audiences) = settings.audiences.unwrap_or_default();
        for audience in &audiences {
            let refused =
                |why: &str| ConfigError::new(format!("tokens.audiences = {audience:?} {why}"));
            let is_plain = audience.chars().all(|c| c.is_ascii_graphic());
            if !is_plain || audience.is_empty() || audience.len() > LONGEST_AUDIENCE {
                return Err(refused("must have 1 to 200 ASCII characters, and no spaces"));
            }
            if audience.trim_end_matches('/') == public_url.origin() {
                return Err(refused("is this service itself, which takes no such tokens"));
            }
        }
        Ok(Self { audiences })
    }
}

impl Cookie {
    /// RFC 6265bis, section 4.1.3: a prefix makes the browser insist on what the name promises.
    fn check(settings: CookieSettings, public_url: &PublicUrl) -> Result<Self, ConfigError> {
        let CookieSettings { name, domain } = settings;
        let prefix = match (public_url.is_secure(), &domain) {
            (true, None) => "__Host-",
            (true, Some(_)) => "__Secure-",
            (false, _) => "",
        };
        let name = name.unwrap_or_else(|| format!("{prefix}session"));
        let refused = |why: &str| ConfigError::new(format!("cookie.name = {name:?} {why}"));
        let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        if name.is_empty() || !name.chars().all(is_token) {
            return Err(refused("is no cookie name (RFC 6265, section 4.1.1)"));
        }
        let lower = name.to_ascii_lowercase();
        let promises = lower.starts_with("__host-") || lower.starts_with("__secure-");
        if promises && !public_url.is_secure() {
            return Err(refused("needs an https public_url; browsers refuse it otherwise"));
        }
        if let Some(domain) = &domain {
            let is_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
            if domain.is_empty() || !domain.chars().all(is_host) {
                return Err(ConfigError::new(format!(
                    "cookie.domain = {domain:?} is no host name"
                )));
            }
            let host = public_url.0.host_str().unwrap_or_default();
            if host != domain && !host.ends_with(&format!(".{domain}")) {
                return Err(ConfigError::new(format!(
                    "cookie.domain = {domain:?} does not hold {host}, where users reach the service"
                )));
            }
            if !lower.starts_with("__secure-") {
                return Err(refused("must start with __Secure- when cookie.domain is set"));
            }
        }
        Ok(Self { name, domain })
    }
}

/// The database in the data folder.
fn beside(data_dir: &Path) -> DatabaseUrl {
    DatabaseUrl(format!("sqlite://{}", encode_path(&data_dir.join("cloakroom.db"))))
}

/// A path as part of an address: characters with a meaning there are encoded.
fn encode_path(path: &Path) -> String {
    const SPECIAL: AsciiSet = CONTROLS.add(b'%').add(b'?').add(b'#');
    utf8_percent_encode(&path.display().to_string(), &SPECIAL).to_string()
}

/// The settings file to read: the named one, which must be readable, or the first that exists.
fn find_file(named: Option<PathBuf>, usual: &[&Path]) -> Result<Option<PathBuf>, ConfigError> {
    let is_named = named.is_some();
    let candidates = match named {
        Some(file) => vec![file],
        None => usual.iter().map(|file| (*file).to_owned()).collect(),
    };
    for file in candidates {
        match fs::File::open(&file) {
            Ok(_) => return Ok(Some(file)),
            // a file that exists and cannot be read is never passed over for the next one
            Err(error) if is_named || fs::symlink_metadata(&file).is_ok() => {
                let shown = file.display();
                return Err(ConfigError::new(format!("cannot read {shown}: {error}")));
            }
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                return Err(ConfigError::new(format!(
                    "cannot see whether there is a {}: {error}; name a settings file by --config",
                    file.display()
                )));
            }
            Err(_) => {}
        }
    }
    Ok(None)
}

/// An environment variable; an empty one counts as unset.
fn variable(name: &str) -> Result<Option<String>, ConfigError> {
    let value = std::env::var_os(name).filter(|value| !value.is_empty());
    let value = value.map(std::ffi::OsString::into_string).transpose();
    value.map_err(|_| ConfigError::new(format!("the environment variable {name} is not in UTF-8")))
}

/// The settings in the environment, but for empty ones, which count as unset.
fn variables() -> Result<config::Map<String, String>, ConfigError> {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let mut settings = config::Map::new();
    for name in names.filter(|name| name.starts_with("CLOAKROOM_") && name != FILE_VARIABLE) {
        if let Some(value) = variable(&name)? {
            settings.insert(name, value);
        }
    }
    Ok(settings)
}

/// The address to type for one that means every interface.
fn reachable(listen: SocketAddr) -> SocketAddr {
    match listen.ip() {
        ip if ip.is_unspecified() => {
            SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), listen.port())
        }
        _ => listen,
    }
}

fn read(
    source: impl config::Source + Send + Sync + 'static,
    name: &str,
) -> Result<Settings, ConfigError> {
    config::Config::builder()
        .add_source(source)
        .build()
        .and_then(config::Config::try_deserialize)
        .map_err(|error| match error {
            config::ConfigError::FileParse { cause, .. } => cause.to_string(),
            other => other.to_string(),
        })
        .map_err(|error| ConfigError::new(format!("{name}: {}", in_a_sentence(&error))))
}

/// What an error of TOML says, without the drawing of the place between its first line and the others.
fn in_a_sentence(error: &str) -> String {
    let is_drawn = |line: &&str| {
        line.trim_start_matches(|c: char| c == ' ' || c.is_ascii_digit()).starts_with('|')
    };
    error.lines().filter(|line| !is_drawn(line)).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(toml: &str) -> Result<Config, String> {
        let settings = toml::from_str(toml).map_err(|error| error.to_string())?;
        Config::check(settings).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_needs_to_be_set() {
        let config = checked("").unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:8000");
        assert_eq!(config.public_url.origin(), "http://127.0.0.1:8000");
        assert_eq!(config.database_url.to_string(), "sqlite://cloakroom-data/cloakroom.db");
        assert_eq!(config.cookie.name, "session");
        assert_eq!(config.passwords.min_length, 15);
        assert_eq!(
            config.public_url.origins(),
            [
                "http://127.0.0.1:8000",
                "http://localhost:8000",
                "http://127.0.0.1:8000",
                "http://[::1]:8000"
            ]
        );
    }

    #[test]
    fn the_settings_file_is_the_named_one_or_the_first_that_exists() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let (here, system) = (at("cloakroom.toml"), at("etc.toml"));
        let usual = [here.as_path(), system.as_path()];
        assert_eq!(find_file(None, &usual).unwrap(), None);
        fs::write(&system, "").unwrap();
        assert_eq!(find_file(None, &usual).unwrap().as_ref(), Some(&system));
        fs::write(&here, "").unwrap();
        assert_eq!(find_file(None, &usual).unwrap().as_ref(), Some(&here));
        let refused = find_file(Some(at("other.toml")), &usual).unwrap_err().to_string();
        assert!(refused.contains("cannot read") && refused.contains("other.toml"), "{refused}");
        fs::write(at("other.toml"), "").unwrap();
        assert_eq!(find_file(Some(at("other.toml")), &usual).unwrap(), Some(at("other.toml")));
        fs::remove_file(&here).unwrap();
        std::os::unix::fs::symlink("nowhere", &here).unwrap();
        assert!(find_file(None, &usual).is_err(), "a broken link is not passed over");
    }

    #[test]
    fn paths_in_a_settings_file_start_at_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a b#c").join("cloakroom.toml");
        fs::create_dir(file.parent().unwrap()).unwrap();
        let shown = |toml: &str| {
            fs::write(&file, toml).unwrap();
            let config = Config::check(Settings::read_file(file.clone()).unwrap()).unwrap();
            let shown = toml::to_string(&config).unwrap();
            shown.replace(folder.path().to_str().unwrap(), "…")
        };
        let all = shown("");
        assert!(all.contains("data_dir = \"…/a b#c/cloakroom-data\""), "{all}");
        assert!(all.contains("\"sqlite://…/a%20b%23c/cloakroom-data/cloakroom.db\""), "{all}");
        let all = shown(
            "data_dir = 'data'\ndatabase_url = 'sqlite:db/x.db?mode=rw'\n\
             tls = { certificate = 'a.pem', key = '/b.pem' }",
        );
        for line in [
            "data_dir = \"…/a b#c/data\"",
            "database_url = \"sqlite://…/a%20b%23c/db/x.db?mode=rw\"",
            "certificate = \"…/a b#c/a.pem\"",
            "key = \"/b.pem\"",
        ] {
            assert!(all.contains(line), "{line}: {all}");
        }
        for absolute in ["sqlite:///srv/x.db", "postgres://db.example/x"] {
            let all = shown(&format!("database_url = '{absolute}'"));
            assert!(all.contains(absolute), "{all}");
        }
    }

    #[test]
    fn a_folder_with_an_odd_name_holds_its_own_database() {
        let config = checked("data_dir = '/srv/100%20a?b#c'").unwrap();
        let address = config.database_url.expose();
        assert_eq!(address, "sqlite:///srv/100%2520a%3Fb%23c/cloakroom.db");
    }

    #[test]
    fn each_price_of_a_hash_that_owasp_names_is_taken() {
        for (memory_kib, passes) in [(47_104, 1), (19_456, 2), (12_288, 3), (9_216, 4), (7_168, 5)]
        {
            let toml = format!("[passwords]\nmemory_kib = {memory_kib}\npasses = {passes}");
            let cost = checked(&toml).unwrap().passwords.cost;
            assert_eq!(cost, HashCost { memory_kib, passes, lanes: 1 });
        }
        let shown = toml::to_string(&checked("passwords.threads = 3").unwrap()).unwrap();
        let section = "[passwords]\nmin_length = 15\nmemory_kib = 19456\npasses = 2\nlanes = 1\nthreads = 3\n";
        assert!(shown.contains(section), "{shown}");
    }

    #[test]
    fn att_17_02_registration_is_closed_by_default_where_accounts_open_apps() {
        let https = "public_url = 'https://id.example.org'\n";
        for (toml, registration) in [
            ("", Registration::Open),
            ("apps = ['https://wiki.example.org']", Registration::Closed),
            ("cookie.domain = 'example.org'", Registration::Closed),
            ("apps = ['https://wiki.example.org']\nregistration = 'open'", Registration::Open),
            ("cookie.domain = 'example.org'\nregistration = 'invite'", Registration::Invite),
            ("apps = []", Registration::Open),
        ] {
            let config = checked(&format!("{https}{toml}")).unwrap();
            assert_eq!(config.registration, registration, "{toml}");
            assert_eq!(config.registration_is_set, toml.contains("registration"), "{toml}");
        }
    }

    #[test]
    fn a_time_is_written_with_its_unit_and_shown_as_it_is_written() {
        let hold = |toml: &str| checked(toml).unwrap().accounts.username_hold;
        assert_eq!(hold("").duration(), days(365));
        assert_eq!(hold("accounts.username_hold = 0").duration(), Duration::ZERO);
        for text in ["365d", "12h", "90m", "0"] {
            let toml = format!("accounts.username_hold = '{text}'");
            assert_eq!(hold(&toml).to_string(), text);
            let shown = toml::to_string(&checked(&toml).unwrap()).unwrap();
            assert!(
                shown.contains(&format!("[accounts]\nusername_hold = \"{text}\"\n")),
                "{shown}"
            );
        }
    }

    #[test]
    fn any_loopback_address_is_its_own_origin() {
        let config = checked("listen = '127.0.0.2:8000'").unwrap();
        assert!(config.public_url.origins().contains(&"http://127.0.0.2:8000".to_owned()));
    }

    #[test]
    fn the_cookie_is_named_after_what_the_browser_guarantees() {
        let https = "public_url = 'https://id.example.org'";
        assert_eq!(checked(https).unwrap().cookie.name, "__Host-session");
        let domain = format!("{https}\ncookie.domain = 'example.org'");
        assert_eq!(checked(&domain).unwrap().cookie.name, "__Secure-session");
        let named = format!("{https}\ncookie.name = 'sid'");
        assert_eq!(checked(&named).unwrap().cookie.name, "sid");
    }

    #[test]
    fn with_a_certificate_users_reach_it_by_https() {
        let tls = "tls.certificate = 'a.pem'\ntls.key = 'a.key'";
        let config = checked(&format!("listen = '0.0.0.0:8443'\n{tls}")).unwrap();
        assert_eq!(config.public_url.origin(), "https://127.0.0.1:8443");
        assert_eq!(config.cookie.name, "__Host-session");
        let shown = toml::to_string(&config).unwrap();
        assert!(shown.contains("[tls]\ncertificate = \"a.pem\"\nkey = \"a.key\"\n"), "{shown}");
    }

    #[test]
    fn a_list_is_written_as_one_or_with_commas() {
        let list = checked("trusted_proxies = ['10.0.0.0/8', '::1']").unwrap();
        let text = checked("trusted_proxies = '10.0.0.0/8, ::1'").unwrap();
        assert_eq!(list.trusted_proxies, text.trusted_proxies);
        assert_eq!(list.trusted_proxies[1].to_string(), "::1/128");
        let origins = checked("allowed_origins = 'https://App.example.org:443/'").unwrap();
        assert_eq!(origins.allowed_origins, ["https://app.example.org"]);
    }

    #[test]
    fn what_cannot_be_meant_is_refused_in_a_sentence_that_names_it() {
        for (toml, about) in [
            ("listen = '0.0.0.0:80'", "faces a network"),
            ("public_url = 'ftp://x'", "public_url"),
            ("public_url = 'https://x/path'", "must end after the host"),
            ("public_url = 'nonsense'", "is not a URL"),
            ("cookie.name = '__Host-session'", "needs an https"),
            ("cookie.name = 'a b'", "is no cookie name"),
            ("cookie.domain = 'example.org'", "does not hold"),
            ("lisen = '127.0.0.1:1'", "lisen"),
            ("listen = 8000", "listen"),
            ("listen = '127.0.0.1:0'", "name one"),
            ("public_url = 'https://me:canary@x'", "must not hold"),
            ("accounts.username_hold = 'soon'", "365d"),
            ("accounts.username_hold = 5", "365d"),
            ("accounts.username_hold = '-5d'", "365d"),
            ("accounts.username_hold = '36501d'", "365d"),
            ("accounts.hold = '1d'", "hold"),
            ("registration = 'invite-only'", "neither open nor invite nor closed"),
            ("log.format = 'text'", "neither auto nor human nor json"),
            ("listen = '8000'", "is no address with a port (127.0.0.1:8000)"),
            ("metrics_listen = 'localhost:9100'", "is no address with a port"),
            ("database_url = 'mysql://x'", "neither sqlite: nor postgres:"),
            ("allowed_origins = ['*']", "allowed_origins"),
            ("allowed_origins = ['null']", "allowed_origins"),
            ("allowed_origins = ['https://app.example.org/path']", "allowed_origins"),
            ("allowed_hosts = ['*']", "allowed_hosts"),
            ("allowed_hosts = ['id.internal:8000']", "leave out the port"),
            ("allowed_hosts = ['.']", "allowed_hosts"),
            ("trusted_proxies = ['10.0.0.0/33']", "trusted_proxies"),
            ("trusted_proxies = ['proxy.internal']", "trusted_proxies"),
            ("passwords.memory_kib = 19455", "at least 19456"),
            ("passwords.memory_kib = 19456\npasswords.passes = 1", "at least 47104"),
            ("passwords.memory_kib = 12287\npasswords.passes = 3", "at least 12288"),
            ("passwords.memory_kib = 9215\npasswords.passes = 4", "at least 9216"),
            ("passwords.memory_kib = 7167\npasswords.passes = 10", "at least 7168"),
            ("passwords.memory_kib = 262145", "at most 262144"),
            ("passwords.passes = 11", "at most 262144, 10 and 8"),
            ("passwords.lanes = 9", "at most 262144, 10 and 8"),
            ("passwords.lanes = 0", "none of them 0"),
            ("passwords.threads = 0", "between 1 and 128"),
            ("passwords.memory_kib = -1", "memory_kib"),
            ("passwords.salt = 1", "salt"),
            ("passwords.min_length = 7", "ask for 8 to 64"),
            ("passwords.min_length = 65", "ask for 8 to 64"),
            ("passwords.min_length = -1", "min_length"),
            ("passwords.shortest = 8", "shortest"),
            ("tokens.audiences = ['a b']", "no spaces"),
            ("tokens.audiences = ['']", "tokens.audiences"),
            ("tokens.audiences = ['http://127.0.0.1:8000/']", "is this service itself"),
            ("apps = ['wiki.example.org']", "apps"),
            ("apps = ['https://wiki.example.org/path']", "apps"),
            ("site.name = ''", "site.name"),
            ("site.name = ' x'", "no spaces around"),
            ("site.color = 'teal'", "#0b5f5a"),
            ("site.color = '#12345'", "#0b5f5a"),
            ("site.color = '#+12345'", "#0b5f5a"),
            ("site.color = '#ééé'", "#0b5f5a"),
            ("site.logo = 'logo.txt'", ".svg"),
            ("site.logo = '/nowhere/logo.svg'", "cannot be read"),
            ("log.format = 'xml'", "xml"),
            ("metrics_listen = '127.0.0.1:0'", "name one"),
            ("database_connections = 0", "between 1 and 1000"),
            ("database_connections = 1001", "between 1 and 1000"),
            ("tls.certificate = 'a.pem'", "tls.key is not"),
            ("tls.key = 'a.key'", "tls.certificate is not"),
            ("tls.keys = 'a.key'", "keys"),
            (
                "public_url = 'http://x'\ntls.certificate = 'a.pem'\ntls.key = 'a.key'",
                "give an https public_url",
            ),
        ] {
            let error = checked(toml).unwrap_err();
            assert!(!error.contains("canary"), "{error}");
            assert!(error.contains(about), "{toml}: {error}");
        }
        assert!(checked("listen = '0.0.0.0:80'\ninsecure_http = true").is_ok());
    }

    #[test]
    fn a_database_password_is_masked_when_it_is_shown() {
        for (address, shown) in [
            ("postgres://me:canary@db/x", "postgres://me:…@db/x"),
            ("postgres://db/x?user=me&password=canary", "postgres://db/x?user=me&password=…"),
            (
                "postgres://db/x?sslmode=disable&p%61ssword=canary",
                "postgres://db/x?sslmode=disable&…",
            ),
            ("postgres://db/x?password=%63anary&port=1", "postgres://db/x?password=…&port=1"),
            ("postgres://db/x?pass%77ord=%63anary", "postgres://db/x?…"),
            ("postgres://db/x?%70%61%73%73%77%6f%72%64=canary", "postgres://db/x?…"),
            ("postgres://db/x?Password=canary", "postgres://db/x?…"),
            ("postgres://db/x?passwort=canary", "postgres://db/x?passwort=…"),
            ("postgres://db/x?canary", "postgres://db/x?…"),
            ("postgres://db/x?sslkey=canary", "postgres://db/x?sslkey=…"),
            ("postgres://db/x?options[search_path]=a", "postgres://db/x?options[search_path]=a"),
            ("postgres://me:%63anary@db/x", "postgres://me:…@db/x"),
            ("postgres://me:canary/x@db/x", "postgres:…"),
            ("postgres://me:12/canary@db/x", "postgres:…"),
            ("postgres://me:12?canary@db/x", "postgres:…"),
            ("postgres://me:12#canary@db/x", "postgres:…"),
            ("postgres://db/x#canary", "postgres://db/x#…"),
        ] {
            let settings: Settings =
                toml::from_str(&format!("database_url = '{address}'")).unwrap();
            assert!(!format!("{settings:?}").contains("canary"));
            let config = Config::check(settings).unwrap();
            assert_eq!(config.database_url.to_string(), shown);
            assert!(!format!("{config:?}").contains("canary"));
            assert!(!toml::to_string(&config).unwrap().contains("canary"));
        }
    }
}
