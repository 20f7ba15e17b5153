//! The library for programs that embed Cloakroom in their own poem-openapi service: open, mount,
//! serve. The program itself uses it, too.

mod cloakroom;
mod error;
mod mount;
mod mounted;
mod serving;
mod settings;
mod signals;

pub use self::cloakroom::Cloakroom;
pub use self::error::Error;
pub use self::mount::Mount;
pub use self::mounted::Mounted;
pub(crate) use self::serving::{Listeners, faces_a_network, warn_of_demo_users};
pub use self::settings::Settings;
pub(crate) use self::signals::{ReloadSignals, Signals};
