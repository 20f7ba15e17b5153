//! What goes on beside the requests: hearing of other processes' endings and keys, and clearing away.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use super::Domain;
use super::audit::Event;
use super::tokens::KeyError;
use crate::clock::days;
use crate::fault::Fault;
use crate::secret::PasswordHash;
use crate::store::Heard;

/// How often the feed is read, and the keys are looked at: an ending elsewhere is heard of within this
/// and a little, and at once where the database wakes who listens.
const LISTEN: Duration = Duration::from_millis(200);
/// How often it is said that the feed cannot be heard.
const SAY_EVERY: Duration = Duration::from_secs(30);
/// How often it is looked whether hashes of another price have come or gone.
const LOOK: Duration = Duration::from_secs(1);
/// Listenings from one clearing away to the next: half a minute.
const CLEAR_EVERY: u32 = 150;
/// As many different prices of hashes are told apart; systems that people come from have one or two.
const MOST_PRICES: usize = 8;
/// Rows a statement removes at once: some milliseconds of the one writer.
const BATCH: i64 = 500;
/// The writer is free for others in between.
const PAUSE: Duration = Duration::from_millis(20);

impl Domain {
    /// Watches until the domain is gone.
    pub async fn watch(domain: Weak<Self>) {
        let mut ticks = interval(LISTEN);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut clearing: Option<JoinHandle<()>> = None;
        for n in 0_u32.. {
            ticks.tick().await;
            let Some(domain) = domain.upgrade() else { return };
            if let Err(error) = domain.look_at_keys()
                && n % CLEAR_EVERY == 0
            {
                tracing::error!("the signing keys stay as they were: {error}");
            }
            if n % CLEAR_EVERY == 0 {
                tokio::spawn(Self::count_sessions(Arc::clone(&domain)));
            }
            let is_clearing = clearing.as_ref().is_some_and(|one| !one.is_finished());
            if n % CLEAR_EVERY == CLEAR_EVERY - 1 && !is_clearing {
                clearing = Some(tokio::spawn(Self::clear_away(Arc::clone(&domain))));
            }
        }
    }

    /// Hears of endings until the domain is gone.
    pub async fn listen(domain: Weak<Self>) {
        let Some(mut feed) = domain.upgrade().map(|domain| domain.store.feed()) else { return };
        let mut said: Option<Instant> = None;
        loop {
            let began = Instant::now();
            let heard = feed.hear().await;
            let Some(domain) = domain.upgrade() else { return };
            match heard {
                Ok(heard) => {
                    said = None;
                    if !domain.take_in(heard, began) {
                        continue;
                    }
                }
                // meanwhile the database is asked each time
                Err(fault) if said.is_none_or(|said| said.elapsed() > SAY_EVERY) => {
                    tracing::warn!("{fault}");
                    said = Some(Instant::now());
                }
                Err(_) => {}
            }
            drop(domain);
            feed.wait(LISTEN).await;
        }
    }

    /// Keeps the pace of comparing passwords until the domain is gone.
    pub async fn watch_hashes(domain: Weak<Self>) {
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut timed = Vec::new();
        loop {
            ticks.tick().await;
            let Some(domain) = domain.upgrade() else { return };
            if let Err(fault) = domain.look_at_hashes(&mut timed).await {
                tracing::debug!("{fault}"); // the pace stays; `watch` says it aloud
            }
        }
    }

    /// Lets go of whom the feed names; true if that was all there was to hear at `began`.
    fn take_in(&self, heard: Heard, began: Instant) -> bool {
        match heard {
            // what was filed before may have ended since, elsewhere and unheard: it does not count
            Heard::FromNowOn => self.recognition.all_changed(),
            Heard::Ended { accounts, is_all } => {
                for account in accounts {
                    self.recognition.ended(&account.into());
                }
                if !is_all {
                    return false;
                }
            }
        }
        self.recognition.heard(began);
        true
    }

    /// Takes up new keys and lets go of removed ones.
    fn look_at_keys(&self) -> Result<(), KeyError> {
        if self.keys.reread()? {
            self.recognition.all_changed();
            self.note(Event::KeysChanged);
        }
        Ok(())
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
        while hashes.len() < MOST_PRICES {
            let Some((price, hash)) = self.store.hash_priced_below(below).await? else { break };
            below = price;
            hashes.push((price, Some(hash)));
        }
        Ok(hashes)
    }

    /// Counts the sessions in force, for whoever watches.
    async fn count_sessions(domain: Arc<Self>) {
        let now = domain.clock.now();
        match domain.store.count_sessions(now.millis(), domain.idle_since(now)).await {
            Ok(live) => domain.tallies.note_sessions(live),
            Err(fault) => tracing::debug!("{fault}"), // listening says it aloud
        }
    }

    /// Removes what has ended, in small batches.
    async fn clear_away(domain: Arc<Self>) {
        if let Err(fault) = domain.remove_ended().await {
            tracing::warn!("{fault}"); // the next round tries again
        }
    }

    /// Removes every session that has ended, every invite that has expired, every ending that all
    /// have heard of, every try that holds nobody up any more, and old events.
    pub async fn remove_ended(&self) -> Result<(), Fault> {
        loop {
            let now = self.clock.now();
            let accounts =
                self.store.remove_ended(now.millis(), self.idle_since(now), BATCH).await?;
            for account in &accounts {
                self.recognition.ended(&account.clone().into());
            }
            if accounts.is_empty() {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        self.recognition.forget_ended();
        while self.store.remove_expired_invites(self.clock.now().millis(), BATCH).await? > 0 {
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
