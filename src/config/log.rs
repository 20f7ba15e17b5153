//! The section `log`: the format of the log.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogSettings {
    /// The format of the log: `human`, `json`, or `auto`, which is `human` on a terminal and `json`
    /// elsewhere.
    pub format: Option<LogFormat>,
    /// Logs a line for each request. Default: `true` on a terminal, else `false`. An embedded
    /// service logs no requests unless this is `true`.
    pub requests: Option<bool>,
}

/// The format of the log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", try_from = "String")]
pub enum LogFormat {
    /// `Human` on a terminal, else `Json`.
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
            _ => Err(format!("{text:?} must be auto, human or json")),
        }
    }
}

/// The log on standard error.
#[derive(Debug, Clone, Serialize)]
pub struct Log {
    pub format: LogFormat,
    /// Whether each request is logged. If it is not set, the program logs requests on a terminal
    /// only, and an embedded service logs none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<bool>,
}

impl LogSettings {
    /// Merges two sources: the settings of `over` win.
    pub(super) fn merge(self, over: Self) -> Self {
        Self { format: over.format.or(self.format), requests: over.requests.or(self.requests) }
    }
}

impl Log {
    pub(super) fn check(settings: LogSettings) -> Self {
        Self { format: settings.format.unwrap_or_default(), requests: settings.requests }
    }
}
