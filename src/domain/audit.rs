//! Security events: one line of the log each, by a name that the README lists.
//!
//! Written here, because this floor knows what came of a try and whose account it was. The id of the
//! request and the address stand on the line, too: `http` puts them around what it asks of this floor.
//!
//! A line never holds what somebody typed. A user name is no exception: people type their password
//! there. A failed sign-in names the account, if there is one: that says to readers of the log who
//! exists, which its other lines say anyway, and to nobody else.

use super::accounts::AccountId;
use super::sessions::SessionId;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    LoginSucceeded,
    LoginFailed,
    LoginThrottled,
    DeviceDistrusted,
    Logout,
    SessionRevoked,
    OtherSessionsRevoked,
    AllSessionsRevoked,
    PasswordRefused,
    PasswordThrottled,
    PasswordChanged,
    PasswordReset,
    AccountRegistered,
    RegistrationThrottled,
    AccountClosed,
    UserAdded,
    UsersImported,
    UserDisabled,
    UserEnabled,
    UserDeleted,
    InviteMade,
    InviteUsed,
    InviteRevoked,
    KeyRotated,
    KeysChanged,
    CrossOriginRefused,
}

impl Event {
    pub const ALL: [Self; 26] = [
        Self::LoginSucceeded,
        Self::LoginFailed,
        Self::LoginThrottled,
        Self::DeviceDistrusted,
        Self::Logout,
        Self::SessionRevoked,
        Self::OtherSessionsRevoked,
        Self::AllSessionsRevoked,
        Self::PasswordRefused,
        Self::PasswordThrottled,
        Self::PasswordChanged,
        Self::PasswordReset,
        Self::AccountRegistered,
        Self::RegistrationThrottled,
        Self::AccountClosed,
        Self::UserAdded,
        Self::UsersImported,
        Self::UserDisabled,
        Self::UserEnabled,
        Self::UserDeleted,
        Self::InviteMade,
        Self::InviteUsed,
        Self::InviteRevoked,
        Self::KeyRotated,
        Self::KeysChanged,
        Self::CrossOriginRefused,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::LoginSucceeded => "login_succeeded",
            Self::LoginFailed => "login_failed",
            Self::LoginThrottled => "login_throttled",
            Self::DeviceDistrusted => "device_distrusted",
            Self::Logout => "logout",
            Self::SessionRevoked => "session_revoked",
            Self::OtherSessionsRevoked => "other_sessions_revoked",
            Self::AllSessionsRevoked => "all_sessions_revoked",
            Self::PasswordRefused => "password_refused",
            Self::PasswordThrottled => "password_throttled",
            Self::PasswordChanged => "password_changed",
            Self::PasswordReset => "password_reset",
            Self::AccountRegistered => "account_registered",
            Self::RegistrationThrottled => "registration_throttled",
            Self::AccountClosed => "account_closed",
            Self::UserAdded => "user_added",
            Self::UsersImported => "users_imported",
            Self::UserDisabled => "user_disabled",
            Self::UserEnabled => "user_enabled",
            Self::UserDeleted => "user_deleted",
            Self::InviteMade => "invite_made",
            Self::InviteUsed => "invite_used",
            Self::InviteRevoked => "invite_revoked",
            Self::KeyRotated => "key_rotated",
            Self::KeysChanged => "keys_changed",
            Self::CrossOriginRefused => "cross_origin_refused",
        }
    }

    /// Notes what concerns no account, or none that is known.
    pub fn note(self) {
        self.note_of(None, None);
    }

    /// Notes what happened to an account.
    pub fn note_at(self, account: &AccountId) {
        self.note_of(Some(account), None);
    }

    /// Notes what happened to an account and one of its sessions, as far as these are known.
    pub fn note_of(self, account: Option<&AccountId>, session: Option<&SessionId>) {
        let (account, session) = (account.map(AccountId::as_str), session.map(SessionId::as_str));
        tracing::info!(target: "audit", event = self.name(), account, session);
    }

    /// Notes what happened to something that has no account: an invite or a key, by its id.
    pub fn note_thing(self, id: &str) {
        tracing::info!(target: "audit", event = self.name(), id);
    }

    /// Notes what happened to so many at once.
    pub fn note_count(self, account: Option<&AccountId>, count: u64) {
        let account = account.map(AccountId::as_str);
        tracing::info!(target: "audit", event = self.name(), account, count);
    }
}

#[cfg(test)]
mod tests {
    use super::Event;

    #[test]
    fn the_readme_lists_every_event_once() {
        let readme = include_str!("../../README.md");
        for event in Event::ALL {
            let row = format!("| `{}` |", event.name());
            assert_eq!(readme.matches(&row).count(), 1, "{row}");
        }
    }
}
