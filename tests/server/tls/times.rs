//! Tests of the deadlines, with times short enough for a test.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use cloakroom::core::clock::Clock;
use cloakroom::server::{self, Deadlines, ServerOptions};
use poem::{EndpointExt, Response};

use super::frames::{
    DATA, END_HEADERS, Frame, GOAWAY, HEADERS, NO_WINDOW, PING, Raw, WINDOW_UPDATE, frame, head,
    read, reason, write,
};
use super::service::{Authority, LONG, connect, rest};
use crate::edge::patient;

/// `server::serve` in this process.
struct Served {
    at: SocketAddr,
    authority: Authority,
}

impl Served {
    fn start(deadlines: Deadlines) -> Self {
        let authority = Authority::new();
        let folder = tempfile::tempdir().unwrap();
        authority.make(folder.path(), |_| {});
        let [certificate, key] = ["tls.pem", "tls.key"].map(|name| folder.path().join(name));
        let tls = server::Tls::open(&certificate, &key, Clock::System);
        let tls = Some(Arc::new(tls.unwrap()));
        let (tell, told) = std::sync::mpsc::channel();
        thread::spawn(move || {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            runtime.enable_all().build().unwrap().block_on(async {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                tell.send(listener.local_addr().unwrap()).unwrap();
                let route = poem::endpoint::make(|mut request: poem::Request| async move {
                    if request.uri().path() == "/large" {
                        return Ok(Response::builder().body(vec![b'x'; 1 << 20]));
                    }
                    let body = request.take_body().into_bytes_limit(16 * 1024).await;
                    Ok::<_, poem::Error>(body.map_or_else(
                        |_| {
                            let refused = poem::http::StatusCode::BAD_REQUEST;
                            Response::builder().status(refused).finish()
                        },
                        |body| Response::builder().body(body),
                    ))
                });
                let options = ServerOptions { deadlines, tls, ..ServerOptions::default() };
                let route = route.map_to_response().boxed();
                server::serve(listener, route, options, std::future::pending()).await;
            });
        });
        Self { at: told.recv().unwrap(), authority }
    }

    fn connect(&self, settings: &[u8]) -> Raw {
        Raw::new(connect(self.at, self.authority.client(&["h2"])), settings)
    }
}

const SHORT: Duration = Duration::from_millis(500);

/// The time since a test began what has this deadline is at least the deadline.
#[track_caller]
fn about(since: Instant, deadline: Duration) {
    let found = since.elapsed();
    assert!((deadline..deadline + LONG).contains(&found), "{found:?} is not about {deadline:?}");
}

/// Checks that the connection is closed after this time, with a GOAWAY frame first.
#[track_caller]
fn is_told_after(client: &mut Raw, since: Instant, deadline: Duration) {
    let frames = client.rest();
    assert_eq!(reason(&frames), Some(0), "{frames:?}");
    about(since, deadline);
}

#[test]
fn dos_02_a_handshake_that_stalls_is_closed() {
    let served = Served::start(Deadlines { handshake: SHORT, ..patient() });
    let start = Instant::now();
    rest(&mut TcpStream::connect(served.at).unwrap());
    about(start, SHORT);
    let start = Instant::now();
    let mut half = TcpStream::connect(served.at).unwrap();
    std::io::Write::write_all(&mut half, &[22, 3, 1, 2, 0, 1]).unwrap();
    rest(&mut half);
    about(start, SHORT);
}

#[test]
fn dos_02_whoever_asks_for_nothing_over_tls_is_closed() {
    // The handshake must be over before the deadline for the head.
    let deadline = Duration::from_secs(3);
    let served = Served::start(Deadlines { head: deadline, ..patient() });
    let start = Instant::now();
    let clients: Vec<_> = ["http/1.1", "h2"]
        .map(|protocol| connect(served.at, served.authority.client(&[protocol])))
        .into();
    let (mut none, mut half) = (served.connect(&[]), served.connect(&[]));
    half.send(&frame(HEADERS, 0, 1, &head("GET", "/"))).unwrap();
    let mut later = served.connect(&[]);
    later.send(&read(1, "/")).unwrap();
    while later.next().unwrap().expect("it is answered").stream != 1 {}
    let start_of_later = Instant::now();
    later.send(&frame(HEADERS, 0, 3, &head("GET", "/"))).unwrap();
    for mut client in clients {
        rest(&mut client);
        about(start, deadline);
    }
    is_told_after(&mut none, start, deadline);
    is_told_after(&mut half, start, deadline);
    is_told_after(&mut later, start_of_later, deadline);
}

