//! The accept loop: deadlines, limits, and an end that drops nobody who was let in.
//!
//! `poem::Server` has none of these; hyper does the HTTP, poem's route the answers. HTTP/1.1 (and
//! 1.0) is all that is spoken: what begins as HTTP/2 is refused, and `Upgrade: h2c` is answered as
//! if it were not there. hyper refuses a malformed head with a bare 400, one that is too large
//! with 431, and closes the connection after both.

mod deadlines;
mod places;
mod stream;

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use http_body_util::combinators::BoxBody;
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use poem::endpoint::BoxEndpoint;
use poem::http::uri::Scheme;
use poem::http::{HeaderValue, header};
use poem::web::{LocalAddr, RemoteAddr};
use poem::{Addr, Body, Endpoint, Request, Response};
use rustix::net::sockopt::set_socket_send_buffer_size;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};

pub use self::deadlines::Deadlines;
use self::deadlines::Pulse;
pub use self::places::Limits;
use self::places::{Place, Places};
use self::stream::{Told, Watched};
use crate::metrics::{Connected, Connections};

/// A head is no larger than this in all, and has no more fields.
const HEAD_BYTES: usize = 16 * 1024;
const HEAD_FIELDS: usize = 64;
/// What of an answer waits in the system for a client that does not take it in. It would give each up
/// to 4 MiB, which are then copied and kept for as many connections as an attacker likes.
const SEND_BYTES: usize = 64 * 1024;
/// Out of file descriptors: look again after this, instead of spinning.
const BACK_OFF: Duration = Duration::from_millis(50);
/// As long as connections cannot be accepted, the log says so this often.
const SAID_EVERY: Duration = Duration::from_secs(1);
/// A client may have sent its next request before it can know of the end: it has this long to
/// arrive, and is answered. Then whoever sends nothing is closed.
const LAST_CALL: Duration = Duration::from_secs(1);
/// Whoever is being answered after that has this long.
const DRAIN: Duration = Duration::from_secs(7);

/// What whoever connects may take: places and time.
#[derive(Debug, Clone, Default)]
pub struct Edge {
    pub limits: Limits,
    pub deadlines: Deadlines,
    /// Counts those that are open.
    pub connections: Arc<Connections>,
}

/// What the connections of one listener share.
struct Hall {
    route: BoxEndpoint<'static, Response>,
    deadlines: Deadlines,
    /// Every answer is the last one of its connection.
    is_closing: AtomicBool,
}

/// Serves until `stop` is done, then lets the answers under way finish.
pub async fn serve(
    listener: TcpListener,
    route: BoxEndpoint<'static, Response>,
    edge: Edge,
    stop: impl Future<Output = ()>,
) {
    let Edge { limits, deadlines, connections } = edge;
    // whoever is accepted inherits it
    if let Err(error) = set_socket_send_buffer_size(&listener, SEND_BYTES) {
        tracing::warn!(%error, "cannot bound what waits for slow clients");
    }
    let hall = Arc::new(Hall { route, deadlines, is_closing: AtomicBool::new(false) });
    let places = Places::new(limits);
    let (last_call, is_over) = watch::channel(false);
    let let_in = |stream, remote, permit| {
        if let Some(place) = places.take(permit, SocketAddr::ip(&remote)) {
            let place = (place, connections.one_more());
            let_in(&hall, stream, remote, (place, is_over.clone()));
        }
    };
    let mut said = None;
    let mut stop = pin!(stop);
    loop {
        let accepted = async { (places.free().await, listener.accept().await) };
        let (permit, accepted) = tokio::select! {
            () = &mut stop => break,
            accepted = accepted => accepted,
        };
        match accepted {
            Ok((stream, remote)) => let_in(stream, remote, permit),
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
    hall.is_closing.store(true, Ordering::Relaxed);
    // whoever is in the system's queue may have sent a request already
    if let Ok(listener) = listener.into_std() {
        while let Ok((stream, remote)) = listener.accept() {
            let stream = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
            if let Ok(stream) = stream {
                let_in(stream, remote, places.free().await);
            }
        }
    }
    drop(is_over);
    if timeout(LAST_CALL, last_call.closed()).await.is_ok() {
        return;
    }
    last_call.send_replace(true);
    if timeout(DRAIN, last_call.closed()).await.is_err() {
        tracing::warn!("some connections were still open at the deadline");
    }
}

/// Did one client go before it was let in, while others can be?
fn is_of_the_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}

/// Answers on one connection for as long as it lasts.
fn let_in(
    hall: &Arc<Hall>,
    stream: TcpStream,
    remote: SocketAddr,
    (place, is_over): ((Place, Connected), watch::Receiver<bool>),
) {
    let pulse = Arc::new(Pulse::new());
    let Ok(visit) = Visit::new(hall, &stream, remote, &pulse) else { return };
    let stream = TokioIo::new(Watched::new(stream, Arc::clone(&pulse)));
    let visit = Arc::new(visit);
    let service = service_fn(move |request| answer(Arc::clone(&visit), request));
    let connection = http1::Builder::new()
        .header_read_timeout(None) // the pulse is watched instead
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEAD_FIELDS)
        .serve_connection(stream, service);
    let hall = Arc::clone(hall);
    tokio::spawn(async move {
        let _place = place; // given back when the connection ends
        attend(connection, &pulse, &hall.deadlines, is_over).await;
    });
}

