//! A connection, as its requests see it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use poem::Addr;
use poem::web::{LocalAddr, RemoteAddr};
use rustix::net::sockopt::set_socket_send_buffer_size;
use tokio::net::TcpStream;

use super::connection_timer::ConnectionTimer;
use super::context::ServerContext;

/// The socket's send buffer, which holds a response for a client that does not read. By default the
/// kernel buffers up to 4 MiB for each connection, and an attacker may open many.
const SEND_BYTES: usize = 64 * 1024;

/// A connection, as its requests see it.
pub struct Connection<W> {
    pub context: Arc<ServerContext>,
    pub observer: Arc<W>,
    pub local: LocalAddr,
    pub remote: RemoteAddr,
}

impl Connection<ConnectionTimer> {
    pub fn new(
        context: &Arc<ServerContext>,
        stream: &TcpStream,
        remote: SocketAddr,
        timer: Arc<ConnectionTimer>,
    ) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        set_socket_send_buffer_size(stream, SEND_BYTES)?;
        Ok(Self {
            context: Arc::clone(context),
            observer: timer,
            local: LocalAddr(Addr::socket(stream.local_addr()?)),
            remote: RemoteAddr(Addr::socket(remote)),
        })
    }
}

impl<W> Connection<W> {
    /// The same connection with another observer.
    pub fn with_observer<V>(self, observer: Arc<V>) -> Connection<V> {
        let Self { context, observer: _, local, remote } = self;
        Connection { context, observer, local, remote }
    }
}
