//! The command `cloakroom healthcheck`: checks whether the service is ready, for containers.

use super::output::{CliError, Outcome};
use crate::admin::probe::{ProbeResult, probe_service, reachable};
use crate::config::Config;

pub(super) const EXAMPLES: &str = "\
Examples:
  HEALTHCHECK CMD [\"cloakroom\", \"healthcheck\"]        In a Dockerfile
  cloakroom healthcheck && echo ready

Run the command with the settings of the service. It returns within two seconds.";

pub async fn run(config: &Config) -> Outcome {
    let at = reachable(config.listen);
    match probe_service(config).await {
        ProbeResult::Ready => Ok(()),
        ProbeResult::Status(status) => Err(CliError(format!(
            "the service at {at} is not ready: it returned the status {status}"
        ))),
        ProbeResult::NotHttp(error) => {
            Err(CliError(format!("the service at {at} does not respond: {error}")))
        }
        ProbeResult::Silent => {
            Err(CliError(format!("the service at {at} does not respond in time")))
        }
        ProbeResult::Refused => Err(CliError(format!(
            "the service at {at} does not respond: no process listens on this address"
        ))),
    }
}
