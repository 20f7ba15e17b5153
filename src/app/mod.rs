//! The composition root: config → store → domain → endpoint.

mod data_folder;
mod endpoint;
mod error;
mod keys;
mod mail;
mod open;

pub use self::data_folder::{make_folder, make_folders, require_database};
pub use self::endpoint::{build_endpoint, build_endpoint_with, metrics_hosts, start_endpoint};
pub use self::error::StartError;
pub use self::keys::lock_keys;
pub use self::mail::mailer;
pub use self::open::{Environment, open, open_existing, watch};
