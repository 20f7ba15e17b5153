//! The session cache and the shared look-ups of the service, under a scheduler that chooses the
//! order in which threads run.
//!
//! `src/domain/sessions/cache.rs` and `shared_lookups.rs` are compiled here as they are. Around
//! them stand the types that they import, reduced to what they need, and shuttle's primitives in
//! place of those of std. Each test runs thousands of random interleavings; a failure prints the
//! schedule that repeats it.

#![cfg(test)]

mod core {
    pub mod error {
        #[derive(Debug)]
        pub struct InternalError;
    }

    pub mod ids {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub struct AccountId(pub u32);
    }

    pub mod secret {
        /// The cache key of a token, which is a number here.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub struct TokenHash(pub u32);

        #[derive(Debug)]
        pub struct TokenHasher;

        impl TokenHasher {
            pub fn random() -> Self {
                Self
            }

            pub fn hash(&self, token: &str) -> TokenHash {
                TokenHash(token.parse().expect("a token of the model is a number"))
            }
        }
    }

    pub mod sync {
        pub use shuttle::sync::{Mutex, MutexGuard, atomic};
    }
}

mod domain {
    pub mod sessions {
        #[derive(Debug)]
        pub struct AuthenticatedSession;

        #[derive(Debug, Clone)]
        pub enum Authentication {}

        pub(crate) use crate::{cache, shared_lookups};
    }
}

#[allow(dead_code)]
#[path = "../../../src/domain/sessions/cache.rs"]
mod cache;
#[allow(dead_code)]
#[path = "../../../src/domain/sessions/shared_lookups.rs"]
mod shared_lookups;

mod node;
mod one_node;
mod shared;
mod two_nodes;
