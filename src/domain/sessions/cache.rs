//! Tokens that were verified a moment ago, recognised from memory.
//!
//! Each account belongs to one of many slots, and each slot counts the endings of sessions. What is
//! filed carries the count that was read *before* the database was asked; it is good for as long as
//! the count stays. So an ending that was answered is seen by every request that begins after it,
//! whatever was being read and filed meanwhile.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use quick_cache::sync::Cache;

use crate::core::ids::AccountId;
use crate::core::secret::{TokenHash, TokenHasher};
use crate::domain::sessions::AuthenticatedSession;

/// As many sessions are kept in memory; some 300 bytes each make 20 MB at the most.
const MOST: usize = 65_536;
/// Two accounts of one slot disturb each other once an ending; they are looked up again then.
const SLOTS: usize = 4096;
/// Whoever has not heard of other processes' endings for this long asks the database.
const DEAF: Duration = Duration::from_secs(1);

/// What is kept of verified tokens.
#[derive(Debug)]
pub struct SessionCache {
    kept: Cache<TokenHash, Kept>,
    tokens: TokenHasher,
    /// Chooses the slot of an account.
    hasher: RandomState,
    slots: Vec<AtomicU64>,
    /// Counts what concerns all accounts, as a change of the keys does.
    keys: AtomicU64,
    born: Instant,
    /// Milliseconds from `born` until the feed of endings must have been heard again.
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
    /// The slot of the account: a hit does not hash its id again.
    at: usize,
}

impl SessionCache {
    /// The name under which this token is kept.
    pub fn hash(&self, token: &str) -> TokenHash {
        self.tokens.hash(token)
    }

    /// Who holds this token, if that is known and nothing has ended since.
    pub fn get(&self, token: &TokenHash) -> Option<Arc<AuthenticatedSession>> {
        if self.is_deaf() {
            return None;
        }
        let kept = self.kept.get(token)?;
        self.has_not_changed(kept.seen).then_some(kept.who)
    }

    /// Has nothing ended since these counts were read, and are endings at other nodes heard of?
    pub fn still_counts(&self, seen: Counts) -> bool {
        !self.is_deaf() && self.has_not_changed(seen)
    }

    fn has_not_changed(&self, seen: Counts) -> bool {
        seen == self.counts_at(seen.at, self.keys())
    }

    /// The count of key changes: to be read before a signature is checked.
    pub fn keys(&self) -> u64 {
        self.keys.load(Ordering::SeqCst)
    }

    /// The counts that concern an account: to be read before the database is asked.
    pub fn counts(&self, account: &AccountId, keys: u64) -> Counts {
        self.counts_at(self.slot_of(account), keys)
    }

    fn counts_at(&self, at: usize, keys: u64) -> Counts {
        Counts { keys, slot: self.slots[at].load(Ordering::SeqCst), at }
    }

    /// Keeps what was read after `seen` was counted.
    pub fn file(&self, token: TokenHash, who: Arc<AuthenticatedSession>, seen: Counts) {
        self.kept.insert(token, Kept { who, seen });
    }

    /// Lets go of what does not count any more: whose session has ended does not come again.
    pub fn forget_ended(&self) {
        self.kept.retain(|_, kept| self.has_not_changed(kept.seen));
    }

    /// How many are kept, whether they still count or not.
    pub fn kept(&self) -> usize {
        self.kept.len()
    }

    /// A session of the account has ended. To be called before that is answered.
    pub fn ended(&self, account: &AccountId) {
        self.slots[self.slot_of(account)].fetch_add(1, Ordering::SeqCst);
    }

    /// Nothing that was filed counts any more: the keys have changed, or endings went unheard.
    pub fn all_changed(&self) {
        self.keys.fetch_add(1, Ordering::SeqCst);
    }

    /// The feed of endings was read to its end, and that reading began at `began`.
    pub fn heard(&self, began: Instant) {
        let until = began.saturating_duration_since(self.born) + DEAF;
        self.deaf_at.store(u64::try_from(until.as_millis()).unwrap_or(u64::MAX), Ordering::SeqCst);
    }

    /// Has it been too long since the feed was heard?
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
