//! Security events: each is a line in the log with a documented name, and a row for `cloakroom
//! audit`.
//!
//! A line never contains text that a client sent, not even a user name, because users type their
//! password into the wrong field. The event of a failed login names the account if it exists. This
//! reveals the existence of the account to readers of the log, who see it in other lines anyway.

use crate::core::clock::Timestamp;

/// The kind of a security event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
    AccountThrottled,
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
    PepperAdded,
    PepperForgotten,
    PeppersChanged,
    ServerSecretAdded,
    ServerSecretForgotten,
    ServerSecretsChanged,
    UsernameReleased,
    CrossOriginRefused,
    PublicUrlMismatch,
    ForwardedIgnored,
    DatabaseRestored,
    EventsLost,
}

impl Event {
    pub const ALL: [Self; 38] = [
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
        Self::AccountThrottled,
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
        Self::PepperAdded,
        Self::PepperForgotten,
        Self::PeppersChanged,
        Self::ServerSecretAdded,
        Self::ServerSecretForgotten,
        Self::ServerSecretsChanged,
        Self::UsernameReleased,
        Self::CrossOriginRefused,
        Self::PublicUrlMismatch,
        Self::ForwardedIgnored,
        Self::DatabaseRestored,
        Self::EventsLost,
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
            Self::AccountThrottled => "account_throttled",
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
            Self::PepperAdded => "pepper_added",
            Self::PepperForgotten => "pepper_forgotten",
            Self::PeppersChanged => "peppers_changed",
            Self::ServerSecretAdded => "server_secret_added",
            Self::ServerSecretForgotten => "server_secret_forgotten",
            Self::ServerSecretsChanged => "server_secrets_changed",
            Self::UsernameReleased => "username_released",
            Self::CrossOriginRefused => "cross_origin_refused",
            Self::PublicUrlMismatch => "public_url_mismatch",
            Self::ForwardedIgnored => "forwarded_ignored",
            Self::DatabaseRestored => "database_restored",
            Self::EventsLost => "events_lost",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.name() == name)
    }

    /// Whether any client can cause this event as often as it likes.
    pub fn is_refusal(self) -> bool {
        match self {
            Self::LoginFailed
            | Self::LoginThrottled
            | Self::PasswordRefused
            | Self::PasswordThrottled
            | Self::RegistrationThrottled
            | Self::AccountThrottled
            | Self::CrossOriginRefused => true,
            Self::LoginSucceeded
            | Self::DeviceDistrusted
            | Self::Logout
            | Self::SessionRevoked
            | Self::OtherSessionsRevoked
            | Self::AllSessionsRevoked
            | Self::PasswordChanged
            | Self::PasswordReset
            | Self::AccountRegistered
            | Self::AccountClosed
            | Self::UserAdded
            | Self::UsersImported
            | Self::UserDisabled
            | Self::UserEnabled
            | Self::UserDeleted
            | Self::InviteMade
            | Self::InviteUsed
            | Self::InviteRevoked
            | Self::KeyRotated
            | Self::KeysChanged
            | Self::PepperAdded
            | Self::PepperForgotten
            | Self::PeppersChanged
            | Self::PublicUrlMismatch
            | Self::ForwardedIgnored
            | Self::ServerSecretAdded
            | Self::ServerSecretForgotten
            | Self::ServerSecretsChanged
            | Self::UsernameReleased
            | Self::DatabaseRestored
            | Self::EventsLost => false,
        }
    }
}

impl Event {
    /// Logs an event about something that is not an account, with its id.
    pub fn log(self, id: &str) {
        tracing::info!(target: "audit", event = self.name(), id);
    }
}

/// The smallest id of events at this time.
pub fn first_id(at: Timestamp) -> Vec<u8> {
    at.millis().clamp(0, 0xffff_ffff_ffff).to_be_bytes()[2..].to_vec()
}

#[cfg(test)]
mod tests {
    use crate::domain::audit::event::Event;
    use crate::store::SETUP_EVENTS;

    #[test]
    fn the_events_that_doctor_asks_the_database_for_have_these_names() {
        assert_eq!(
            SETUP_EVENTS,
            [Event::PublicUrlMismatch, Event::ForwardedIgnored].map(Event::name)
        );
    }

    #[test]
    fn the_readme_lists_every_event_once() {
        let readme = include_str!("../../../README.md");
        for event in Event::ALL {
            let row = format!("| `{}` |", event.name());
            assert_eq!(readme.matches(&row).count(), 1, "{row}");
        }
    }
}
