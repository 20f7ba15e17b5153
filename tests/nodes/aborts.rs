//! R-16 on PostgreSQL: clients that disconnect in the middle of requests, including writes.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::asked;
use super::postgres::Server;
use super::service::{Client, Cluster, PASSWORD};
use crate::support::rates::{rate, ratio};

/// The number of accounts registered afterwards, each by a write that must be durable.
const AFTERWARDS: usize = 40;

fn connect(at: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(at).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}

/// A complete guarded read.
fn read(at: SocketAddr, cookie: &str) -> String {
    format!("GET /private HTTP/1.1\r\nHost: {at}\r\nCookie: {cookie}\r\n\r\n")
}

/// The n-th complete request that changes something.
fn request(at: SocketAddr, n: usize, cookie: &str) -> String {
    let json = |path: &str, body: &str| {
        let from = format!("10.{}.{}.{}", 100 + (n >> 16), n >> 8 & 255, n & 255);
        format!(
            "POST {path} HTTP/1.1\r\nHost: {at}\r\nContent-Type: application/json\r\n\
             X-Forwarded-For: {from}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    match n % 4 {
        0 => json("/login", &format!(r#"{{"username":"nobody{n}","password":"{PASSWORD}"}}"#)),
        1 => json("/register", &format!(r#"{{"username":"goes{n}","password":"{PASSWORD}"}}"#)),
        2 => format!("DELETE /sessions HTTP/1.1\r\nHost: {at}\r\nCookie: {cookie}\r\n\r\n"),
        _ => format!("GET /sessions HTTP/1.1\r\nHost: {at}\r\nCookie: {cookie}\r\n\r\n"),
    }
}

#[test]
#[ignore = "wants PostgreSQL: tests/e2e/nodes"]
fn r_16_clients_that_go_in_the_middle_leave_no_transaction_behind() {
    let aborts = usize::try_from(asked("ABORTS", 600)).unwrap();
    // a short run has a wider tolerance
    let (turns, least) = if aborts < 10_000 { (31, 0.8) } else { (101, 0.95) };
    let server = Server::start();
    server.sql("create database control");
    let cluster = Cluster::of(1, &super::address(&server));
    // without aborted connections
    let control = Cluster::of(1, &format!("postgres://{}/control", server.host()));
    let both = [&cluster, &control].map(|cluster| {
        let at = cluster.nodes[0].at;
        let cookie = Client::of(at).register("ann", 1).unwrap().1.unwrap();
        rate(at, &read(at, &cookie));
        (at, cookie)
    });
    let [(at, cookie), (control_at, control_cookie)] = &both;
    let reads = [read(*at, cookie), read(*control_at, control_cookie)];
    let ratio = || ratio((*at, &reads[0]), (*control_at, &reads[1]), turns);
    let before = ratio();
    let files = cluster.nodes[0].files();

    let mut random = 1_usize; // the same positions in each run (Knuth's MMIX generator)
    for n in 0..aborts {
        let whole = request(*at, n, cookie);
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let cut = 1 + (random >> 33) % whole.len();
        let sent = if n % 8 == 0 { cut } else { whole.len() };
        let mut stream = connect(*at);
        stream.write_all(&whole.as_bytes()[..sent]).unwrap();
        // interrupts the statements at a random point; hashing has its own queue
        if n % 3 > 0 {
            thread::sleep(Duration::from_micros((random >> 40) as u64 % 6_000));
        }
    }
    // every transaction has ended, and no connection is left
    let in_transaction = "select count(*) from pg_stat_activity
        where state like 'idle in transaction%' or (datname = 'postgres' and xact_start < now() - interval '1 s')";
    let start = Instant::now();
    while cluster.nodes[0].files() > files + 10 || server.sql(in_transaction) != "0" {
        let open = server.sql("select state, query, now() - xact_start from pg_stat_activity where xact_start is not null");
        assert!(start.elapsed() < Duration::from_secs(20), "left open: {open}");
        thread::sleep(Duration::from_millis(50));
    }
    // a write on a connection that was left in a transaction would be lost
    let client = Client::of(*at);
    for n in 0..AFTERWARDS {
        let registered = client.register(&format!("after{n}"), 2_000_000 + n);
        assert_eq!(registered.unwrap().0, 201);
    }
    let made = server.sql("select count(*) from accounts where username like 'after%'");
    assert_eq!(made, AFTERWARDS.to_string(), "acknowledged writes are there");
    assert_eq!(server.sql(in_transaction), "0");
    let after = ratio();
    println!(
        "R-16 on PostgreSQL: {aborts} aborts, 0 idle in transaction, {made} of {AFTERWARDS} writes after \
         them there; reads a second, to a service that nobody left: {before:.2} before, {after:.2} \
         after: {:.1} %",
        after / before * 100.0
    );
    assert!(after > before * least, "{before:.2} before, {after:.2} after");
    assert!(!cluster.logged().contains("panicked"));
}
