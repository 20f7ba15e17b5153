//! Tests of the network edge with malicious clients, over raw sockets.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::ops::{Deref, DerefMut};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::process::{Process, free_address};
use crate::support::program::wait_until;
use crate::support::rates::{rate, ratio};
use crate::support::raw::{LONG, connect, rest};
use cloakroom::server::{self, Deadlines, ServerOptions};
use poem::{EndpointExt, Response};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

const READ: &str = "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";
const HEAD: &str = "POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";

/// The program as a process. It is killed when it is dropped.
struct Service {
    process: Process,
    at: SocketAddr,
    folder: tempfile::TempDir,
}

impl Service {
    fn start() -> Self {
        Self::after("")
    }

    fn start_logging() -> Self {
        Self::after("export RUST_LOG=debug; ")
    }

    /// Starts the service after the shell has run `first`.
    fn after(first: &str) -> Self {
        let (folder, at) = (tempfile::tempdir().unwrap(), free_address());
        let mut command = Command::new("sh");
        let program = std::env::var("BINARY"); // a release build, for measurements
        let program = program.unwrap_or_else(|_| env!("CARGO_BIN_EXE_cloakroom").to_owned());
        command.args(["-c", &format!("{first}exec \"$0\" --listen {at} 2>log"), &program]);
        command.current_dir(folder.path()).env_clear();
        let process = Process::serve(&mut command).expect("it serves");
        Self { process, at, folder }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// The number of open files and connections, without those of the database, whose pool may
    /// grow.
    fn files(&self) -> usize {
        let files = self.open_files();
        files.iter().filter(|name| !name.to_string_lossy().contains("cloakroom.db")).count()
    }
}

impl Deref for Service {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl DerefMut for Service {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}

/// Sends these bytes and reads until the service closes the connection.
fn sent(at: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = connect(at);
    let _ = stream.write_all(bytes);
    rest(&mut stream)
}

/// Sends a request on an open connection and reads the answer with a single read.
fn answered(stream: &mut TcpStream) -> Option<String> {
    stream.write_all(READ.as_bytes()).ok()?;
    let mut buffer = [0; 4096];
    let count = stream.read(&mut buffer).ok().filter(|count| *count > 0)?;
    Some(String::from_utf8_lossy(&buffer[..count]).into_owned())
}

/// Runs `server::serve` in this process, with these deadlines.
fn served(deadlines: Deadlines) -> SocketAddr {
    served_with(Ipv4Addr::LOCALHOST, ServerOptions { deadlines, ..ServerOptions::default() })
}

/// The same at this address of the machine, with these options.
pub fn served_with(address: Ipv4Addr, options: ServerOptions) -> SocketAddr {
    let (tell, told) = std::sync::mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind((address, 0)).await.unwrap();
            tell.send(listener.local_addr().unwrap()).unwrap();
            let route = poem::endpoint::make(|mut request: poem::Request| async move {
                if request.uri().path() == "/large" {
                    return Ok(Response::builder().body(vec![b'x'; 32 << 20]));
                }
                if request.uri().path() == "/paused" {
                    return Ok(Response::builder().body(paused()));
                }
                let body = request.take_body().into_bytes_limit(16 * 1024).await;
                Ok::<_, poem::Error>(body.map_or_else(
                    |_| Response::builder().status(poem::http::StatusCode::BAD_REQUEST).finish(),
                    |body| Response::builder().body(body),
                ))
            });
            let route = route.map_to_response().boxed();
            server::serve(listener, route, options, std::future::pending()).await;
        });
    });
    told.recv().unwrap()
}

