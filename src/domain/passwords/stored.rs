//! The password column of an account.

use crate::core::error::InternalError;
use crate::domain::keys::peppers::Peppers;
use crate::domain::passwords::argon2id::Argon2id;
use crate::domain::passwords::imported::ImportedHash;

/// The mark of an account without a password.
pub(crate) const NO_PASSWORD: &str = "!";

/// A parsed password column.
pub(super) enum Stored {
    Ours(Argon2id),
    Foreign(ImportedHash),
    Nothing,
    /// One of our hashes, whose pepper is missing.
    Unpeppered(InternalError),
}

impl Stored {
    pub fn parse(text: &str, peppers: &Peppers) -> Result<Self, InternalError> {
        let doing = "reading a stored password hash";
        let unusable = |why| InternalError::new(doing, why);
        // This is transient, because a mounted secret may appear later.
        let missing =
            |id: &str| InternalError::transient(doing, format!("its pepper {id} is missing"));
        if text == NO_PASSWORD {
            return Ok(Self::Nothing);
        }
        if let Some(text) = ImportedHash::strip_marker(text) {
            let hash = ImportedHash::parse(text);
            return hash.map(Self::Foreign).map_err(|_| unusable("it is not an imported hash"));
        }
        let (mut hash, pepper) = Argon2id::read(text)
            .ok_or_else(|| unusable("it is not an Argon2id hash within the allowed limits"))?;
        let Some(id) = pepper else { return Ok(Self::Ours(hash)) };
        hash.pepper = peppers.find(&id).cloned();
        Ok(match hash.pepper {
            Some(_) => Self::Ours(hash),
            None => Self::Unpeppered(missing(&id)),
        })
    }
}
