//! The accept loop: deadlines, limits, and an end that drops nobody who was let in.
//!
//! `poem::Server` has none of these; hyper does the HTTP, poem's route the answers.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::combinators::BoxBody;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use poem::endpoint::BoxEndpoint;
use poem::http::uri::Scheme;
use poem::web::{LocalAddr, RemoteAddr};
use poem::{Addr, Endpoint, Request, Response};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use crate::metrics::Connections;

/// A request's head is complete by then; a slow sender is closed.
const HEAD: Duration = Duration::from_secs(10);
/// A request is answered by then, its body included; the longest wait of ours is 2 s.
const ANSWER: Duration = Duration::from_secs(30);
/// A head is no larger than this in all, and has no more fields.
const HEAD_BYTES: usize = 16 * 1024;
const HEAD_FIELDS: usize = 64;
/// As many connections are open at once; more wait in the system's queue.
const CONNECTIONS: usize = 4096;
/// Out of file descriptors: look again after this, instead of spinning.
const BACK_OFF: Duration = Duration::from_millis(50);
/// Whoever is being answered when the end comes has this long.
const DRAIN: Duration = Duration::from_secs(8);

/// Serves until `stop` is done, then lets the answers under way finish.
pub async fn serve(
    listener: TcpListener,
    route: BoxEndpoint<'static, Response>,
    connections: Arc<Connections>,
    stop: impl Future<Output = ()>,
) {
    let route = Arc::new(route);
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let graceful = GracefulShutdown::new();
    let mut stop = pin!(stop);
    loop {
        let place = Arc::clone(&places).acquire_owned();
        let accepted = async { (place.await, listener.accept().await) };
        let (place, accepted) = tokio::select! {
            () = &mut stop => break,
            accepted = accepted => accepted,
        };
        let (stream, remote) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                sleep(BACK_OFF).await;
                continue;
            }
        };
        let Ok(addresses) = addresses(&stream, remote) else { continue };
        let route = Arc::clone(&route);
        let service =
            service_fn(move |request| answer(Arc::clone(&route), request, addresses.clone()));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .max_buf_size(HEAD_BYTES)
            .max_headers(HEAD_FIELDS)
            .serve_connection(TokioIo::new(stream), service);
        let connection = graceful.watch(connection);
        let connected = connections.one_more();
        tokio::spawn(async move {
            let _place = (place, connected); // given back when the connection ends
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended early");
            }
        });
    }
    drop(listener);
    if timeout(DRAIN, graceful.shutdown()).await.is_err() {
        tracing::warn!("some connections were still open at the deadline");
    }
}

fn addresses(stream: &TcpStream, remote: SocketAddr) -> io::Result<(LocalAddr, RemoteAddr)> {
    stream.set_nodelay(true)?;
    let local = stream.local_addr()?;
    Ok((LocalAddr(Addr::socket(local)), RemoteAddr(Addr::socket(remote))))
}

/// Answers one request. A client that takes longer than [`ANSWER`] to send it is cut off.
async fn answer(
    route: Arc<BoxEndpoint<'static, Response>>,
    request: hyper::Request<Incoming>,
    (local, remote): (LocalAddr, RemoteAddr),
) -> Result<hyper::Response<BoxBody<Bytes, io::Error>>, io::Error> {
    let request = Request::from((request, local, remote, Scheme::HTTP));
    let response = timeout(ANSWER, route.get_response(request)).await?;
    Ok(response.into())
}
