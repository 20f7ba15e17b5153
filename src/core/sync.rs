//! The synchronization primitives of the session cache and the shared look-ups.
//!
//! `tests/models` compiles those files with the primitives of a scheduler that tries many
//! interleavings of their threads.

pub use std::sync::{Mutex, MutexGuard, atomic};
