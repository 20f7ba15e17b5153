//! The cost of a password hash, and its limits.

use serde::Serialize;

/// The Argon2 parameters that determine the cost of a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Argon2Params {
    pub memory_kib: u32,
    pub passes: u32,
    pub lanes: u32,
}

/// Why a cost is not allowed for new hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvalidParams {
    /// A parameter exceeds this maximum, or is zero.
    AboveMost(Argon2Params),
    /// The memory is below this minimum for the number of passes.
    BelowLeast(Argon2Params),
}

impl Argon2Params {
    /// OWASP's first choice for Argon2id, about 23 ms of one core.
    pub const DEFAULT: Self = Self { memory_kib: 19 * 1024, passes: 2, lanes: 1 };
    /// The maximum for any hash, about 2 seconds. A higher cost is refused before memory is
    /// allocated.
    const MAX: Self = Self { memory_kib: 256 * 1024, passes: 10, lanes: 8 };
    /// The minimums of OWASP's Password Storage Cheat Sheet, which are equally strong. Each is the
    /// minimum memory for that many passes or more. Lanes do not matter: they cost an attacker
    /// nothing.
    const OWASP_MINIMUMS: [Self; 5] = [
        Self { memory_kib: 46 * 1024, passes: 1, lanes: 1 },
        Self { memory_kib: 19 * 1024, passes: 2, lanes: 1 },
        Self { memory_kib: 12 * 1024, passes: 3, lanes: 1 },
        Self { memory_kib: 9 * 1024, passes: 4, lanes: 1 },
        Self { memory_kib: 7 * 1024, passes: 5, lanes: 1 },
    ];

    /// Checks that the cost is allowed for new hashes.
    pub fn check(self) -> Result<(), InvalidParams> {
        if !self.is_bounded() {
            return Err(InvalidParams::AboveMost(Self::MAX));
        }
        let least = Self::OWASP_MINIMUMS.into_iter().rfind(|least| least.passes <= self.passes);
        match least.filter(|least| self.memory_kib < least.memory_kib) {
            Some(least) => Err(InvalidParams::BelowLeast(least)),
            None => Ok(()),
        }
    }

    /// Whether the cost is within the limits for stored hashes.
    pub(crate) fn is_bounded(self) -> bool {
        let most = Self::MAX;
        (1..=most.memory_kib).contains(&self.memory_kib)
            && (1..=most.passes).contains(&self.passes)
            && (1..=most.lanes).contains(&self.lanes)
    }

    /// The estimated time on one core, in microseconds.
    pub(crate) fn micros(self) -> i64 {
        i64::from(self.memory_kib) * i64::from(self.passes) * 3 / 5
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_migration_knew_what_its_hashes_cost() {
        let migration = include_str!("../../../migrations/sqlite/0003_invites.sql");
        assert!(migration.contains(&format!("default {};", Argon2Params::DEFAULT.micros())));
    }
}
