//! Session data: text that an embedding service stores for a session, under a name. It is deleted
//! with the session.

use std::sync::Arc;

use crate::core::clock::Clock;
use crate::core::error::InternalError;
use crate::core::ids::SessionId;
use crate::store::{DataPlace, DataRow, Store};

/// The maximum size of a value in bytes: enough for a cart or a draft. An account has at most a
/// hundred sessions.
pub const MAX_VALUE_BYTES: usize = 64 * 1024;

/// The maximum number of retries after a conflicting change. In each round, one of the concurrent
/// changes succeeds, so this many may run at the same time.
const MAX_RETRIES: usize = 256;

/// The error of reading or writing session data.
#[derive(Debug)]
pub enum DataError {
    /// The session has ended since the request started.
    Ended,
    /// The value has this many bytes.
    TooLarge(usize),
    Internal(InternalError),
}

impl From<InternalError> for DataError {
    fn from(fault: InternalError) -> Self {
        Self::Internal(fault)
    }
}

/// Reads and writes session data.
#[derive(Debug)]
pub struct SessionData {
    store: Arc<Store>,
    clock: Clock,
}

impl SessionData {
    pub fn new(store: Arc<Store>, clock: Clock) -> Self {
        Self { store, clock }
    }

    /// Reads the value of this name.
    pub async fn read(&self, session: &SessionId, name: &str) -> Result<Option<String>, DataError> {
        Ok(self.read_row(session, name).await?.map(|row| row.value))
    }

    async fn read_row(
        &self,
        session: &SessionId,
        name: &str,
    ) -> Result<Option<DataRow>, DataError> {
        let row = self.store.session_data(self.place(session, name)).await?;
        row.ok_or(DataError::Ended)
    }

    /// Writes the value of this name.
    pub async fn write(
        &self,
        session: &SessionId,
        name: &str,
        text: String,
    ) -> Result<(), DataError> {
        let text = check_size(text)?;
        let is_written = self.store.keep_session_data(self.place(session, name), text).await?;
        is_written.then_some(()).ok_or(DataError::Ended)
    }

    /// Changes the value of this name. Concurrent changes are applied one after the other.
    pub async fn update<E: From<DataError>>(
        &self,
        session: &SessionId,
        name: &str,
        mut change: impl FnMut(Option<&str>) -> Result<String, E>,
    ) -> Result<(), E> {
        for _ in 0..MAX_RETRIES {
            let seen = self.read_row(session, name).await?;
            let (value, version) = seen.map(|seen| (seen.value, seen.version)).unzip();
            let text = check_size(change(value.as_deref())?)?;
            let place = self.place(session, name);
            let changed = self.store.change_session_data(place, version, text).await;
            if changed.map_err(DataError::Internal)? {
                return Ok(());
            }
        }
        let why = "other requests changed the session data at the same time, in each attempt";
        let fault = InternalError::transient("changing session data", why);
        Err(DataError::Internal(fault).into())
    }

    fn place<'a>(&self, session: &'a SessionId, name: &'a str) -> DataPlace<'a> {
        DataPlace { session_id: session.as_str(), name, now: self.clock.now().millis() }
    }
}

fn check_size(text: String) -> Result<String, DataError> {
    if text.len() > MAX_VALUE_BYTES { Err(DataError::TooLarge(text.len())) } else { Ok(text) }
}
