//! Handles a request in the same way for HTTP/1.1 and HTTP/2.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::FutureExt;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty};
use hyper::body::{Body as _, Bytes, Incoming};
use poem::endpoint::DynEndpoint;
use poem::http::uri::{Scheme, Uri};
use poem::http::{HeaderValue, Method, header};
use poem::{Body, Request, Response};

use super::body::{ChunkedBody, FinishedBody, ObservedBody};
use super::connection::Connection;
use super::connection_timer::ConnectionTimer;
use super::http2::{Http2Connection, StreamGuard};

/// Calls the service. `counts` says whether the bytes of the body are counted. The request is
/// passed on before anything is awaited, because it is large and would be copied with each future
/// that contains it.
fn answer<'c, W>(
    connection: &'c Connection<W>,
    timer: &Arc<ConnectionTimer>,
    request: hyper::Request<Incoming>,
    counts: bool,
) -> impl Future<Output = Response> + use<'c, W> {
    let has_body = !request.body().is_end_stream();
    let scheme = if connection.context.tls.is_some() { Scheme::HTTPS } else { Scheme::HTTP };
    let mut request =
        Request::from((request, connection.local.clone(), connection.remote.clone(), scheme));
    if has_body {
        let body = ObservedBody::new(request.take_body().into(), Arc::clone(timer), counts);
        request.set_body(Body::from(BoxBody::new(body)));
    }
    let answer = DynEndpoint::call(&*connection.context.route, request);
    answer.map(|answer| answer.unwrap_or_else(poem::Error::into_response))
}

type Answer = hyper::Response<BoxBody<Bytes, io::Error>>;

/// Handles a request on HTTP/1.1.
pub async fn handle_http1(
    connection: Arc<Connection<ConnectionTimer>>,
    request: hyper::Request<Incoming>,
) -> Result<hyper::Response<FinishedBody>, Infallible> {
    let timer = &connection.observer;
    timer.has_asked(!request.body().is_end_stream());
    let mut response = answer(&connection, timer, request, false).await;
    // hyper closes the connection after a body that was not read to its end, which may be endless.
    // A proxy that does not know this would lose its next request on this connection.
    if connection.context.is_closing.load(Ordering::Relaxed) || timer.has_rest() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    timer.has_answer();
    Ok(Answer::from(response).map(|body| FinishedBody::new(body, Arc::clone(timer))))
}

/// Handles a request on HTTP/2, concurrently with others.
pub async fn handle_http2(
    connection: Arc<Connection<Http2Connection>>,
    stream: StreamGuard,
    mut request: hyper::Request<Incoming>,
) -> Result<Answer, Infallible> {
    name_host(&mut request);
    let is_head = request.method() == Method::HEAD;
    let response = answer(&connection, &stream.timer, request, true).await;
    stream.timer.has_answer();
    let (mut head, body) = Answer::from(response).into_parts();
    let body = if is_head {
        if let Some(length) = body.size_hint().exact() {
            head.headers.entry(header::CONTENT_LENGTH).or_insert_with(|| length.into());
        }
        BoxBody::new(Empty::new().map_err(|never| match never {}))
    } else {
        body
    };
    Ok(Answer::from_parts(head, BoxBody::new(ChunkedBody::new(body, stream))))
}

/// Copies `:authority` to the header `Host`, where the service reads it, as a proxy does that
/// converts to HTTP/1.1 (RFC 9113, section 8.3.1). If the request has a different `Host` too, both
/// remain.
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
