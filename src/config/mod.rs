//! Settings: defaults ← settings file ← environment `CLOAKROOM_*` ← flags, merged and checked once.

mod accounts;
mod api_tokens;
mod comma_list;
mod cookie;
mod database_url;
mod effective;
mod error;
mod log;
mod mail;
mod mail_server_url;
mod network;
mod passwords;
mod period;
mod public_url;
mod registration;
mod sessions;
mod settings;
mod site;
mod sources;
#[cfg(test)]
mod tests;
mod tls;
mod tokens;

pub use self::accounts::{AccountSettings, Accounts};
pub use self::api_tokens::{ApiTokenSettings, ApiTokens};
pub use self::comma_list::CommaList;
pub use self::cookie::{Cookie, CookieSettings};
pub use self::database_url::DatabaseUrl;
pub use self::effective::Config;
pub use self::error::ConfigError;
pub use self::log::{Log, LogFormat, LogSettings};
pub use self::mail::{Mail, MailFrom, MailPassword, MailSettings};
pub use self::mail_server_url::MailServerUrl;
pub use self::network::parse_address;
pub use self::passwords::{PasswordSettings, Passwords};
pub use self::period::Period;
pub use self::public_url::PublicUrl;
pub use self::registration::Registration;
pub use self::sessions::{SessionSettings, Sessions};
pub use self::settings::Settings;
pub use self::site::{Color, Logo, Site, SiteSettings};
pub use self::tls::{Tls, TlsSettings};
pub use self::tokens::{TokenSettings, Tokens};
