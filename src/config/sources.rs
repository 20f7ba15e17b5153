//! Reads settings from the settings file, the environment, or a string.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::database_url::DatabaseUrl;
use super::error::ConfigError;
use super::settings::Settings;

/// The default settings files. The first that exists is read.
pub(super) const DEFAULT_FILES: [&str; 2] = ["cloakroom.toml", "/etc/cloakroom/cloakroom.toml"];
/// The environment variable that names the settings file.
const FILE_VARIABLE: &str = "CLOAKROOM_CONFIG";

impl Settings {
    /// Reads the settings file and the environment.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        let named = match file {
            Some(file) => Some(file.to_owned()),
            None => variable(FILE_VARIABLE)?.map(PathBuf::from),
        };
        let from_file = match find_file(named, &DEFAULT_FILES.map(Path::new))? {
            Some(path) => Self::read_file(path)?,
            None => Self::default(),
        };
        let environment = config::Environment::with_prefix("CLOAKROOM")
            .prefix_separator("_")
            .separator("__")
            .source(Some(variables()?));
        let mut from_environment = read(environment, "the environment (CLOAKROOM_*)")?;
        if from_environment.database_url.is_none() {
            from_environment.database_url = variable("DATABASE_URL")?.map(DatabaseUrl::from);
        }
        Ok(from_file.merge(from_environment))
    }

    /// Reads a settings file. Relative paths in it are resolved against its folder.
    pub(super) fn read_file(path: PathBuf) -> Result<Self, ConfigError> {
        let source = config::File::from(path.as_path()).format(config::FileFormat::Toml);
        let mut settings = read(source, &path.display().to_string())?;
        let folder = path.parent().unwrap_or(Path::new(""));
        for own in [
            &mut settings.data_dir,
            &mut settings.site.logo,
            &mut settings.tls.certificate,
            &mut settings.tls.key,
            &mut settings.mail.ca,
        ] {
            *own = own.take().map(|own| folder.join(own));
        }
        settings.database_url = settings.database_url.map(|address| address.relative_to(folder));
        settings.file = Some(path);
        Ok(settings)
    }

    /// Parses settings from a string in the format of the settings file.
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        read(config::File::from_str(text, config::FileFormat::Toml), "the settings")
    }
}

/// Finds the settings file: the named one, which must be readable, or the first default that
/// exists.
pub(super) fn find_file(
    named: Option<PathBuf>,
    usual: &[&Path],
) -> Result<Option<PathBuf>, ConfigError> {
    let is_named = named.is_some();
    let candidates = match named {
        Some(file) => vec![file],
        None => usual.iter().map(|file| (*file).to_owned()).collect(),
    };
    for file in candidates {
        match fs::File::open(&file) {
            Ok(_) => return Ok(Some(file)),
            // A file that exists but cannot be read is an error: the next file may have other
            // settings.
            Err(error) if is_named || fs::symlink_metadata(&file).is_ok() => {
                let shown = file.display();
                return Err(ConfigError::new(format!("cannot read {shown}: {error}")));
            }
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                return Err(ConfigError::new(format!(
                    "cannot read {}: {error}; name another settings file with --config",
                    file.display()
                )));
            }
            Err(_) => {}
        }
    }
    Ok(None)
}

/// Reads an environment variable. An empty one counts as unset.
fn variable(name: &str) -> Result<Option<String>, ConfigError> {
    let value = env::var_os(name).filter(|value| !value.is_empty());
    let value = value.map(OsString::into_string).transpose();
    value.map_err(|_| {
        ConfigError::new(format!("the environment variable {name} is not encoded in UTF-8"))
    })
}

/// Reads all settings from the environment. Empty variables count as unset.
fn variables() -> Result<config::Map<String, String>, ConfigError> {
    let names = env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let mut settings = config::Map::new();
    for name in names.filter(|name| name.starts_with("CLOAKROOM_") && name != FILE_VARIABLE) {
        if let Some(value) = variable(&name)? {
            settings.insert(name, value);
        }
    }
    Ok(settings)
}

fn read(
    source: impl config::Source + Send + Sync + 'static,
    name: &str,
) -> Result<Settings, ConfigError> {
    config::Config::builder()
        .add_source(source)
        .build()
        .and_then(config::Config::try_deserialize)
        .map_err(|error| match error {
            config::ConfigError::FileParse { cause, .. } => cause.to_string(),
            other => other.to_string(),
        })
        .map_err(|error| ConfigError::new(format!("{name}: {}", flatten_message(&error))))
}

/// Turns an error of the TOML parser into one line, without the lines that quote the file.
fn flatten_message(error: &str) -> String {
    let is_drawn = |line: &&str| {
        line.trim_start_matches(|c: char| c == ' ' || c.is_ascii_digit()).starts_with('|')
    };
    error.lines().filter(|line| !is_drawn(line)).collect::<Vec<_>>().join(": ")
}
