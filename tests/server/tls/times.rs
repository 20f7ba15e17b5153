//! Tests of the deadlines, with times short enough for a test.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use cloakroom::core::clock::Clock;
use cloakroom::server::{self, Deadlines, ServerOptions};
use poem::{EndpointExt, Response};

use super::frames::{
    DATA, END_HEADERS, GOAWAY, HEADERS, NO_WINDOW, PING, Raw, WINDOW_UPDATE, frame, head, read,
    reason, write,
};
use super::service::{Authority, LONG, connect, rest};

/// `server::serve` in this process.
struct Served {
    at: SocketAddr,
    authority: Authority,
}

impl Served {
    fn start() -> Self {
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
                let options = ServerOptions { deadlines: short(), tls, ..ServerOptions::default() };
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

fn short() -> Deadlines {
    let millis = Duration::from_millis;
    Deadlines {
        handshake: millis(300),
        head: millis(700),
        body: millis(1_500),
        grace: millis(400),
        stall: millis(600),
        idle: millis(1_000),
        linger: millis(100),
        ..Deadlines::default()
    }
}

#[track_caller]
fn about(since: Instant, millis: u64) {
    let least = Duration::from_millis(millis - 50);
    let most = Duration::from_millis(millis + 8_000); // allows for a busy machine
    let found = since.elapsed();
    assert!((least..most).contains(&found), "{found:?} is not about {millis} ms");
}

/// Checks that the connection is closed after this time, with a GOAWAY frame first.
#[track_caller]
fn is_told_after(client: &mut Raw, since: Instant, millis: u64) {
    let frames = client.rest();
    assert_eq!(reason(&frames), Some(0), "{frames:?}");
    about(since, millis);
}

#[test]
fn dos_02_a_handshake_that_stalls_is_closed() {
    let served = Served::start();
    let start = Instant::now();
    rest(&mut TcpStream::connect(served.at).unwrap());
    about(start, 300);
    let mut half = TcpStream::connect(served.at).unwrap();
    let start = Instant::now();
    std::io::Write::write_all(&mut half, &[22, 3, 1, 2, 0, 1]).unwrap();
    rest(&mut half);
    about(start, 300);
    let start = Instant::now(); // the deadline for the head continues
    rest(&mut connect(served.at, served.authority.client(&["http/1.1"])));
    about(start, 700);
}

#[test]
fn dos_02_whoever_asks_for_nothing_in_http_2_is_closed() {
    let served = Served::start();
    let start = Instant::now();
    rest(&mut connect(served.at, served.authority.client(&["h2"])));
    about(start, 700);
    let start = Instant::now();
    is_told_after(&mut served.connect(&[]), start, 700);
    let mut half = served.connect(&[]);
    let start = Instant::now();
    half.send(&frame(HEADERS, 0, 1, &head("GET", "/"))).unwrap();
    is_told_after(&mut half, start, 700);
    let mut later = served.connect(&[]);
    later.send(&read(1, "/")).unwrap();
    thread::sleep(Duration::from_millis(500));
    let start = Instant::now();
    later.send(&frame(HEADERS, 0, 3, &head("GET", "/"))).unwrap();
    is_told_after(&mut later, start, 700);
}

#[test]
fn dos_01_a_body_in_http_2_has_the_same_times() {
    let served = Served::start();
    let mut nothing = served.connect(&[]);
    let start = Instant::now();
    nothing.send(&write(1, "/")).unwrap();
    is_told_after(&mut nothing, start, 400);

    let mut steady = served.connect(&[]);
    let start = Instant::now();
    steady.send(&write(1, "/")).unwrap();
    for _ in 0..20 {
        thread::sleep(Duration::from_millis(50));
        steady.send(&frame(DATA, 0, 1, &[b'x'; 500])).unwrap(); // many times as fast as it must be
    }
    steady.send(&frame(DATA, 1, 1, b"x")).unwrap();
    let frames = steady.rest();
    let is_answer = |kind| frames.iter().any(|frame| frame.kind == kind && frame.stream == 1);
    assert!(is_answer(HEADERS) && is_answer(DATA), "{frames:?}");
    about(start, 2_000);
}

#[test]
fn dos_01_whoever_takes_nothing_in_is_closed_in_http_2_too() {
    let served = Served::start();
    let mut deaf = served.connect(NO_WINDOW);
    let start = Instant::now();
    deaf.send(&[read(1, "/large"), read(3, "/large")].concat()).unwrap();
    is_told_after(&mut deaf, start, 600);

    let mut slow = served.connect(&[]);
    slow.send(&read(1, "/large")).unwrap();
    let (start, mut found) = (Instant::now(), 0);
    while found < 1 << 20 {
        let frame = slow.next().unwrap().expect("it takes some of it in");
        if frame.kind == DATA {
            found += frame.payload.len();
            thread::sleep(Duration::from_millis(10));
            let more = u32::try_from(frame.payload.len()).unwrap().to_be_bytes();
            let both = [frame_of_window(0, more), frame_of_window(1, more)].concat();
            slow.send(&both).unwrap();
        }
    }
    assert!(start.elapsed() > Duration::from_millis(700), "longer than any one wait may last");
}

fn frame_of_window(stream: u32, more: [u8; 4]) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &more)
}

#[test]
fn dos_06_an_idle_connection_is_closed_and_pings_do_not_keep_it() {
    let served = Served::start();
    let mut idle = served.connect(&[]);
    let start = Instant::now();
    idle.send(&read(1, "/")).unwrap();
    idle.patience(Duration::from_millis(100));
    let mut frames = Vec::new();
    loop {
        match idle.next() {
            Ok(Some(frame)) => frames.push(frame),
            Ok(None) => break,
            Err(_) => drop(idle.send(&frame(PING, 0, 0, b"stay up!"))),
        }
        assert!(start.elapsed() < LONG, "{frames:?}");
    }
    assert!(frames.iter().any(|frame| frame.kind == GOAWAY), "{frames:?}");
    about(start, 1_000);
}

#[test]
fn a_stream_that_is_stalled_takes_the_others_along_only_after_they_are_answered() {
    let served = Served::start();
    let mut client = served.connect(NO_WINDOW);
    client.send(&read(1, "/large")).unwrap();
    thread::sleep(Duration::from_millis(500));
    let late = frame(HEADERS, END_HEADERS, 3, &head("POST", "/"));
    client.send(&[late, frame_of_window(3, [0, 0, 255, 255])].concat()).unwrap();
    // it receives GOAWAY
    while client.next().unwrap().expect("the connection is open").kind != GOAWAY {}
    client.send(&frame(DATA, 1, 3, b"late")).unwrap();
    let frames = client.rest();
    let answered = frames.iter().any(|frame| frame.stream == 3 && frame.payload == b"late");
    assert!(answered, "{frames:?}");
}
