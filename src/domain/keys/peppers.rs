//! Peppers: secrets outside of the database, without which its password hashes cannot be attacked.
//!
//! Argon2 supports a pepper as the secret value K (RFC 9106, section 3.1). Each pepper is a file in
//! the key folder. The last one by name is used for new hashes, and each hash contains the id of
//! its pepper.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::core::clock::Timestamp;
use crate::core::error::InternalError;
use crate::core::secret::{Pepper, random_id};
use crate::domain::keys::files;
use crate::domain::keys::files::KeyError;
use crate::domain::keys::folder::{KeyFile, KeyFileContent, KeyFolder, Reread};
use crate::store::Store;

/// The file extension.
const ENDING: &str = files::PEPPER;

/// The peppers of a folder when it was read. In a running service, these include removed peppers
/// that passwords still need.
#[derive(Debug, Default)]
pub struct Peppers(KeyFolder<KnownPepperFile>);

#[derive(Debug)]
struct KnownPepperFile {
    id: String,
    pepper: Arc<Pepper>,
}

/// A pepper in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownPepper {
    pub id: String,
    /// The path of its file, or `None` if it is missing.
    pub path: Option<PathBuf>,
    /// Whether it is used for new hashes.
    pub is_current: bool,
    /// The number of accounts whose password needs it.
    pub passwords: i64,
}

/// Why the peppers cannot be used. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum PepperError {
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("{0}; run `cloakroom doctor` to find the problem")]
    Internal(#[from] InternalError),
    #[error(
        "the pepper {id} is missing from {}; the number of passwords that cannot be verified \
         without it is {passwords}; restore its file from a backup, or, if the file is lost, \
         remove these passwords with \
         `cloakroom pepper forget {id}`",
        folder.display()
    )]
    Gone { id: String, folder: PathBuf, passwords: i64 },
}

/// Why a pepper cannot be forgotten.
#[derive(Debug, thiserror::Error)]
pub enum ForgetError {
    #[error(transparent)]
    Internal(#[from] InternalError),
    #[error("the pepper {0} is not lost: its file is {1}; nothing was changed")]
    IsThere(String, PathBuf),
    #[error(
        "no password needs a pepper {0}; `cloakroom pepper list` lists the peppers that are needed"
    )]
    NotNeeded(String),
}

impl Peppers {
    /// Reads all peppers of the folder. A folder that does not exist has none.
    pub fn read(folder: &Path) -> Result<Self, KeyError> {
        KeyFolder::read(folder).map(Self)
    }

    /// Creates a pepper for new hashes. Only its owner can read the file, which is on the disk when
    /// this returns. Running services use it within a second.
    pub fn create(folder: &Path, now: Timestamp) -> Result<(String, PathBuf), KeyError> {
        let pepper = Pepper::random();
        let name = format!("pepper-{:015}-{}.{ENDING}", now.millis(), random_id());
        let path = folder.join(name);
        files::write(folder, &path, &pepper.to_text(), "pepper add")?;
        Ok((pepper.id(), path))
    }

    /// Checks that no pepper is missing that a password needs.
    pub async fn check(&self, store: &Store) -> Result<(), PepperError> {
        for id in store.peppers_in_use().await? {
            if self.find(&id).is_none() {
                let passwords = store.count_peppered(&id).await?;
                return Err(self.missing(id, passwords));
            }
        }
        Ok(())
    }

    /// The error for a missing pepper that this many passwords need.
    pub fn missing(&self, id: String, passwords: i64) -> PepperError {
        PepperError::Gone { id, folder: self.0.folder().to_owned(), passwords }
    }

    /// The pepper for new hashes.
    pub fn current(&self) -> Option<&Arc<Pepper>> {
        self.0.files.last().map(|file| &file.content.pepper)
    }

    /// The pepper with this id.
    pub fn find(&self, id: &str) -> Option<&Arc<Pepper>> {
        self.file_of(id).map(|file| &file.content.pepper)
    }

    fn file_of(&self, id: &str) -> Option<&KeyFile<KnownPepperFile>> {
        self.0.files.iter().find(|file| file.content.id == id).map(|file| &**file)
    }