/// A body of two chunks with a pause between them, the second larger than the system's buffers.
fn paused() -> poem::Body {
    poem::Body::from_bytes_stream(futures_util::stream::unfold(0, async |n| {
        if n == 1 {
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
        let piece = vec![b'x'; if n == 0 { 10 } else { 8 << 20 }];
        (n < 2).then_some((std::io::Result::Ok(piece), n + 1))
    }))
}

/// Deadlines that no test reaches, so that a test can shorten the one that it is about. The others
/// then close no connection, however slow the machine is.
pub fn patient() -> Deadlines {
    let hour = Duration::from_hours(1);
    Deadlines {
        handshake: hour,
        head: hour,
        body: hour,
        grace: hour,
        least_rate: 1,
        answer: hour,
        stall: hour,
        idle: hour,
        idle_buffers: Duration::from_millis(50),
        linger: Duration::from_millis(100),
    }
}

const SHORT: Duration = Duration::from_millis(400);

/// A number from the environment, or the one for the short run.
fn figure(name: &str, short: usize) -> usize {
    std::env::var(name).map_or(short, |figure| figure.parse().unwrap())
}

/// Waits until the service closes the connection, while `drip` is sent every 50 ms. Returns the
/// time since `start`, when the test began what has a deadline.
fn open_for((start, mut stream): (Instant, TcpStream), drip: &[u8]) -> Duration {
    let begun = Instant::now();
    stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let mut buffer = [0; 4096];
    while begun.elapsed() < LONG {
        match stream.read(&mut buffer) {
            Ok(0) => return start.elapsed(),
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                if stream.write_all(drip).is_err() {
                    return start.elapsed();
                }
            }
            Err(_) => return start.elapsed(),
        }
    }
    panic!("it is still open");
}

/// The time is at least this deadline, and not much longer than a busy machine adds.
#[track_caller]
fn about(found: Duration, deadline: Duration) {
    assert!((deadline..deadline + LONG).contains(&found), "{found:?} is not about {deadline:?}");
}

/// A connection with these bytes sent, and the time before it was opened.
fn begun(at: SocketAddr, bytes: &[u8]) -> (Instant, TcpStream) {
    let start = Instant::now();
    let mut stream = connect(at);
    stream.write_all(bytes).unwrap();
    (start, stream)
}

/// A connection with an answered request, and the time before that request.
fn begun_after_an_answer(at: SocketAddr) -> (Instant, TcpStream) {
    let mut stream = connect(at);
    let start = Instant::now();
    assert!(answered(&mut stream).is_some());
    (start, stream)
}

#[test]
fn dos_02_whoever_sends_nothing_or_little_is_closed() {
    let at = served(Deadlines { head: SHORT, ..patient() });
    about(open_for(begun(at, b""), b""), SHORT);
    about(open_for(begun(at, b"PRI"), b""), SHORT);
    about(open_for(begun(at, b""), b"G"), SHORT);
    let half = b"GET / HTTP/1.1\r\nHost: localhost\r\n";
    about(open_for(begun(at, half), b"X-A: b\r\n"), SHORT);
}

#[test]
fn dos_01_a_later_request_has_the_same_times() {
    let idle = Duration::from_millis(800);
    let at = served(Deadlines { idle, ..patient() });
    about(open_for(begun_after_an_answer(at), b""), idle);
    let head = Duration::from_secs(3); // the first request must arrive in time
    let at = served(Deadlines { head, ..patient() });
    about(open_for(begun_after_an_answer(at), b"G"), head);
    about(open_for(begun(at, format!("{READ}GET /").as_bytes()), b""), head);
}

#[test]
fn dos_01_a_slow_body_is_closed_and_a_steady_one_is_not() {
    let at = served(Deadlines { grace: SHORT, least_rate: 500, ..patient() });
    let post = |length: usize| format!("{HEAD}Content-Length: {length}\r\n\r\n").into_bytes();
    about(open_for(begun(at, &post(16_000)), b""), SHORT);
    about(open_for(begun(at, &post(16_000)), b"x"), SHORT);
    let chunked = format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n");
    about(open_for(begun(at, chunked.as_bytes()), b"1\r\nx\r\n"), SHORT);

    let at = served(Deadlines { body: SHORT, ..patient() });
    about(open_for(begun(at, &post(16_000)), &[b'x'; 50]), SHORT); // fast enough, but too many

    // Longer than a body may be slower than the minimum rate, which it exceeds many times.
    let at = served(Deadlines { grace: SHORT, ..patient() });
    let (start, mut steady) = begun(at, &post(8_000));
    for _ in 0..10 {
        thread::sleep(Duration::from_millis(70));
        steady.write_all(&[b'x'; 800]).unwrap();
    }
    assert!(start.elapsed() > SHORT);
    let mut buffer = [0; 12];
    steady.read_exact(&mut buffer).unwrap();
    assert_eq!(&buffer, b"HTTP/1.1 200");
}

