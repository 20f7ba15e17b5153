//! The settings for embedders: those of the program, or set in code.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::error::Error;
use crate::config::{self, Config, DatabaseUrl};

/// The settings, with the names of the program's settings file. All of them are optional;
/// `docs/reference/settings.md` describes them.
///
/// ```
/// use cloakroom::Settings;
///
/// // in code, with the names of the settings file …
/// let settings = Settings::from_toml(
///     r#"
///     registration = "closed"
///     site.name = "Notes"
///     "#,
/// )?;
/// // … and values that are only known at run time
/// let settings = settings.listen(([127, 0, 0, 1], 8001).into()).data_dir("notes-data");
/// # Ok::<_, cloakroom::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Settings(config::Settings);

impl Settings {
    /// Reads the settings like the program: from `cloakroom.toml` in the working folder if it
    /// exists, then from the environment (`CLOAKROOM_LISTEN`, …, and `DATABASE_URL`).
    ///
    /// ```
    /// let settings = cloakroom::Settings::load()?;
    /// # Ok::<_, cloakroom::Error>(())
    /// ```
    pub fn load() -> Result<Self, Error> {
        Ok(Self(config::Settings::load(None)?))
    }

    /// Like [`Settings::load`], but from a file with another name, which must exist.
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

    /// Reads the settings only from a string in the format of the settings file.
    pub fn from_toml(text: &str) -> Result<Self, Error> {
        Ok(Self(config::Settings::from_toml(text)?))
    }

    /// The address to listen on. Users reach the service there, unless `public_url` is set.
    #[must_use]
    pub fn listen(mut self, at: SocketAddr) -> Self {
        self.0.listen = Some(at);
        self
    }

    /// The URL at which users reach the service: an http or https origin.
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

    /// The folder of the signing keys, and of the database unless `database_url` is set.
    #[must_use]
    pub fn data_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.0.data_dir = Some(folder.into());
        self
    }

    pub(crate) fn check(self) -> Result<Config, Error> {
        Ok(Config::check(self.0)?)
    }
}
