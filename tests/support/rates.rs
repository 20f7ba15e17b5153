//! Compares the throughput of two services.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// The number of pipelined requests. With one at a time, the result would depend on how the system
/// spreads client and service over the cores, which changes by half from minute to minute.
const AT_ONCE: u32 = 64;

/// The number of answers per second on one connection, measured over a tenth of a second.
pub fn rate(at: SocketAddr, request: &str) -> f64 {
    let stream = TcpStream::connect(at).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let (mut reader, mut writer) = (BufReader::new(&stream), &stream);
    let requests = request.repeat(AT_ONCE as usize);
    let (start, mut count) = (Instant::now(), 0);
    while start.elapsed() < Duration::from_millis(100) {
        writer.write_all(requests.as_bytes()).unwrap();
        (0..AT_ONCE).for_each(|_| read_one(&mut reader));
        count += AT_ONCE;
    }
    f64::from(count) / start.elapsed().as_secs_f64()
}

/// Reads one answer to its end.
fn read_one(reader: &mut impl BufRead) {
    let (mut line, mut length) = (String::new(), 0);
    reader.read_line(&mut line).unwrap();
    assert!(line.starts_with("HTTP/1.1 200"), "{line}");
    while line != "\r\n" {
        line.clear();
        assert_ne!(reader.read_line(&mut line).unwrap(), 0, "it goes on");
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.trim_end().parse().unwrap();
        }
    }
    reader.read_exact(&mut vec![0; length]).unwrap();
}

/// The ratio of two rates: the median of several turns, because the machine may be busy.
pub fn ratio(one: (SocketAddr, &str), other: (SocketAddr, &str), turns: usize) -> f64 {
    let mut ratios: Vec<f64> =
        (0..turns).map(|_| rate(one.0, one.1) / rate(other.0, other.1)).collect();
    ratios.sort_by(f64::total_cmp);
    ratios[ratios.len() / 2]
}
