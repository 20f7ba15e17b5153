//! Security events: each is a line in the log with a documented name, and a row for `cloakroom
//! audit`.
//!
//! A line never contains text that a client sent, not even a user name, because users type their
//! password into the wrong field. The event of a failed login names the account if it exists. This
//! reveals the existence of the account to readers of the log, who see it in other lines anyway.

use strum::{EnumString, IntoStaticStr, VariantNames};

use crate::core::clock::Timestamp;

/// The kind of a security event. Its name is the variant in snake case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
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
    pub fn name(self) -> &'static str {
        self.into()
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
    use strum::VariantNames;

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
        for event in Event::VARIANTS {
            let row = format!("| `{event}` |");
            assert_eq!(readme.matches(&row).count(), 1, "{row}");
        }
    }
}
