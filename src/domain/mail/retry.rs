//! When a mail that could not be sent is tried again.

use std::time::Duration;

use crate::core::clock::mins;
use crate::core::secret::random_bytes;

/// The waits between tries, from the first one on. The last one repeats.
const WAITS: [Duration; 5] = [Duration::from_secs(30), mins(2), mins(10), mins(30), mins(60)];
/// The first wait after the mail server could not be reached, and the longest.
const MIN_SERVER_WAIT: Duration = Duration::from_secs(5);
const MAX_SERVER_WAIT: Duration = mins(5);

/// The wait before the next try of a mail of this age. The age decides, and not the number of
/// tries, because a node that crashes has counted tries that never happened.
pub fn wait_at_age(age: Duration) -> Duration {
    let longer = WAITS.iter().find(|wait| **wait > age);
    spread(*longer.unwrap_or(&WAITS[WAITS.len() - 1]), 20)
}

/// Changes a time by up to this many percent in either direction, so that nodes and mails do not
/// stay in step.
pub fn spread(time: Duration, percent: u32) -> Duration {
    let random = u32::from(u16::from_be_bytes(random_bytes()));
    let share = f64::from(random) / f64::from(u16::MAX) * 2.0 - 1.0;
    time.mul_f64(1.0 + share * f64::from(percent) / 100.0)
}

/// The waits of a node while the mail server cannot be reached.
#[derive(Debug, Default)]
pub struct ServerBackoff(Option<Duration>);

impl ServerBackoff {
    pub fn next_wait(&mut self) -> Duration {
        let wait = self.0.map_or(MIN_SERVER_WAIT, |wait| (wait * 2).min(MAX_SERVER_WAIT));
        self.0 = Some(wait);
        spread(wait, 20)
    }

    pub fn reset(&mut self) {
        self.0 = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_about(wait: Duration, time: Duration) -> bool {
        wait >= time.mul_f64(0.799) && wait <= time.mul_f64(1.201)
    }

    #[test]
    fn the_older_a_mail_is_the_longer_it_waits_and_at_most_an_hour() {
        for (age, wait) in [
            (Duration::ZERO, Duration::from_secs(30)),
            (Duration::from_secs(31), mins(2)),
            (mins(3), mins(10)),
            (mins(13), mins(30)),
            (mins(43), mins(60)),
            (mins(600), mins(60)),
        ] {
            let found = wait_at_age(age);
            assert!(is_about(found, wait), "{found:?} at {age:?}");
        }
        let waits: Vec<_> = (0..20).map(|_| wait_at_age(Duration::ZERO)).collect();
        assert!(waits.iter().any(|wait| *wait != waits[0]), "they differ");
    }

    #[test]
    fn a_server_that_is_away_is_asked_every_five_seconds_and_later_every_five_minutes() {
        let mut backoff = ServerBackoff::default();
        for seconds in [5, 10, 20, 40, 80, 160, 300, 300] {
            let wait = backoff.next_wait();
            assert!(is_about(wait, Duration::from_secs(seconds)), "{wait:?}");
        }
        backoff.reset();
        assert!(is_about(backoff.next_wait(), Duration::from_secs(5)));
    }
}
