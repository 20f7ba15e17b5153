//! Checks that the certificate is valid for the public host, and for how long.

use super::findings::{Diagnosis, Verdict};
use super::ownership::service_user;
use crate::config::Config;
use crate::core::clock::{Clock, days};
use crate::server::{Tls, TlsError};

/// Renewal tools act when a third of the lifetime is left, so a shorter remaining time means that
/// renewal fails.
const RENEW: [(u64, Verdict); 2] = [(7, Verdict::Wrong), (21, Verdict::Note)];

pub(super) fn check_certificate(config: &Config, found: &mut Diagnosis) {
    const ABOUT: &str = "certificate";
    let Some(files) = &config.tls else { return };
    let now = Clock::System.now();
    let user = service_user(&config.data_dir);
    let at = |time| Tls::open_for(user, &files.certificate, &files.key, Clock::at(time));
    let tls = match at(now) {
        Ok(tls) => tls,
        Err(error) => return found.add(ABOUT, Verdict::Wrong, error.to_string()),
    };
    let shown = files.certificate.display();
    let host = config.public_url.host();
    if !tls.names(&host) {
        let says = format!(
            "{shown} is not valid for {host}, the host of public_url; get a certificate for this host"
        );
        found.add(ABOUT, Verdict::Wrong, says);
    }
    for (left, verdict) in RENEW {
        if let Err(TlsError::Expired(_)) = at(now.plus(days(left))) {
            let says =
                format!("{shown} expires within {left} days; find out why it is not renewed");
            return found.add(ABOUT, verdict, says);
        }
    }
    found.add(ABOUT, Verdict::Ok, format!("{shown} is valid for at least 21 more days"));
}
