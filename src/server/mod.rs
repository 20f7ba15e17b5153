//! The accept loop: deadlines, limits, and an end that drops nobody who was let in.
//!
//! `poem::Server` has none of these; hyper does the HTTP, poem's route the answers. In clear text
//! HTTP/1.1 (and 1.0) is all that is spoken: what begins as HTTP/2 is refused, and `Upgrade: h2c` is
//! answered as if it were not there. Over TLS, clients that ask for HTTP/2 get it. hyper refuses a
//! malformed head with a bare 400, one that is too large with 431, and closes the connection after
//! both.

mod accept;
mod body;
mod connection;
mod connection_gauge;
mod connection_limiter;
mod connection_timer;
mod context;
mod deadlines;
mod dispatch;
mod drive;
mod frames;
mod http2;
mod probe;
mod stream;
mod tls;

use std::sync::Arc;

pub use self::accept::serve;
pub use self::connection_gauge::ConnectionGauge;
pub use self::connection_limiter::ConnectionLimits;
pub use self::deadlines::Deadlines;
pub use self::probe::connect_insecure;
pub use self::tls::{Tls, TlsError};

/// What whoever connects may take: places and time.
#[derive(Debug, Clone, Default)]
pub struct Edge {
    pub limits: ConnectionLimits,
    pub deadlines: Deadlines,
    /// Counts those that are open.
    pub connections: Arc<ConnectionGauge>,
    /// Without it, it is spoken in clear text.
    pub tls: Option<Arc<Tls>>,
}
