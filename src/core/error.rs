//! The error for failures that no caller can handle: what was being done, and the cause.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// A failure that is logged once and answered with 500, or with 503 if a retry may succeed.
#[derive(Debug)]
pub struct InternalError {
    doing: &'static str,
    cause: Box<dyn Error + Send + Sync>,
    is_transient: bool,
}

impl InternalError {
    /// A failure that lasts until an operator fixes its cause.
    pub fn new(doing: &'static str, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { doing, cause: cause.into(), is_transient: false }
    }

    /// A failure that may be over in a moment, such as a busy or full database.
    pub fn transient(doing: &'static str, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { doing, cause: cause.into(), is_transient: true }
    }

    /// The failure of work that several requests share: each request logs it and answers it.
    pub fn from_shared(error: Arc<Self>) -> Self {
        let (doing, is_transient) = (error.doing, error.is_transient);
        Self { doing, cause: Box::new(SharedCause(error)), is_transient }
    }

    /// The cause of the failure.
    pub fn cause(&self) -> &(dyn Error + 'static) {
        &*self.cause
    }

    /// Whether a retry may succeed.
    pub fn is_transient(&self) -> bool {
        self.is_transient
    }
}

/// The cause of a failure that several requests share.
#[derive(Debug)]
struct SharedCause(Arc<InternalError>);

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

impl fmt::Display for InternalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.doing, self.cause)
    }
}

impl Error for InternalError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.source()
    }
}
