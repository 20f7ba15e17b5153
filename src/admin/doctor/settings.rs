//! Checks the settings, and reports setup problems that running services recorded.

use super::findings::{Diagnosis, Verdict};
use crate::config::Config;
use crate::core::clock::Timestamp;
use crate::domain::audit::event::Event;
use crate::store::SetupEvent;

pub(super) fn check_settings(config: &Config, found: &mut Diagnosis) {
    let at = config.public_url.origin();
    found.add(
        "settings",
        Verdict::Ok,
        format!(
            "the service listens on {}, and users reach it at {at}; {}",
            config.listen,
            config.source()
        ),
    );
    let faces_a_network = !config.listen.ip().is_loopback() || !config.public_url.is_loopback();
    if faces_a_network && !config.public_url.is_secure() {
        let says = format!(
            "{at} is not encrypted, so others in the network can read passwords; set an https public_url"
        );
        found.add("settings", Verdict::Note, says);
    }
    let is_behind_one = config.listen.ip().is_loopback() && !config.public_url.is_loopback();
    if is_behind_one && config.trusted_proxies.is_empty() {
        let says = "trusted_proxies is empty, so all clients seem to have the address of the proxy; add the address of the proxy to trusted_proxies";
        found.add("settings", Verdict::Note, says);
    }
    if !config.trusted_proxies.is_empty() && !config.public_url.is_secure() {
        let says = format!(
            "trusted_proxies is set, but public_url is {at}; if the proxy uses https, set \
             public_url to the https URL: otherwise, cookies are not Secure and sign-ins are \
             refused"
        );
        found.add("settings", Verdict::Note, says);
    }
}

/// Reports the setup problems that running services recorded as events.
pub(super) fn report_setup_events(config: &Config, events: &[SetupEvent], found: &mut Diagnosis) {
    const ABOUT: &str = "settings";
    let here = config.public_url.origin();
    let accepted = [config.public_url.origins(), config.allowed_origins.clone()].concat();
    for SetupEvent { event, thing, at } in events {
        let at = Timestamp::from_millis(*at).to_rfc3339();
        let says = if event == Event::ForwardedIgnored.name() {
            format!(
                "the trusted proxy {thing} sends the header `Forwarded`, which is ignored, but \
                 not `X-Forwarded-For` (last at {at}), so all its clients seem to have one \
                 address; configure it to send `X-Forwarded-For`"
            )
        } else if accepted.contains(thing) {
            continue; // the setting was corrected since
        } else {
            format!(
                "a request from a page at {thing} was refused (last at {at}), because public_url \
                 is {here}; if users reach the service at {thing}, set public_url = \"{thing}\""
            )
        };
        found.add(ABOUT, Verdict::Note, says);
    }
}

/// Reports who may register, which decides who gets access to the apps.
pub(super) fn check_registration(config: &Config, found: &mut Diagnosis) {
    let verdict = if config.opens_apps_to_all() { Verdict::Note } else { Verdict::Ok };
    found.add("registration", verdict, config.who_may_register());
}
