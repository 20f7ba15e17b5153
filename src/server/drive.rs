//! Drives a connection from its first byte to its last.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::body::{Body as _, Bytes, Incoming};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Sleep, sleep_until, timeout};

use super::connection::Connection;
use super::connection_gauge::CountedConnection;
use super::connection_limiter::ConnectionPermit;
use super::connection_timer::ConnectionTimer;
use super::context::{ServerContext, ShutdownPhase};
use super::deadlines::{Deadlines, IoObserver};
use super::dispatch::{handle_http1, handle_http2};
use super::http2::Http2Connection;
use super::stream::ObservedStream;
use super::tls::Tls;

/// The maximum size of a head, and of its number of fields. HTTP/2 counts 32 bytes more for each
/// field instead (RFC 9113, section 6.5.2), because browsers send each cookie in a separate field.
const HEAD_BYTES: usize = 16 * 1024;
const HEAD_LIST: u32 = 16 * 1024;
const HEAD_FIELDS: usize = 64;
/// The maximum number of concurrent requests on an HTTP/2 connection. Further ones are refused
/// unread.
const STREAMS: u32 = 64;
/// How much of unread bodies a client may send in advance: one body for each stream, and the
/// minimum for the connection.
const STREAM_WINDOW: u32 = 32 * 1024;
const CONNECTION_WINDOW: u32 = 64 * 1024;
/// How much of a response is buffered while the client does not read.
const SENT_AHEAD: usize = 16 * 1024;
/// The maximum number of requests that were reset before they were handled.
const TAKEN_BACK: usize = 20;
/// The maximum number of requests that were refused as malformed or too many. Clients that learn
/// the limit with their first response send some.
const REFUSED: usize = 256;
/// An HTTP/2 client that is silent for this long is pinged, and has as long to answer.
const PING: Duration = Duration::from_secs(20);

/// Held as long as the connection is open.
pub type ConnectionGuards = (ConnectionPermit, CountedConnection);

/// Starts the task that serves a connection.
pub fn spawn_connection(
    context: &Arc<ServerContext>,
    stream: TcpStream,
    remote: SocketAddr,
    (guards, end): (ConnectionGuards, watch::Receiver<ShutdownPhase>),
) {
    let timer = Arc::new(ConnectionTimer::new()); // the deadline starts now
    let Ok(connection) = Connection::new(context, &stream, remote, timer) else { return };
    tokio::spawn(async move {
        let _guards = guards; // released when the connection ends
        match connection.context.tls.clone() {
            None => serve_http1(connection, stream, end).await,
            Some(tls) => Box::pin(over_tls(&tls, connection, stream, end)).await,
        }
    });
}

/// Serves a connection after its TLS handshake.
async fn over_tls(
    tls: &Tls,
    connection: Connection<ConnectionTimer>,
    stream: TcpStream,
    end: watch::Receiver<ShutdownPhase>,
) {
    let http2 = Arc::new(Http2Connection::new());
    match timeout(connection.context.deadlines.handshake, tls.accept(stream)).await {
        Ok(Ok((stream, true))) => serve_http2(connection.with_observer(http2), stream, end).await,
        Ok(Ok((stream, false))) => serve_http1(connection, stream, end).await,
        Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
        Err(_late) => tracing::debug!("a TLS handshake took too long"),
    }
}

/// HTTP/1.1: one request after the other.
async fn serve_http1<S>(
    connection: Connection<ConnectionTimer>,
    stream: S,
    mut end: watch::Receiver<ShutdownPhase>,
) where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let connection = Arc::new(connection);
    let mut stream = ObservedStream::new(stream, Arc::clone(&connection.observer));
    loop {
        let asked = Arc::clone(&connection);
        // Boxed, because hyper reserves space for this future as long as the connection is open.
        let service =
            service_fn(move |request| Box::pin(handle_http1(Arc::clone(&asked), request)));
        let mut http = http1::Builder::new()
            .header_read_timeout(None) // the connection timer does this
            .max_buf_size(HEAD_BYTES)
            .max_headers(HEAD_FIELDS)
            .serve_connection(TokioIo::new(stream), service);
        let finish = http1::Connection::graceful_shutdown;
        let last = (&mut end, ShutdownPhase::Closing);
        match drive(Pin::new(&mut http), finish, &connection, last).await {
            Outcome::Ended => return,
            Outcome::Idle => {}
        }
        let parts = http.into_parts();
        stream = parts.io.into_inner();
        if parts.read_buf.is_empty() {
            if !has_next_request(&mut stream, &connection, &mut end).await {
                return;
            }
        } else {
            // A part of the next request was read together with the previous one.
            connection.observer.has_read(parts.read_buf.len());
            stream.put_back(parts.read_buf);
        }
    }
}

