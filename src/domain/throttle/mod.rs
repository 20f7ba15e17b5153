//! Rate limits and backoff: a client that exceeds a limit has to wait, and the response says how
//! long.
//!
//! An attempt is counted before anything is hashed, so that concurrent attempts cannot bypass a
//! limit. It is counted in the database, so that restarts and several nodes make no difference. The
//! typed user name is counted whether it exists or not, so unknown names are throttled like any
//! other.
//!
//! A login counts for three keys (OWASP's device cookies):
//! - the user name, for unknown clients;
//! - the address, for unknown clients, which also delays an attacker who tries many names from one
//!   place;
//! - the device, for a client that has signed in to this account before. The failures of other
//!   clients do not delay it, so an attacker cannot lock the owner out.

pub mod attempts;
pub mod devices;
mod key;
pub mod limits;
