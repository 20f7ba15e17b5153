//! The accept loop, and the graceful shutdown.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use poem::Response;
use poem::endpoint::BoxEndpoint;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::ServerOptions;
use super::connection_gauge::CountedConnection;
use super::connection_limiter::ConnectionLimiter;
use super::context::{ServerContext, ShutdownPhase};
use super::drive::spawn_connection;

/// The pause after running out of file descriptors, which avoids a busy loop.
const BACK_OFF: Duration = Duration::from_millis(50);
/// The minimum time between log lines about connections that cannot be accepted.
const SAID_EVERY: Duration = Duration::from_secs(1);
/// How long new requests are still answered during the shutdown, because a client may have sent its
/// request before it learned of the shutdown. After that, idle connections are closed.
const GRACE_PERIOD: Duration = Duration::from_secs(1);
/// How long the responses in progress may take after the grace period.
const DRAIN: Duration = Duration::from_secs(7);

/// Serves until `stop` resolves, then finishes the responses in progress.
pub async fn serve(
    listener: TcpListener,
    route: BoxEndpoint<'static, Response>,
    options: ServerOptions,
    stop: impl Future<Output = ()>,
) {
    let ServerOptions { limits, deadlines, connections, tls } = options;
    let context =
        Arc::new(ServerContext { route, deadlines, tls, is_closing: AtomicBool::new(false) });
    let limiter = ConnectionLimiter::new(limits);
    let (announce, end) = watch::channel(ShutdownPhase::Running);
    let admit = |stream, remote, permit| {
        if let Some(permit) = limiter.take(permit, SocketAddr::ip(&remote)) {
            let permit = (permit, CountedConnection::new(&connections));
            spawn_connection(&context, stream, remote, (permit, end.clone()));
        }
    };
    let mut said = None;
    let mut stop = pin!(stop);
    loop {
        let accepted = async { (limiter.free().await, listener.accept().await) };
        let (permit, accepted) = tokio::select! {
            () = &mut stop => break,
            accepted = accepted => accepted,
        };
        match accepted {
            Ok((stream, remote)) => admit(stream, remote, permit),
            Err(error) if is_of_the_client(&error) => {}
            Err(error) => {
                if said.is_none_or(|said: Instant| said.elapsed() >= SAID_EVERY) {
                    tracing::warn!(%error, "cannot accept connections");
                    said = Some(Instant::now());
                }
                sleep(BACK_OFF).await;
            }
        }
    }
    context.is_closing.store(true, Ordering::Relaxed);
    announce.send_replace(ShutdownPhase::Draining);
    let over = Instant::now() + GRACE_PERIOD;
    // Clients in the system's accept queue may have sent a request already. After the grace period,
    // clients that wait for a permit are no longer accepted.
    let queue = async {
        let Ok(listener) = listener.into_std() else { return };
        while let Ok((stream, remote)) = listener.accept() {
            let stream = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
            if let Ok(stream) = stream {
                admit(stream, remote, limiter.free().await);
            }
        }
    };
    let _ = timeout_at(over, queue).await;
    drop(end);
    if timeout_at(over, announce.closed()).await.is_ok() {
        return;
    }
    announce.send_replace(ShutdownPhase::Closing);
    if timeout(DRAIN, announce.closed()).await.is_err() {
        tracing::warn!("shutdown deadline reached; some connections were still open");
    }
}

/// Whether a single client disconnected before it was accepted, so that others can still be
/// accepted.
fn is_of_the_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}
