//! Checks the service at the address in the settings.

use std::net::SocketAddr;

use tokio::net::TcpListener;

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
                    "a service is ready at {at}; the keys in {} cannot be read, so it cannot be told \
                     whether it is the one of these settings",
                    config.key_folder().display()
                );
                return found.add(ABOUT, Verdict::Note, says);
            };
            if publishes_a_key(config, kids).await {
                return found.add(ABOUT, Verdict::Ok, format!("it runs at {at}, and is ready"));
            }
            let says = format!(
                "another service is ready at {at}: it does not have the keys in {}; name its settings \
                 by --config, or listen elsewhere",
                config.key_folder().display()
            );
            found.add(ABOUT, Verdict::Wrong, says);
        }
        ProbeResult::Status(503) => {
            let says = format!("it runs at {at} and is not ready: its log says why");
            found.add(ABOUT, Verdict::Wrong, says);
        }
        ProbeResult::Status(_) | ProbeResult::NotHttp(_) => {
            let says = format!("something else answers at {at}; stop it, or listen elsewhere");
            found.add(ABOUT, Verdict::Wrong, says);
        }
        ProbeResult::Silent => {
            let says = format!("something at {at} does not answer; see what it is by: ss -ltnp");
            found.add(ABOUT, Verdict::Wrong, says);
        }
        ProbeResult::Refused => match TcpListener::bind(at).await {
            Ok(_) => found.add(ABOUT, Verdict::Note, format!("it does not run; {at} is free")),
            Err(error) => {
                let says = format!("it does not run, and cannot listen on {at}: {error}");
                found.add(ABOUT, Verdict::Wrong, says);
            }
        },
    }
}
