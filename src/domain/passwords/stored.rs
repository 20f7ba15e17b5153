//! What the row of an account holds of a password.

use crate::core::error::InternalError;
use crate::domain::keys::peppers::Peppers;
use crate::domain::passwords::argon2id::Argon2id;
use crate::domain::passwords::imported::ForeignHash;

/// What the row of an account holds that has no password.
pub(crate) const NO_PASSWORD: &str = "!";

/// What a row holds of a password.
pub(super) enum Stored {
    Ours(Argon2id),
    Foreign(ForeignHash),
    Nothing,
    /// One of ours with a pepper that is not here.
    Unpeppered(InternalError),
}

impl Stored {
    pub fn parse(text: &str, peppers: &Peppers) -> Result<Self, InternalError> {
        let doing = "reading a stored password hash";
        let unusable = |why| InternalError::new(doing, why);
        // a mounted secret may be on its way
        let missing =
            |id: &str| InternalError::transient(doing, format!("its pepper {id} is not here"));
        if text == NO_PASSWORD {
            return Ok(Self::Nothing);
        }
        if let Some(text) = ForeignHash::text_of(text) {
            let hash = ForeignHash::parse(text);
            return hash.map(Self::Foreign).map_err(|_| unusable("it is no imported one"));
        }
        let (mut hash, pepper) =
            Argon2id::read(text).ok_or_else(|| unusable("it is no Argon2id hash within bounds"))?;
        let Some(id) = pepper else { return Ok(Self::Ours(hash)) };
        hash.pepper = peppers.named(&id).cloned();
        Ok(match hash.pepper {
            Some(_) => Self::Ours(hash),
            None => Self::Unpeppered(missing(&id)),
        })
    }
}
