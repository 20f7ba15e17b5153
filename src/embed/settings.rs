//! Settings for whoever embeds: the program's own, or said in code.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::error::Error;
use crate::config::{self, Config, DatabaseUrl};

/// Settings: those of the program, by their names in its settings file. What is not set has the
/// default that the README lists; nothing needs to be.
///
/// ```
/// use cloakroom::Settings;
///
/// // in code, by the names of the settings file …
/// let settings = Settings::from_toml(
///     r#"
///     registration = "closed"
///     site.name = "Notes"
///     "#,
/// )?;
/// // … and what a program knows only when it runs
/// let settings = settings.listen(([127, 0, 0, 1], 8001).into()).data_dir("notes-data");
/// # Ok::<_, cloakroom::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Settings(config::Settings);

impl Settings {
    /// As the program reads them: from `cloakroom.toml` in the working folder, if it is there, then
    /// from the environment (`CLOAKROOM_LISTEN`, …, and `DATABASE_URL`).
    ///
    /// ```
    /// let settings = cloakroom::Settings::load()?;
    /// # Ok::<_, cloakroom::Error>(())
    /// ```
    pub fn load() -> Result<Self, Error> {
        Ok(Self(config::Settings::load(None)?))
    }

    /// As [`Settings::load`], from a file of another name, which must be there.
    ///
    /// ```
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let file = folder.path().join("notes.toml");
    /// std::fs::write(&file, "site.name = \"Notes\"").unwrap();
    /// let settings = cloakroom::Settings::load_from(&file)?;
    /// assert!(cloakroom::Settings::load_from("nowhere.toml").is_err());
    /// # Ok::<_, cloakroom::Error>(())
    /// ```
    pub fn load_from(file: impl AsRef<Path>) -> Result<Self, Error> {
        Ok(Self(config::Settings::load(Some(file.as_ref()))?))
    }

    /// From a text that has the form of the settings file, and nothing else.
    pub fn from_toml(text: &str) -> Result<Self, Error> {
        Ok(Self(config::Settings::from_toml(text)?))
    }

    /// Where to listen. Users reach it there, unless `public_url` says otherwise.
    #[must_use]
    pub fn listen(mut self, at: SocketAddr) -> Self {
        self.0.listen = Some(at);
        self
    }

    /// Where users reach the service: an http or https origin.
    #[must_use]
    pub fn public_url(mut self, url: impl Into<String>) -> Self {
        self.0.public_url = Some(url.into());
        self
    }

    /// The database: `sqlite://…` or `postgres://…`.
    #[must_use]
    pub fn database_url(mut self, url: impl Into<String>) -> Self {
        self.0.database_url = Some(DatabaseUrl::from(url.into()));
        self
    }

    /// The folder of the signing keys, and of the database unless `database_url` says otherwise.
    #[must_use]
    pub fn data_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.0.data_dir = Some(folder.into());
        self
    }

    pub(crate) fn check(self) -> Result<Config, Error> {
        Ok(Config::check(self.0)?)
    }
}
