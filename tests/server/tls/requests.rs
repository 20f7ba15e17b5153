//! Requests of a real HTTP/2 client over TLS, which get the same answers as in HTTP/1.1.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use h2::client::SendRequest;
use hyper::body::Bytes;
use poem::http::request::Builder;
use poem::http::{HeaderMap, Request};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::frames::{
    DATA, END_HEADERS, END_STREAM, Frame, GOAWAY, HEADERS, RST_STREAM, Raw, field, frame, head,
    read,
};
use super::service::{Authority, LONG, Service};

/// An HTTP/2 client.
#[derive(Clone)]
struct Client(SendRequest<Bytes>);

#[derive(Debug)]
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Client {
    async fn new(at: SocketAddr, authority: &Authority) -> Self {
        let connector = TlsConnector::from(authority.client(&["h2", "http/1.1"]));
        let stream = TcpStream::connect(at).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let stream = connector.connect(name, stream).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]), "chosen by the service");
        let (client, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(async move { drop(connection.await) });
        Self(client)
    }

    async fn ask(&self, request: Builder, body: impl Into<Bytes>) -> Result<Answer, h2::Error> {
        let mut client = self.0.clone().ready().await?;
        let body = body.into();
        let request = request.body(()).unwrap();
        let (answer, mut stream) = client.send_request(request, body.is_empty())?;
        if !body.is_empty() {
            let _ = stream.send_data(body, true); // it may be refused before all of it is sent
        }
        let (head, mut rest) = answer.await?.into_parts();
        let mut body = Vec::new();
        while let Some(bytes) = rest.data().await {
            let bytes = bytes?;
            body.extend(&bytes);
            rest.flow_control().release_capacity(bytes.len())?;
        }
        let body = String::from_utf8_lossy(&body).into_owned();
        Ok(Answer { status: head.status.as_u16(), headers: head.headers, body })
    }
}

fn get(path: &str) -> Builder {
    Request::get(format!("https://localhost{path}"))
}

fn post(path: &str) -> Builder {
    Request::post(format!("https://localhost{path}")).header("content-type", "application/json")
}

