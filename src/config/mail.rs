//! The section `mail`: the server that mail is handed over to, and the sender.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::error::ConfigError;
use super::mail_server_url::{MailDestination, MailServerUrl};
use super::public_url::PublicUrl;
use crate::core::email_address::EmailAddress;
use crate::core::secret::SmtpPassword;
use crate::domain::mail::server::{MailServer, SmtpLogin, SmtpServer};

/// The folder of mail files in the data folder.
const FOLDER: &str = "mail";
/// The maximum length of a name in `mail.from`.
const MAX_NAME_LENGTH: usize = 100;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MailSettings {
    /// The server that relays mail: `smtps://user@host` uses TLS and port 465, `smtp://user@host`
    /// uses STARTTLS and port 587, and another port can follow the host. A server on a loopback
    /// address without a user gets mail in clear text; any other must offer TLS. With `file`, each
    /// mail becomes a file in the folder `mail` of the data folder. Default: none, so the service
    /// sends no mail.
    pub server: Option<MailServerUrl>,
    /// The password of the user in `mail.server`; it can also be a part of that URL. Default: none.
    pub password: Option<MailPassword>,
    /// The sender of all mail: an address, or a name and an address such as `Example
    /// <no-reply@example.org>`. Default: `site.name`, and `no-reply` at the host of `public_url`, or at
    /// `localhost` if that is an IP address.
    pub from: Option<String>,
    /// A PEM file with the certificates of the authorities that may issue the certificate of the
    /// mail server. Default: the public authorities.
    pub ca: Option<PathBuf>,
}

/// A password that is shown as `…`.
#[derive(Clone)]
pub struct MailPassword(Arc<SmtpPassword>);

impl<'de> Deserialize<'de> for MailPassword {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(Self(Arc::new(SmtpPassword::new(String::deserialize(from)?))))
    }
}

impl Serialize for MailPassword {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("…")
    }
}

impl fmt::Debug for MailPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MailPassword(…)")
    }
}

/// The settings about mail, if there is a mail server.
#[derive(Debug, Clone, Serialize)]
pub struct Mail {
    server: MailDestination,
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<MailPassword>,
    /// The sender of all mail.
    pub from: MailFrom,
    #[serde(skip_serializing_if = "Option::is_none")]
    ca: Option<PathBuf>,
}

/// The sender of all mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailFrom {
    pub name: Option<String>,
    pub address: String,
}

impl Serialize for MailFrom {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.name {
            Some(name) => serializer.collect_str(&format_args!("{name} <{}>", self.address)),
            None => serializer.serialize_str(&self.address),
        }
    }
}

impl MailSettings {
    /// Merges two sources: the settings of `over` win.
    pub(super) fn merge(self, over: Self) -> Self {
        Self {
            server: over.server.or(self.server),
            password: over.password.or(self.password),
            from: over.from.or(self.from),
            ca: over.ca.or(self.ca),
        }
    }
}

impl Mail {
    /// Without a server there is no mail, and the other settings only have to be valid.
    pub(super) fn check(
        settings: MailSettings,
        site_name: &str,
        public_url: &PublicUrl,
    ) -> Result<Option<Self>, ConfigError> {
        let MailSettings { server, password, from, ca } = settings;
        let from = match from {
            Some(text) => MailFrom::parse(&text)?,
            None => MailFrom::default_for(site_name, public_url),
        };
        let Some(server) = server else { return Ok(None) };
        let mut server = server.parse()?;
        let mut password = password;
        if let MailDestination::Smtp { user, password: in_url, .. } = &mut server {
            if let Some(text) = in_url.take() {
                if password.is_some() {
                    return Err(ConfigError::new(
                        "mail.password and the password in mail.server are both set; set one of them",
                    ));
                }
                password = Some(MailPassword(Arc::new(SmtpPassword::new(text))));
            }
            if password.is_some() && user.is_none() {
                return Err(ConfigError::new(
                    "mail.password is set, but mail.server names no user; write \
                     smtps://user@host",
                ));
            }
            // Links in mail are read on other machines, and passwords are typed behind them.
            if !public_url.is_secure() && !public_url.is_loopback() {
                return Err(ConfigError::new(format!(
                    "mail.server requires an https public_url, because mail contains links to it, \
                     and public_url is {}",
                    public_url.origin()
                )));
            }
        }
        Ok(Some(Self { server, password, from, ca }))
    }

    /// Mail to files in the data folder, from the default sender.
    pub(super) fn to_files(site_name: &str, public_url: &PublicUrl) -> Self {
        let from = MailFrom::default_for(site_name, public_url);
        Self { server: MailDestination::Folder, password: None, from, ca: None }
    }

    /// The folder, if mail goes to files.
    pub fn folder(&self, data_dir: &Path) -> Option<PathBuf> {
        match self.server {
            MailDestination::Folder => Some(data_dir.join(FOLDER)),
            MailDestination::Smtp { .. } => None,
        }
    }

    /// Whether the server names a user without a password. Commands that send no mail accept this:
    /// the password may be in the environment of the service only.
    pub fn lacks_password(&self) -> bool {
        matches!(&self.server, MailDestination::Smtp { user: Some(_), .. })
            && self.password.is_none()
    }

    /// The destination of all mail.
    pub fn server(&self, data_dir: &Path) -> MailServer {
        let MailDestination::Smtp { security, host, port, user, password: _ } = &self.server else {
            return MailServer::Folder(data_dir.join(FOLDER));
        };
        let password = || self.password.as_ref().map(|password| Arc::clone(&password.0));
        MailServer::Smtp(SmtpServer {
            host: host.clone(),
            port: *port,
            security: *security,
            login: user.as_ref().map(|user| SmtpLogin { user: user.clone(), password: password() }),
            ca: self.ca.clone(),
        })
    }
}

impl MailFrom {
    fn parse(text: &str) -> Result<Self, ConfigError> {
        let refused = |why: &str| ConfigError::new(format!("mail.from = {text:?} {why}"));
        let (name, address) = match text.strip_suffix('>').and_then(|text| text.rsplit_once('<')) {
            Some((name, address)) => (name.trim(), address),
            None => ("", text),
        };
        // The library that writes the header panics on a line break.
        if text.chars().any(char::is_control) || name.chars().count() > MAX_NAME_LENGTH {
            return Err(refused("must have a name without control characters, of at most 100"));
        }
        let address = EmailAddress::parse(address).map_err(|_| {
            refused("must be an address, or a name and an address such as Example <no-reply@example.org>")
        })?;
        let name = (!name.is_empty()).then(|| name.to_owned());
        Ok(Self { name, address: address.as_str().to_owned() })
    }

    /// The name of the site, and an address at the host of `public_url`. An IP address is replaced:
    /// the library that writes mail cannot read `no-reply@[127.0.0.1]` in a header, although it
    /// accepts the address.
    fn default_for(site_name: &str, public_url: &PublicUrl) -> Self {
        let domain = public_url.mail_domain();
        let domain = if domain.starts_with('[') { "localhost" } else { &domain };
        Self { name: Some(site_name.to_owned()), address: format!("no-reply@{domain}") }
    }
}
