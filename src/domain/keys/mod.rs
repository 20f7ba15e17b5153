//! The secrets that are stored in files and never in the database: signing keys, peppers and server
//! secrets.

pub mod claims;
pub mod files;
mod folder;
pub mod peppers;
pub mod server_secret;
pub mod tokens;
mod wire;
