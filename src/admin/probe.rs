//! Checks the health of the service at the address in the settings.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::config::Config;
use crate::server;

/// The timeout of the probe. Docker waits 30 s by default, Kubernetes 1 s.
const MAX_WAIT: Duration = Duration::from_millis(1800);

/// A limit above the size of any service's published keys, in bytes.
const MAX_KEYS: u64 = 64 * 1024;

/// What listens at the address.
#[derive(Debug)]
pub enum ProbeResult {
    Ready,
    /// The service answered with another status than 200.
    Status(u16),
    /// The answer is not HTTP, or the connection was closed.
    NotHttp(io::Error),
    Silent,
    Refused,
}

/// Asks the service at the address in the settings whether it is ready.
pub async fn probe_service(config: &Config) -> ProbeResult {
    let at = reachable(config.listen);
    match timeout(MAX_WAIT, read_readiness(at, config.tls.is_some())).await {
        Ok(Ok(200)) => ProbeResult::Ready,
        Ok(Ok(status)) => ProbeResult::Status(status),
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => ProbeResult::Refused,
        Ok(Err(error)) => ProbeResult::NotHttp(error),
        Err(_late) => ProbeResult::Silent,
    }
}

/// Whether the service at the address publishes one of these keys, which shows that it is the
/// service of these settings.
pub async fn publishes_a_key(config: &Config, kids: &[String]) -> bool {
    let at = reachable(config.listen);
    let keys = timeout(MAX_WAIT, read_keys(at, config.tls.is_some())).await;
    let Ok(Ok(keys)) = keys else { return false };
    kids.iter().any(|kid| keys.contains(&format!("\"{kid}\"")))
}

/// The response to `GET /.well-known/jwks.json`.
async fn read_keys(at: SocketAddr, is_tls: bool) -> io::Result<String> {
    let stream = TcpStream::connect(at).await?;
    if is_tls {
        read_all(at, server::connect_insecure(at, stream).await?).await
    } else {
        read_all(at, stream).await
    }
}

async fn read_all(
    at: SocketAddr,
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
) -> io::Result<String> {
    let request =
        format!("GET /.well-known/jwks.json HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.take(MAX_KEYS).read_to_string(&mut answer).await?;
    Ok(answer)
}

/// The loopback address, if the address means every interface.
pub fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// The status of `GET /readyz`.
async fn read_readiness(at: SocketAddr, is_tls: bool) -> io::Result<u16> {
    let stream = TcpStream::connect(at).await?;
    if is_tls {
        read_status(at, server::connect_insecure(at, stream).await?).await
    } else {
        read_status(at, stream).await
    }
}

async fn read_status(
    at: SocketAddr,
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
) -> io::Result<u16> {
    // The service accepts every IP address as its host.
    let request = format!("GET /readyz HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut start = *b"HTTP/1.1 200";
    stream.read_exact(&mut start).await?;
    let status = start.strip_prefix(b"HTTP/1.1 ").and_then(|digits| str::from_utf8(digits).ok());
    let status = status.and_then(|digits| digits.parse().ok());
    status.ok_or_else(|| io::Error::other("it does not speak HTTP"))
}