type Connection<S> = http1::Connection<TokioIo<Watched>, S>;

/// Lets a connection go on until it ends, is overdue, or the service ends.
async fn attend<S, B>(
    connection: Connection<S>,
    pulse: &Pulse,
    deadlines: &Deadlines,
    mut is_over: watch::Receiver<bool>,
) where
    S: hyper::service::HttpService<Incoming, ResBody = B>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    B: hyper::body::Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut connection = pin!(connection);
    let mut timer = pin!(sleep_until(pulse.due(deadlines)));
    let mut told = pin!(is_over.wait_for(|is_over| *is_over));
    let mut is_told = false;
    poll_fn(|cx| {
        if !is_told && told.as_mut().poll(cx).is_ready() {
            is_told = true;
            connection.as_mut().graceful_shutdown();
        }
        if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection ended early");
            }
            return Poll::Ready(());
        }
        loop {
            let due = pulse.due(deadlines);
            if due < timer.deadline() {
                timer.as_mut().reset(due);
            }
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if due <= timer.deadline() {
                tracing::debug!("a connection took too long");
                return Poll::Ready(());
            }
            timer.as_mut().reset(due); // it has done something since
        }
    })
    .await;
}

/// A connection, as its requests see it.
struct Visit {
    hall: Arc<Hall>,
    pulse: Arc<Pulse>,
    local: LocalAddr,
    remote: RemoteAddr,
}

impl Visit {
    fn new(
        hall: &Arc<Hall>,
        stream: &TcpStream,
        remote: SocketAddr,
        pulse: &Arc<Pulse>,
    ) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self {
            hall: Arc::clone(hall),
            pulse: Arc::clone(pulse),
            local: LocalAddr(Addr::socket(stream.local_addr()?)),
            remote: RemoteAddr(Addr::socket(remote)),
        })
    }
}

/// Answers one request.
async fn answer(
    visit: Arc<Visit>,
    request: hyper::Request<Incoming>,
) -> Result<hyper::Response<BoxBody<Bytes, io::Error>>, Infallible> {
    let has_body = !request.body().is_end_stream();
    visit.pulse.has_asked(has_body);
    let mut request =
        Request::from((request, visit.local.clone(), visit.remote.clone(), Scheme::HTTP));
    if has_body {
        let body = Told::new(request.take_body().into(), Arc::clone(&visit.pulse));
        request.set_body(Body::from(BoxBody::new(body)));
    }
    let mut response = visit.hall.route.get_response(request).await;
    // hyper closes after a body that was not read to its end, which may be endless: a proxy that is not
    // told would lose the next request on this connection
    if visit.hall.is_closing.load(Ordering::Relaxed) || visit.pulse.has_rest() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    visit.pulse.has_answer();
    Ok(response.into())
}
