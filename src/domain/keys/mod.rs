//! The secrets that stand in files and in no database: keys that sign tokens, peppers and server secrets.

pub mod claims;
pub mod files;
mod folder;
pub mod peppers;
pub mod server_secret;
pub mod tokens;
