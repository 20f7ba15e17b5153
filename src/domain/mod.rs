//! The rules. No JSON, no SQL, no clock of its own.

pub mod access_tokens;
pub mod accounts;
pub mod audit;
pub mod clock_check;
pub mod demo_users;
pub mod imports;
pub mod invites;
pub mod jobs;
pub mod keys;
pub mod passwords;
pub mod session_data;
pub mod sessions;
pub mod tallies;
pub mod throttle;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::core::clock::Clock;
use crate::core::error::Fault;
use crate::domain::accounts::Registration;
use crate::domain::audit::journal::Events;
use crate::domain::keys::server_secret::ServerSecrets;
use crate::domain::keys::tokens::Keys;
use crate::domain::passwords::hasher::{Hasher, PasswordRules};
use crate::domain::sessions::SessionRules;
use crate::domain::sessions::cache::Recognition;
use crate::domain::tallies::Tallies;
use crate::domain::throttle::Limits;
use crate::store::Store;

/// The door of this floor: what may be done with accounts and sessions.
#[derive(Debug)]
pub struct Domain {
    pub store: Store,
    pub hasher: Hasher,
    pub keys: Keys,
    pub server_secrets: ServerSecrets,
    pub recognition: Recognition,
    pub clock: Clock,
    pub rules: Rules,
    /// Has it been told to end?
    pub is_leaving: AtomicBool,
    /// Is the database closed, or about to be, because this is the end?
    pub is_closing: AtomicBool,
    pub tallies: Tallies,
    /// What happened and is not written down yet.
    pub events: Events,
}

/// What the settings decide.
#[derive(Debug, Clone)]
pub struct Rules {
    pub sessions: SessionRules,
    pub passwords: PasswordRules,
    pub registration: Registration,
    /// For this long no registration gets the user name of a closed or deleted account.
    pub username_hold: Duration,
    pub limits: Limits,
    /// The services for which access tokens are issued, as these tokens name them.
    pub audiences: Vec<String>,
}

impl Domain {
    /// Everything that answering needs is there, and will be.
    pub async fn is_ready(&self) -> Result<bool, Fault> {
        self.store.ping().await?;
        self.store.check_writable().await?;
        Ok(!self.is_leaving.load(Ordering::Relaxed) && self.keys.can_sign())
    }

    /// From now on others are to be asked; what is asked nevertheless is answered.
    pub fn leave(&self) {
        self.is_leaving.store(true, Ordering::Relaxed);
    }

    /// Is this the end? Then what goes on beside the requests ends, too.
    fn is_closing(&self) -> bool {
        self.is_closing.load(Ordering::Relaxed)
    }

    /// Logs what failed beside the requests, unless it failed because the database was closed at the
    /// end.
    fn warn(&self, fault: &Fault) {
        if !self.is_closing() {
            tracing::warn!("{fault}");
        }
    }
}
