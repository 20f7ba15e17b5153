//! Something broke that nobody above can mend: what was being done, and why it failed.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// A failure to log once and to answer with 500, or with 503 when it may pass by itself.
#[derive(Debug)]
pub struct Fault {
    doing: &'static str,
    cause: Box<dyn Error + Send + Sync>,
    passing: bool,
}

impl Fault {
    /// A failure that stays until somebody mends it.
    pub fn new(doing: &'static str, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { doing, cause: cause.into(), passing: false }
    }

    /// A failure of something outside that may be back in a moment: a busy or full database.
    pub fn passing(doing: &'static str, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { doing, cause: cause.into(), passing: true }
    }

    /// A failure that several requests meet: each logs it and answers by itself.
    pub fn shared(fault: Arc<Self>) -> Self {
        let (doing, passing) = (fault.doing, fault.passing);
        Self { doing, cause: Box::new(SharedCause(fault)), passing }
    }

    /// Why it failed.
    pub fn cause(&self) -> &(dyn Error + 'static) {
        &*self.cause
    }

    /// Is it worth trying again?
    pub fn may_pass(&self) -> bool {
        self.passing
    }
}

/// The cause of a failure that several requests meet.
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
