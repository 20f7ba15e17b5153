//! What goes on beside the requests: hearing of other processes' endings and keys, and clearing away.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crate::core::clock::days;
use crate::core::error::Fault;
use crate::core::interval::{LogLimiter, Periodic};
use crate::core::secret::PasswordHash;
use crate::domain::Domain;
use crate::domain::audit::event::Event;
use crate::domain::keys::files::KeyError;
use crate::domain::sessions::RECORDED;
use crate::store::Update;

/// How often the feed is read, and the keys are looked at: an ending elsewhere is heard of within this
/// and a little, and at once where the database wakes who listens.
const LISTEN: Duration = Duration::from_millis(200);
/// How often it is looked whether hashes of another price have come or gone.
pub const LOOK: Duration = Duration::from_secs(1);
/// How often the sessions in force are counted: some milliseconds of one reader.
const COUNT: Duration = Duration::from_secs(30);
/// How often what has ended is cleared away.
pub const CLEAR: Duration = Duration::from_secs(30);
/// As many different prices of hashes are told apart; systems that people come from have one or two.
const MOST_PRICES: usize = 8;
/// Rows a statement removes at once: some milliseconds of the one writer.
const BATCH: i64 = 500;
/// The writer is free for others in between.
const PAUSE: Duration = Duration::from_millis(20);

impl Periodic<Domain> {
    /// The next round, until the end, when the database is closed.
    pub async fn next_until_closing(&mut self) -> Option<Arc<Domain>> {
        self.next().await.filter(|domain| !domain.is_closing())
    }
}

impl Domain {
    /// Takes up new keys, peppers and server secrets and lets go of removed ones until the domain is
    /// gone.
    pub async fn watch_keys(domain: Weak<Self>) {
        let mut limiters = <[LogLimiter; 3]>::default();
        let mut rounds = Periodic::every(LISTEN, domain);
        while let Some(domain) = rounds.next_until_closing().await {
            let errors = domain.reload_key_folder().await;
            if domain.is_closing() {
                continue; // then the database's errors say nothing
            }
            domain.tallies.note_key_errors(errors.each_ref().map(Vec::len));
            for (limiter, errors) in limiters.iter_mut().zip(errors) {
                if !errors.is_empty() {
                    let say = || errors.iter().for_each(|error| tracing::error!("{error}"));
                    limiter.log(Instant::now(), say);
                }
            }
        }
    }

    /// Takes up new keys, peppers and server secrets at once, as at SIGHUP, and says what is wrong.
    pub async fn reload_keys(&self) {
        let errors = self.reload_key_folder().await;
        errors.iter().flatten().for_each(|error| tracing::error!("{error}"));
    }

    /// Takes up what has changed in the folder of the keys. What is wrong comes back: of signing keys, of
    /// peppers, and of server secrets.
    async fn reload_key_folder(&self) -> [Vec<String>; 3] {
        let keys = self.reload_signing_keys().unwrap_or_else(|error| vec![error]);
        let peppers = self.reload_peppers().await.unwrap_or_else(|error| vec![error]);
        let secrets = self.reload_server_secrets().await.unwrap_or_else(|error| vec![error]);
        [sentences(&keys), sentences(&peppers), sentences(&secrets)]
    }

    /// Counts the sessions in force, for whoever watches, until the domain is gone.
    pub async fn count_sessions(domain: Weak<Self>) {
        let mut rounds = Periodic::every(COUNT, domain);
        while let Some(domain) = rounds.next_until_closing().await {
            let now = domain.clock.now();
            match domain.store.count_sessions(now.millis(), domain.idle_since(now)).await {
                Ok(live) => domain.tallies.note_sessions(live),
                Err(fault) => tracing::debug!("{fault}"), // listening says it aloud
            }
        }
    }

    /// Removes what has ended every so often, but not at once, until the domain is gone.
    pub async fn clear_away(domain: Weak<Self>, every: Duration) {
        let mut rounds = Periodic::every(every, domain);
        rounds.skip_first();
        while let Some(domain) = rounds.next_until_closing().await {
            if let Err(fault) = domain.remove_ended().await {
                domain.warn(&fault); // the next round tries again
            }
        }
    }

    /// Hears of endings until the domain is gone.
    pub async fn listen(domain: Weak<Self>) {
        let Some(mut feed) = domain.upgrade().map(|domain| domain.store.feed()) else { return };
        let mut limiter = LogLimiter::default();
        loop {
            let began = Instant::now();
            let heard = feed.read_next().await;
            let domain = domain.upgrade().filter(|domain| !domain.is_closing());
            let Some(domain) = domain else { return };
            let silence = match heard {
                Ok(heard) => {
                    limiter = LogLimiter::default();
                    domain.take_in(heard, began)
                }
                // meanwhile the database is asked each time
                Err(fault) => {
                    limiter.log(Instant::now(), || tracing::warn!("{fault}"));
                    LISTEN
                }
            };
            drop(domain);
            feed.wait(silence).await;
        }
    }