#[test]
fn dos_01_an_answer_that_nobody_takes_in_is_given_up() {
    let large = b"GET /large HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let mut buffer = vec![0; 256 << 10];
    let options = ServerOptions {
        deadlines: Deadlines { stall: SHORT, ..patient() },
        ..ServerOptions::default()
    };
    let at = served_with(Ipv4Addr::LOCALHOST, options.clone());
    let (_, mut deaf) = begun(at, large);
    deaf.read_exact(&mut [0; 1]).unwrap(); // the service is sending
    wait_until(|| options.connections.get() == 0);
    let mut found = 0;
    while let Ok(count @ 1..) = deaf.read(&mut buffer) {
        found += count;
    }
    assert!(found < 16 << 20, "{found} bytes were kept for a client that takes nothing in");

    // It takes longer in total than the client may read nothing, and each pause is much shorter.
    let stall = Duration::from_secs(3);
    let (start, mut slow) = begun(served(Deadlines { stall, ..patient() }), large);
    let mut found = 0;
    while let Ok(count @ 1..) = slow.read(&mut buffer) {
        found += count;
        if start.elapsed() < stall + SHORT {
            thread::sleep(Duration::from_millis(50));
        }
    }
    assert!(start.elapsed() > stall);
    assert!(found > 32 << 20, "{found} bytes of one who takes it in slowly");
}

#[test]
fn dos_03_a_body_that_is_too_large_is_refused_and_not_read_on() {
    let service = Service::start();
    let length = format!("{HEAD}Content-Length: 16385\r\n\r\n");
    let chunked = format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n");
    let body = "x".repeat(16_385);
    for all in [
        format!("{length}{body}"),
        length.clone(), // refused because of its length
        format!("{chunked}4001\r\n{body}\r\n0\r\n\r\n"),
        chunked.clone() + &format!("1000\r\n{}\r\n", "x".repeat(0x1000)).repeat(6),
    ] {
        let answer = sent(service.at, all.as_bytes());
        assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
        assert!(answer.to_ascii_lowercase().contains("connection: close"), "{answer}");
    }
    let mut endless = connect(service.at);
    endless.write_all(length.replace("16385", "1000000000").as_bytes()).unwrap();
    let mut taken = 0;
    let start = Instant::now();
    while endless.write_all(&[b'x'; 4096]).is_ok() && start.elapsed() < LONG {
        taken += 4096;
    }
    // what the service reads and what both systems buffer
    assert!(taken < 16 << 20, "{taken} bytes");
}

#[test]
fn the_answer_to_a_body_that_nobody_reads_says_that_it_is_the_last_one() {
    let service = Service::start();
    let chunks = "2\r\n{}\r\n0\r\n\r\n";
    let nobodys = HEAD.replace("/login", "/unknown");
    for (head, body) in [
        (format!("{nobodys}Content-Length: 2\r\n\r\n"), "{}"),
        (format!("{nobodys}Transfer-Encoding: chunked\r\n\r\n"), chunks),
        (HEAD.replace("json", "xml") + "Content-Length: 2\r\n\r\n", "{}"),
    ] {
        for pause in [0, 50] {
            let mut stream = connect(service.at);
            stream.write_all(head.as_bytes()).unwrap();
            // the answer may arrive before the body is sent
            thread::sleep(Duration::from_millis(pause));
            let _ = stream.write_all(body.as_bytes());
            let answer = rest(&mut stream);
            assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
        }
    }
    let mut read = connect(service.at);
    for _ in 0..3 {
        let all = format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n{chunks}");
        read.write_all(all.as_bytes()).unwrap();
        let mut buffer = [0; 4096];
        let count = read.read(&mut buffer).unwrap();
        let answer = String::from_utf8_lossy(&buffer[..count]);
        assert!(answer.starts_with("HTTP/1.1 400") && !answer.contains("connection:"), "{answer}");
    }
}

#[test]
fn dos_04_a_compressed_body_is_refused_unread() {
    let service = Service::start();
    let head = format!("{HEAD}Content-Encoding: gzip\r\nContent-Length: 10\r\n");
    let answer = sent(service.at, format!("{head}Connection: close\r\n\r\n0123456789").as_bytes());
    assert!(answer.starts_with("HTTP/1.1 415"), "{answer}");
}

