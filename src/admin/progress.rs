//! The progress of an operation.

/// The progress of an operation, reported at each change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    pub phase: Phase,
    /// How much is done, in a unit of the operation.
    pub done: u64,
    /// The total, which may grow during the operation.
    pub total: u64,
}

/// The present phase of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    Copying,
    Comparing,
    Checking,
    Importing,
}
