//! Hashes that other systems made: what is read is bounded, says nothing of itself, and can be
//! compared with; what is not read never gets anybody in.

#![no_main]

use std::sync::LazyLock;

use cloakroom::core::secret::Password;
use cloakroom::domain::passwords::cost::Argon2Params;
use cloakroom::domain::passwords::hasher::{Hasher, Verification};
use cloakroom::domain::passwords::imported::ImportedHash;
use libfuzzer_sys::fuzz_target;
use tokio::runtime::{Builder, Runtime};

const CHEAP: Argon2Params = Argon2Params { memory_kib: 64, passes: 1, lanes: 1 };
/// What is dearer is read, and not compared with: a thousand of them a second are tried.
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
        // a stored hash is right by guessing its 128 bits
        assert_eq!(matches!(verdict(stored), Verification::Wrong), read.is_ok());
    }
    // as one of ours it counts only if it is one: then it is bounded, too
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