#[test]
fn dos_05_json_that_is_made_to_be_slow_is_refused_at_once() {
    let service = Service::start();
    let keys = (0..1_500).map(|n| format!("\"{n}\":0,")).collect::<Vec<_>>().concat();
    let mut stream = connect(service.at);
    let ticks = service.cpu();
    for body in [
        "[".repeat(10_000),
        format!("{{\"a\":{}", "[".repeat(16_000)),
        format!("{{{keys}\"a\":0}}"),
        format!("{{\"username\":{}}}", "9".repeat(16_000)),
        format!("{{\"username\":\"{}\"}}", "\\u0041".repeat(2_600)),
        format!("{{\"username\":{}}}", "9".repeat(64 * 1024)),
    ] {
        let all = format!("{HEAD}Content-Length: {}\r\n\r\n{body}", body.len());
        for _ in 0..5 {
            let _ = stream.write_all(all.as_bytes());
            let mut buffer = [0; 4096];
            let count = stream.read(&mut buffer).unwrap();
            let answer = String::from_utf8_lossy(&buffer[..count]).into_owned();
            assert!(["400", "413"].contains(&&answer[9..12]), "{answer}");
            if answer.contains("connection: close") {
                stream = connect(service.at);
            }
        }
    }
    // 15 ms each on an idle machine, and 5 ms in a release build; a body that is slow takes seconds
    let used = service.cpu() - ticks;
    assert!(used < 300, "{used} ticks of CPU time for 30 bodies");
}

#[test]
fn dos_07_without_a_file_descriptor_it_waits_and_recovers() {
    let service = Service::after("ulimit -n 30; ");
    let said = || service.log().matches("cannot accept connections").count();
    let crowd: Vec<_> = (0..40).map(|_| connect(service.at)).collect();
    wait_until(|| said() > 0);
    let (before, start) = (service.cpu(), Instant::now());
    thread::sleep(Duration::from_secs(3));
    let used = service.cpu() - before;
    let most = start.elapsed().as_secs() + 2;
    assert!(used < 30 * most, "{used} ticks of CPU time in {most} seconds");
    let said = said() as u64;
    assert!(said <= most, "said {said} times in {most} seconds: {}", service.log());
    drop(crowd);
    assert!(
        sent(service.at, READ.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n").as_bytes())
            .starts_with("HTTP/1.1 200")
    );
}

#[test]
fn a_crowd_that_comes_while_the_service_is_held_up_waits_and_is_answered() {
    let service = Service::start();
    service.signal("STOP");
    // a client that finds the system's queue full gets no answer and retries after a second
    let come = |n| {
        let came = TcpStream::connect_timeout(&service.at, Duration::from_millis(500));
        let mut stream = came.unwrap_or_else(|error| panic!("the {n}th: {error}"));
        stream.write_all(READ.as_bytes()).unwrap(); // into the system's buffer
        stream
    };
    let mut crowd: Vec<_> = (1..=500).map(come).collect();
    service.signal("CONT");
    for stream in &mut crowd {
        stream.set_read_timeout(Some(LONG)).unwrap();
        let mut status = [0; 12];
        stream.read_exact(&mut status).unwrap();
        assert_eq!(&status, b"HTTP/1.1 200");
    }
}

#[test]
fn r_10_whoever_was_let_in_is_answered_when_the_end_comes() {
    let rounds = figure("ROUNDS", 4);
    let answers: usize = thread::scope(|scope| {
        // only the first round has half-open connections, because they last until their deadline;
        // the other rounds run meanwhile
        let first = scope.spawn(|| answered_at_the_end(0, 100));
        let next = (1..rounds).map(|round| answered_at_the_end(round, 0)).sum::<usize>();
        first.join().unwrap() + next
    });
    println!("R-10: {rounds} rounds, {answers} answers, 0 requests without an answer");
    assert!(answers > rounds * 100);
}

/// Counts the answers that 50 clients get before and during a shutdown, with other connections that
/// send half a head.
fn answered_at_the_end(round: usize, half_open: usize) -> usize {
    let mut service = Service::start();
    let at = service.at;
    let half_open: Vec<_> = (0..half_open)
        .map(|_| {
            let mut stream = connect(at);
            stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n").unwrap();
            stream
        })
        .collect();
    let count = Arc::new(AtomicUsize::new(0));
    let clients = (0..50).map(|_| (connect(at), Arc::clone(&count)));
    let clients: Vec<_> =
        clients.map(|(stream, count)| thread::spawn(move || load(stream, &count))).collect();
    wait_until(|| count.load(Ordering::SeqCst) > 150);
    service.signal("TERM");
    let answers = clients
        .into_iter()
        .map(|client| client.join().unwrap().unwrap_or_else(|why| panic!("round {round}: {why}")));
    let answers = answers.sum();
    assert_eq!(service.exit_code_within(LONG), Some(0));
    drop(half_open);
    answers
}

/// Sends ten requests a second on one connection until an answer says that it is the last one.
/// Returns the number of answers, or an error for a request without an answer.
fn load(mut stream: TcpStream, count: &AtomicUsize) -> Result<usize, String> {
    for answers in 1..10_000 {
        let asked = Instant::now();
        let Some(answer) = answered(&mut stream) else {
            return Err(format!("no answer after {answers} requests, {:?}", asked.elapsed()));
        };
        if !answer.starts_with("HTTP/1.1 200") {
            return Err(answer);
        }
        count.fetch_add(1, Ordering::SeqCst);
        if answer.contains("connection: close") {
            return Ok(answers);
        }
        thread::sleep(Duration::from_millis(100));
    }
    Err("it goes on".to_owned())
}

#[test]
fn the_end_is_announced_and_idle_connections_are_closed() {
    let mut service = Service::start();
    let mut open: Vec<_> = (0..3).map(|_| connect(service.at)).collect();
    for stream in &mut open {
        assert!(answered(stream).unwrap().starts_with("HTTP/1.1 200"));
    }
    service.signal("TERM");
    wait_until(|| TcpStream::connect(service.at).is_err()); // no connection is accepted any more
    open[0].write_all(READ.replace("livez", "readyz").as_bytes()).unwrap();
    let answer = rest(&mut open[0]);
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.contains("unavailable") && answer.contains("retry-after: 1"), "{answer}");
    let answer = answered(&mut open[1]).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("connection: close"), "{answer}");
    assert_eq!(rest(&mut open[2]), "");
    assert_eq!(service.exit_code_within(LONG), Some(0));
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let mut service = Service::start();
    let mut slow = connect(service.at);
    slow.write_all(b"GET / HTTP/1.1\r\n").unwrap();
    assert!(sent(service.at, b"nonsense\r\n\r\n").contains("400"), "the slow one is in, too");
    service.signal("TERM");
    wait_until(|| TcpStream::connect(service.at).is_err()); // it has begun to stop
    service.signal("INT");
    assert_eq!(service.exit_code_within(LONG), Some(1));
}

