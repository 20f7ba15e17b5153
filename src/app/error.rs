//! The error of a start.

use std::io;
use std::path::PathBuf;

use crate::core::error::InternalError;
use crate::domain::keys::files::KeyError;
use crate::domain::keys::peppers::PepperError;
use crate::domain::keys::server_secret::ServerSecretError;
use crate::store::OpenError;

/// Why the service cannot start. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("cannot make the folder {0}: {1}")]
    Folder(PathBuf, io::Error),
    #[error(
        "cannot make or enter the folder {0}: permission denied; run this as the user whose it is, or \
         name another data_dir"
    )]
    FolderOfOthers(PathBuf),
    #[error(
        "there is no database at {0}, but there are signing keys in {1}, so there was one: run \
         `cloakroom restore` with a backup of it, or `cloakroom migrate`, which makes an empty one"
    )]
    DatabaseGone(PathBuf, PathBuf),
    #[error(
        "there is no database at {database}, and {settings}; the first start of the service makes one, \
         and `cloakroom migrate` does, or name another place by --config, --data-dir or --database-url"
    )]
    NoDatabase { database: String, settings: String },
    #[error(
        "there are no signing keys in {}, and {settings}; the first start of the service makes one, or \
         name another place by --config or --data-dir", folder.display()
    )]
    NoKeys { folder: PathBuf, settings: String },
    #[error(
        "there are no keys in {}, and {settings}; to make the first one there, say so by \
         `cloakroom --data-dir {} {command}`, or name another place by --config",
        folder.display(), data_dir.display()
    )]
    UnnamedFolder { folder: PathBuf, data_dir: PathBuf, command: &'static str, settings: String },
    #[error(transparent)]
    Database(#[from] OpenError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Pepper(#[from] PepperError),
    #[error(transparent)]
    ServerSecret(#[from] ServerSecretError),
    #[error("{0}; `cloakroom doctor` says what is wrong")]
    Internal(#[from] InternalError),
}
