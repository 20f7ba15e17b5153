//! Tests of the limits on connections, over real sockets.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use cloakroom::server::ServerOptions;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::service::{LONG, Service};
use crate::edge::{patient, served_with};
use crate::support::process::free_address;
use crate::support::raw;

const READ: &str = "GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// Whether the service closed the connection without an answer.
fn is_closed(stream: &mut TcpStream) -> bool {
    closes_within(stream, Duration::from_millis(200))
}

fn closes_within(stream: &mut TcpStream, time: Duration) -> bool {
    stream.set_read_timeout(Some(time)).unwrap();
    matches!(stream.read(&mut [0; 1]), Ok(0))
        || stream.write_all(b"x").is_err()
        || stream.take_error().unwrap().is_some()
}

/// An address of this machine other than loopback. Nothing is sent to find it.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then_some(address)
}

#[test]
fn dos_10_the_connections_of_one_address_beyond_its_share_are_closed() {
    let Some(address) = own_address() else {
        println!(
            "DOS-10: this machine has no address but loopback, whose connections do not count"
        );
        return;
    };
    // No connection reaches its deadline, however slow the machine is.
    let options = ServerOptions { deadlines: patient(), ..ServerOptions::default() };
    let port = served_with(Ipv4Addr::UNSPECIFIED, options).port();
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
    let mut all: Vec<_> = (0..300).map(|_| TcpStream::connect((address, port)).unwrap()).collect();
    let excess = all.split_off(256);
    for mut stream in excess {
        assert!(closes_within(&mut stream, LONG), "more than its share");
    }
    let mut open = all.remove(0);
    open.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    assert!(
        open.read(&mut [0; 1]).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    );
    let mut local = raw::connect((Ipv4Addr::LOCALHOST, port).into());
    local.write_all(READ.as_bytes()).unwrap();
    assert!(raw::rest(&mut local).starts_with("HTTP/1.1 200"), "loopback has no share");
    drop(all);
    let start = Instant::now();
    loop {
        let mut one = TcpStream::connect((address, port)).unwrap();
        if !is_closed(&mut one) {
            break;
        }
        assert!(start.elapsed() < LONG, "its places are given back");
    }
}

#[test]
fn beyond_the_connections_in_all_clients_wait_for_a_place() {
    let at = free_address();
    let service = Service::at(at, "ulimit -n 60; "); // room for half of them
    let mut crowd: Vec<_> = (0..30).map(|_| service.connect("http/1.1")).collect();
    let mut waiting = TcpStream::connect(at).unwrap();
    // plain text instead of a handshake is refused immediately
    waiting.write_all(READ.as_bytes()).unwrap();
    waiting.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let none = waiting.read(&mut [0; 16]);
    assert!(none.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock), "it waits");
    crowd.pop();
    waiting.set_read_timeout(Some(LONG)).unwrap();
    assert!(waiting.read(&mut [0; 16]).is_ok(), "it has a place");
}
