//! The import: every row is checked before any is added.
//!
//! The file is read twice: once to check every row, and once to add them, so that memory holds no
//! more than a batch and a number for each name.

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
use crate::domain::Domain;
use crate::domain::imports::BATCH;

/// How a file is read.
#[derive(Debug, Clone, Copy, Default)]
pub struct ImportOptions {
    /// Without it, the ending of the file's name says the format.
    pub format: Option<ImportFormat>,
    /// Import the other rows when some are refused, instead of none.
    pub skip_refused: bool,
}

/// What was imported.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct ImportReport {
    /// Users who are there now.
    pub added: u64,
    /// Users who were there before, and stay as they are.
    pub existing: u64,
    /// Rows that were left out.
    pub refused: u64,
    /// How many of the users, added or existing, have no password in the file.
    pub without_password: u64,
}

/// What is told during an import.
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
    /// Its line in the file, from 1 on.
    pub line: u64,
    /// Why it is refused, in a sentence that holds no hash.
    pub reason: String,
}

/// Adds the users of a file, with the password hashes of the system that they come from: Argon2, bcrypt,
/// scrypt and PBKDF2 as PHC, Django, Devise, `PocketBase` and Better Auth write them.
///
/// Every row is checked before any is added. Existing users are left unchanged, so importing a file twice is
/// safe, and an import that was interrupted goes on when it is run again.
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

/// The same for a domain that is open.
pub(crate) async fn import_into(
    domain: &Domain,
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

/// What the rows are.
#[derive(Default)]
struct Checked {
    good: u64,
    refused: u64,
    without_password: u64,
}

impl UserFile {
    /// Reads the file and tells which rows are refused, and why.
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

    /// Reads the file again and adds the good rows in batches; how many were new.
    async fn add(
        &self,
        domain: &Domain,
        on_event: &mut impl FnMut(ImportEvent),
    ) -> Result<u64, ImportError> {
        domain.expect_many().await?;
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
            // a running service waits for the writer in naps that grow with its waiting: a gap of a
            // quarter of that is not missed
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