/// Waits for the next request of an idle connection whose buffers were released. Returns false if
/// the connection is over.
async fn has_next_request<S>(
    stream: &mut ObservedStream<S, ConnectionTimer>,
    connection: &Connection<ConnectionTimer>,
    end: &mut watch::Receiver<ShutdownPhase>,
) -> bool
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    connection.observer.release_buffers();
    let deadlines = &connection.context.deadlines;
    let mut first = [0; 64];
    tokio::select! {
        read = stream.read(&mut first) => {
            if let Ok(count @ 1..) = read {
                stream.put_back(Bytes::copy_from_slice(&first[..count]));
                return true;
            }
        }
        _ = end.wait_for(|end| *end >= ShutdownPhase::Closing) => {}
        () = sleep_until(connection.observer.due(deadlines)) => return false,
    }
    let _ = timeout(deadlines.linger, stream.shutdown()).await; // the client may be gone
    false
}

/// HTTP/2: many concurrent requests.
async fn serve_http2<S>(
    connection: Connection<Http2Connection>,
    stream: S,
    mut end: watch::Receiver<ShutdownPhase>,
) where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let connection = Arc::new(connection);
    let stream = TokioIo::new(ObservedStream::new(stream, Arc::clone(&connection.observer)));
    let asked = Arc::clone(&connection);
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let stream = asked.observer.enter(!request.body().is_end_stream());
        // Boxed, so that the memory of the handler is freed before the response is sent.
        Box::pin(handle_http2(Arc::clone(&asked), stream, request))
    });
    let http = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEAD_LIST)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SENT_AHEAD)
        .max_pending_accept_reset_streams(TAKEN_BACK)
        .max_local_error_reset_streams(REFUSED)
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING)
        .serve_connection(stream, service);
    let (finish, last) =
        (http2::Connection::graceful_shutdown, (&mut end, ShutdownPhase::Draining));
    match drive(pin!(http), finish, &connection, last).await {
        Outcome::Ended | Outcome::Idle => {}
    }
}

/// Why a connection is no longer driven.
enum Outcome {
    Ended,
    /// It is idle, and its buffers can be released.
    Idle,
}

/// Drives a connection until it ends, is idle or overdue, or the service shuts down. `finish`
/// completes the requests in progress and accepts no more.
async fn drive<C, W: IoObserver>(
    mut http: Pin<&mut C>,
    finish: impl Fn(Pin<&mut C>),
    connection: &Connection<W>,
    (end, last): (&mut watch::Receiver<ShutdownPhase>, ShutdownPhase),
) -> Outcome
where
    C: Future<Output = hyper::Result<()>>,
{
    let (observer, deadlines) = (&connection.observer, &connection.context.deadlines);
    let mut timer = pin!(sleep_until(observer.due(deadlines)));
    let mut told = pin!(end.wait_for(|end| *end >= last));
    let mut is_told = false;
    poll_fn(|cx| {
        if !is_told && told.as_mut().poll(cx).is_ready() {
            is_told = true;
            finish(http.as_mut());
        }
        loop {
            if let Poll::Ready(ended) = http.as_mut().poll(cx) {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection ended early");
                }
                return Poll::Ready(Outcome::Ended);
            }
            if overdue(timer.as_mut(), &**observer, deadlines, cx).is_pending() {
                return Poll::Pending;
            }
            if observer.can_release_buffers() {
                return Poll::Ready(Outcome::Idle);
            }
            tracing::debug!("a connection took too long");
            if !observer.says_goodbye() {
                return Poll::Ready(Outcome::Ended);
            }
            finish(http.as_mut());
        }
    })
    .await
}

/// Resolves when the deadline of the connection's state has passed.
fn overdue(
    mut timer: Pin<&mut Sleep>,
    observer: &impl IoObserver,
    deadlines: &Deadlines,
    cx: &mut Context<'_>,
) -> Poll<()> {
    loop {
        let due = observer.due(deadlines);
        if due < timer.deadline() {
            timer.as_mut().reset(due);
        }
        ready!(timer.as_mut().poll(cx));
        if due <= timer.deadline() {
            return Poll::Ready(());
        }
        timer.as_mut().reset(due); // the state has changed since
    }
}
