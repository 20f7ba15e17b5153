//! The error for failures that no caller can handle: what was being done, and the cause.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// A failure that is logged once and answered with 500, or with 503 if a retry may succeed.
#[derive(Debug)]
pub struct Fault {
    doing: &'static str,
    cause: Box<dyn Error + Send + Sync>,
    passing: bool,
}

impl Fault {
    /// A failure that lasts until an operator fixes its cause.
    pub fn new(doing: &'static str, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { doing, cause: cause.into(), passing: false }
    }

    /// A failure that may be over in a moment, such as a busy or full database.
    pub fn passing(doing: &'static str, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { doing, cause: cause.into(), passing: true }
    }

    /// The failure of work that several requests share: each request logs it and answers it.
    pub fn shared(fault: Arc<Self>) -> Self {
        let (doing, passing) = (fault.doing, fault.passing);
        Self { doing, cause: Box::new(SharedCause(fault)), passing }
    }

    /// The cause of the failure.
    pub fn cause(&self) -> &(dyn Error + 'static) {
        &*self.cause
    }

    /// Whether a retry may succeed.
    pub fn may_pass(&self) -> bool {
        self.passing
    }
}

/// The cause of a failure that several requests share.
#[derive(Debug)]
struct SharedCause(Arc<Fault>);

impl fmt::Display for SharedCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.cause.fmt(f)
    }
}

impl Error for SharedCause {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.cause.source()
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.doing, self.cause)
    }
}

impl Error for Fault {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.source()
    }
}