#[tokio::test]
async fn a_session_lives_over_http_2_as_over_http_1() {
    let service = Service::start();
    let client = Client::new(service.at, &service.authority).await;
    let body = r#"{"username":"ann","password":"correct horse battery staple, twice"}"#;
    let registered = client.ask(post("/register"), body).await.unwrap();
    assert_eq!(registered.status, 201, "{registered:?}");
    let cookie = registered.header("set-cookie");
    assert!(cookie.starts_with("__Host-session=") && cookie.contains("; Secure"), "{cookie}");
    assert!(registered.header("strict-transport-security").starts_with("max-age="));
    let session = cookie.split(';').next().unwrap();

    // browsers send each cookie in its own field
    let split = get("/private").header("cookie", "theme=dark").header("cookie", session);
    let private = client.ask(split, "").await.unwrap();
    assert_eq!(private.status, 200, "{private:?}");
    assert!(private.body.contains(r#""username":"ann""#));
    let two = get("/private").header("cookie", session).header("cookie", "__Host-session=other");
    assert_eq!(client.ask(two, "").await.unwrap().status, 403);

    let over_1 = format!(
        "GET /private HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nCookie: {session}\r\n\r\n"
    );
    let answer = service.sent(&over_1);
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with(&private.body), "{answer}");
}

#[tokio::test]
async fn refusals_are_the_same_over_http_2() {
    let service = Service::start();
    let client = Client::new(service.at, &service.authority).await;
    let other = "https://evil.example/livez";
    let large = "x".repeat(16_385);
    let wrong = r#"{"username":"nobody","password":"x"}"#;
    for (request, body, status, code) in [
        (get("/nothing"), "", 404, "not_found"),
        (Request::put("https://localhost/login"), "", 405, "method_not_allowed"),
        (get("/private"), "", 401, "not_authenticated"),
        (post("/login"), "{", 400, "invalid_request"),
        (post("/login"), wrong, 403, "invalid_credentials"),
        (post("/login"), &large, 413, "payload_too_large"),
        (post("/login").header("content-encoding", "gzip"), wrong, 415, "unsupported_media_type"),
        (post("/login").header("origin", "https://evil.example"), wrong, 403, "cross_origin"),
        (Request::get(other), "", 421, "unknown_host"),
        (get("/livez").header("host", "evil.example"), "", 400, "invalid_request"),
        (get("/livez").header("host", "localhost"), "", 200, ""),
        (Request::get("https://me@localhost/livez"), "", 400, "invalid_request"),
    ] {
        let asked = format!("{request:?}");
        let answer = client.ask(request, body.to_owned()).await.unwrap();
        assert_eq!(answer.status, status, "{asked}: {answer:?}");
        assert!(answer.header("x-request-id").len() > 16, "{asked}: {answer:?}");
        if status != 200 {
            assert_eq!(answer.header("content-type"), "application/problem+json", "{asked}");
            assert!(answer.body.contains(&format!(r#""code":"{code}""#)), "{asked}: {answer:?}");
        }
        assert!(!answer.headers.contains_key("connection"), "{asked}");
    }
    let long = get("/livez").header("x-long", "x".repeat(17_000));
    assert_eq!(client.ask(long, "").await.unwrap().status, 431);
    assert_eq!(client.ask(get("/livez"), "").await.unwrap().status, 200, "and it goes on");
}

#[tokio::test]
async fn an_answer_to_head_has_no_body_and_a_long_one_arrives_whole() {
    let service = Service::start();
    let client = Client::new(service.at, &service.authority).await;
    let whole = client.ask(get("/openapi.json"), "").await.unwrap();
    assert!(whole.body.len() > 40_000 && whole.body.ends_with("}\n"), "{}", whole.body.len());
    let length = whole.body.len().to_string();
    let head = client.ask(Request::head("https://localhost/openapi.json"), "").await.unwrap();
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert_eq!(head.header("content-length"), length);
}

#[tokio::test]
async fn without_a_word_on_protocols_it_is_http_1_and_in_clear_text_it_is_nothing() {
    let service = Service::start();
    let mut plain = super::service::connect(service.at, service.authority.client(&[]));
    std::io::Write::write_all(&mut plain, b"GET /livez HTTP/1.0\r\n\r\n").unwrap();
    assert!(super::service::rest(&mut plain).starts_with("HTTP/1.0 200"));
    let mut clear = std::net::TcpStream::connect(service.at).unwrap();
    clear.set_read_timeout(Some(LONG)).unwrap();
    std::io::Write::write_all(&mut clear, b"GET /livez HTTP/1.0\r\n\r\n").unwrap();
    assert!(!super::service::rest(&mut clear).contains("200"));
}

#[tokio::test]
async fn what_breaks_the_rules_of_http_2_ends_its_stream_or_the_connection() {
    let service = Service::start();
    let ends_stream = END_HEADERS | END_STREAM;
    for fields in [
        [head("GET", "/livez"), field("connection", "close")].concat(),
        [head("GET", "/livez"), field("transfer-encoding", "chunked")].concat(),
        [head("GET", "/livez"), field("X-Upper", "case")].concat(),
        [head("GET", "/livez"), field(":path", "/twice")].concat(),
        field(":method", "GET"),
        [head("POST", "/login"), field("content-length", "5")].concat(),
    ] {
        let mut client = Raw::new(service.connect("h2"), &[]);
        client
            .send(&[frame(HEADERS, ends_stream, 1, &fields), read(3, "/livez")].concat())
            .unwrap();
        let is_over =
            |frame: &Frame| frame.kind == GOAWAY || frame.stream == 3 && frame.kind == DATA;
        loop {
            let frame = client.next().unwrap().expect("the other is answered, or the end is said");
            let text = String::from_utf8_lossy(&fields);
            assert!(frame.stream != 1 || frame.kind == RST_STREAM, "{text:?}: {frame:?}");
            if is_over(&frame) {
                break;
            }
        }
    }
    let mut client = Raw::new(service.connect("h2"), &[]);
    client.send(&frame(DATA, 0, 1, b"for no request")).unwrap();
    assert!(client.rest().iter().any(|frame| frame.kind == GOAWAY));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_10_whoever_was_let_in_over_http_2_is_answered_when_the_end_comes() {
    let mut service = Service::start();
    let (mut clients, count) = (Vec::new(), Arc::new(AtomicUsize::new(0)));
    for _ in 0..10 {
        let client = Client::new(service.at, &service.authority).await;
        for _ in 0..4 {
            clients.push(tokio::spawn(load(client.clone(), Arc::clone(&count))));
        }
    }
    while count.load(Ordering::SeqCst) <= 100 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    service.signal("TERM");
    let start = Instant::now();
    let mut answers = 0;
    for client in clients {
        answers += client.await.unwrap().unwrap_or_else(|why| panic!("{why}"));
    }
    assert_eq!(service.exit_code_within(LONG), Some(0));
    println!(
        "R-10 over HTTP/2: {answers} answers, 0 requests without; over in {:?}",
        start.elapsed()
    );
    assert!(answers > 100);
}

/// Sends requests until the service accepts no more. Returns the number of answers, or an error for
/// an accepted request without an answer. A request that the service says it did not process can be
/// sent again.
async fn load(client: Client, count: Arc<AtomicUsize>) -> Result<usize, String> {
    for answers in 0..100_000 {
        match client.ask(get("/livez"), "").await {
            Ok(answer) if answer.status == 200 => drop(count.fetch_add(1, Ordering::SeqCst)),
            Ok(answer) => return Err(format!("{answer:?}")),
            Err(error) if error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR) => {
                return Ok(answers);
            }
            Err(error) => return Err(format!("after {answers}: {error:?}")),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Err("it goes on".to_owned())
}
