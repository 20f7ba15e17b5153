//! Imports users from another system, with their password hashes.

use crate::core::clock::Timestamp;
use crate::core::display_names::DisplayName;
use crate::core::email_address::EmailAddress;
use crate::core::error::InternalError;
use crate::core::secret::{PasswordHash, random_id};
use crate::core::usernames::Username;
use crate::domain::AuthService;
use crate::domain::accounts::email_columns;
use crate::domain::audit::event::Event;
use crate::domain::passwords::imported::{ImportedHash, InvalidHash};
use crate::domain::passwords::stored::NO_PASSWORD;
use crate::domain::roles::Roles;
use crate::store::{EmailColumns, HashRow, ImportRow};

/// The number of users in a transaction, which occupies the writer for 0.2 seconds. A few thousand
/// users already touch all pages of the indexes of a million users, so smaller batches would write
/// these pages more often.
pub const BATCH: usize = 10_000;

/// A user from another system.
#[derive(Debug)]
pub struct ImportedUser {
    pub username: Username,
    pub display_name: Option<DisplayName>,
    pub email: Option<ImportedEmail>,
    pub password: ImportedPassword,
    /// `None` means the time of the import.
    pub created_at: Option<Timestamp>,
    pub is_disabled: bool,
    pub roles: Roles,
}

/// An address from another system.
#[derive(Debug)]
pub enum ImportedEmail {
    /// The other system has verified that it belongs to the user. If the user of another account has
    /// confirmed it here, it is imported as an unconfirmed one.
    Confirmed(EmailAddress),
    Unconfirmed(EmailAddress),
}

impl ImportedEmail {
    fn to_columns(&self) -> (Option<EmailColumns<'_>>, Option<&str>) {
        match self {
            Self::Confirmed(address) => (Some(email_columns(address)), None),
            Self::Unconfirmed(address) => (None, Some(address.as_str())),
        }
    }
}

/// A password hash from another system, or the mark of an account without a password.
#[derive(Debug)]
pub struct ImportedPassword(HashRow);

impl ImportedPassword {
    /// Parses a hash. An empty one, or one that Django marks as unusable, is that of an account
    /// without a password, whose user cannot sign in before a password is set.
    pub fn parse(text: &str) -> Result<Self, InvalidHash> {
        if text.is_empty() || text.starts_with('!') {
            return Ok(Self(HashRow {
                hash: NO_PASSWORD.to_owned().into(),
                cost: 0,
                pepper: None,
            }));
        }
        let cost = ImportedHash::parse(text)?.micros();
        Ok(Self(HashRow { hash: ImportedHash::add_marker(text), cost, pepper: None }))
    }

    pub fn is_none(&self) -> bool {
        is_none(&self.0.hash)
    }
}

fn is_none(hash: &PasswordHash) -> bool {
    hash.expose() == NO_PASSWORD // to compare it with the mark
}

impl AuthService {
    /// Prepares the database for many batches.
    pub async fn prepare_bulk_insert(&self) -> Result<(), InternalError> {
        self.store.prepare_bulk_insert().await
    }

    /// Adds the users whose names are free, in one transaction, and returns how many there were.
    /// Reserved user names are released. Existing users are left unchanged, so importing a file
    /// twice is safe.
    pub async fn import(&self, users: &[ImportedUser]) -> Result<u64, InternalError> {
        let now = self.clock.now();
        let own = self.hasher.cost();
        let ids: Vec<String> = users.iter().map(|_| random_id()).collect();
        let rows: Vec<_> = users
            .iter()
            .zip(&ids)
            .map(|(user, id)| (user, id, user.email.as_ref().map(ImportedEmail::to_columns)))
            .map(|(user, id, email)| (user, id, email.unwrap_or_default()))
            .map(|(user, id, (email, unconfirmed_email))| ImportRow {
                id,
                username: user.username.as_str(),
                display_name: user.display_name.as_ref().map(DisplayName::as_str),
                email,
                unconfirmed_email,
                password_hash: &user.password.0.hash,
                // For an account without a password, the decoy is verified.
                hash_cost: if user.password.is_none() { own } else { user.password.0.cost },
                created_at: user.created_at.unwrap_or(now).millis(),
                disabled_at: user.is_disabled.then_some(now.millis()),
                roles: user.roles.iter().collect(),
            })
            .collect();
        // A million digests take a second, so they are computed only if any name is reserved.
        let held: Vec<_> = if self.store.holds_usernames().await? {
            let names = users.iter().map(|user| &user.username);
            names.flat_map(|name| self.server_secrets.held_digests(name)).collect()
        } else {
            Vec::new()
        };
        let (added, released) = self.store.import_accounts(&rows, &held, now.millis()).await?;
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
        assert_eq!(ImportedPassword::parse("x").map(drop), Err(InvalidHash::Unknown));
    }
}
