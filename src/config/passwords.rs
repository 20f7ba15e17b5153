//! The section `passwords`: the minimum length, the hash parameters and the hashing threads.

use std::ops::RangeInclusive;
use std::thread;

use serde::{Deserialize, Serialize};

use super::error::ConfigError;
use crate::domain::passwords::cost::{Argon2Params, InvalidParams};
use crate::domain::passwords::rules::{ABSOLUTE_MIN_PASSWORD_LENGTH, DEFAULT_MIN_PASSWORD_LENGTH};

/// A shorter password is not safe even with other measures, and users do not type a longer
/// one.
const MIN_LENGTHS: RangeInclusive<usize> = ABSOLUTE_MIN_PASSWORD_LENGTH..=64;

/// More threads than a machine has cores. Each thread needs the memory of one hash.
const MAX_THREADS: usize = 128;

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PasswordSettings {
    /// The minimum length of new passwords in characters, 8 to 64. NIST SP 800-63B-4 allows 8 only
    /// if there is a second factor.
    pub min_length: Option<usize>,
    /// The memory of Argon2id in KiB, at most 262144. The minimum is the value that OWASP's
    /// Password Storage Cheat Sheet requires for the number of passes.
    pub memory_kib: Option<u32>,
    /// The number of passes of Argon2id, 1 to 10.
    pub passes: Option<u32>,
    /// The number of lanes of Argon2id, 1 to 8.
    pub lanes: Option<u32>,
    /// The number of threads that hash passwords; each uses `memory_kib` of memory. Default: one
    /// for each core.
    pub threads: Option<usize>,
}

/// The rules for new passwords, the hash parameters, and the number of hashing threads.
#[derive(Debug, Clone, Serialize)]
pub struct Passwords {
    /// The minimum length in characters.
    pub min_length: usize,
    #[serde(flatten)]
    pub cost: Argon2Params,
    pub threads: usize,
}

impl PasswordSettings {
    /// Merges two sources: the settings of `over` win.
    pub(super) fn merge(self, over: Self) -> Self {
        Self {
            min_length: over.min_length.or(self.min_length),
            memory_kib: over.memory_kib.or(self.memory_kib),
            passes: over.passes.or(self.passes),
            lanes: over.lanes.or(self.lanes),
            threads: over.threads.or(self.threads),
        }
    }
}

impl Passwords {
    /// Refuses a length or a cost that is too low to protect a stolen table, and a cost so high
    /// that sign-ins would fail.
    pub(super) fn check(settings: PasswordSettings) -> Result<Self, ConfigError> {
        let min_length = settings.min_length.unwrap_or(DEFAULT_MIN_PASSWORD_LENGTH);
        if !MIN_LENGTHS.contains(&min_length) {
            return Err(ConfigError::new(format!(
                "passwords.min_length = {min_length} must be between {} and {}",
                MIN_LENGTHS.start(),
                MIN_LENGTHS.end()
            )));
        }
        let default = Argon2Params::DEFAULT;
        let cost = Argon2Params {
            memory_kib: settings.memory_kib.unwrap_or(default.memory_kib),
            passes: settings.passes.unwrap_or(default.passes),
            lanes: settings.lanes.unwrap_or(default.lanes),
        };
        let Argon2Params { memory_kib, passes, lanes } = cost;
        cost.check().map_err(|bad| {
            ConfigError::new(match bad {
                InvalidParams::AboveMost(most) => format!(
                    "passwords.memory_kib = {memory_kib}, passes = {passes} and lanes = {lanes} \
                     must be at least 1 and at most {}, {} and {}",
                    most.memory_kib, most.passes, most.lanes
                ),
                InvalidParams::BelowLeast(least) => format!(
                    "passwords.memory_kib = {memory_kib} is too low for passes = {passes}: OWASP \
                     requires at least {}, or more passes",
                    least.memory_kib
                ),
            })
        })?;
        // One thread for each core: more threads would wait for each other.
        let cores = || thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let threads = settings.threads.unwrap_or_else(|| cores().min(MAX_THREADS));
        if !(1..=MAX_THREADS).contains(&threads) {
            return Err(ConfigError::new(format!(
                "passwords.threads = {threads} must be between 1 and {MAX_THREADS}"
            )));
        }
        Ok(Self { min_length, cost, threads })
    }
}