#[test]
fn dos_01_a_body_in_http_2_has_the_same_times() {
    let served = Served::start(Deadlines { grace: SHORT, ..patient() });
    let mut nothing = served.connect(&[]);
    let start = Instant::now();
    nothing.send(&write(1, "/")).unwrap();
    is_told_after(&mut nothing, start, SHORT);

    let mut steady = served.connect(&[]);
    let start = Instant::now();
    steady.send(&write(1, "/")).unwrap();
    for _ in 0..20 {
        steady.send(&frame(DATA, 0, 1, &[b'x'; 500])).unwrap(); // many times as fast as it must be
        thread::sleep(Duration::from_millis(30));
    }
    assert!(start.elapsed() > SHORT);
    steady.send(&frame(DATA, 1, 1, b"x")).unwrap();
    let mut body = 0;
    while body < 20 * 500 + 1 {
        let frame = steady.next().unwrap().expect("it is answered");
        body += if frame.kind == DATA { frame.payload.len() } else { 0 };
    }
}

#[test]
fn dos_01_whoever_takes_nothing_in_is_closed_in_http_2_too() {
    let served = Served::start(Deadlines { stall: SHORT, ..patient() });
    let mut deaf = served.connect(NO_WINDOW);
    let start = Instant::now();
    deaf.send(&[read(1, "/large"), read(3, "/large")].concat()).unwrap();
    is_told_after(&mut deaf, start, SHORT);

    // It takes longer in total than the client may read nothing, and each pause is much shorter.
    let stall = Duration::from_secs(3);
    let served = Served::start(Deadlines { stall, ..patient() });
    let mut slow = served.connect(&[]);
    slow.send(&read(1, "/large")).unwrap();
    let (start, mut found) = (Instant::now(), 0);
    while found < 1 << 20 {
        let frame = slow.next().unwrap().expect("it takes some of it in");
        if frame.kind == DATA {
            found += frame.payload.len();
            thread::sleep(stall * u32::try_from(frame.payload.len()).unwrap() / (1 << 20));
            let more = u32::try_from(frame.payload.len()).unwrap().to_be_bytes();
            let both = [frame_of_window(0, more), frame_of_window(1, more)].concat();
            slow.send(&both).unwrap();
        }
    }
    assert!(start.elapsed() >= stall, "longer than any one wait may last");
}

fn frame_of_window(stream: u32, more: [u8; 4]) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &more)
}

#[test]
fn dos_06_an_idle_connection_is_closed_and_pings_do_not_keep_it() {
    let idle = Duration::from_secs(1);
    let served = Served::start(Deadlines { idle, ..patient() });
    let mut client = served.connect(&[]);
    let start = Instant::now();
    client.send(&read(1, "/")).unwrap();
    client.patience(Duration::from_millis(100));
    let mut frames = Vec::new();
    loop {
        match client.next() {
            Ok(Some(frame)) => frames.push(frame),
            Ok(None) => break,
            Err(_) => drop(client.send(&frame(PING, 0, 0, b"stay up!"))),
        }
        assert!(start.elapsed() < LONG, "{frames:?}");
    }
    assert!(frames.iter().any(|frame| frame.kind == GOAWAY), "{frames:?}");
    about(start, idle);
}

#[test]
fn a_stream_that_is_stalled_takes_the_others_along_only_after_they_are_answered() {
    let linger = Duration::from_hours(1); // until the late request is answered
    let served = Served::start(Deadlines { stall: SHORT, linger, ..patient() });
    let mut client = served.connect(NO_WINDOW);
    let late = frame(HEADERS, END_HEADERS, 3, &head("POST", "/"));
    let window = frame_of_window(3, [0, 0, 255, 255]);
    client.send(&[read(1, "/large"), late, window].concat()).unwrap();
    // it receives GOAWAY
    while client.next().unwrap().expect("the connection is open").kind != GOAWAY {}
    client.send(&frame(DATA, 1, 3, b"late")).unwrap();
    let is_answer = |frame: Frame| frame.stream == 3 && frame.payload == b"late";
    while !is_answer(client.next().unwrap().expect("the other one is answered")) {}
}
