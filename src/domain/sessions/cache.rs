//! The session cache: tokens that were verified recently. API tokens have a cache of the same kind.
//!
//! Accounts are distributed over many shards, and each shard counts the revocations of its
//! accounts. A cache entry carries the count that was read *before* the database was queried, and
//! it is valid as long as the count is the same. So every request that starts after a revocation
//! was acknowledged sees it, even if another request inserted an entry concurrently.

use crate::core::sync::atomic::{AtomicU64, Ordering};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use quick_cache::sync::Cache;

use crate::core::ids::AccountId;
use crate::core::secret::{TokenHash, TokenHasher};
use crate::domain::sessions::AuthenticatedSession;

/// The maximum number of entries. With about 300 bytes each, they take at most 20 MB.
const MAX_ENTRIES: usize = 65_536;
/// A revocation of one account invalidates the entries of all accounts of its shard, which are then
/// read again.
const SHARDS: usize = 4096;
/// After this long without reading the revocation feed, the cache is stale and all requests read
/// the database.
const MAX_FEED_AGE: Duration = Duration::from_secs(1);

/// The cache of verified session tokens.
pub type SessionCache = TokenCache<Arc<AuthenticatedSession>>;

/// A cache of verified tokens, and of who presents them.
#[derive(Debug)]
pub struct TokenCache<V> {
    entries: Cache<TokenHash, Entry<V>>,
    tokens: TokenHasher,
    revocations: Arc<Revocations>,
}

/// The revocations that invalidate entries, for all caches of a node.
#[derive(Debug)]
struct Revocations {
    /// Chooses the shard of an account.
    hasher: RandomState,
    shards: Vec<AtomicU64>,
    /// Counts changes that concern all accounts, such as a change of the signing keys.
    keys: AtomicU64,
    started_at: Instant,
    /// The time in milliseconds after `started_at` at which the cache becomes stale, unless the feed is
    /// read again.
    stale_at: AtomicU64,
}

#[derive(Debug, Clone)]
struct Entry<V> {
    who: V,
    seen: Generation,
}

/// The counts at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Generation {
    keys: u64,
    shard: u64,
    /// The shard of the account, so that a hit does not hash the account id again.
    at: usize,
}

impl<V: Clone> TokenCache<V> {
    /// A cache that the same revocations invalidate, with at most `max_entries`.
    pub fn new_beside<W: Clone>(&self, max_entries: usize) -> TokenCache<W> {
        TokenCache {
            entries: Cache::new(max_entries),
            tokens: TokenHasher::random(),
            revocations: Arc::clone(&self.revocations),
        }
    }

    /// The cache key of this token.
    pub fn hash(&self, token: &str) -> TokenHash {
        self.tokens.hash(token)
    }

    /// Who presents this token, if it is cached and has not been invalidated.
    pub fn get(&self, token: &TokenHash) -> Option<V> {
        if self.revocations.is_stale() {
            return None;
        }
        let entry = self.entries.get(token)?;
        self.revocations.has_not_changed(entry.seen).then_some(entry.who)
    }

    /// Whether nothing was revoked since these counts were read, and the cache is not stale.
    pub fn is_current(&self, seen: Generation) -> bool {
        !self.revocations.is_stale() && self.revocations.has_not_changed(seen)
    }

    /// The count of key changes. Read it before verifying a signature.
    pub fn key_generation(&self) -> u64 {
        self.revocations.keys.load(Ordering::SeqCst)
    }

    /// The counts that concern an account. Read them before querying the database.
    pub fn generation(&self, account: &AccountId, keys: u64) -> Generation {
        self.revocations.generation_at(self.revocations.shard_of(account), keys)
    }

    /// Inserts an entry that was read after `seen`.
    pub fn insert(&self, token: TokenHash, who: V, seen: Generation) {
        self.entries.insert(token, Entry { who, seen });
    }

    /// Removes invalidated entries, which would otherwise stay until they are displaced.
    pub fn remove_stale(&self) {
        self.entries.retain(|_, entry| self.revocations.has_not_changed(entry.seen));
    }

    /// The number of entries, including invalidated ones.
    pub fn entry_count(&self) -> usize {
        self.entries.len()
    }

    /// Invalidates the entries of an account, in all caches of the node. Call this before the
    /// revocation is acknowledged.
    pub fn invalidate_account(&self, account: &AccountId) {
        let shard = self.revocations.shard_of(account);
        self.revocations.shards[shard].fetch_add(1, Ordering::SeqCst);
    }

    /// Invalidates all entries, because the keys have changed or revocations may have been missed.
    pub fn invalidate_all(&self) {
        self.revocations.keys.fetch_add(1, Ordering::SeqCst);
    }

    /// Records that the revocation feed was read to its end, by a reading that began at `began`.
    pub fn feed_read(&self, began: Instant) {
        self.revocations.feed_read(began);
    }
}

impl Revocations {
    fn has_not_changed(&self, seen: Generation) -> bool {
        seen == self.generation_at(seen.at, self.keys.load(Ordering::SeqCst))
    }

    fn generation_at(&self, at: usize, keys: u64) -> Generation {
        Generation { keys, shard: self.shards[at].load(Ordering::SeqCst), at }
    }

    fn feed_read(&self, began: Instant) {
        let until = began.saturating_duration_since(self.started_at) + MAX_FEED_AGE;
        self.stale_at.store(u64::try_from(until.as_millis()).unwrap_or(u64::MAX), Ordering::SeqCst);
    }

    /// Whether the revocation feed has not been read for too long.
    fn is_stale(&self) -> bool {
        self.started_at.elapsed() >= Duration::from_millis(self.stale_at.load(Ordering::Relaxed))
    }

    fn shard_of(&self, account: &AccountId) -> usize {
        let hash = self.hasher.hash_one(account);
        usize::try_from(hash % SHARDS as u64).expect("less than SHARDS")
    }
}

impl<V: Clone> Default for TokenCache<V> {
    fn default() -> Self {
        Self {
            entries: Cache::new(MAX_ENTRIES),
            tokens: TokenHasher::random(),
            revocations: Arc::default(),
        }
    }
}

impl Default for Revocations {
    fn default() -> Self {
        Self {
            hasher: RandomState::new(),
            shards: (0..SHARDS).map(|_| AtomicU64::new(0)).collect(),
            keys: AtomicU64::new(0),
            started_at: Instant::now(),
            stale_at: AtomicU64::new(0),
        }
    }
}
