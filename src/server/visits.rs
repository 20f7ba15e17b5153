//! A connection from its first byte to its last.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::body::{Body as _, Bytes, Incoming};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use poem::Addr;
use poem::web::{LocalAddr, RemoteAddr};
use rustix::net::sockopt::set_socket_send_buffer_size;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Sleep, sleep_until, timeout};

use super::answers::{answer_among, answer_one};
use super::connection_gauge::CountedConnection;
use super::context::{End, Hall};
use super::crowd::Crowd;
use super::deadlines::{Deadlines, Pulse, Watch};
use super::places::Place;
use super::stream::Watched;
use super::tls::Tls;

/// A head is no larger than this in all, and has no more fields. HTTP/2 counts 32 bytes more for
/// each field instead (RFC 9113, section 6.5.2): browsers send each cookie in one of its own.
const HEAD_BYTES: usize = 16 * 1024;
const HEAD_LIST: u32 = 16 * 1024;
const HEAD_FIELDS: usize = 64;
/// Requests of one HTTP/2 connection that are under way at once; more are refused unlooked at.
const STREAMS: u32 = 64;
/// What of an answer waits in the system for a client that does not take it in. It would give each up
/// to 4 MiB, which are then copied and kept for as many connections as an attacker likes.
const SEND_BYTES: usize = 64 * 1024;
/// What a client may send ahead of a body that is not being read: a body, and the least there is.
const STREAM_WINDOW: u32 = 32 * 1024;
const CONNECTION_WINDOW: u32 = 64 * 1024;
/// What is kept of an answer while the client has no room for it.
const SENT_AHEAD: usize = 16 * 1024;
/// Requests that were taken back before anybody looked at them.
const TAKEN_BACK: usize = 20;
/// Requests that were refused as malformed or too many; clients that know the limit only after
/// their first answer send some.
const REFUSED: usize = 256;
/// Is a client that says nothing still there? It is asked after this, and has as long to answer.
const PING: Duration = Duration::from_secs(20);

/// What a connection holds as long as it is open.
pub type Held = (Place, CountedConnection);

/// Answers on one connection for as long as it lasts.
pub fn let_in(
    hall: &Arc<Hall>,
    stream: TcpStream,
    remote: SocketAddr,
    (held, end): (Held, watch::Receiver<End>),
) {
    let pulse = Arc::new(Pulse::new()); // its time has begun
    let Ok(visit) = Visit::new(hall, &stream, remote, pulse) else { return };
    tokio::spawn(async move {
        let _held = held; // given back when the connection ends
        match visit.hall.tls.clone() {
            None => one_by_one(visit, stream, end).await,
            Some(tls) => Box::pin(over_tls(&tls, visit, stream, end)).await,
        }
    });
}

/// Shakes hands first.
async fn over_tls(tls: &Tls, visit: Visit<Pulse>, stream: TcpStream, end: watch::Receiver<End>) {
    let crowd = Arc::new(Crowd::new());
    match timeout(visit.hall.deadlines.handshake, tls.accept(stream)).await {
        Ok(Ok((stream, true))) => at_once(visit.of(crowd), stream, end).await,
        Ok(Ok((stream, false))) => one_by_one(visit, stream, end).await,
        Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
        Err(_late) => tracing::debug!("a TLS handshake took too long"),
    }
}

/// HTTP/1.1: one request after the other.
async fn one_by_one<S>(visit: Visit<Pulse>, stream: S, mut end: watch::Receiver<End>)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let visit = Arc::new(visit);
    let mut stream = Watched::new(stream, Arc::clone(&visit.watch));
    loop {
        let asked = Arc::clone(&visit);
        // hyper keeps room for this future as long as the connection is open, idle or not
        let service = service_fn(move |request| Box::pin(answer_one(Arc::clone(&asked), request)));
        let mut connection = http1::Builder::new()
            .header_read_timeout(None) // the pulse is watched instead
            .max_buf_size(HEAD_BYTES)
            .max_headers(HEAD_FIELDS)
            .serve_connection(TokioIo::new(stream), service);
        let finish = http1::Connection::graceful_shutdown;
        let last = (&mut end, End::Over);
        match attend(Pin::new(&mut connection), finish, &visit, last).await {
            Outcome::Ended => return,
            Outcome::Idle => {}
        }
        let parts = connection.into_parts();
        stream = parts.io.into_inner();
        if parts.read_buf.is_empty() {
            if !has_next_request(&mut stream, &visit, &mut end).await {
                return;
            }
        } else {
            // part of the next request came with the one before
            visit.watch.has_read(parts.read_buf.len());
            stream.put_back(parts.read_buf);
        }
    }
}

