//! Ids, secrets, the clock, errors and network types, for use in every layer. It imports no other
//! layer.

pub mod api_token_secret;
pub mod clock;
pub mod display_names;
pub mod email_address;
pub mod error;
pub mod ids;
pub mod interval;
pub mod login_name;
pub mod mailed_secret;
pub mod net;
pub mod ownership;
pub mod quantities;
pub mod secret;
pub mod sync;
pub mod usernames;
