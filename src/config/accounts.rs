//! `accounts`: what becomes of user names.

use serde::{Deserialize, Serialize};

use super::period::Period;
use crate::core::clock::days;

/// In a year most of what an app keeps under a user name is gone, or its operator has seen to it.
const DEFAULT_USERNAME_HOLD: Period = Period::of(days(365));

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AccountSettings {
    pub username_hold: Option<Period>,
}

/// What becomes of the user names of closed and deleted accounts.
#[derive(Debug, Clone, Serialize)]
pub struct Accounts {
    /// For this long no registration gets such a name.
    pub username_hold: Period,
}

impl AccountSettings {
    /// What `over` sets, else what this sets.
    pub(super) fn merge(self, over: Self) -> Self {
        Self { username_hold: over.username_hold.or(self.username_hold) }
    }
}

impl Accounts {
    pub(super) fn check(settings: AccountSettings) -> Self {
        Self { username_hold: settings.username_hold.unwrap_or(DEFAULT_USERNAME_HOLD) }
    }
}
