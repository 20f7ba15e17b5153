//! The parts of a request: address, host, origin, cookies and body.

pub mod bearer;
pub mod body;
pub mod client_address;
pub mod context;
pub mod cookie;
pub mod cors;
pub mod cross_origin;
mod decode;
pub mod embedder_errors;
pub mod fields;
pub mod host;
pub mod id;
pub mod limit;
pub mod media_type;
pub mod password_text;
pub mod query;
pub mod trace;
