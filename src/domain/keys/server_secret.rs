//! The server secret: 256 random bits outside of the database, from which the service derives a key
//! for each purpose by HKDF-SHA-256 (RFC 5869), each with its own label.
//!
//! It is a file in the key folder, created at the first start and shared by all nodes. The last one
//! by name is current and used for new rows. Older ones are still used to recognize existing rows.

use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

use aws_lc_rs::{hkdf, hmac};

use crate::core::clock::Timestamp;
use crate::core::error::InternalError;
use crate::core::ids::AccountId;
use crate::core::mailed_secret::{MailedCode, ProofDigest};
use crate::core::secret::{HeldUsernameDigest, ServerSecret, Sid, SidDigest, random_id};
use crate::core::usernames::Username;
use crate::domain::keys::files::KeyError;
use crate::domain::keys::folder::{KeyFileContent, KeyFolder, Reread};
use crate::domain::keys::{files, folder};
use crate::store::{HeldUsernameRow, Store};

const PREFIX: &str = "server-secret-";
const EXTENSION: &str = files::SERVER_SECRET;
/// The labels of the derived keys. A label is never reused or changed.
const THROTTLE_LABEL: &[u8] = b"cloakroom v1 throttle keys";
const HELD_USERNAMES_LABEL: &[u8] = b"cloakroom v1 held user names";
const REPLACED_TOKENS_LABEL: &[u8] = b"cloakroom v1 replaced session tokens";
const MAILED_CODES_LABEL: &[u8] = b"cloakroom v1 mailed codes";
/// The number of rows that a statement removes, which occupies the writer for a few milliseconds.
const BATCH: i64 = 500;

/// The keys that are derived from one secret. The secret itself is not kept in memory.
pub(crate) struct DerivedKeys {
    id: String,
    throttle: hmac::Key,
    held_usernames: hmac::Key,
    replaced_tokens: hmac::Key,
    mailed_codes: hmac::Key,
}

impl DerivedKeys {
    fn new(secret: &ServerSecret) -> Self {
        // The secret is uniformly random, so no salt is needed (RFC 5869, section 3.1).
        let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, &[]).extract(secret.expose());
        let derive = |label: &[u8]| {
            let labels = [label];
            let key = extracted.expand(&labels, hmac::HMAC_SHA256);
            hmac::Key::from(key.expect("a key of 32 bytes can be derived"))
        };
        Self {
            id: secret.id(),
            throttle: derive(THROTTLE_LABEL),
            held_usernames: derive(HELD_USERNAMES_LABEL),
            replaced_tokens: derive(REPLACED_TOKENS_LABEL),
            mailed_codes: derive(MAILED_CODES_LABEL),
        }
    }

    fn digest_of(&self, username: &Username) -> HeldUsernameDigest {
        let mac = hmac::sign(&self.held_usernames, username.as_str().as_bytes());
        HeldUsernameDigest::new(mac.as_ref().try_into().expect("HMAC-SHA-256 has 32 bytes"))
    }

    fn digest_of_code(&self, account: &AccountId, mailbox: &str, code: &MailedCode) -> ProofDigest {
        // No id and no address contains a space, so the parts cannot be read in another way.
        let text = format!("{} {mailbox} ", account.as_str());
        let mut mac = hmac::Context::with_key(&self.mailed_codes);
        mac.update(text.as_bytes());
        mac.update(code.expose().as_bytes()); // for the digest that is stored
        ProofDigest::from_mac(mac.sign().as_ref().try_into().expect("HMAC-SHA-256 has 32 bytes"))
    }
}

impl std::fmt::Debug for DerivedKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DerivedKeys(…)")
    }
}

impl KeyFileContent for DerivedKeys {
    fn is_named(name: &Path) -> bool {
        let file = name.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        file.starts_with(PREFIX) && name.extension().is_some_and(|own| own == EXTENSION)
    }

    fn read(folder: &Path, name: &Path) -> Result<(PathBuf, Self), KeyError> {
        let (path, bytes) = files::read(folder, name, KeyError::NotAServerSecret)?;
        let Some(secret) = ServerSecret::parse(&bytes) else {
            return Err(KeyError::NotAServerSecret(path));
        };
        if secret.is_weak() {
            return Err(KeyError::WeakServerSecret(path));
        }
        Ok((path, Self::new(&secret)))
    }
}

/// The server secrets of a folder, at least one.
#[derive(Debug)]
pub struct ServerSecrets {
    set: RwLock<Arc<KeyFolder<DerivedKeys>>>,
}