    /// Keeps the pace of comparing passwords until the domain is gone.
    pub async fn watch_hashes(domain: Weak<Self>, every: Duration) {
        let mut timed = Vec::new();
        let mut rounds = Periodic::every(every, domain);
        while let Some(domain) = rounds.next_until_closing().await {
            if let Err(fault) = domain.look_at_hashes(&mut timed).await {
                tracing::debug!("{fault}"); // the pace stays; listening says it aloud
            }
        }
    }

    /// Lets go of whom the feed names; how long to wait for more.
    fn take_in(&self, heard: Update, began: Instant) -> Duration {
        let is_all = match heard {
            // what was filed before may have ended since, elsewhere and unheard: it does not count
            Update::Reset => {
                self.recognition.all_changed();
                true
            }
            Update::Revoked { accounts, is_all } => {
                for account in accounts {
                    self.recognition.ended(&account.into());
                }
                is_all
            }
        };
        if is_all {
            self.recognition.heard(began);
            LISTEN
        } else {
            Duration::ZERO
        }
    }

    /// Uses new signing keys, and no longer those that were removed. What is wrong comes back.
    fn reload_signing_keys(&self) -> Result<Vec<KeyError>, KeyError> {
        let (has_changed, errors) = self.keys.reload()?;
        if has_changed {
            self.recognition.all_changed();
            self.note(Event::KeysChanged);
        }
        Ok(errors)
    }

    /// Sets the pace at which passwords are compared, so that the time tells nobody whose hash came
    /// from elsewhere or was made at another price: what the dearest one takes, if they differ. Prices
    /// are estimates, so one hash of each is timed, once.
    async fn look_at_hashes(&self, timed: &mut Vec<(i64, Duration)>) -> Result<(), Fault> {
        let mut hashes = self.hashes_by_price().await?;
        let own = self.hasher.cost();
        if hashes.iter().all(|(price, _)| *price == own) {
            timed.clear();
            self.hasher.set_pace(Duration::ZERO);
            return Ok(());
        }
        if hashes.iter().all(|(price, _)| *price != own) {
            hashes.push((own, None)); // names that nobody has cost as much
        }
        timed.retain(|(price, _)| hashes.iter().any(|(present, _)| present == price));
        let is_timed = |price: &i64| timed.iter().any(|(known, _)| known == price);
        hashes.retain(|(price, _)| !is_timed(price));
        let known = timed.iter().map(|(_, time)| *time).max().unwrap_or_default();
        // as far as it can be told at once, until it is measured
        let dearest = hashes.iter().map(|(price, _)| *price).max().unwrap_or_default();
        let estimate = Duration::from_micros(u64::try_from(dearest).unwrap_or_default());
        self.hasher.set_pace(known.max(estimate));
        for (price, hash) in &hashes {
            let Ok(time) = self.hasher.time(hash.as_ref()).await else { return Ok(()) };
            timed.push((*price, time));
        }
        let pace = timed.iter().map(|(_, time)| *time).max().unwrap_or_default();
        self.hasher.set_pace(pace);
        Ok(())
    }

    /// One hash of each price that there is, the dearest first.
    async fn hashes_by_price(&self) -> Result<Vec<(i64, Option<PasswordHash>)>, Fault> {
        let (mut hashes, mut below) = (Vec::new(), i64::MAX);
        for _ in 0..MOST_PRICES {
            let Some((price, hash)) = self.store.hash_priced_below(below).await? else { break };
            below = price;
            hashes.push((price, Some(hash)));
        }
        Ok(hashes)
    }

    /// Removes every session that ended a while ago, every invite that has expired, every user name that
    /// is no longer held, every ending that all have heard of, every try that holds nobody up any more,
    /// and old events.
    pub async fn remove_ended(&self) -> Result<(), Fault> {
        let keep = i64::try_from(RECORDED.as_millis()).expect("a minute is a small number");
        loop {
            let now = self.clock.now();
            let (now, idle) = (now.millis(), self.idle_since(now));
            let accounts = self.store.remove_ended(now, idle, keep, BATCH).await?;
            for account in &accounts {
                self.recognition.ended(&account.clone().into());
            }
            if accounts.is_empty() {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        self.recognition.forget_ended();
        let until = self.clock.now().before(RECORDED).millis();
        while self.store.remove_ended_tokens(until, BATCH).await? > 0 {
            tokio::time::sleep(PAUSE).await;
        }
        while self.store.remove_expired_invites(self.clock.now().millis(), BATCH).await? > 0 {
            tokio::time::sleep(PAUSE).await;
        }
        loop {
            let now = self.clock.now().millis();
            if self.store.remove_expired_held_usernames(now, BATCH).await? == 0 {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        let yesterday = self.clock.now().before(days(1)).millis();
        while self.store.remove_endings(yesterday, BATCH).await? > 0 {
            tokio::time::sleep(PAUSE).await;
        }
        while self.remove_attempts(BATCH).await? > 0 {
            tokio::time::sleep(PAUSE).await;
        }
        self.remove_old_events(BATCH, PAUSE).await
    }
}

fn sentences(errors: &[impl std::error::Error]) -> Vec<String> {
    errors.iter().map(ToString::to_string).collect()
}
