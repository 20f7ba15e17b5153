//! The session cache: tokens that were verified recently.
//!
//! Accounts are distributed over many shards, and each shard counts the revocations of its
//! accounts. A cache entry carries the count that was read *before* the database was queried, and
//! it is valid as long as the count is the same. So every request that starts after a revocation
//! was acknowledged sees it, even if another request inserted an entry concurrently.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use quick_cache::sync::Cache;

use crate::core::ids::AccountId;
use crate::core::secret::{TokenHash, TokenHasher};
use crate::domain::sessions::AuthenticatedSession;

/// The maximum number of entries. With about 300 bytes each, they take at most 20 MB.
const MOST: usize = 65_536;
/// A revocation of one account invalidates the entries of all accounts of its shard, which are then
/// read again.
const SLOTS: usize = 4096;
/// After this long without reading the revocation feed, the cache is stale and all requests read
/// the database.
const DEAF: Duration = Duration::from_secs(1);

/// The cache of verified session tokens.
#[derive(Debug)]
pub struct SessionCache {
    kept: Cache<TokenHash, Kept>,
    tokens: TokenHasher,
    /// Chooses the shard of an account.
    hasher: RandomState,
    slots: Vec<AtomicU64>,
    /// Counts changes that concern all accounts, such as a change of the signing keys.
    keys: AtomicU64,
    born: Instant,
    /// The time in milliseconds after `born` at which the cache becomes stale, unless the feed is
    /// read again.
    deaf_at: AtomicU64,
}

#[derive(Debug, Clone)]
struct Kept {
    who: Arc<AuthenticatedSession>,
    seen: Counts,
}

/// The counts at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    keys: u64,
    slot: u64,
    /// The shard of the account, so that a hit does not hash the account id again.
    at: usize,
}

impl SessionCache {
    /// The cache key of this token.
    pub fn hash(&self, token: &str) -> TokenHash {
        self.tokens.hash(token)
    }

    /// The session of this token, if it is cached and has not been invalidated.
    pub fn get(&self, token: &TokenHash) -> Option<Arc<AuthenticatedSession>> {
        if self.is_deaf() {
            return None;
        }
        let kept = self.kept.get(token)?;
        self.has_not_changed(kept.seen).then_some(kept.who)
    }

    /// Whether nothing was revoked since these counts were read, and the cache is not stale.
    pub fn still_counts(&self, seen: Counts) -> bool {
        !self.is_deaf() && self.has_not_changed(seen)
    }

    fn has_not_changed(&self, seen: Counts) -> bool {
        seen == self.counts_at(seen.at, self.keys())
    }

    /// The count of key changes. Read it before verifying a signature.
    pub fn keys(&self) -> u64 {
        self.keys.load(Ordering::SeqCst)
    }

    /// The counts that concern an account. Read them before querying the database.
    pub fn counts(&self, account: &AccountId, keys: u64) -> Counts {
        self.counts_at(self.slot_of(account), keys)
    }

    fn counts_at(&self, at: usize, keys: u64) -> Counts {
        Counts { keys, slot: self.slots[at].load(Ordering::SeqCst), at }
    }

    /// Inserts an entry that was read after `seen`.
    pub fn file(&self, token: TokenHash, who: Arc<AuthenticatedSession>, seen: Counts) {
        self.kept.insert(token, Kept { who, seen });
    }

    /// Removes invalidated entries, which would otherwise stay until they are displaced.
    pub fn forget_ended(&self) {
        self.kept.retain(|_, kept| self.has_not_changed(kept.seen));
    }

    /// The number of entries, including invalidated ones.
    pub fn kept(&self) -> usize {
        self.kept.len()
    }

    /// Invalidates the entries of an account. Call this before the revocation is acknowledged.
    pub fn ended(&self, account: &AccountId) {
        self.slots[self.slot_of(account)].fetch_add(1, Ordering::SeqCst);
    }

    /// Invalidates all entries, because the keys have changed or revocations may have been missed.
    pub fn all_changed(&self) {
        self.keys.fetch_add(1, Ordering::SeqCst);
    }

    /// Records that the revocation feed was read to its end, by a reading that began at `began`.
    pub fn heard(&self, began: Instant) {
        let until = began.saturating_duration_since(self.born) + DEAF;
        self.deaf_at.store(u64::try_from(until.as_millis()).unwrap_or(u64::MAX), Ordering::SeqCst);
    }

    /// Whether the revocation feed has not been read for too long.
    fn is_deaf(&self) -> bool {
        self.born.elapsed() >= Duration::from_millis(self.deaf_at.load(Ordering::Relaxed))
    }

    fn slot_of(&self, account: &AccountId) -> usize {
        let hash = self.hasher.hash_one(account);
        usize::try_from(hash % SLOTS as u64).expect("less than SLOTS")
    }
}

impl Default for SessionCache {
    fn default() -> Self {
        Self {
            kept: Cache::new(MOST),
            tokens: TokenHasher::random(),
            hasher: RandomState::new(),
            slots: (0..SLOTS).map(|_| AtomicU64::new(0)).collect(),
            keys: AtomicU64::new(0),
            born: Instant::now(),
            deaf_at: AtomicU64::new(0),
        }
    }
}
