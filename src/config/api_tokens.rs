//! The section `api_tokens`: how long API tokens may be valid.

use serde::{Deserialize, Serialize};

use super::error::ConfigError;
use crate::domain::api_tokens::MAX_API_TOKEN_DAYS;

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ApiTokenSettings {
    /// The longest lifetime of a new API token in days, 1 to 366. With `0`, there are no API tokens:
    /// none can be created, and existing ones are refused.
    pub max_days: Option<u32>,
}

/// The settings about API tokens.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct ApiTokens {
    /// The longest lifetime of a new token in days. Existing tokens keep theirs.
    pub max_days: u32,
}

impl ApiTokenSettings {
    /// Merges two sources: the settings of `over` win.
    pub(super) fn merge(self, over: Self) -> Self {
        Self { max_days: over.max_days.or(self.max_days) }
    }
}

impl ApiTokens {
    pub(super) fn check(settings: ApiTokenSettings) -> Result<Self, ConfigError> {
        let max_days = settings.max_days.unwrap_or(MAX_API_TOKEN_DAYS);
        if max_days > MAX_API_TOKEN_DAYS {
            return Err(ConfigError::new(format!(
                "api_tokens.max_days = {max_days} must be at most {MAX_API_TOKEN_DAYS}; use 0 for no API tokens"
            )));
        }
        Ok(Self { max_days })
    }
}
