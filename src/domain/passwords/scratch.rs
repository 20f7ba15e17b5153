//! The memory of a hashing thread.

use std::fmt;

use argon2::{Argon2, Block};

use crate::domain::passwords::cost::Argon2Params;
use crate::domain::passwords::queue::ReleaseMemory;

/// glibc's malloc maps allocations of more than 32 MiB separately, and unmaps them when they are
/// freed. A smaller allocation is served from the heap of its thread after it was freed once, and
/// the heap keeps freed memory (`mallopt(3)`, `M_MMAP_THRESHOLD`). Memory that is never written to
/// takes no physical memory.
const MIN_MAPPED_KIB: usize = 32 * 1024 + 64;

/// The memory in which a thread hashes. It is reused for the next password while the thread is
/// busy.
pub struct Scratch {
    /// One kibibyte each.
    blocks: Vec<Block>,
    /// The number of blocks that a new hash takes.
    keep: usize,
}

impl fmt::Debug for Scratch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…") // it may contain traces of a password
    }
}

impl Scratch {
    /// Keeps as much memory as a hash of this cost takes.
    pub(crate) fn for_params(cost: Argon2Params) -> Self {
        Self { blocks: Vec::new(), keep: cost.memory_kib as usize }
    }

    /// Fills `output`. Its length and that of the salt must be within Argon2's limits.
    pub(crate) fn hash(&mut self, argon2: &Argon2<'_>, text: &str, salt: &[u8], output: &mut [u8]) {
        let needed = argon2.params().block_count();
        let capacity = needed.max(MIN_MAPPED_KIB);
        self.blocks.reserve_exact(capacity.saturating_sub(self.blocks.len()));
        self.blocks.resize(self.blocks.len().max(needed), Block::default());
        let blocks = &mut self.blocks[..needed];
        argon2
            .hash_password_into_with_memory(text.as_bytes(), salt, output, blocks)
            .expect("sizes were looked at when the hash was read");
        // The memory of a rare expensive hash is not kept.
        self.blocks.truncate(self.keep);
        self.blocks.shrink_to(MIN_MAPPED_KIB);
    }
}

impl ReleaseMemory for Scratch {
    fn release_memory(&mut self) {
        self.blocks = Vec::new();
    }
}
