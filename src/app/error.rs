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
    #[error("cannot create the folder {0}: {1}")]
    Folder(PathBuf, io::Error),
    #[error(
        "cannot create or open the folder {0}: permission denied; run the command as the owner of \
         the folder, or set another data_dir"
    )]
    FolderOfOthers(PathBuf),
    #[error(
        "the database at {0} is missing: it existed, because there are signing keys in {1}; \
         restore a backup with `cloakroom restore`, or create an empty database with `cloakroom \
         migrate`"
    )]
    DatabaseGone(PathBuf, PathBuf),
    #[error(
        "there is no database at {database}, and {settings}; to create it, start the service or \
         run `cloakroom migrate`, or name another place with --config, --data-dir or \
         --database-url"
    )]
    NoDatabase { database: String, settings: String },
    #[error(
        "there are no signing keys in {}, and {settings}; to create the first key, start the \
         service, or name another place with --config or --data-dir", folder.display()
    )]
    NoKeys { folder: PathBuf, settings: String },
    #[error(
        "there are no keys in {}, and {settings}; to create the first one there, run `cloakroom \
         --data-dir {} {command}`, or name another place with --config",
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
    #[error("{0}; run `cloakroom doctor` to find the problem")]
    Internal(#[from] InternalError),
}
