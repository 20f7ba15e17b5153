//! Security events: one line of the log each, by a name that the README lists, and a row for
//! `cloakroom audit`.
//!
//! Written here, because this floor knows what came of a try and whose account it was. The id of the
//! request and the address stand there, too: `http` puts them around what it asks of this floor.
//!
//! A line never holds what somebody typed. A user name is no exception: people type their password
//! there. A failed sign-in names the account, if there is one: that says to readers of the log who
//! exists, which its other lines say anyway, and to nobody else.

use crate::core::ids::{AccountId, SessionId};
use crate::domain::Domain;
use crate::domain::audit::journal::Happening;

/// What happened.
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

    /// Can anybody make it happen, as often as they like?
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

impl Domain {
    /// Notes what concerns no account, or none that is known.
    pub fn note(&self, event: Event) {
        self.note_of(event, None, None);
    }

    /// Notes what happened to an account.
    pub(crate) fn note_at(&self, event: Event, account: &AccountId) {
        self.note_of(event, Some(account), None);
    }

    /// Notes what happened to an account and one of its sessions, as far as these are known.
    pub(crate) fn note_of(
        &self,
        event: Event,
        account: Option<&AccountId>,
        session: Option<&SessionId>,
    ) {
        let happened = Happening { event, account, session, thing: None, count: 1 };
        self.events.note(self.clock.now(), happened);
        let (account, session) = (account.map(AccountId::as_str), session.map(SessionId::as_str));
        tracing::info!(target: "audit", event = event.name(), account, session);
    }

    /// Notes that an account asks for changes faster than it may. A client that goes on costs a line a
    /// minute.
    pub(crate) fn note_throttled(&self, account: &AccountId) {
        let event = Event::AccountThrottled;
        let happened =
            Happening { event, account: Some(account), session: None, thing: None, count: 1 };
        if self.events.note(self.clock.now(), happened) {
            tracing::info!(target: "audit", event = event.name(), account = account.as_str());
        }
    }

    /// Notes what happened to something that has no account, by its id.
    pub fn note_thing(&self, event: Event, id: &str) {
        self.events.note_thing(self.clock.now(), event, id);
        event.log(id);
    }

    /// Notes what happened to so many at once.
    pub(crate) fn note_count(&self, event: Event, account: Option<&AccountId>, count: u64) {
        let happened = Happening { event, account, session: None, thing: None, count };
        self.events.note(self.clock.now(), happened);
        let account = account.map(AccountId::as_str);
        tracing::info!(target: "audit", event = event.name(), account, count);
    }
}

impl Event {
    /// Logs what happened to something that has no account, by its id.
    pub fn log(self, id: &str) {
        tracing::info!(target: "audit", event = self.name(), id);
    }
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
