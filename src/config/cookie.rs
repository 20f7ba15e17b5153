//! The section `cookie`: name and domain of the session cookie.

use serde::{Deserialize, Serialize};

use super::error::ConfigError;
use super::public_url::PublicUrl;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CookieSettings {
    /// The name of the session cookie. Browsers do not separate cookies by port: give two services
    /// on one host different names. Default: `session`; behind https `__Host-session`, or
    /// `__Secure-session` with `cookie.domain`.
    pub name: Option<String>,
    /// The domain of the session cookie, if all hosts below it should receive the cookie. The name
    /// must then begin with `__Secure-`. Default: none, so only the host of `public_url` receives
    /// it.
    pub domain: Option<String>,
}

/// The name and the domain of the session cookie.
#[derive(Debug, Clone, Serialize)]
pub struct Cookie {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
}

impl CookieSettings {
    /// Merges two sources: the settings of `over` win.
    pub(super) fn merge(self, over: Self) -> Self {
        Self { name: over.name.or(self.name), domain: over.domain.or(self.domain) }
    }
}

impl Cookie {
    /// Checks the name, and chooses its prefix: browsers accept a cookie named `__Host-` or
    /// `__Secure-` only with the attributes that the prefix requires (RFC 6265bis, section 4.1.3).
    pub(super) fn check(
        settings: CookieSettings,
        public_url: &PublicUrl,
    ) -> Result<Self, ConfigError> {
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
            return Err(refused("is not a valid cookie name (RFC 6265, section 4.1.1)"));
        }
        let lower = name.to_ascii_lowercase();
        let promises = lower.starts_with("__host-") || lower.starts_with("__secure-");
        if promises && !public_url.is_secure() {
            return Err(refused(
                "requires an https public_url; without https, browsers refuse the cookie",
            ));
        }
        if let Some(domain) = &domain {
            let is_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
            if domain.is_empty() || !domain.chars().all(is_host) {
                return Err(ConfigError::new(format!(
                    "cookie.domain = {domain:?} is not a host name"
                )));
            }
            let host = public_url.host();
            if host != *domain && !host.ends_with(&format!(".{domain}")) {
                return Err(ConfigError::new(format!(
                    "cookie.domain = {domain:?} does not contain {host}, the host of public_url"
                )));
            }
            if !lower.starts_with("__secure-") {
                return Err(refused("must start with __Secure- if cookie.domain is set"));
            }
        }
        Ok(Self { name, domain })
    }
}