    /// The paths of the files.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.0.files.iter().map(|file| &*file.path)
    }

    /// Reads the changes in the folder. Returns the new peppers, or `None` if nothing has changed,
    /// and the problems. Removed peppers that passwords need are kept.
    pub async fn reread(
        &self,
        store: &Store,
    ) -> Result<(Option<Self>, Vec<PepperError>), PepperError> {
        let Reread { changed, refused } = self.0.reread()?;
        let mut errors: Vec<_> = refused.into_iter().map(PepperError::Key).collect();
        let Some(folder) = changed else { return Ok((None, errors)) };
        let mut peppers = Self(folder);
        for id in store.peppers_in_use().await? {
            if peppers.find(&id).is_none() {
                let passwords = store.count_peppered(&id).await?;
                peppers.0.keep(&self.0, |file| file.id == id);
                errors.push(peppers.missing(id, passwords));
            }
        }
        let has_changed = !peppers.0.is_same(&self.0);
        Ok((has_changed.then_some(peppers), errors))
    }

    /// Lists the available peppers, oldest first, and the missing ones.
    pub async fn list(&self, store: &Store) -> Result<Vec<KnownPepper>, InternalError> {
        let mut known = Vec::new();
        for (n, file) in self.0.files.iter().enumerate() {
            known.push(KnownPepper {
                id: file.content.id.clone(),
                path: Some(file.path.clone()),
                is_current: n + 1 == self.0.files.len(),
                passwords: store.count_peppered(&file.content.id).await?,
            });
        }
        for id in store.peppers_in_use().await? {
            if self.find(&id).is_none() {
                let passwords = store.count_peppered(&id).await?;
                known.push(KnownPepper { id, path: None, is_current: false, passwords });
            }
        }
        Ok(known)
    }

    /// Lists the user names of accounts whose password needs this lost pepper.
    pub async fn affected_users(
        &self,
        id: &str,
        store: &Store,
    ) -> Result<Vec<String>, ForgetError> {
        if let Some(file) = self.file_of(id) {
            return Err(ForgetError::IsThere(id.to_owned(), file.path.clone()));
        }
        let names = store.names_peppered(id).await?;
        if names.is_empty() { Err(ForgetError::NotNeeded(id.to_owned())) } else { Ok(names) }
    }
}

impl KeyFileContent for KnownPepperFile {
    fn is_named(name: &Path) -> bool {
        name.extension().is_some_and(|own| own == ENDING)
    }

    fn read(folder: &Path, name: &Path) -> Result<(PathBuf, Self), KeyError> {
        let (path, bytes) = files::read(folder, name, KeyError::NotAPepper)?;
        let Some(pepper) = Pepper::parse(&bytes) else { return Err(KeyError::NotAPepper(path)) };
        if pepper.is_weak() {
            return Err(KeyError::WeakPepper(path));
        }
        Ok((path, Self { id: pepper.id(), pepper: Arc::new(pepper) }))
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use crate::domain::keys::peppers::*;

    const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);

    fn put(folder: &Path, name: &str, text: &str) -> PathBuf {
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        path
    }

    #[test]
    fn the_last_one_by_name_goes_into_new_hashes_and_the_others_are_known() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        assert!(Peppers::read(folder).unwrap().current().is_none());
        let (first, path) = Peppers::create(folder, NOW).unwrap();
        let later = NOW.plus(std::time::Duration::from_millis(1));
        let (second, _) = Peppers::create(folder, later).unwrap();
        let peppers = Peppers::read(folder).unwrap();
        assert_eq!(peppers.current().unwrap().id(), second);
        assert_eq!(peppers.find(&first).unwrap().id(), first);
        assert!(peppers.find("deadbeef").is_none());
        assert_eq!(peppers.paths().next(), Some(&*path));
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_folder_is_read_again_when_it_has_changed() {
        let folder = tempfile::tempdir().unwrap();
        let none = Peppers::read(folder.path()).unwrap();
        let reread = |peppers: &Peppers| peppers.0.reread().unwrap().changed.map(Peppers);
        assert!(reread(&none).is_none());
        let (id, path) = Peppers::create(folder.path(), NOW).unwrap();
        let one = reread(&none).expect("it has changed");
        assert!(one.find(&id).is_some());
        fs::remove_file(path).unwrap();
        assert!(reread(&one).expect("it has changed again").current().is_none());
    }

    #[test]
    fn what_openssl_makes_of_32_bytes_is_a_pepper_and_nothing_shorter_or_weaker() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let digits = "0123456789abcdef".repeat(4);
        put(folder, "own.pepper", &format!("{digits}\n"));
        let id = Peppers::read(folder).unwrap().current().unwrap().id();
        put(folder, "own.pepper", &digits.to_uppercase());
        assert_eq!(Peppers::read(folder).unwrap().current().unwrap().id(), id, "the same bytes");
        for bad in ["", "changeme", &digits[1..], &digits.replace('0', "g"), &format!("{digits}00")]
        {
            let path = put(folder, "own.pepper", bad);
            let read = Peppers::read(folder).map(drop);
            assert!(matches!(read, Err(KeyError::NotAPepper(bad)) if bad == path), "{bad:?}");
        }
        let path = put(folder, "own.pepper", &"5a".repeat(32));
        let read = Peppers::read(folder).map(drop);
        assert!(matches!(read, Err(KeyError::WeakPepper(weak)) if weak == path));
    }
}
