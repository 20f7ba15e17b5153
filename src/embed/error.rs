//! The error type of the library.

use crate::app::StartError;
use crate::config::ConfigError;
use crate::core::error::InternalError;
use crate::domain::keys::files::KeyError;
use crate::domain::keys::peppers::PepperError;
use crate::domain::keys::server_secret::ServerSecretError;
use crate::http::MountError;
use crate::server::TlsError;
use crate::store::{BackupError, MoveError, OpenError, StorageFailure};

/// Why Cloakroom cannot start or serve, in one sentence that says what to do: a setting, the
/// database, the keys, an address that is in use, or an operation that conflicts with Cloakroom's.
///
/// ```
/// let error = cloakroom::Settings::from_toml("sight.name = \"Notes\"").unwrap_err();
/// assert!(error.to_string().contains("sight"), "{error}");
/// ```
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Error(Cause);

#[derive(Debug, thiserror::Error)]
enum Cause {
    #[error(transparent)]
    Settings(ConfigError),
    #[error(transparent)]
    Start(StartError),
    #[error(transparent)]
    Mount(MountError),
    #[error(transparent)]
    Tls(TlsError),
    #[error(transparent)]
    Disk(StorageFailure),
    #[error(transparent)]
    Open(OpenError),
    #[error(transparent)]
    Copy(BackupError),
    #[error(transparent)]
    Transfer(MoveError),
    #[error(transparent)]
    Key(KeyError),
    #[error(transparent)]
    Pepper(PepperError),
    #[error(transparent)]
    ServerSecret(ServerSecretError),
    #[error(transparent)]
    Internal(InternalError),
    #[error("{0}")]
    Serve(String),
}

macro_rules! from_cause {
    ($($cause:ty => $variant:ident),*) => {
        $(impl From<$cause> for Error {
            fn from(cause: $cause) -> Self {
                Self(Cause::$variant(cause))
            }
        })*
    };
}
from_cause!(
    ConfigError => Settings,
    StartError => Start,
    MountError => Mount,
    TlsError => Tls,
    StorageFailure => Disk,
    OpenError => Open,
    BackupError => Copy,
    MoveError => Transfer,
    KeyError => Key,
    PepperError => Pepper,
    ServerSecretError => ServerSecret,
    InternalError => Internal
);

impl Error {
    /// An error of serving, in a sentence.
    pub(super) fn serving(sentence: impl Into<String>) -> Self {
        Self(Cause::Serve(sentence.into()))
    }
}
