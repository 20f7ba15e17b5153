//! How far an operation is.

/// How far an operation is, told as often as it changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    pub phase: Phase,
    /// How much is done, in a unit of the operation's own.
    pub done: u64,
    /// Of how much; it may become more while the operation runs.
    pub total: u64,
}

/// What an operation does at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    Copying,
    Comparing,
    Checking,
    Importing,
}
