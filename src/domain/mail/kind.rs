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
            | Self::ResetLinkCreated => hours(48),
        }
    }
}
