//! The memory that a hashing thread works in.

use std::fmt;

use argon2::{Argon2, Block};

use crate::domain::passwords::cost::HashCost;
use crate::domain::passwords::queue::ReleaseMemory;

/// An allocation of more than 32 MiB always has a mapping of its own in glibc's malloc, which goes back to
/// the system when it is freed. A smaller one that was freed once comes from the heap of its thread the next
/// time, which keeps what is freed (`mallopt(3)`, `M_MMAP_THRESHOLD`). Memory that is never written to takes
/// none of the system.
const MIN_MAPPED_KIB: usize = 32 * 1024 + 64;

/// The memory a thread hashes in, kept from one password to the next while they follow each other.
pub struct Memory {
    /// One kibibyte each.
    blocks: Vec<Block>,
    /// As many as a new hash takes.
    keep: usize,
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…") // it may hold what a password left
    }
}

impl Memory {
    /// As much as a hash of this price takes is kept.
    pub(crate) fn kept(cost: HashCost) -> Self {
        Self { blocks: Vec::new(), keep: cost.memory_kib as usize }
    }

    /// Fills `output`, whose length and the salt's are within Argon2's bounds.
    pub(crate) fn hash(&mut self, argon2: &Argon2<'_>, text: &str, salt: &[u8], output: &mut [u8]) {
        let needed = argon2.params().block_count();
        let capacity = needed.max(MIN_MAPPED_KIB);
        self.blocks.reserve_exact(capacity.saturating_sub(self.blocks.len()));
        self.blocks.resize(self.blocks.len().max(needed), Block::default());
        let blocks = &mut self.blocks[..needed];
        argon2
            .hash_password_into_with_memory(text.as_bytes(), salt, output, blocks)
            .expect("sizes were looked at when the hash was read");
        // a rare expensive hash does not keep its memory
        self.blocks.truncate(self.keep);
        self.blocks.shrink_to(MIN_MAPPED_KIB);
    }
}

impl ReleaseMemory for Memory {
    fn release_memory(&mut self) {
        self.blocks = Vec::new();
    }
}
