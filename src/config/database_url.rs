//! `database_url`: the URL of the database, displayed without its password.

use std::borrow::Cow;
use std::fmt;
use std::path::Path;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use url::{Url, form_urlencoded};

use super::error::ConfigError;

/// The schemes that a database URL may have.
const ENGINES: [&str; 3] = ["sqlite:", "postgres:", "postgresql:"];

#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct DatabaseUrl(String);

impl From<String> for DatabaseUrl {
    fn from(address: String) -> Self {
        Self(address)
    }
}

impl DatabaseUrl {
    /// The URL with its password, for the driver that connects.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The same URL, with the relative path of an SQLite file resolved against `folder`.
    pub(super) fn relative_to(self, folder: &Path) -> Self {
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
            // In a password, an unescaped `/`, `#` or `?` ends the host early, and the rest of the
            // password follows in the path, query or fragment.
            Ok(url) if !self.0.split('@').skip(1).any(|_| url.username().is_empty()) => {
                f.write_str(&mask_secrets(url).replace("%E2%80%A6", "…"))
            }
            Ok(_) | Err(_) => write!(f, "{scheme}:…"),
        }
    }
}

/// The parameters that contain no secret. Others may contain one, or may be part of a password that
/// was cut in two.
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

/// The URL with every part masked that is or may be a secret.
fn mask_secrets(mut url: Url) -> String {
    if url.password().is_some() {
        let _ = url.set_password(Some("…"));
    }
    if url.fragment().is_some() {
        url.set_fragment(Some("…"));
    }
    let query = url.query().map(|query| {
        let shown = query.split('&').map(|pair| {
            // Decode the name as the driver does, so that an escaped name does not evade the check.
            let name = form_urlencoded::parse(pair.as_bytes()).next().map(|(name, _)| name);
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

/// `name=…` if the name consists of lower-case letters, else `…`.
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

/// The default: an SQLite file in the data folder.
pub(super) fn default_database_url(data_dir: &Path) -> DatabaseUrl {
    DatabaseUrl(format!("sqlite://{}", encode_path(&data_dir.join("cloakroom.db"))))
}

/// Encodes a path for use in a URL.
fn encode_path(path: &Path) -> String {
    const SPECIAL: AsciiSet = CONTROLS.add(b'%').add(b'?').add(b'#');
    utf8_percent_encode(&path.display().to_string(), &SPECIAL).to_string()
}

/// Refuses a URL whose engine the store does not support.
pub(super) fn require_known_engine(address: &DatabaseUrl) -> Result<(), ConfigError> {
    if ENGINES.iter().any(|engine| address.expose().starts_with(engine)) {
        return Ok(());
    }
    Err(ConfigError::new("database_url (or DATABASE_URL) must start with sqlite: or postgres:"))
}
