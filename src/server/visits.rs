//! A connection from its first byte to its last, and the requests on it.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use poem::http::uri::{Scheme, Uri};
use poem::http::{HeaderValue, Method, StatusCode, header};
use poem::web::{LocalAddr, RemoteAddr};
use poem::{Addr, Body, Endpoint, Request, Response};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Sleep, sleep_until, timeout};

use super::crowd::{Crowd, Presence};
use super::deadlines::{Deadlines, Pulse, Watch};
use super::places::Place;
use super::stream::{Sent, Told, Watched};
use super::tls::Tls;
use super::{End, Hall};
use crate::metrics::Connected;

/// A head is no larger than this in all, and has no more fields. HTTP/2 counts 32 bytes more for
/// each field instead (RFC 9113, section 6.5.2): browsers send each cookie in one of its own.
const HEAD_BYTES: usize = 16 * 1024;
const HEAD_LIST: u32 = 16 * 1024;
const HEAD_FIELDS: usize = 64;
/// Requests of one HTTP/2 connection that are under way at once; more are refused unlooked at.
const STREAMS: u32 = 64;
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
pub type Held = (Place, Connected);

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
async fn one_by_one<S>(visit: Visit<Pulse>, stream: S, end: watch::Receiver<End>)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let visit = Arc::new(visit);
    let stream = TokioIo::new(Watched::new(stream, Arc::clone(&visit.watch)));
    let asked = Arc::clone(&visit);
    let service = service_fn(move |request| answer_one(Arc::clone(&asked), request));
    let connection = http1::Builder::new()
        .header_read_timeout(None) // the pulse is watched instead
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEAD_FIELDS)
        .serve_connection(stream, service);
    let last = (end, End::Over);
    attend(connection, http1::Connection::graceful_shutdown, &visit, last).await;
}

/// HTTP/2: many requests at once.
async fn at_once<S>(visit: Visit<Crowd>, stream: S, end: watch::Receiver<End>)
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
    let last = (end, End::LastCall);
    attend(connection, http2::Connection::graceful_shutdown, &visit, last).await;
}

/// Lets a connection go on until it ends, is overdue, or the service ends. `finish` lets what is
/// under way on it end, and takes no more.
async fn attend<C, W: Watch>(
    connection: C,
    finish: impl Fn(Pin<&mut C>),
    visit: &Visit<W>,
    (mut end, last): (watch::Receiver<End>, End),
) where
    C: Future<Output = hyper::Result<()>>,
{
    let (watch, deadlines) = (&visit.watch, &visit.hall.deadlines);
    let mut connection = pin!(connection);
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
                return Poll::Ready(());
            }
            if overdue(timer.as_mut(), &**watch, deadlines, cx).is_pending() {
                return Poll::Pending;
            }
            tracing::debug!("a connection took too long");
            if !watch.says_goodbye() {
                return Poll::Ready(());
            }
            finish(connection.as_mut());
        }
    })
    .await;
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
struct Visit<W> {
    hall: Arc<Hall>,
    watch: Arc<W>,
    local: LocalAddr,
    remote: RemoteAddr,
}

impl Visit<Pulse> {
    fn new(
        hall: &Arc<Hall>,
        stream: &TcpStream,
        remote: SocketAddr,
        pulse: Arc<Pulse>,
    ) -> io::Result<Self> {
        stream.set_nodelay(true)?;
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

    /// What the service answers; `counts` the bytes of the body.
    async fn answer(
        &self,
        pulse: &Arc<Pulse>,
        request: hyper::Request<Incoming>,
        counts: bool,
    ) -> Response {
        let has_body = !request.body().is_end_stream();
        let scheme = if self.hall.tls.is_some() { Scheme::HTTPS } else { Scheme::HTTP };
        let mut request = Request::from((request, self.local.clone(), self.remote.clone(), scheme));
        if has_body {
            let body = Told::new(request.take_body().into(), Arc::clone(pulse), counts);
            request.set_body(Body::from(BoxBody::new(body)));
        }
        self.hall.route.get_response(request).await
    }
}

type Answer = hyper::Response<BoxBody<Bytes, io::Error>>;

/// Answers one request of HTTP/1.1.
async fn answer_one(
    visit: Arc<Visit<Pulse>>,
    request: hyper::Request<Incoming>,
) -> Result<Answer, Infallible> {
    let pulse = &visit.watch;
    pulse.has_asked(!request.body().is_end_stream());
    let mut response = visit.answer(pulse, request, false).await;
    let is_last = visit.hall.is_closing.load(Ordering::Relaxed)
        || response.status() == StatusCode::PAYLOAD_TOO_LARGE; // the rest of it may be endless
    if is_last {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    pulse.has_answer();
    Ok(response.into())
}

/// Answers one request of HTTP/2 among others.
async fn answer_among(
    visit: Arc<Visit<Crowd>>,
    presence: Presence,
    mut request: hyper::Request<Incoming>,
) -> Result<Answer, Infallible> {
    name_host(&mut request);
    let is_head = request.method() == Method::HEAD;
    let response = visit.answer(&presence.pulse, request, true).await;
    presence.pulse.has_answer();
    let (mut head, body) = Answer::from(response).into_parts();
    let body = if is_head {
        if let Some(length) = body.size_hint().exact() {
            head.headers.entry(header::CONTENT_LENGTH).or_insert_with(|| length.into());
        }
        BoxBody::new(Empty::new().map_err(|never| match never {}))
    } else {
        body
    };
    Ok(Answer::from_parts(head, BoxBody::new(Sent::new(body, presence))))
}

/// What names the host of a request stands in `:authority`; the service reads it in `Host`, as if a
/// proxy had turned it into HTTP/1.1 (RFC 9113, section 8.3.1). If both are there and differ, there
/// are two.
fn name_host(request: &mut hyper::Request<Incoming>) {
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    if let Some(authority) = &parts.authority
        && let Ok(host) = HeaderValue::from_str(authority.as_str())
        && request.headers().get(header::HOST) != Some(&host)
    {
        request.headers_mut().append(header::HOST, host);
    }
    parts.scheme = None;
    if parts.path_and_query.is_some() {
        parts.authority = None;
    }
    *request.uri_mut() = Uri::from_parts(parts).expect("a path, or for CONNECT an authority");
}
