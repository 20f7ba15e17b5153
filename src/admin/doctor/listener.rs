//! Checks the service at the address in the settings.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpSocket;

use super::findings::{Diagnosis, Verdict};
use crate::admin::probe::{ProbeResult, probe_service, publishes_a_key};
use crate::config::Config;

/// Checks whether the service, another process or nothing listens at the address.
pub(super) async fn check_listener(
    config: &Config,
    kids: Option<&[String]>,
    found: &mut Diagnosis,
) {
    const ABOUT: &str = "service";
    let at: SocketAddr = config.listen;
    match probe_service(config).await {
        ProbeResult::Ready => {
            let Some(kids) = kids else {
                let says = format!(
                    "a service at {at} is ready, but it is unknown whether it has these settings, \
                     because the keys in {} cannot be read",
                    config.key_folder().display()
                );
                return found.add(ABOUT, Verdict::Note, says);
            };
            if publishes_a_key(config, kids).await {
                return found.add(ABOUT, Verdict::Ok, format!("the service at {at} is ready"));
            }
            let says = format!(
                "the service at {at} is another one: it does not have the keys in {}; name its \
                 settings with --config, or set another listen address",
                config.key_folder().display()
            );
            found.add(ABOUT, Verdict::Wrong, says);
        }
        ProbeResult::Status(503) => {
            let says = format!("the service at {at} is not ready; see its log for the reason");
            found.add(ABOUT, Verdict::Wrong, says);
        }
        ProbeResult::Status(_) | ProbeResult::NotHttp(_) => {
            let says =
                format!("another program responds at {at}; stop it, or set another listen address");
            found.add(ABOUT, Verdict::Wrong, says);
        }
        ProbeResult::Silent => {
            let says = format!(
                "a program listens at {at} but does not respond; to find it, run: ss -ltnp"
            );
            found.add(ABOUT, Verdict::Wrong, says);
        }
        ProbeResult::Refused => match bind(at) {
            Ok(()) => {
                found.add(
                    ABOUT,
                    Verdict::Note,
                    format!("the service is not running; {at} is free"),
                );
            }
            Err(error) => {
                let says =
                    format!("the service is not running, and cannot listen on {at}: {error}");
                found.add(ABOUT, Verdict::Wrong, says);
            }
        },
    }
}

/// Binds a socket to the address without listening, so that no other program finds a listener here.
fn bind(at: SocketAddr) -> io::Result<()> {
    let socket = if at.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?; // as the service does
    socket.bind(at)
}