/// A server secret in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownServerSecret {
    pub id: String,
    /// The path of its file, or `None` if it is missing.
    pub path: Option<PathBuf>,
    /// Whether it is used for new rows.
    pub is_current: bool,
    /// The number of reserved user names that cannot be recognized without it.
    pub held_usernames: i64,
}

/// Why the server secrets cannot be used. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ServerSecretError {
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("{0}; run `cloakroom doctor` to find the problem")]
    Internal(#[from] InternalError),
    #[error(
        "the server secret {id} is missing from {}; the number of held user names that cannot be \
         recognized without it is {held_usernames}; restore its file from a backup, or, if the file is lost, \
         release these names with `cloakroom server-secret forget {id}`",
        folder.display()
    )]
    Missing { id: String, folder: PathBuf, held_usernames: i64 },
    #[error(
        "the server secrets are missing from {0}; the service uses the last one until it stops; \
         restore the file from a backup, or run: cloakroom server-secret add"
    )]
    NoneLeft(PathBuf),
}

/// Why a server secret cannot be forgotten.
#[derive(Debug, thiserror::Error)]
pub enum ForgetSecretError {
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Internal(#[from] InternalError),
    #[error("the server secret {0} is not lost: its file is {1}; nothing was changed")]
    NotLost(String, PathBuf),
    #[error(
        "no held user name needs a server secret {0}; `cloakroom server-secret list` lists the secrets that are needed"
    )]
    NotNeeded(String),
}

impl ServerSecrets {
    /// Whether the folder has any server secrets, valid or not.
    pub fn are_in(folder: &Path) -> Result<bool, KeyError> {
        folder::has_any::<DerivedKeys>(folder)
    }

    /// Reads all server secrets of the folder. Returns `None` if there are none.
    pub fn read(folder: &Path) -> Result<Option<Self>, KeyError> {
        let set = KeyFolder::<DerivedKeys>::read(folder)?;
        let has_one = !set.files.is_empty();
        Ok(has_one.then(|| Self { set: RwLock::new(Arc::new(set)) }))
    }

    /// Creates a server secret, which is current from now on. Only its owner can read the file,
    /// which is on the disk when this returns. Running services use it within a second.
    pub fn create(folder: &Path, now: Timestamp) -> Result<(String, PathBuf), KeyError> {
        let secret = ServerSecret::random();
        let name = format!("{PREFIX}{:015}-{}.{EXTENSION}", now.millis(), random_id());
        let path = folder.join(name);
        files::write(folder, &path, &secret.to_text(), "server-secret add")?;
        Ok((secret.id(), path))
    }

    /// The id of the current secret.
    pub fn current_id(&self) -> String {
        current(&self.set()).id.clone()
    }

    /// Whether the secret with this id is available.
    pub fn has(&self, id: &str) -> bool {
        self.set().has(id)
    }

    pub fn paths(&self) -> Vec<PathBuf> {
        self.set().files.iter().map(|file| file.path.clone()).collect()
    }

    /// Half of the HMAC-SHA-256 of a throttle key. A client may have typed a password as its user
    /// name; a reader of the database cannot guess it from the digest.
    pub(crate) fn throttle_digest(&self, text: &str) -> [u8; 16] {
        let mac = hmac::sign(&current(&self.set()).throttle, text.as_bytes());
        mac.as_ref()[..16].try_into().expect("HMAC-SHA-256 has 32 bytes")
    }

    /// The secret of the token that replaces this one at a confirmation: its HMAC-SHA-256. A
    /// repeated confirmation thus leads to the same token, on any node, and no client can predict
    /// it.
    pub(crate) fn replacement_of(&self, replaced: SidDigest) -> Sid {
        let mac = hmac::sign(&current(&self.set()).replaced_tokens, replaced.as_bytes());
        Sid::from_bytes(mac.as_ref().try_into().expect("HMAC-SHA-256 has 32 bytes"))
    }

    /// The digest of a code that is mailed to an address of this account.
    pub(crate) fn code_digest(
        &self,
        account: &AccountId,
        mailbox: &str,
        code: &MailedCode,
    ) -> ProofDigest {
        current(&self.set()).digest_of_code(account, mailbox, code)
    }

    /// The digests by which a code that was mailed is found, one for each secret.
    pub(crate) fn code_digests(
        &self,
        account: &AccountId,
        mailbox: &str,
        code: &MailedCode,
    ) -> Vec<ProofDigest> {
        let set = self.set();
        let keys = set.files.iter().map(|file| &file.content);
        keys.map(|keys| keys.digest_of_code(account, mailbox, code)).collect()
    }