/// The statuses of the answers on one connection, until it is closed.
fn statuses(at: SocketAddr, bytes: &str) -> Vec<String> {
    let answer = sent(at, bytes.as_bytes());
    let statuses =
        answer.match_indices("HTTP/1.1 ").map(|(at, _)| answer[at + 9..at + 12].to_owned());
    statuses.collect()
}

#[test]
fn smu_01_a_message_whose_length_is_in_doubt_is_refused_and_nothing_after_it_is_read() {
    let service = Service::start();
    let body = "{\"username\":\"a\"}";
    let length = body.len();
    let chunks = format!("{length:x}\r\n{body}\r\n0\r\n\r\n");
    for (fields, body) in [
        (format!("Content-Length: {length}\r\nContent-Length: 3\r\n"), body.to_owned()),
        (format!("Content-Length: +{length}\r\n"), body.to_owned()),
        (format!("Content-Length: {length}, 3\r\n"), body.to_owned()),
        ("Content-Length: -1\r\n".to_owned(), body.to_owned()),
        ("Content-Length: 99999999999999999999\r\n".to_owned(), body.to_owned()),
        ("Transfer-Encoding : chunked\r\n".to_owned(), chunks.clone()),
        ("Transfer-Encoding: xchunked\r\n".to_owned(), chunks.clone()),
        ("Transfer-Encoding: chunked, identity\r\n".to_owned(), chunks.clone()),
        (format!("X-A: b\r\n c\r\nContent-Length: {length}\r\n"), body.to_owned()),
        (
            "Transfer-Encoding: chunked\r\n".to_owned(),
            format!("fffffffffffffffff\r\n{body}\r\n0\r\n\r\n"),
        ),
        (
            "Transfer-Encoding: chunked\r\n".to_owned(),
            format!("{length:x};{}\r\n{body}\r\n0\r\n\r\n", "a".repeat(70 * 1024)),
        ),
    ] {
        let found = statuses(service.at, &format!("{HEAD}{fields}\r\n{body}{READ}"));
        assert_eq!(found, ["400"], "{fields}");
    }
    let old = HEAD.replace("HTTP/1.1", "HTTP/1.0");
    let found =
        statuses(service.at, &format!("{old}Transfer-Encoding: chunked\r\n\r\n{chunks}{READ}"));
    assert_eq!(found, ["400"], "chunks before HTTP/1.1");
    // RFC 9112, section 6.3: the chunked length applies, and the connection is closed after the
    // answer
    let both = format!("{HEAD}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_eq!(statuses(service.at, &format!("{both}{chunks}{READ}")), ["400"]);
}

#[test]
fn smu_02_bare_line_feeds_end_lines_alike_for_everybody() {
    let service = Service::start();
    // RFC 9112, section 2.2 lets a recipient accept a bare line feed as the end of a line. The
    // body's length stays unambiguous, because a bare CR and a line feed inside a chunk's size are
    // refused
    let bare = READ.replace("\r\n", "\n").replace("localhost\n", "localhost\nConnection: close\n");
    assert_eq!(statuses(service.at, &bare), ["200"]);
    for refused in [
        READ.replace("\r\n", "\r"),
        READ.replace("Host", "X-A: b\rX-B: c\r\nHost"),
        READ.replace("Host", "X-A: b\0c\r\nHost"),
        format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n2\n{{}}\r\n0\r\n\r\n{READ}"),
    ] {
        let found = statuses(service.at, &refused);
        assert!(found == ["400"], "{refused:?}: {found:?}");
    }
}

#[test]
fn smu_05_http_2_is_not_spoken_in_clear_text() {
    let service = Service::start();
    let prior = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let answer = sent(service.at, prior);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{answer}");
    let fields = "Connection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n";
    let answer = sent(
        service.at,
        READ.replace("localhost\r\n", &format!("localhost\r\n{fields}")).as_bytes(),
    );
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn what_is_no_http_is_refused_and_closed() {
    let service = Service::start();
    let large = READ.replace("Host", &format!("X-A: {}\r\nHost", "b".repeat(20_000)));
    let many = READ.replace("Host", &format!("{}Host", "X-A: b\r\n".repeat(64)));
    let target = READ.replace("/livez", &format!("/{}", "x".repeat(70_000)));
    for (bytes, status) in
        [(large, "431"), (many, "431"), (target, "4"), ("nonsense\r\n\r\n".into(), "400")]
    {
        let found = statuses(service.at, &format!("{bytes}{READ}"));
        assert!(found.len() == 1 && found[0].starts_with(status), "{found:?}");
    }
}

#[test]
fn an_idle_connection_that_released_its_buffers_is_answered_again() {
    let mut stream = connect(served(patient()));
    let request = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 200\r\n\r\n".to_owned();
    let request = request + &"x".repeat(200);
    for part in [request.len(), 1, 63, 64, 65, request.len() - 1] {
        // three times as long as the service keeps the buffers
        thread::sleep(Duration::from_millis(150));
        stream.write_all(&request.as_bytes()[..part]).unwrap();
        thread::sleep(Duration::from_millis(10));
        stream.write_all(&request.as_bytes()[part..]).unwrap();
        assert_eq!(body_length(&mut stream), 200, "{part} bytes first");
    }
}

#[test]
fn an_answer_that_pauses_keeps_its_buffers_until_it_is_written() {
    let mut stream = connect(served(patient()));
    for _ in 0..2 {
        stream.write_all(b"GET /paused HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        // the answer is ready, but the client does not read it
        thread::sleep(Duration::from_millis(400));
        assert_eq!(body_length(&mut stream), (8 << 20) + 10);
    }
}

/// Reads a whole answer and returns the length of its body.
fn body_length(stream: &mut TcpStream) -> usize {
    stream.set_read_timeout(Some(LONG)).unwrap();
    let mut lines = BufReader::new(stream);
    let (mut line, mut declared) = (String::new(), None);
    while lines.read_line(&mut line).unwrap() > 2 {
        declared = line.strip_prefix("content-length: ").map(str::to_owned).or(declared);
        line.clear();
    }
    if let Some(declared) = declared {
        let mut body = vec![0; declared.trim().parse().unwrap()];
        lines.read_exact(&mut body).unwrap();
        return body.len();
    }
    let mut length = 0;
    loop {
        line.clear();
        lines.read_line(&mut line).unwrap();
        let size = usize::from_str_radix(line.trim(), 16).unwrap();
        lines.read_exact(&mut vec![0; size + 2]).unwrap();
        if size == 0 {
            return length;
        }
        length += size;
    }
}

#[test]
fn r_08_idle_connections_cost_little_and_hold_nobody_up() {
    let idle = figure("IDLE", 1_000);
    // times are only meaningful when nothing else runs, as in `tests/perf/figures full`
    let is_alone = std::env::var_os("ALONE").is_some();
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
    let service = Service::start();
    let before = service.status("VmRSS:");
    let open = (0..idle).map(|_| {
        let mut stream = connect(service.at);
        assert!(answered(&mut stream).unwrap().starts_with("HTTP/1.1 200"));
        stream
    });
    let open: Vec<_> = open.collect();
    let mut times: Vec<_> = (0..200)
        .map(|_| {
            let start = Instant::now();
            assert!(answered(&mut connect(service.at)).unwrap().starts_with("HTTP/1.1 200"));
            start.elapsed()
        })
        .collect();
    times.sort();
    let (p99, resident) = (times[197], service.status("VmRSS:"));
    let ticks = service.cpu();
    thread::sleep(Duration::from_secs(1));
    let ticks = service.cpu() - ticks;
    println!(
        "R-08: {idle} idle connections, {resident} KiB resident ({} more), new request p99 {p99:?}, \
         {ticks} % of CPU",
        resident - before
    );
    assert!(resident < 150 * 1024);
    assert!(ticks < 50);
    assert!(!is_alone || ticks < 10);
    assert!(!is_alone || p99 < Duration::from_millis(50));
    drop(open);
}

#[test]
fn r_08_when_all_places_are_taken_the_next_one_waits_and_costs_nothing() {
    let service = Service::after("ulimit -n 328; "); // 200 connections and the service's own
    let mut crowd: Vec<_> = (0..200).map(|_| connected_and_answered(service.at)).collect();
    let mut next = connect(service.at);
    next.write_all(READ.as_bytes()).unwrap();
    let ticks = service.cpu();
    next.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    assert!(next.read(&mut [0; 64]).is_err(), "it waits");
    let ticks = service.cpu() - ticks;
    println!("R-08: 200 of 200 places taken, {ticks} % of CPU while the next one waits");
    assert!(ticks < 50, "{ticks} % of CPU");
    crowd.pop();
    next.set_read_timeout(Some(LONG)).unwrap();
    let mut status = [0; 12];
    next.read_exact(&mut status).unwrap();
    assert_eq!(&status, b"HTTP/1.1 200");
}

#[test]
fn it_stops_in_time_when_all_places_are_taken_and_others_wait() {
    let mut service = Service::after("ulimit -n 328; "); // 200 connections and the service's own
    let _crowd: Vec<_> = (0..200).map(|_| connected_and_answered(service.at)).collect();
    let mut waiting = [(); 3].map(|()| connect(service.at));
    for stream in &mut waiting {
        stream.write_all(READ.as_bytes()).unwrap();
    }
    service.signal("TERM");
    assert_eq!(service.exit_code_within(LONG), Some(0));
}

/// A connection that is idle after an answer. Each is answered before the next one is opened,
/// because the deadline for the first request starts with the connection.
fn connected_and_answered(at: SocketAddr) -> TcpStream {
    let mut stream = connect(at);
    assert!(answered(&mut stream).unwrap().starts_with("HTTP/1.1 200"));
    stream
}

/// The sum of a metric's values, read from the listener for metrics.
fn metric(at: SocketAddr, name: &str) -> u64 {
    let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let page = sent(at, request.as_bytes());
    let values = page.lines().filter_map(|line| line.strip_prefix(name));
    values.map(|rest| rest.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

#[test]
fn r_16_clients_that_go_in_the_middle_leave_nothing_behind() {
    let aborts = figure("ABORTS", 600);
    // rates are only meaningful when nothing else runs, as in `tests/perf/figures full`
    let is_alone = std::env::var_os("ALONE").is_some();
    // a short run has a wider tolerance
    let (turns, least) = if aborts < 10_000 { (31, 0.8) } else { (101, 0.95) };
    let metrics = free_address();
    let service = Service::after(&format!("export CLOAKROOM_METRICS_LISTEN={metrics}; "));
    let control = Service::start(); // without aborted connections
    let at = service.at;
    let login = |n: usize| {
        let body = format!("{{\"username\":\"nobody{n}\",\"password\":\"canary canary canary\"}}");
        format!("{HEAD}Connection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    };
    for at in [service.at, control.at] {
        thread::scope(|scope| {
            for n in 0..4 {
                scope.spawn(move || sent(at, login(n).as_bytes())); // opens the database
            }
        });
        rate(at, READ);
    }
    let names = ["files", "connections", "hashes", "database"];
    let open = || {
        let of_database = "cloakroom_database_connections{pool=\"writer\",state=\"in_use\"}";
        let [connections, hashes, database] =
            ["cloakroom_connections ", "cloakroom_hash_queue ", of_database]
                .map(|name| metric(metrics, name));
        [service.files() as u64, connections, hashes, database]
    };
    let before = is_alone.then(|| ratio((at, READ), (control.at, READ), turns));
    thread::sleep(Duration::from_millis(300));
    let rest = open();
    let page = "GET /docs HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut random = 1_usize; // the same positions in each run (Knuth's MMIX generator)
    for n in 0..aborts {
        let whole = &[login(n), page.to_owned(), READ.to_owned()][n % 3];
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let cut = 1 + (random >> 33) % whole.len();
        let mut stream = connect(at);
        let sent = if n % 2 == 0 { whole.len() } else { cut };
        stream.write_all(&whole.as_bytes()[..sent]).unwrap();
        if n % 5 == 0 {
            // the password is being hashed
            thread::sleep(Duration::from_micros((random >> 40) as u64 % 6_000));
        }
    }
    let start = Instant::now();
    while (0..4).any(|which| open()[which] > rest[which]) {
        assert!(start.elapsed() < LONG, "{names:?}: {rest:?} before, {:?} now", open());
        thread::sleep(Duration::from_millis(20));
    }
    // if one login in fifty had kept its slot for hashing, none would be left
    let answer = sent(at, login(aborts).as_bytes());
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    let Some(before) = before else { return };
    let after = ratio((at, READ), (control.at, READ), turns);
    println!(
        "R-16: {aborts} aborts, nothing left open; reads a second, to a service that nobody left: \
         {before:.2} before, {after:.2} after: {:.1} %",
        after / before * 100.0
    );
    assert!(after > before * least, "{before:.2} before, {after:.2} after");
}

#[test]
fn inj_05_nobody_writes_a_line_of_the_log() {
    let service = Service::start_logging();
    let forged = "2026-01-01T00:00:00Z ERROR forged";
    for request in [
        format!("GET /x%0d%0a{} HTTP/1.1\r\nHost: localhost\r\n", forged.replace(' ', "%20")),
        "GET /\u{1b}[31mforged HTTP/1.1\r\nHost: localhost\r\n".to_owned(),
        "GET /livez HTTP/1.1\r\nHost: localhost\r\nUser-Agent: \u{1b}[31mforged\r\n".to_owned(),
        format!("GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: a\tb {forged}\r\n"),
        format!("GET /livez HTTP/1.1\r\nHost: a{forged}\r\n"),
    ] {
        sent(service.at, format!("{request}Connection: close\r\n\r\n").as_bytes());
    }
    let body = format!("{{\"username\":\"a\\r\\n{forged}\\u001b[31mforged\",\"password\":\"x\"}}");
    let login = format!("{HEAD}Connection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    assert!(sent(service.at, login.as_bytes()).starts_with("HTTP/1.1 403"));
    let log = service.log();
    assert!(log.lines().count() > 5, "{log}");
    assert!(!log.lines().any(|line| line.starts_with(forged)), "{log}");
    assert!(!log.contains("\u{1b}[31mforged"), "{log}");
}
