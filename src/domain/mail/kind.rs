//! The kinds of mail, and how long each is worth sending.

use std::time::Duration;

use strum::{EnumString, IntoStaticStr, VariantNames};

use crate::core::clock::{hours, mins};

/// The kind of a mail. Its name is the variant in snake case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum MailKind {
    /// Shows an operator that mail arrives.
    Test,
    /// Contains the code that confirms an address.
    ConfirmAddress,
    /// Tells the user at the former address that another one was confirmed.
    AddressChanged,
    /// Contains the link with which the user sets a new password.
    ResetPassword,
    /// Tells the user that a link set a new password.
    PasswordRecovered,
    /// Tells the user that the operator created such a link.
    ResetLinkCreated,
    /// Tells the user that the password was changed with the former one, or by the operator.
    PasswordChanged,
    /// Tells the user about a sign-in by an unknown browser in an unknown network.
    NewSignIn,
    /// Tells the user that an API token of the account was created.
    ApiTokenCreated,
    /// Tells the user that API tokens of the account expire within a week.
    ApiTokenExpiring,
    /// Tells the former user that the account was closed.
    AccountClosed,
}

impl MailKind {
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// The names of all kinds.
    pub fn names() -> &'static [&'static str] {
        Self::VARIANTS
    }

    /// The age at which a mail that could not be sent is given up: its recipient does not wait for
    /// it any more.
    pub fn max_age(self) -> Duration {
        match self {
            Self::ConfirmAddress => hours(4),
            Self::ResetPassword => mins(30),
            Self::Test
            | Self::AddressChanged
            | Self::PasswordRecovered
            | Self::ResetLinkCreated
            | Self::PasswordChanged
            | Self::NewSignIn
            | Self::ApiTokenCreated
            | Self::ApiTokenExpiring
            | Self::AccountClosed => hours(48),
        }
    }
}
