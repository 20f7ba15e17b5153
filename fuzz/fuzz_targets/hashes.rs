//! Fuzzes password hashes of other systems: a hash that is accepted has bounded costs, prints
//! nothing of itself and can be verified; a hash that is refused never lets a user in.

#![no_main]

use std::sync::LazyLock;

use cloakroom::core::secret::Password;
use cloakroom::domain::passwords::cost::Argon2Params;
use cloakroom::domain::passwords::hasher::{Hasher, Verification};
use cloakroom::domain::passwords::imported::ImportedHash;
use libfuzzer_sys::fuzz_target;
use tokio::runtime::{Builder, Runtime};

const CHEAP: Argon2Params = Argon2Params { memory_kib: 64, passes: 1, lanes: 1 };
/// More expensive hashes are parsed but not verified, because a thousand are tried per second.
const DEAR: i64 = 1_000;

static HASHER: LazyLock<(Runtime, Hasher)> = LazyLock::new(|| {
    let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
    (runtime, Hasher::start(CHEAP, 1))
});

fuzz_target!(|text: &str| {
    let verdict = |stored: cloakroom::core::secret::PasswordHash| {
        let (runtime, hasher) = &*HASHER;
        let password = Password::new("somebody's password, by chance".to_owned());
        runtime.block_on(hasher.verify(password, Some(&stored))).expect("nobody else waits")
    };
    let read = ImportedHash::parse(text);
    let (stored, micros) = match &read {
        Ok(hash) => {
            assert!((0..=1_000_000).contains(&hash.micros()), "{}", hash.micros());
            assert!(!format!("{hash:?}").contains('$'), "{hash:?}");
            (ImportedHash::add_marker(text), hash.micros())
        }
        Err(_) => (ImportedHash::add_marker(text), 0),
    };
    if micros <= DEAR {
        // a guessed password cannot match the 128 bits of a stored hash
        assert_eq!(matches!(verdict(stored), Verification::Wrong), read.is_ok());
    }
    // a hash in the service's own format is accepted only if it is valid, and then its costs are
    // bounded too
    if text.starts_with("$argon2id$") && text.contains("m=") {
        return;
    }
    let plain = verdict(text.to_owned().into());
    let is_none = text == "!" || text.starts_with("imported:");
    assert!(
        matches!(plain, Verification::Unusable(_))
            || is_none && matches!(plain, Verification::Wrong)
    );
});
