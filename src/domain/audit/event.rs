//! Security events: each is a line in the log, and a row for `cloakroom audit`. The comment of a variant
//! is its description in `docs/reference/events.md`.
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
    /// A user signed in. Fields: `account`, `session`.
    LoginSucceeded,
    /// A sign-in failed: the password was wrong, or there is no such user, or the user is disabled.
    /// Fields: `account`, if there is one.
    LoginFailed,
    /// A sign-in was refused without a check of the password, because too many failed before.
    /// Fields: `account`, if there is one.
    LoginThrottled,
    /// The embedding service signed a user in whom it had authenticated itself, without a password of
    /// this service. Fields: `account`, `session`.
    ExternalLoginSucceeded,
    /// The embedding service wanted to sign a user in, but the account does not exist or is
    /// disabled. Fields: `account`, if there is one.
    ExternalLoginRefused,
    /// A known browser failed to sign in too many times in a row, and is treated like an unknown
    /// one from now on. Fields: `account`.
    DeviceDistrusted,
    /// A user signed out. Fields: `account`.
    Logout,
    /// The user or the operator ended a session. Fields: `account`, `session`.
    SessionRevoked,
    /// A user ended all other sessions of the account. Fields: `account`, `count`.
    OtherSessionsRevoked,
    /// The operator ended all sessions of an account. Fields: `account`, `count`.
    AllSessionsRevoked,
    /// A user confirmed a session with the current password. Fields: `account`, `session`.
    SessionConfirmed,
    /// The current password was wrong when a user wanted to change it or to confirm a session.
    /// Fields: `account`, `session`.
    PasswordRefused,
    /// The current password was not checked, because it was wrong too many times before. Fields:
    /// `account`, `session`.
    PasswordThrottled,
    /// A user changed the password. Fields: `account`, `session`: the new one.
    PasswordChanged,
    /// The operator set a new password. Fields: `account`.
    PasswordReset,
    /// A client requested a link for a new password. Whether there is such an account is not known
    /// then: see `mails_total` in the metrics.
    ResetRequested,
    /// A request of a link for a new password was refused, because there were too many.
    ResetThrottled,
    /// The link for a new password was wrong, used or expired, so no password was set.
    ResetRefused,
    /// A user set a new password with a link. Fields: `account`.
    PasswordRecovered,
    /// A user with a valid link tried to set too many passwords. Fields: `account`.
    RecoveryThrottled,
    /// The operator created a link for a new password. Fields: `account`.
    ResetLinkCreated,
    /// A user registered. Fields: `account`, `session`.
    AccountRegistered,
    /// A registration was refused, because there were too many.
    RegistrationThrottled,
    /// A user changed the display name. Fields: `account`, `session`.
    ProfileUpdated,
    /// A user requested a code for a new e-mail address. Fields: `account`, `session`.
    EmailChangeRequested,
    /// A user confirmed an e-mail address. Fields: `account`, `session`.
    EmailConfirmed,
    /// The operator set the e-mail address of a user. Fields: `account`.
    EmailSet,
    /// A code for an e-mail address was wrong or had expired. Fields: `account`, `session`.
    CodeRefused,
    /// A code was not looked at, because too many were wrong before. Fields: `account`, `session`.
    CodeThrottled,
    /// A user closed the account. Fields: `account`.
    AccountClosed,
    /// A signed-in account made more changes than its limit allows. Fields: `account`. The log has
    /// one line a minute.
    AccountThrottled,
    /// The operator added a user. Fields: `account`.
    UserAdded,
    /// The operator imported users, one event for each batch. Fields: `count`.
    UsersImported,
    /// The operator disabled a user. Fields: `account`.
    UserDisabled,
    /// The operator enabled a user again. Fields: `account`.
    UserEnabled,
    /// The operator deleted a user. Fields: `account`.
    UserDeleted,
    /// A signed-in user was refused, because the account had none of the roles that the operation or
    /// the app requires. Fields: `account`, and `session` or, for an API token, `id`. The log has one
    /// line a minute.
    RoleRefused,
    /// The operator gave a user a role. Fields: `account`, `id`: the role.
    RoleGiven,
    /// The operator took a role from a user. Fields: `account`, `id`: the role.
    RoleTaken,
    /// A user or the operator created an API token. Fields: `account`, `session`, if a user created
    /// it, and `id`: the token.
    ApiTokenCreated,
    /// A user or the operator revoked an API token. Fields: `account`, `session`, if a user revoked
    /// it, and `id`: the token.
    ApiTokenRevoked,
    /// An API token was refused: it is malformed, unknown, expired or revoked, or the operation does
    /// not accept API tokens. Fields: `account`, if there is one. The log has one line a minute.
    ApiTokenRefused,
    /// The operator made an invite. Fields: `id`.
    InviteMade,
    /// A user registered with an invite. Fields: `account`.
    InviteUsed,
    /// The operator revoked an invite. Fields: `id`.
    InviteRevoked,
    /// The operator made a new signing key. Fields: `id`.
    KeyRotated,
    /// A running service read new signing keys, or stopped using removed ones.
    KeysChanged,
    /// The operator made a new pepper. Fields: `id`.
    PepperAdded,
    /// The operator removed the passwords that needed a lost pepper. Fields: `id`.
    PepperForgotten,
    /// A running service read a new pepper, or stopped using a removed one.
    PeppersChanged,
    /// The operator made a new server secret. Fields: `id`.
    ServerSecretAdded,
    /// The operator gave up what needed a lost server secret. Fields: `id`.
    ServerSecretForgotten,
    /// A running service uses a new server secret, or stopped using a removed one.
    ServerSecretsChanged,
    /// A user name that was held is no longer held. Fields: `account`, if a user got it; `count`
    /// for an import.
    UsernameReleased,
    /// A page of another origin tried to change something.
    CrossOriginRefused,
    /// A page that was refused may belong to this service, which users then reach at another URL
    /// than `public_url`. Fields: `id`: the origin of the page. Once an hour for each address, for
    /// at most 16 addresses.
    PublicUrlMismatch,
    /// A trusted proxy sends `Forwarded`, which is not read, and no `X-Forwarded-For`. Fields:
    /// `id`: the address of the proxy. Once an hour for each proxy.
    ForwardedIgnored,
    /// A mail was given up, because the mail server refused it or could not be reached for too long.
    /// Fields: `id`: the mail, as in `cloakroom mail list`.
    MailFailed,
    /// The operator restored a backup. Fields: `id`: the time of the backup.
    DatabaseRestored,
    /// Events could not be written to the database, because it was full or not available. Fields:
    /// `count`.
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
            | Self::ExternalLoginRefused
            | Self::LoginThrottled
            | Self::PasswordRefused
            | Self::PasswordThrottled
            | Self::RegistrationThrottled
            | Self::AccountThrottled
            | Self::RoleRefused
            | Self::ApiTokenRefused
            | Self::CodeRefused
            | Self::CodeThrottled
            | Self::ResetRequested
            | Self::ResetThrottled
            | Self::ResetRefused
            | Self::RecoveryThrottled
            | Self::CrossOriginRefused => true,
            Self::LoginSucceeded
            | Self::ExternalLoginSucceeded
            | Self::DeviceDistrusted
            | Self::Logout
            | Self::SessionRevoked
            | Self::OtherSessionsRevoked
            | Self::AllSessionsRevoked
            | Self::SessionConfirmed
            | Self::PasswordChanged
            | Self::PasswordReset
            | Self::PasswordRecovered
            | Self::ResetLinkCreated
            | Self::AccountRegistered
            | Self::ProfileUpdated
            | Self::EmailChangeRequested
            | Self::EmailConfirmed
            | Self::EmailSet
            | Self::AccountClosed
            | Self::UserAdded
            | Self::UsersImported
            | Self::UserDisabled
            | Self::UserEnabled
            | Self::UserDeleted
            | Self::RoleGiven
            | Self::RoleTaken
            | Self::ApiTokenCreated
            | Self::ApiTokenRevoked
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
            | Self::MailFailed
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
}
