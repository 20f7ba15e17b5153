//! People who come from elsewhere, with the hashes of their passwords.

use crate::core::clock::Timestamp;
use crate::core::error::InternalError;
use crate::core::secret::{PasswordHash, random_id};
use crate::core::usernames::Username;
use crate::domain::Domain;
use crate::domain::audit::event::Event;
use crate::domain::passwords::imported::{BadHash, ForeignHash};
use crate::domain::passwords::stored::NO_PASSWORD;
use crate::store::{HashRow, ImportRow};

/// As many are added in one transaction: a fifth of a second of the one writer. The indexes of a
/// million users are written all over by a few thousand, so that fewer would write them more often.
pub const BATCH: usize = 10_000;

/// Somebody who had an account elsewhere.
#[derive(Debug)]
pub struct ImportedUser {
    pub username: Username,
    pub password: ImportedPassword,
    /// `None` says now.
    pub created_at: Option<Timestamp>,
    pub is_disabled: bool,
}

/// The hash that another system made of a password, if there is one.
#[derive(Debug)]
pub struct ImportedPassword(HashRow);

impl ImportedPassword {
    /// Reads a hash. An empty one, and one with which Django says so, is that of an account without
    /// a password: nobody signs in to it until it is given one.
    pub fn parse(text: &str) -> Result<Self, BadHash> {
        if text.is_empty() || text.starts_with('!') {
            return Ok(Self(HashRow {
                hash: NO_PASSWORD.to_owned().into(),
                cost: 0,
                pepper: None,
            }));
        }
        let cost = ForeignHash::parse(text)?.micros();
        Ok(Self(HashRow { hash: ForeignHash::stored(text), cost, pepper: None }))
    }

    pub fn is_none(&self) -> bool {
        is_none(&self.0.hash)
    }
}

fn is_none(hash: &PasswordHash) -> bool {
    hash.expose() == NO_PASSWORD // the one that is none
}

impl Domain {
    /// Makes ready for batch after batch.
    pub async fn expect_many(&self) -> Result<(), InternalError> {
        self.store.expect_many().await
    }

    /// Adds those whose names nobody has, all of them or none; how many those were. Held names are
    /// released. Who is there
    /// already stays as they are, so that it does not matter how often somebody is imported.
    pub async fn import(&self, users: &[ImportedUser]) -> Result<u64, InternalError> {
        let now = self.clock.now();
        let own = self.hasher.cost();
        let ids: Vec<String> = users.iter().map(|_| random_id()).collect();
        let rows: Vec<_> = users
            .iter()
            .zip(&ids)
            .map(|(user, id)| ImportRow {
                id,
                username: user.username.as_str(),
                password_hash: &user.password.0.hash,
                // no hash is compared where there is none, but the decoy is
                hash_cost: if user.password.is_none() { own } else { user.password.0.cost },
                created_at: user.created_at.unwrap_or(now).millis(),
                disabled_at: user.is_disabled.then_some(now.millis()),
            })
            .collect();
        // a million digests cost a second, so they are made only where there is something to release
        let held: Vec<_> = if self.store.holds_usernames().await? {
            let names = users.iter().map(|user| &user.username);
            names.flat_map(|name| self.server_secrets.held_digests(name)).collect()
        } else {
            Vec::new()
        };
        let (added, released) = self.store.import_accounts(&rows, &held).await?;
        if released > 0 {
            self.audit.outside_requests().record_count(Event::UsernameReleased, None, released);
        }
        if added > 0 {
            self.audit.outside_requests().record_count(Event::UsersImported, None, added);
        }
        Ok(added)
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::imports::*;

    #[test]
    fn an_empty_hash_and_one_that_django_calls_unusable_are_no_password() {
        for none in ["", "!", "!OxHEIskwmAOY6FG8wSHbcxF8kR53Ty3EhkfibTEP"] {
            assert!(ImportedPassword::parse(none).unwrap().is_none());
        }
        assert_eq!(ImportedPassword::parse("x").map(drop), Err(BadHash::Unknown));
    }
}
