//! Warnings about a wrong setup that requests reveal. They are logged, and recorded for `cloakroom
//! doctor`, which runs separately from the service and reads the events of the database.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::problem::ApiError;
use super::request::cross_origin::CrossOrigin;
use crate::core::clock::hours;
use crate::domain::audit::event::Event;
use crate::domain::audit::journal::Recorder;

/// The maximum number of different warnings. After that, at most one a minute replaces the oldest.
/// Clients choose what they send: they must neither fill the log nor prevent real warnings.
const MAX_KNOWN: usize = 16;
const REPLACE_INTERVAL: Duration = Duration::from_mins(1);
/// The interval at which the same warning is recorded again, so that `doctor` sees whether it
/// persists.
const RECORD_INTERVAL: Duration = hours(1);

/// The warnings that were logged already.
#[derive(Debug, Default)]
pub struct SetupWarnings {
    public_urls: Seen<String>,
    other_origins: Seen<String>,
    proxies: Seen<IpAddr>,
}

impl SetupWarnings {
    /// Records the refusal of a request's origin: each is an event, and a possible wrong setting is
    /// logged once.
    pub fn record_cross_origin(&self, audit: Recorder<'_>, why: &CrossOrigin, refusal: &ApiError) {
        audit.record(Event::CrossOriginRefused);
        let sighting = match why {
            CrossOrigin::OtherPublicUrl { origin } | CrossOrigin::Unknown { origin } => {
                self.public_urls.see(origin.clone()).inspect(|_| {
                    audit.record_for_id(Event::PublicUrlMismatch, origin);
                })
            }
            CrossOrigin::Loopback { origin } => self.other_origins.see(origin.clone()),
            CrossOrigin::Foreign { .. } => None, // the settings are right to refuse it
        };
        if let Some(Sighting::First) = sighting {
            tracing::warn!(
                "refused a cross-origin request (any client can send such an Origin header): {}",
                refusal.problem.detail
            );
        }
    }

    /// Records that a trusted proxy sends `Forwarded`, which is not read, instead of
    /// `X-Forwarded-For`.
    pub fn record_forwarded(&self, audit: Recorder<'_>, proxy: IpAddr) {
        let sighting = self.proxies.see(proxy).inspect(|_| {
            audit.record_for_id(Event::ForwardedIgnored, &proxy.to_string());
        });
        if let Some(Sighting::First) = sighting {
            tracing::warn!(
                "the trusted proxy {proxy} sends the header `Forwarded`, which is ignored, but \
                 not `X-Forwarded-For`, so all its clients seem to have one address; configure it \
                 to send `X-Forwarded-For`"
            );
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sighting {
    First,
    /// Again, after an interval.
    Again,
}

/// What was seen, and when it was recorded.
#[derive(Debug)]
struct Seen<K>(Mutex<BTreeMap<K, Instant>>);

impl<K> Default for Seen<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Ord> Seen<K> {
    fn see(&self, key: K) -> Option<Sighting> {
        self.see_at(key, Instant::now())
    }

    /// `None` for a repetition that is not reported.
    fn see_at(&self, key: K, now: Instant) -> Option<Sighting> {
        let mut known = self.0.lock().expect("nobody panics while looking");
        if let Some(recorded) = known.get_mut(&key) {
            let is_due = now.saturating_duration_since(*recorded) >= RECORD_INTERVAL;
            return is_due.then(|| {
                *recorded = now;
                Sighting::Again
            });
        }
        if known.len() >= MAX_KNOWN {
            let newest = known.values().max()?;
            if now.saturating_duration_since(*newest) < REPLACE_INTERVAL {
                return None;
            }
            let oldest = *known.values().min()?;
            known.retain(|_, recorded| *recorded != oldest);
        }
        known.insert(key, now);
        Some(Sighting::First)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_first_once_and_then_seen_again_every_hour() {
        let (seen, start) = (Seen::default(), Instant::now());
        let at = |minutes: u64| seen.see_at("proxy", start + Duration::from_secs(60 * minutes));
        assert_eq!(at(0), Some(Sighting::First));
        assert_eq!([at(0), at(1), at(59)], [None; 3]);
        assert_eq!([at(60), at(61), at(120)], [Some(Sighting::Again), None, Some(Sighting::Again)]);
    }

    #[test]
    fn as_many_as_a_client_makes_up_are_not_all_remembered() {
        let seen = Seen::default();
        let said = (0..1000).filter(|n| seen.see(*n).is_some()).count();
        assert_eq!(said, MAX_KNOWN);
    }

    #[test]
    fn what_a_client_makes_up_does_not_keep_out_what_is_seen_later() {
        let (seen, start) = (Seen::default(), Instant::now());
        let at = |n: u32, seconds: u64| seen.see_at(n, start + Duration::from_secs(seconds));
        assert!((0..1000).all(|n| at(n, u64::from(n)).is_some() == (n < 16 || n % 60 == 15)));
        assert_eq!([at(2000, 1000), at(2000, 1035)], [None, Some(Sighting::First)]);
        assert_eq!(at(2001, 1050), None, "one a minute");
        assert!(seen.0.lock().unwrap().len() <= MAX_KNOWN);
    }
}
