//! The installation that an operation works on.

use crate::config::Config;
use crate::embed::{Error, Settings};

/// An installation: the settings with its database and data folder. Creating this value opens
/// nothing.
#[derive(Debug, Clone)]
pub struct Installation {
    config: Config,
}

impl Installation {
    /// Checks the settings, which are those of the service.
    pub fn new(settings: Settings) -> Result<Self, Error> {
        settings.check().map(Self::from)
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }
}

#[doc(hidden)]
impl From<Config> for Installation {
    fn from(config: Config) -> Self {
        Self { config }
    }
}
