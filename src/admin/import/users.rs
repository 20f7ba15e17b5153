//! Imports users from a file. All rows are checked before any is added.
//!
//! The file is read twice, first to check the rows and then to add them, so that memory contains
//! only a batch of users and a hash of each name.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use tokio::time::sleep;

use super::error::ImportError;
use super::format::ImportFormat;
use super::rows::{Row, Rows};
use crate::admin::installation::Installation;
use crate::admin::progress::{Phase, Progress};
use crate::app::{self, Environment};
use crate::domain::AuthService;
use crate::domain::imports::BATCH;

/// The options of an import.
#[derive(Debug, Clone, Copy, Default)]
pub struct ImportOptions {
    /// The format of the file. By default, the file extension decides.
    pub format: Option<ImportFormat>,
    /// Whether to import the other rows if some are refused. By default, nothing is imported then.
    pub skip_refused: bool,
}

/// The result of an import.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct ImportReport {
    /// The number of users that were added.
    pub added: u64,
    /// The number of users that existed before, which are left unchanged.
    pub existing: u64,
    /// The number of refused rows.
    pub refused: u64,
    /// The number of users, added or existing, without a password in the file.
    pub without_password: u64,
}

/// An event during an import.
#[derive(Debug)]
#[non_exhaustive]
pub enum ImportEvent {
    Progress(Progress),
    Refused(RefusedRow),
}

/// A row that is not imported.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RefusedRow {
    /// The line number, starting at 1.
    pub line: u64,
    /// The reason, in a sentence that contains no password hash.
    pub reason: String,
}

/// Adds the users of a file, with the password hashes of their previous system: Argon2, bcrypt,
/// scrypt and PBKDF2 in the formats of PHC, Django, Devise, `PocketBase` and Better Auth.
///
/// All rows are checked before any is added. Existing users are left unchanged, so importing a file
/// twice is safe, and an interrupted import continues when it is run again.
pub async fn import_users(
    installation: &Installation,
    file: &Path,
    options: ImportOptions,
    on_event: impl FnMut(ImportEvent),
) -> Result<ImportReport, ImportError> {
    let config = installation.config();
    let domain = app::open_existing(config, Environment::real(config)).await?;
    let imported = import_into(&domain, file, options, on_event).await;
    domain.close_store().await;
    imported
}

/// Like [`import_users`], with an open domain.
pub(crate) async fn import_into(
    domain: &AuthService,
    file: &Path,
    options: ImportOptions,
    mut on_event: impl FnMut(ImportEvent),
) -> Result<ImportReport, ImportError> {
    let format = options.format.or_else(|| ImportFormat::from_path(file));
    let format = format.ok_or_else(|| ImportError::UnknownFormat(file.to_owned()))?;
    let file = UserFile { path: file.to_owned(), format };
    let Checked { good, refused, without_password } = file.check(&mut on_event)?;
    if refused > 0 && !options.skip_refused {
        return Err(ImportError::Refused(refused));
    }
    let added = file.add(domain, &mut on_event).await?;
    Ok(ImportReport { added, existing: good - added, refused, without_password })
}

struct UserFile {
    path: PathBuf,
    format: ImportFormat,
}

/// The numbers of rows by kind.
#[derive(Default)]
struct Checked {
    good: u64,
    refused: u64,
    without_password: u64,
}

impl UserFile {
    /// Checks all rows, and reports those that are refused.
    fn check(&self, on_event: &mut impl FnMut(ImportEvent)) -> Result<Checked, ImportError> {
        let mut checked = Checked::default();
        let total = self.size()?;
        let mut rows = self.open()?;
        while let Some(row) = rows.next() {
            let Row { line, user } = row?;
            match user {
                Ok(user) => {
                    checked.good += 1;
                    checked.without_password += u64::from(user.password.is_none());
                }
                Err(reason) => {
                    checked.refused += 1;
                    on_event(ImportEvent::Refused(RefusedRow { line, reason }));
                }
            }
            let done = rows.bytes_read();
            on_event(ImportEvent::Progress(Progress { phase: Phase::Checking, done, total }));
        }
        Ok(checked)
    }

    /// Reads the file again and adds the valid rows in batches. Returns the number of new users.
    async fn add(
        &self,
        domain: &AuthService,
        on_event: &mut impl FnMut(ImportEvent),
    ) -> Result<u64, ImportError> {
        domain.prepare_bulk_insert().await?;
        let total = self.size()?;
        let mut rows = self.open()?;
        let mut added = 0;
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            for row in rows.by_ref() {
                batch.extend(row?.user);
                if batch.len() == BATCH {
                    break;
                }
            }
            if batch.is_empty() {
                return Ok(added);
            }
            let done = rows.bytes_read();
            on_event(ImportEvent::Progress(Progress { phase: Phase::Importing, done, total }));
            let start = Instant::now();
            added += domain
                .import(&batch)
                .await
                .map_err(|fault| ImportError::Interrupted { added, cause: Box::new(fault) })?;
            batch.clear();
            // While a running service waits for the writer, it sleeps for increasing intervals. A
            // pause of a quarter of the batch's time is long enough that it gets its turn.
            sleep(start.elapsed() / 4).await;
        }
    }

    fn size(&self) -> Result<u64, ImportError> {
        let meta = fs::metadata(&self.path)
            .map_err(|error| ImportError::Unreadable(self.path.clone(), error))?;
        if meta.is_file() { Ok(meta.len()) } else { Err(ImportError::NotAFile(self.path.clone())) }
    }

    fn open(&self) -> Result<Rows, ImportError> {
        Rows::open(&self.path, self.format)
    }
}
