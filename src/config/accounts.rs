//! The section `accounts`: how long a freed user name stays reserved.

use serde::{Deserialize, Serialize};

use super::period::Period;
use crate::core::clock::days;

/// After a year, most data that an app keeps under a user name is gone, or its operator has dealt
/// with it.
const DEFAULT_USERNAME_HOLD: Period = Period::of(days(365));

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AccountSettings {
    /// How long the user name of a closed or deleted account cannot be registered: minutes, hours
    /// or days (`90m`, `12h`, `30d`), at most `36500d`, or `0`.
    pub username_hold: Option<Period>,
}

/// The settings about user names of closed and deleted accounts.
#[derive(Debug, Clone, Serialize)]
pub struct Accounts {
    /// No registration gets such a user name for this long.
    pub username_hold: Period,
}

impl AccountSettings {
    /// Merges two sources: the settings of `over` win.
    pub(super) fn merge(self, over: Self) -> Self {
        Self { username_hold: over.username_hold.or(self.username_hold) }
    }
}

impl Accounts {
    pub(super) fn check(settings: AccountSettings) -> Self {
        Self { username_hold: settings.username_hold.unwrap_or(DEFAULT_USERNAME_HOLD) }
    }
}
