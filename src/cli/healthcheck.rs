//! `cloakroom healthcheck`: asks the service that runs here whether it is ready, for containers.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Failed, Outcome};
use crate::config::Config;
use crate::server;

pub(super) const EXAMPLES: &str = "\
Examples:
  HEALTHCHECK CMD [\"cloakroom\", \"healthcheck\"]        in a Dockerfile
  cloakroom healthcheck && echo ready

It has the settings of the service, and its answer within two seconds.";

/// Whoever asks has an answer by then; Docker's own patience is 30 s, that of Kubernetes 1 s.
const PATIENCE: Duration = Duration::from_millis(1800);

/// More bytes than the published keys of any service have.
const MAX_KEYS: u64 = 64 * 1024;

/// What is at the address of the service.
#[derive(Debug)]
pub enum Asked {
    Ready,
    /// With another status than 200.
    Answers(u16),
    /// It does not speak HTTP, or hangs up.
    IsStrange(io::Error),
    IsSilent,
    Nobody,
}

pub async fn run(config: &Config) -> Outcome {
    let at = reachable(config.listen);
    match asked(config).await {
        Asked::Ready => Ok(()),
        Asked::Answers(status) => {
            Err(Failed(format!("the service at {at} is not ready: it answers {status}")))
        }
        Asked::IsStrange(error) => {
            Err(Failed(format!("the service at {at} does not answer: {error}")))
        }
        Asked::IsSilent => Err(Failed(format!("the service at {at} does not answer in time"))),
        Asked::Nobody => {
            Err(Failed(format!("the service at {at} does not answer: nobody listens")))
        }
    }
}

/// Asks whoever listens there whether it is ready.
pub async fn asked(config: &Config) -> Asked {
    let at = reachable(config.listen);
    match timeout(PATIENCE, ask(at, config.tls.is_some())).await {
        Ok(Ok(200)) => Asked::Ready,
        Ok(Ok(status)) => Asked::Answers(status),
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => Asked::Nobody,
        Ok(Err(error)) => Asked::IsStrange(error),
        Err(_late) => Asked::IsSilent,
    }
}

/// Does the service that listens there publish one of these keys? Then it is the one of these
/// settings, and not another one at the same address.
pub async fn publishes(config: &Config, kids: &[String]) -> bool {
    let at = reachable(config.listen);
    let keys = timeout(PATIENCE, read_keys(at, config.tls.is_some())).await;
    let Ok(Ok(keys)) = keys else { return false };
    kids.iter().any(|kid| keys.contains(&format!("\"{kid}\"")))
}

/// The answer to `GET /.well-known/jwks.json`.
async fn read_keys(at: SocketAddr, is_tls: bool) -> io::Result<String> {
    let stream = TcpStream::connect(at).await?;
    if is_tls {
        read_all(at, server::speak_tls(at, stream).await?).await
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

/// The loopback address of one that means every interface.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// The status of `GET /readyz`.
async fn ask(at: SocketAddr, is_tls: bool) -> io::Result<u16> {
    let stream = TcpStream::connect(at).await?;
    if is_tls {
        status(at, server::speak_tls(at, stream).await?).await
    } else {
        status(at, stream).await
    }
}

async fn status(
    at: SocketAddr,
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
) -> io::Result<u16> {
    // an address is always one of its names
    let request = format!("GET /readyz HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut start = *b"HTTP/1.1 200";
    stream.read_exact(&mut start).await?;
    let status = start.strip_prefix(b"HTTP/1.1 ").and_then(|digits| str::from_utf8(digits).ok());
    let status = status.and_then(|digits| digits.parse().ok());
    status.ok_or_else(|| io::Error::other("it does not speak HTTP"))
}