    /// The row that reserves a user name.
    pub(crate) fn hold(&self, username: &Username, until: Timestamp) -> HeldUsernameRow {
        let set = self.set();
        let keys = current(&set);
        HeldUsernameRow {
            digest: keys.digest_of(username),
            secret_id: keys.id.clone(),
            held_until: until.millis(),
        }
    }

    /// The digests by which a reserved user name is found, one for each secret.
    pub(crate) fn held_digests(&self, username: &Username) -> Vec<HeldUsernameDigest> {
        self.set().files.iter().map(|file| file.content.digest_of(username)).collect()
    }

    /// Uses added server secrets, and stops using removed ones unless a row needs them. Returns
    /// whether secrets were added or removed, and the problems.
    pub async fn reload(
        &self,
        store: &Store,
        now: Timestamp,
    ) -> Result<(bool, Vec<ServerSecretError>), ServerSecretError> {
        let before = self.set();
        let Reread { changed, refused } = before.reread()?;
        let mut errors: Vec<_> = refused.into_iter().map(ServerSecretError::Key).collect();
        let Some(mut set) = changed else { return Ok((false, errors)) };
        let needed = store.server_secrets_in_use(now.millis()).await?;
        let needed: Vec<_> = needed.into_iter().filter(|(id, _)| !set.has(id)).collect();
        set.keep(&before, |keys| needed.iter().any(|(id, _)| *id == keys.id));
        errors.extend(needed.into_iter().map(|need| missing(set.folder(), need)));
        if set.files.is_empty() {
            set.keep(&before, |keys| keys.id == current(&before).id);
            errors.push(ServerSecretError::NoneLeft(set.folder().to_owned()));
        }
        let has_changed = !set.is_same(&before);
        if has_changed {
            *self.set.write().expect("nobody panics while writing") = Arc::new(set);
        }
        Ok((has_changed, errors))
    }

    fn set(&self) -> Arc<KeyFolder<DerivedKeys>> {
        Arc::clone(&self.set.read().expect("nobody panics while writing"))
    }
}

/// The secret for new rows.
fn current(set: &KeyFolder<DerivedKeys>) -> &DerivedKeys {
    &set.files.last().expect("there is at least one").content
}

/// Lists the available secrets, oldest first, and the missing ones.
pub async fn list(
    folder: &Path,
    store: &Store,
    now: Timestamp,
) -> Result<Vec<KnownServerSecret>, ServerSecretError> {
    let set = KeyFolder::<DerivedKeys>::read(folder)?;
    let mut in_use = store.server_secrets_in_use(now.millis()).await?;
    let mut known = Vec::new();
    for (n, file) in set.files.iter().enumerate() {
        let id = file.content.id.clone();
        let held = in_use.extract_if(.., |(other, _)| *other == id).next();
        known.push(KnownServerSecret {
            id,
            path: Some(file.path.clone()),
            is_current: n + 1 == set.files.len(),
            held_usernames: held.map_or(0, |(_, count)| count),
        });
    }
    known.extend(in_use.into_iter().map(|(id, held_usernames)| KnownServerSecret {
        id,
        path: None,
        is_current: false,
        held_usernames,
    }));
    Ok(known)
}

/// Forgets a lost server secret: removes the rows that need it. Returns the number of user names
/// that are no longer reserved.
pub async fn forget(folder: &Path, id: &str, store: &Store) -> Result<u64, ForgetSecretError> {
    let set = KeyFolder::<DerivedKeys>::read(folder)?;
    if let Some(file) = set.files.iter().find(|file| file.content.id == id) {
        return Err(ForgetSecretError::NotLost(id.to_owned(), file.path.clone()));
    }
    let mut released = 0;
    loop {
        let removed = store.forget_held_usernames(id, BATCH).await?;
        if removed == 0 {
            break;
        }
        released += removed;
    }
    if released == 0 { Err(ForgetSecretError::NotNeeded(id.to_owned())) } else { Ok(released) }
}

/// Returns an error if a secret is missing that rows need.
pub fn check(
    folder: &Path,
    secrets: Option<&ServerSecrets>,
    needed: Vec<(String, i64)>,
) -> Result<(), ServerSecretError> {
    let has = |id: &str| secrets.is_some_and(|secrets| secrets.has(id));
    match needed.into_iter().find(|(id, _)| !has(id)) {
        Some(need) => Err(missing(folder, need)),
        None => Ok(()),
    }
}

fn missing(folder: &Path, (id, held_usernames): (String, i64)) -> ServerSecretError {
    ServerSecretError::Missing { id, folder: folder.to_owned(), held_usernames }
}

impl KeyFolder<DerivedKeys> {
    fn has(&self, id: &str) -> bool {
        self.files.iter().any(|file| file.content.id == id)
    }
}
