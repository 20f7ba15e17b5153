//! A node of the service: its cache in front of a database that all nodes share.

use std::sync::Arc;
use std::time::{Duration, Instant};

use shuttle::sync::Mutex;
use shuttle::sync::atomic::{AtomicUsize, Ordering};

use crate::core::ids::AccountId;
use crate::core::secret::TokenHash;
use crate::domain::sessions::AuthenticatedSession;
use crate::domain::sessions::cache::{Generation, SessionCache};

/// The only account of the model.
pub const ACCOUNT: AccountId = AccountId(1);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Which sessions are active, and the revocation feed.
#[derive(Default)]
pub struct Database(Mutex<Tables>);

#[derive(Default)]
struct Tables {
    active: Vec<TokenHash>,
    /// The accounts of revocations, in order.
    feed: Vec<AccountId>,
}

impl Database {
    pub fn sign_in(&self, token: TokenHash) {
        self.0.lock().unwrap().active.push(token);
    }

    fn is_active(&self, token: TokenHash) -> bool {
        self.0.lock().unwrap().active.contains(&token)
    }

    /// Deletes the session and writes to the feed in one transaction.
    fn revoke(&self, token: TokenHash) {
        let mut tables = self.0.lock().unwrap();
        tables.active.retain(|active| *active != token);
        tables.feed.push(ACCOUNT);
    }

    fn feed_since(&self, position: usize) -> Vec<AccountId> {
        self.0.lock().unwrap().feed[position..].to_vec()
    }
}

/// Where a fault is put into the protocol, to show that the model finds it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    None,
    /// The generation is read after the row instead of before.
    GenerationAfterRow,
    /// The revocation is acknowledged before the cache is invalidated.
    AcknowledgedFirst,
}

pub struct Node {
    pub cache: SessionCache,
    database: Arc<Database>,
    fault: Fault,
    /// The number of entries of the feed that this node has applied.
    pub applied: AtomicUsize,
}

impl Node {
    /// A node that reads the feed so often that its cache is never stale.
    pub fn new(database: &Arc<Database>, fault: Fault) -> Arc<Self> {
        let cache = SessionCache::default();
        cache.feed_read(Instant::now() + DAY);
        Self::with_cache(cache, database, fault)
    }

    /// A node that has not read the feed for a long time.
    pub fn without_feed(database: &Arc<Database>) -> Arc<Self> {
        Self::with_cache(SessionCache::default(), database, Fault::None)
    }

    fn with_cache(cache: SessionCache, database: &Arc<Database>, fault: Fault) -> Arc<Self> {
        let (database, applied) = (Arc::clone(database), AtomicUsize::new(0));
        Arc::new(Self { cache, database, fault, applied })
    }

    /// Whether the token is accepted, in the steps of `Sessions::load`.
    pub fn authenticate(&self, token: TokenHash) -> bool {
        if self.cache.get(&token).is_some() {
            return true;
        }
        self.load(token).0
    }

    /// Reads the row and caches it. The generation says whether the result is still current.
    pub fn load(&self, token: TokenHash) -> (bool, Generation) {
        let keys = self.cache.key_generation();
        let mut seen = self.cache.generation(&ACCOUNT, keys);
        let is_active = self.database.is_active(token);
        if self.fault == Fault::GenerationAfterRow {
            seen = self.cache.generation(&ACCOUNT, keys);
        }
        if is_active {
            self.cache.insert(token, Arc::new(AuthenticatedSession), seen);
        }
        (is_active, seen)
    }

    /// Revokes a session, in the steps of `Sessions::revoke_by_digest`. `acknowledge` is the answer.
    pub fn revoke(&self, token: TokenHash, acknowledge: impl FnOnce()) {
        self.database.revoke(token);
        if self.fault == Fault::AcknowledgedFirst {
            acknowledge();
            return self.cache.invalidate_account(&ACCOUNT);
        }
        self.cache.invalidate_account(&ACCOUNT);
        acknowledge();
    }

    /// Reads the feed once and applies it.
    pub fn follow_feed(&self) {
        let position = self.applied.load(Ordering::SeqCst);
        let revoked = self.database.feed_since(position);
        for account in &revoked {
            self.cache.invalidate_account(account);
        }
        self.applied.store(position + revoked.len(), Ordering::SeqCst);
    }
}
