//! What operators do with an installation.

pub(crate) mod keys;
