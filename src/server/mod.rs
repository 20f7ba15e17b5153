//! The HTTP server: accept loop, TLS, deadlines, limits, and a shutdown that completes every
//! accepted request.
//!
//! `poem::Server` has none of these. hyper implements HTTP, and poem's route handles the requests.
//! Clear text supports HTTP/1.1 and 1.0 only: HTTP/2 by prior knowledge is refused, and `Upgrade:
//! h2c` is ignored. Over TLS, clients can negotiate HTTP/2. hyper refuses a malformed head with a
//! bare 400, and one that is too large with 431, and closes the connection after both.

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

use prometheus_client::metrics::gauge::Gauge;

pub use self::accept::serve;
pub use self::connection_limiter::ConnectionLimits;
pub use self::deadlines::Deadlines;
pub use self::probe::connect_insecure;
pub use self::tls::{Tls, TlsError};

/// The limits, deadlines and certificate of a listener.
#[derive(Debug, Clone, Default)]
pub struct ServerOptions {
    pub limits: ConnectionLimits,
    pub deadlines: Deadlines,
    /// Counts the open connections.
    pub connections: Gauge,
    /// Without it, the listener accepts clear text.
    pub tls: Option<Arc<Tls>>,
}
