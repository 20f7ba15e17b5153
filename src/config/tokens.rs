//! The section `tokens`: the audiences of access tokens.

use serde::{Deserialize, Serialize};

use super::comma_list::CommaList;
use super::error::ConfigError;
use super::public_url::PublicUrl;

/// The maximum length of an audience. `TokenRequest` documents the same limit.
const MAX_AUDIENCE_LENGTH: usize = 200;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TokenSettings {
    /// The names of the services for which access tokens are issued. A name has 1 to 200 ASCII
    /// characters without spaces.
    pub audiences: Option<CommaList>,
}

/// The settings about access tokens for other services.
#[derive(Debug, Clone, Serialize)]
pub struct Tokens {
    /// The audiences for which access tokens are issued.
    pub audiences: Vec<String>,
}

impl TokenSettings {
    /// Merges two sources: the settings of `over` win.
    pub(super) fn merge(self, over: Self) -> Self {
        Self { audiences: over.audiences.or(self.audiences) }
    }
}

impl Tokens {
    /// Accepts any name except the service's own origin, which is the audience of session tokens.
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
                return Err(refused("must have 1 to 200 ASCII characters without spaces"));
            }
            if audience.trim_end_matches('/') == public_url.origin() {
                return Err(refused(
                    "is this service itself, which does not accept these tokens; name another service",
                ));
            }
        }
        Ok(Self { audiences })
    }
}
