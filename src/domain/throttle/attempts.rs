//! Counts tries, and says how long to wait.

use std::sync::Arc;
use std::time::Duration;

use crate::core::clock::{Clock, Timestamp};
use crate::core::error::InternalError;
use crate::core::ids::{AccountId, SessionId};
use crate::core::usernames::Username;
use crate::domain::keys::claims::DeviceClaims;
use crate::domain::keys::server_secret::ServerSecrets;
use crate::domain::requester::Requester;
use crate::domain::throttle::devices::Devices;
use crate::domain::throttle::key::Key;
use crate::domain::throttle::limits::{
    DEVICE, FORGOTTEN_AFTER, Limits, Staircase, Steady, node_time,
};
use crate::store::{AttemptKey, AttemptReset, BackoffRow, GcraRow, NodeTime, ResetRow, Store};

/// Others counted at the same key at the same moment: look again, this often.
const LOOKS: usize = 64;

/// Counts tries in the database.
#[derive(Debug)]
pub struct Throttle {
    store: Arc<Store>,
    clock: Clock,
    secrets: Arc<ServerSecrets>,
    devices: Arc<Devices>,
    limits: Limits,
}

/// A try that may be made now, and is not counted yet. What it needs besides, such as a place in the queue of
/// the hasher, is taken before it is counted.
#[derive(Debug)]
pub(crate) struct Allowed<'a> {
    steady: Vec<(AttemptKey, Steady)>,
    staircases: Vec<(AttemptKey, &'a Staircase)>,
    counts: Counts,
    beside: Option<ResetRow>,
    device: Option<String>,
    /// Does a good end give the turns back, or only one that came to nothing?
    keeps_turns: bool,
}

/// What is to be counted, as the rows were at this time.
#[derive(Debug)]
struct Counts {
    now: Timestamp,
    turns: Vec<GcraRow>,
    steps: Vec<BackoffRow>,
}

/// A try that was let in and counted: as a failure, until it turns out well.
#[derive(Debug)]
pub(crate) struct Try {
    /// Turns that a good end gives back.
    turns: Vec<GcraRow>,
    /// Turns that only a try which came to nothing gives back.
    kept_turns: Vec<GcraRow>,
    steps: Vec<BackoffRow>,
    /// What else a good end makes forgotten.
    beside: Option<ResetRow>,
    device: Option<String>,
}

impl Try {
    /// The name of the device that tried, if it is known.
    pub(crate) fn device(&self) -> Option<String> {
        self.device.clone()
    }

    /// Was this a known device's, and is the device like any other client if it fails?
    pub(crate) fn was_the_last_of_a_device(&self) -> bool {
        let holds_up = |step: &BackoffRow| step.to.free_at > step.to.last_at;
        self.device.is_some() && self.steps.first().is_some_and(holds_up)
    }

    /// What is forgotten and given back if it turns out well.
    pub(crate) fn forgiveness(&self) -> AttemptReset {
        let own = self.steps.iter().map(|step| ResetRow { key: step.key, up_to: step.to.counted });
        AttemptReset { resets: own.chain(self.beside).collect(), turns: self.turns.clone() }
    }
}

/// Why nothing may be tried at the moment.
#[derive(Debug)]
pub(crate) enum NotNow {
    /// This was tried too often.
    Wait(Duration),
    /// Too many try at once.
    Busy,
    Internal(InternalError),
}

impl From<InternalError> for NotNow {
    fn from(fault: InternalError) -> Self {
        Self::Internal(fault)
    }
}

impl Throttle {
    pub fn new(
        store: Arc<Store>,
        clock: Clock,
        secrets: Arc<ServerSecrets>,
        devices: Arc<Devices>,
        limits: Limits,
    ) -> Self {
        Self { store, clock, secrets, devices, limits }
    }

