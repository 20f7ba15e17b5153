//! The command `cloakroom healthcheck`: checks whether the service is ready, for containers.

use super::output::{CliError, Outcome};
use crate::admin::probe::{ProbeResult, probe_service, reachable};
use crate::config::Config;

pub(super) const EXAMPLES: &str = "\
Examples:
  HEALTHCHECK CMD [\"cloakroom\", \"healthcheck\"]        in a Dockerfile
  cloakroom healthcheck && echo ready

It has the settings of the service, and its answer within two seconds.";

pub async fn run(config: &Config) -> Outcome {
    let at = reachable(config.listen);
    match probe_service(config).await {
        ProbeResult::Ready => Ok(()),
        ProbeResult::Status(status) => {
            Err(CliError(format!("the service at {at} is not ready: it answers {status}")))
        }
        ProbeResult::NotHttp(error) => {
            Err(CliError(format!("the service at {at} does not answer: {error}")))
        }
        ProbeResult::Silent => {
            Err(CliError(format!("the service at {at} does not answer in time")))
        }
        ProbeResult::Refused => {
            Err(CliError(format!("the service at {at} does not answer: nobody listens")))
        }
    }
}
