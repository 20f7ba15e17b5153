//! One look-up for all concurrent requests with the same session token.
//!
//! A browser tab can send hundreds of requests at once. If their token is not in the session cache,
//! each of them would verify its signature, read its row and record that the session was seen.

use crate::core::sync::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};

use crate::core::error::InternalError;
use crate::core::secret::TokenHash;
use crate::domain::sessions::Authentication;
use crate::domain::sessions::cache::Generation;

/// The result of a look-up, for the requests that share it.
#[derive(Debug, Clone)]
pub struct LookupResult {
    pub(super) outcome: Result<Authentication, Arc<InternalError>>,
    /// The counts before the database was read, or `None` if it was not read.
    pub(super) seen: Option<Generation>,
}

type Lookup<T> = BoxFuture<'static, T>;

/// The look-ups in progress. Finished ones are removed, and so are those whose last request was
/// canceled, so the map is never larger than the number of requests.
pub struct SharedLookups<T> {
    running: Mutex<Running<T>>,
}

struct Running<T> {
    by_token: HashMap<TokenHash, (u64, WeakShared<Lookup<T>>)>,
    /// The number of look-ups that were started, which numbers the next one.
    started: u64,
}

/// The part that a request had in the look-up that answers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LookupPart {
    /// The request started the look-up.
    Started,
    /// Another request had started the look-up.
    Joined,
}

impl<T: Clone + Send + Sync + 'static> SharedLookups<T> {
    /// The result of the look-up of this token that is in progress, or of a new one. Requests that
    /// share a look-up drive it together, so canceling one of them does not disturb the others.
    ///
    /// A look-up in progress may have read the database before this request started. `is_current`
    /// decides whether its result is still valid for this request. If it is not, the next look-up
    /// answers: it can start only after the first one has ended, so its result is new enough.
    pub async fn look_up(
        self: &Arc<Self>,
        token: TokenHash,
        start: impl Fn() -> Lookup<T>,
        is_current: impl Fn(&T) -> bool,
    ) -> (T, LookupPart) {
        let (lookup, part) = self.join_or_start(token, &start);
        let found = lookup.await;
        match part {
            LookupPart::Started => return (found, part),
            LookupPart::Joined if is_current(&found) => return (found, part),
            LookupPart::Joined => {}
        }
        let (lookup, part) = self.join_or_start(token, &start);
        (lookup.await, part)
    }

    fn join_or_start(
        self: &Arc<Self>,
        token: TokenHash,
        start: &impl Fn() -> Lookup<T>,
    ) -> (Shared<Lookup<T>>, LookupPart) {
        let mut running = self.running();
        let joined = running.by_token.get(&token).and_then(|(_, lookup)| lookup.upgrade());
        if let Some(lookup) = joined {
            return (lookup, LookupPart::Joined);
        }
        running.started += 1;
        let number = running.started;
        let entry = RunningEntry { lookups: Arc::clone(self), token, number };
        let lookup = start();
        let lookup = async move {
            let _until_the_end = entry; // until the look-up is finished, panics or is dropped
            lookup.await
        };
        let lookup = lookup.boxed().shared();
        let weak = lookup.downgrade().expect("a future that was not polled has not ended");
        running.by_token.insert(token, (number, weak));
        (lookup, LookupPart::Started)
    }

    /// The number of look-ups in progress.
    pub fn count(&self) -> usize {
        self.running().by_token.len()
    }
}

impl<T> SharedLookups<T> {
    fn running(&self) -> MutexGuard<'_, Running<T>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps a look-up in the map until it is dropped.
struct RunningEntry<T> {
    lookups: Arc<SharedLookups<T>>,
    token: TokenHash,
    number: u64,
}

impl<T> Drop for RunningEntry<T> {
    fn drop(&mut self) {
        let mut running = self.lookups.running();
        // A look-up that was dropped before its end may already have a successor.
        let is_own = |(number, _): &(u64, _)| *number == self.number;
        if running.by_token.get(&self.token).is_some_and(is_own) {
            running.by_token.remove(&self.token);
        }
    }
}

impl<T> Default for SharedLookups<T> {
    fn default() -> Self {
        Self { running: Mutex::new(Running { by_token: HashMap::new(), started: 0 }) }
    }
}

impl<T> fmt::Debug for SharedLookups<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedLookups").finish_non_exhaustive()
    }
}