    /// Allows a sign-in to this name, or says how long to wait. A device that has signed in to the
    /// account before has a count of its own, and all devices of an account have one.
    pub(crate) async fn allow_login(
        &self,
        username: Option<&Username>,
        account: Option<(&AccountId, i64)>,
        requester: &Requester,
    ) -> Result<Allowed<'_>, NotNow> {
        let now = self.clock.now();
        let (limits, secrets) = (&self.limits, &*self.secrets);
        let name = username.map(|username| Key::Name(username.as_str()).digest(secrets));
        for known in self.devices.presented(account, requester, now) {
            let keys = [Key::Device(&known.id), Key::Devices(known.account.as_str())];
            let [device, devices] = keys.map(|key| key.digest(secrets));
            let waits = [self.wait_at(&device, now).await?, self.wait_at(&devices, now).await?];
            if waits == [Duration::ZERO; 2] {
                let steps = vec![(device, &limits.device), (devices, &limits.devices)];
                let beside = match name {
                    Some(key) => Some(self.store.attempts_of(&key).await?)
                        .filter(|row| row.failures > 0)
                        .map(|row| ResetRow { key, up_to: row.counted }),
                    None => None,
                };
                let allowed = self.allow(Vec::new(), steps).await?;
                return Ok(Allowed { beside, device: Some(known.id), ..allowed });
            }
        }
        let address = requester
            .address
            .map(|address| (Key::Address(address).digest(secrets), limits.address));
        let name = name.map(|key| (key, &limits.name));
        self.allow(address.into_iter().collect(), name.into_iter().collect()).await
    }

    /// Allows the current password of a session to be tried, to change something of the account, or says
    /// how long to wait.
    pub(crate) async fn allow_confirmation(
        &self,
        account: &AccountId,
        session: &SessionId,
    ) -> Result<Allowed<'_>, NotNow> {
        let account = (Key::Account(account.as_str()).digest(&self.secrets), self.limits.account);
        let session = (Key::Session(session.as_str()).digest(&self.secrets), &self.limits.session);
        let allowed = self.allow(vec![account], vec![session]).await?;
        Ok(Allowed { keeps_turns: true, ..allowed })
    }

    /// Allows an account to be made, or says how long to wait.
    pub(crate) async fn allow_registration(
        &self,
        requester: &Requester,
    ) -> Result<Allowed<'_>, NotNow> {
        let mut turns = Vec::new();
        if let Some(address) = requester.address {
            let key = Key::Registrations(address).digest(&self.secrets);
            turns.push((key, self.limits.registrations));
        }
        let all = Key::AllRegistrations.digest(&self.secrets);
        turns.push((all, self.limits.all_registrations));
        self.allow(turns, Vec::new()).await
    }

    async fn allow<'a>(
        &self,
        steady: Vec<(AttemptKey, Steady)>,
        staircases: Vec<(AttemptKey, &'a Staircase)>,
    ) -> Result<Allowed<'a>, NotNow> {
        let counts = self.counts(&steady, &staircases).await?;
        Ok(Allowed { steady, staircases, counts, beside: None, device: None, keeps_turns: false })
    }

    /// What one more try counts at every key, or when the last of them is free.
    async fn counts(
        &self,
        steady: &[(AttemptKey, Steady)],
        staircases: &[(AttemptKey, &Staircase)],
    ) -> Result<Counts, NotNow> {
        let now = self.clock.now();
        let mut wait = Duration::ZERO;
        let mut turns = Vec::new();
        for (key, steady) in steady {
            wait = wait.max(self.wait_at(key, now).await?);
            turns.push(steady.turn(*key));
        }
        let mut steps = Vec::new();
        for (key, staircase) in staircases {
            let from = self.store.attempts_of(key).await?;
            wait = wait.max(from.wait(now));
            steps.push(BackoffRow { key: *key, from, to: staircase.step(from, now) });
        }
        if wait > Duration::ZERO {
            Err(NotNow::Wait(wait))
        } else {
            Ok(Counts { now, turns, steps })
        }
    }

    /// Counts the try, or says how long to wait if others were counted since.
    pub(crate) async fn record_attempt(&self, allowed: Allowed<'_>) -> Result<Try, NotNow> {
        let Allowed { steady, staircases, mut counts, beside, device, keeps_turns } = allowed;
        for look in 0..LOOKS {
            if look > 0 {
                counts = self.counts(&steady, &staircases).await?;
            }
            let Counts { now, turns, steps } = &counts;
            let is_counted = turns.is_empty() && steps.is_empty()
                || self.store.count_attempt(turns, steps, node_time(*now)).await?;
            if is_counted {
                let Counts { turns, steps, .. } = counts;
                let (turns, kept_turns) =
                    if keeps_turns { (Vec::new(), turns) } else { (turns, Vec::new()) };
                return Ok(Try { turns, kept_turns, steps, beside, device });
            }
        }
        Err(NotNow::Busy)
    }

    /// Distrusts a device; false if it is distrusted already.
    pub(crate) async fn distrust_device(
        &self,
        device: &DeviceClaims,
    ) -> Result<bool, InternalError> {
        let now = self.clock.now();
        let key = Key::Device(&device.id).digest(&self.secrets);
        let at_once = Staircase(vec![(1, DEVICE)]);
        for _ in 0..LOOKS {
            let from = self.store.attempts_of(&key).await?;
            if from.wait(now) > Duration::ZERO {
                return Ok(false);
            }
            let step = BackoffRow { key, from, to: at_once.step(from, now) };
            if self.store.count_attempt(&[], &[step], node_time(now)).await? {
                return Ok(true);
            }
        }
        Ok(false) // others count failures of it at this moment, in whose number it ends
    }

    /// The turn that changing something of an account takes, and the time to take it at; or how long
    /// to wait for it.
    pub(crate) async fn account_turn(
        &self,
        account: &AccountId,
    ) -> Result<Result<(GcraRow, NodeTime), Duration>, InternalError> {
        let now = self.clock.now();
        let key = Key::Account(account.as_str()).digest(&self.secrets);
        let wait = self.wait_at(&key, now).await?;
        if wait > Duration::ZERO {
            return Ok(Err(wait));
        }
        Ok(Ok((self.limits.account.turn(key), node_time(now))))
    }

    /// How long an account waits whose requests at the same moment took the last turn.
    pub(crate) fn account_wait(&self) -> Duration {
        self.limits.account.every
    }

    async fn wait_at(&self, key: &AttemptKey, now: Timestamp) -> Result<Duration, InternalError> {
        Ok(self.store.attempts_of(key).await?.wait(now))
    }

    /// Forgets the failures at a name: the operator's way. Were there any?
    pub(crate) async fn let_try_again(&self, username: &Username) -> Result<bool, InternalError> {
        let key = Key::Name(username.as_str()).digest(&self.secrets);
        let resets = vec![ResetRow { key, up_to: i64::MAX }];
        Ok(self.store.reset_attempts(AttemptReset { resets, turns: Vec::new() }).await? > 0)
    }

    /// The try turned out well: its failures are forgotten, and the turn is given back.
    pub(crate) async fn forgive(&self, tried: &Try) -> Result<(), InternalError> {
        self.store.reset_attempts(tried.forgiveness()).await.map(drop)
    }

    /// The try came to nothing: it does not count.
    pub(crate) async fn never_mind(&self, tried: &Try) -> Result<(), InternalError> {
        let turns = [&tried.turns[..], &tried.kept_turns[..]].concat();
        if !turns.is_empty() {
            self.store.reset_attempts(AttemptReset { resets: Vec::new(), turns }).await?;
        }
        for step in &tried.steps {
            self.store.undo_step(step).await?;
        }
        Ok(())
    }

    /// Removes a small batch of what holds nobody up any more; nothing, if there is no more of it.
    pub(crate) async fn remove_attempts(&self, limit: i64) -> Result<u64, InternalError> {
        let now = self.clock.now();
        let yesterday = now.before(FORGOTTEN_AFTER).millis();
        let old = self.store.remove_attempts(yesterday, now.millis(), limit).await?;
        if self.store.count_attempts().await? <= self.limits.keys {
            return Ok(old);
        }
        Ok(old.max(self.store.remove_attempts(now.millis(), now.millis(), limit).await?))
    }
}
