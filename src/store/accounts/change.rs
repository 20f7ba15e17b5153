//! The outcome of a change to an account.

/// The outcome of a change to an account, with its id.
#[derive(Debug)]
pub enum AccountChange {
    NoSuchAccount,
    /// The account had that status already.
    Unchanged(String),
    Changed(String),
}

impl AccountChange {
    pub(super) fn from_current(account: Option<String>) -> Self {
        account.map_or(Self::NoSuchAccount, Self::Unchanged)
    }
}
