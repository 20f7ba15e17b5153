//! Operations on an installation, for programs of operators: create and restore backups, diagnose
//! problems, import users, and move to another database.
//!
//! The commands of `cloakroom` call these functions, which print nothing, ask nothing and never end
//! the process. Each works while the service runs, unless its documentation says otherwise. If its
//! future is dropped before it is done, it removes what it has created.
//!
//! ```
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! use cloakroom::admin::{self, BackupOptions, Installation, Verdict};
//! use cloakroom::{Cloakroom, Settings};
//!
//! # let folder = tempfile::tempdir().unwrap();
//! let settings = Settings::default().data_dir(folder.path().join("data"));
//! let cloakroom = Cloakroom::open(settings.clone()).await?;
//!
//! let installation = Installation::new(settings)?;
//! let options = BackupOptions { folder: Some(folder.path().join("backups")), without_keys: false };
//! let backup = admin::create_backup(&installation, &options, |_progress| {}).await?;
//! assert_eq!(backup.manifest.rows["accounts"], 0);
//!
//! for finding in admin::diagnose(&installation, admin::DoctorOptions::default()).await.findings {
//!     if finding.verdict == Verdict::Wrong {
//!         eprintln!("{}: {}", finding.about, finding.says);
//!     }
//! }
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```

mod backup;
mod doctor;
mod import;
mod installation;
pub(crate) mod keys;
mod manifest;
pub(crate) mod probe;
mod progress;
mod restore;
mod temp_artifact;
mod transfer;

pub use self::backup::{Backup, BackupError, BackupOptions, create_backup};
pub use self::doctor::{Diagnosis, DoctorOptions, Finding, Verdict, diagnose};
#[cfg(fuzzing)]
pub use self::import::fuzzing;
pub use self::import::{
    ImportError, ImportEvent, ImportFormat, ImportOptions, ImportReport, RefusedRow, import_users,
};
pub(crate) use self::import::{
    describe_invalid_display_name, describe_invalid_email, describe_invalid_username, import_into,
};
pub use self::installation::Installation;
pub(crate) use self::manifest::DATABASE;
pub use self::manifest::{FileEntry, Manifest, ManifestError};
pub use self::progress::{Phase, Progress};
pub use self::restore::{RestoreError, RestoreOptions, RestoreReport, restore_backup};
pub use self::transfer::{TransferError, TransferReport, transfer_database};
