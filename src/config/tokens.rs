//! `tokens`: access tokens for other services.

use serde::{Deserialize, Serialize};

use super::comma_list::CommaList;
use super::error::ConfigError;
use super::public_url::PublicUrl;

/// As long as the audience of a token may be: `TokenRequest` says so, too.
const MAX_AUDIENCE_LENGTH: usize = 200;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TokenSettings {
    pub audiences: Option<CommaList>,
}

/// What is issued for other services.
#[derive(Debug, Clone, Serialize)]
pub struct Tokens {
    /// The services for which there are tokens, as these name them.
    pub audiences: Vec<String>,
}

impl TokenSettings {
    /// What `over` sets, else what this sets.
    pub(super) fn merge(self, over: Self) -> Self {
        Self { audiences: over.audiences.or(self.audiences) }
    }
}

impl Tokens {
    /// Any name will do but our own: the session tokens have that one.
    pub(super) fn check(
        settings: TokenSettings,
        public_url: &PublicUrl,
    ) -> Result<Self, ConfigError> {
        let CommaList(audiences) = settings.audiences.unwrap_or_default();
        for audience in &audiences {
            let refused =
                |why: &str| ConfigError::new(format!("tokens.audiences = {audience:?} {why}"));
            let is_plain = audience.chars().all(|c| c.is_ascii_graphic());
            if !is_plain || audience.is_empty() || audience.len() > MAX_AUDIENCE_LENGTH {
                return Err(refused("must have 1 to 200 ASCII characters, and no spaces"));
            }
            if audience.trim_end_matches('/') == public_url.origin() {
                return Err(refused("is this service itself, which takes no such tokens"));
            }
        }
        Ok(Self { audiences })
    }
}
