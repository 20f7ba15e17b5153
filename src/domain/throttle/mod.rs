//! How often may one try. Who tries too often waits, and is told how long.
//!
//! A try is counted before anything is hashed, so that no number of tries at once gets past a
//! limit, and it is counted in the database, so that a restart and a second node change nothing.
//! What counts is what was typed, not what exists: unknown names are throttled like any other.
//!
//! Three things are counted for a sign-in (OWASP's device cookies):
//! - the name, for clients that nobody knows;
//! - the address, for the same clients: a list of names from one place is held up, too;
//! - the device, for a client that has signed in to this account before. Such a one is not held up
//!   by what others do, so nobody can lock an owner out.

pub mod attempts;
pub mod devices;
mod key;
pub mod limits;
