//! The identification of requests in the log.

use std::net::IpAddr;
use std::time::Duration;

use percent_encoding::{CONTROLS, utf8_percent_encode};
use poem::Request;
use poem::http::{HeaderName, HeaderValue, Method};
use tracing::Span;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The client's trace parent (W3C Trace Context, section 3.2), if it has the format of version 00.
pub fn parent(request: &Request) -> Option<HeaderValue> {
    let mut values = request.headers().get_all(TRACEPARENT).iter();
    let value = values.next().filter(|value| is_parent(value.as_bytes()))?;
    values.next().is_none().then(|| value.clone())
}

fn is_parent(value: &[u8]) -> bool {
    let hex = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let id = |part: &[u8]| part.iter().all(hex) && part.iter().any(|byte| *byte != b'0');
    value.len() == 55
        && value.starts_with(b"00-")
        && id(&value[3..35])
        && value[35] == b'-'
        && id(&value[36..52])
        && value[52] == b'-'
        && value[53..].iter().all(hex)
}

/// The method and the path. Characters that are not ASCII or could control a terminal are
/// percent-encoded.
pub fn describe_request(request: &Request) -> String {
    let path = utf8_percent_encode(request.uri().path(), CONTROLS);
    format!("{} {path}", request.method())
}

/// Whether each request is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestLog {
    Off,
    On,
}

/// A request for the request log. The query is omitted, because it may contain private data.
pub struct LoggedRequest {
    method: Method,
    path: String,
}

impl LoggedRequest {
    pub fn from_request(request: &Request) -> Self {
        let path = utf8_percent_encode(request.uri().path(), CONTROLS).to_string();
        Self { method: request.method().clone(), path }
    }

    /// Logs `POST /login 200 23 ms`, and the same as fields for programs.
    pub fn log(&self, status: u16, took: Duration) {
        let Self { method, path } = self;
        let ms = took.as_secs_f64() * 1000.0;
        let rounded = if ms < 10.0 { format!("{ms:.1}") } else { format!("{ms:.0}") };
        tracing::info!(
            target: "cloakroom::requests",
            {
                request.method = %method,
                request.path = %path,
                request.status = status,
                request.ms = ms,
            },
            "{method} {path} {status} {rounded} ms"
        );
    }
}

/// The span of a request, whose fields appear in every log line about it. It has the target of
/// audit lines, so that it is enabled whenever these are.
pub fn span(id: &HeaderValue, parent: Option<&HeaderValue>, address: Option<IpAddr>) -> Span {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    tracing::error_span!(
        target: "audit",
        "request",
        request_id = text(id),
        traceparent = parent.map(text),
        address = address.map(|address| address.to_string()),
    )
}

#[cfg(test)]
mod tests {
    use super::is_parent;

    #[test]
    fn a_traceparent_is_of_version_00_or_ignored() {
        assert!(is_parent(b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
        for other in [
            "",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-\"}",
        ] {
            assert!(!is_parent(other.as_bytes()), "{other}");
        }
    }
}