/// Waits for the next request of an idle connection that has no buffers any more. False if the connection
/// is over.
async fn has_next_request<S>(
    stream: &mut Watched<S, Pulse>,
    visit: &Visit<Pulse>,
    end: &mut watch::Receiver<End>,
) -> bool
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    visit.watch.release_buffers();
    let deadlines = &visit.hall.deadlines;
    let mut first = [0; 64];
    tokio::select! {
        read = stream.read(&mut first) => {
            if let Ok(count @ 1..) = read {
                stream.put_back(Bytes::copy_from_slice(&first[..count]));
                return true;
            }
        }
        _ = end.wait_for(|end| *end >= End::Over) => {}
        () = sleep_until(visit.watch.due(deadlines)) => return false,
    }
    let _ = timeout(deadlines.linger, stream.shutdown()).await; // the client may be gone
    false
}

/// HTTP/2: many requests at once.
async fn at_once<S>(visit: Visit<Crowd>, stream: S, mut end: watch::Receiver<End>)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let visit = Arc::new(visit);
    let stream = TokioIo::new(Watched::new(stream, Arc::clone(&visit.watch)));
    let asked = Arc::clone(&visit);
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let presence = asked.watch.enter(!request.body().is_end_stream());
        // what answering took is given back before the answer is sent
        Box::pin(answer_among(Arc::clone(&asked), presence, request))
    });
    let connection = http2::Builder::new(TokioExecutor::new())
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
    let (finish, last) = (http2::Connection::graceful_shutdown, (&mut end, End::LastCall));
    match attend(pin!(connection), finish, &visit, last).await {
        Outcome::Ended | Outcome::Idle => {}
    }
}

/// What became of a connection that was attended to.
enum Outcome {
    Ended,
    /// Nothing is under way, and its buffers are of no use for now.
    Idle,
}

/// Lets a connection go on until it ends, is idle or overdue, or the service ends. `finish` lets what is
/// under way on it end, and takes no more.
async fn attend<C, W: Watch>(
    mut connection: Pin<&mut C>,
    finish: impl Fn(Pin<&mut C>),
    visit: &Visit<W>,
    (end, last): (&mut watch::Receiver<End>, End),
) -> Outcome
where
    C: Future<Output = hyper::Result<()>>,
{
    let (watch, deadlines) = (&visit.watch, &visit.hall.deadlines);
    let mut timer = pin!(sleep_until(watch.due(deadlines)));
    let mut told = pin!(end.wait_for(|end| *end >= last));
    let mut is_told = false;
    poll_fn(|cx| {
        if !is_told && told.as_mut().poll(cx).is_ready() {
            is_told = true;
            finish(connection.as_mut());
        }
        loop {
            if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection ended early");
                }
                return Poll::Ready(Outcome::Ended);
            }
            if overdue(timer.as_mut(), &**watch, deadlines, cx).is_pending() {
                return Poll::Pending;
            }
            if watch.can_release_buffers() {
                return Poll::Ready(Outcome::Idle);
            }
            tracing::debug!("a connection took too long");
            if !watch.says_goodbye() {
                return Poll::Ready(Outcome::Ended);
            }
            finish(connection.as_mut());
        }
    })
    .await
}

/// Ready when what the connection does has taken too long.
fn overdue(
    mut timer: Pin<&mut Sleep>,
    watch: &impl Watch,
    deadlines: &Deadlines,
    cx: &mut Context<'_>,
) -> Poll<()> {
    loop {
        let due = watch.due(deadlines);
        if due < timer.deadline() {
            timer.as_mut().reset(due);
        }
        ready!(timer.as_mut().poll(cx));
        if due <= timer.deadline() {
            return Poll::Ready(());
        }
        timer.as_mut().reset(due); // it has done something since
    }
}

/// A connection, as its requests see it.
pub struct Visit<W> {
    pub hall: Arc<Hall>,
    pub watch: Arc<W>,
    pub local: LocalAddr,
    pub remote: RemoteAddr,
}

impl Visit<Pulse> {
    fn new(
        hall: &Arc<Hall>,
        stream: &TcpStream,
        remote: SocketAddr,
        pulse: Arc<Pulse>,
    ) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        set_socket_send_buffer_size(stream, SEND_BYTES)?;
        Ok(Self {
            hall: Arc::clone(hall),
            watch: pulse,
            local: LocalAddr(Addr::socket(stream.local_addr()?)),
            remote: RemoteAddr(Addr::socket(remote)),
        })
    }
}

impl<W> Visit<W> {
    /// The same, watched by this one.
    fn of<V>(self, watch: Arc<V>) -> Visit<V> {
        let Self { hall, watch: _, local, remote } = self;
        Visit { hall, watch, local, remote }
    }
}
