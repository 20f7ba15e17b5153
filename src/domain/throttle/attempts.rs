//! Counts attempts, and computes how long a client has to wait.

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
use crate::domain::throttle::key::ThrottleKey;
use crate::domain::throttle::limits::{
    BackoffSchedule, DEVICE, FORGOTTEN_AFTER, Gcra, Limits, node_time,
};
use crate::store::{AttemptKey, AttemptReset, BackoffRow, GcraRow, NodeTime, ResetRow, Store};

/// The maximum number of retries after concurrent requests changed the same key.
const MAX_RETRIES: usize = 64;

/// Rate limits and backoff, counted in the database.
#[derive(Debug)]
pub struct Throttle {
    store: Arc<Store>,
    clock: Clock,
    secrets: Arc<ServerSecrets>,
    devices: Arc<Devices>,
    limits: Limits,
}

/// An attempt that is allowed but not counted yet. Its request reserves a slot of the hashing queue
/// before it is counted.
#[derive(Debug)]
pub(crate) struct AllowedAttempt<'a> {
    gcra: Vec<(AttemptKey, Gcra)>,
    schedules: Vec<(AttemptKey, &'a BackoffSchedule)>,
    rows: AttemptRows,
    extra_reset: Option<ResetRow>,
    device: Option<String>,
    /// Whether a success keeps the requests counted by GCRA. If not, it gives them back. An attempt
    /// that is undone always gives them back.
    keeps_turns: bool,
}

/// The counts to write, computed from the rows at this time.
#[derive(Debug)]
struct AttemptRows {
    now: Timestamp,
    turns: Vec<GcraRow>,
    steps: Vec<BackoffRow>,
}

/// An attempt that was counted as a failure, until it succeeds.
#[derive(Debug)]
pub(crate) struct Attempt {
    /// Requests counted by GCRA that a success gives back.
    turns: Vec<GcraRow>,
    /// Requests counted by GCRA that only an undone attempt gives back.
    kept_turns: Vec<GcraRow>,
    steps: Vec<BackoffRow>,
    /// Another key that a success resets.
    extra_reset: Option<ResetRow>,
    device: Option<String>,
}

impl Attempt {
    /// The id of the device, if a known device made the attempt.
    pub(crate) fn device(&self) -> Option<String> {
        self.device.clone()
    }

    /// Whether this was the last attempt of a known device: if it fails, the device is treated like
    /// any other client.
    pub(crate) fn device_just_locked(&self) -> bool {
        let holds_up = |step: &BackoffRow| step.to.free_at > step.to.last_at;
        self.device.is_some() && self.steps.first().is_some_and(holds_up)
    }

    /// What is reset and given back after a success.
    pub(crate) fn reset(&self) -> AttemptReset {
        let own = self.steps.iter().map(|step| ResetRow { key: step.key, up_to: step.to.counted });
        AttemptReset { resets: own.chain(self.extra_reset).collect(), turns: self.turns.clone() }
    }
}

/// Why an attempt is not allowed.
#[derive(Debug)]
pub(crate) enum ThrottleError {
    /// The limit is exceeded, for this long.
    RateLimited(Duration),
    /// There are too many concurrent attempts.
    Overloaded,
    Internal(InternalError),
}

impl From<InternalError> for ThrottleError {
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

    /// Allows a login with this user name or address, or says how long to wait. The two are counted
    /// separately, so that they do not tell which address an account has. A device that has signed in to
    /// the account before has its own count, and all devices of an account have a common one.
    pub(crate) async fn allow_login(
        &self,
        name: Option<&str>,
        account: Option<(&AccountId, i64)>,
        requester: &Requester,
    ) -> Result<AllowedAttempt<'_>, ThrottleError> {
        let now = self.clock.now();
        let (limits, secrets) = (&self.limits, &*self.secrets);
        let name = name.map(|name| ThrottleKey::Name(name).digest(secrets));
        for known in self.devices.trusted_devices(account, requester, now) {
            let keys =
                [ThrottleKey::Device(&known.id), ThrottleKey::Devices(known.account.as_str())];
            let [device, devices] = keys.map(|key| key.digest(secrets));
            let waits = [self.wait_at(&device, now).await?, self.wait_at(&devices, now).await?];
            if waits == [Duration::ZERO; 2] {
                let steps = vec![(device, &limits.device), (devices, &limits.devices)];
                let extra_reset = match name {
                    Some(key) => Some(self.store.attempts_of(&key).await?)
                        .filter(|row| row.failures > 0)
                        .map(|row| ResetRow { key, up_to: row.counted }),
                    None => None,
                };
                let allowed = self.allow(Vec::new(), steps).await?;
                return Ok(AllowedAttempt { extra_reset, device: Some(known.id), ..allowed });
            }
        }
        let address = requester
            .address
            .map(|address| (ThrottleKey::Address(address).digest(secrets), limits.address));
        let name = name.map(|key| (key, &limits.name));
        self.allow(address.into_iter().collect(), name.into_iter().collect()).await
    }

    /// Allows an attempt to confirm the current password in a session, or says how long to wait.
    pub(crate) async fn allow_confirmation(
        &self,
        account: &AccountId,
        session: &SessionId,
    ) -> Result<AllowedAttempt<'_>, ThrottleError> {
        let account =
            (ThrottleKey::Account(account.as_str()).digest(&self.secrets), self.limits.account);
        let session =
            (ThrottleKey::Session(session.as_str()).digest(&self.secrets), &self.limits.session);
        let allowed = self.allow(vec![account], vec![session]).await?;
        Ok(AllowedAttempt { keeps_turns: true, ..allowed })
    }

    /// Allows a code to be checked that was mailed to the user of this account, or says how long to
    /// wait.
    pub(crate) async fn allow_code(
        &self,
        account: &AccountId,
    ) -> Result<AllowedAttempt<'_>, ThrottleError> {
        let key = ThrottleKey::Codes(account.as_str()).digest(&self.secrets);
        self.allow(Vec::new(), vec![(key, &self.limits.codes)]).await
    }

    /// Counts a mail with a secret to a mailbox. Returns false if there were too many lately. The
    /// count is kept when the account of the mailbox is closed.
    pub(crate) async fn take_mailbox_turn(
        &self,
        kind: &str,
        mailbox: &str,
    ) -> Result<bool, InternalError> {
        let key = ThrottleKey::Mailbox { kind, mailbox }.digest(&self.secrets);
        let counted = async {
            let allowed = self.allow(Vec::new(), vec![(key, &self.limits.mailbox)]).await?;
            self.record_attempt(allowed).await
        };
        match counted.await {
            Ok(_) => Ok(true),
            Err(ThrottleError::RateLimited(_) | ThrottleError::Overloaded) => Ok(false),
            Err(ThrottleError::Internal(fault)) => Err(fault),
        }
    }

    /// Allows a registration, or says how long to wait.
    pub(crate) async fn allow_registration(
        &self,
        requester: &Requester,
    ) -> Result<AllowedAttempt<'_>, ThrottleError> {
        let one = requester.address.map(ThrottleKey::Registrations);
        let one = one.map(|key| (key.digest(&self.secrets), self.limits.registrations));
        let all = ThrottleKey::AllRegistrations.digest(&self.secrets);
        let all = (all, self.limits.all_registrations);
        self.allow(one.into_iter().chain([all]).collect(), Vec::new()).await
    }

    /// Allows a request of a link for a new password, or says how long to wait. The requested name
    /// has no part in it.
    pub(crate) async fn allow_reset_request(
        &self,
        requester: &Requester,
    ) -> Result<AllowedAttempt<'_>, ThrottleError> {
        let one = requester.address.map(ThrottleKey::Resets);
        let one = one.map(|key| (key.digest(&self.secrets), self.limits.resets));
        let all = (ThrottleKey::AllResets.digest(&self.secrets), self.limits.all_resets);
        self.allow(one.into_iter().chain([all]).collect(), Vec::new()).await
    }

    /// Allows a new password for this account to be hashed, for a client that has a link, or says
    /// how long to wait. It has a limit of its own, because a stolen session could use up the limit
    /// of other changes.
    pub(crate) async fn allow_recovery(
        &self,
        account: &AccountId,
    ) -> Result<AllowedAttempt<'_>, ThrottleError> {
        let key = ThrottleKey::Recoveries(account.as_str()).digest(&self.secrets);
        self.allow(vec![(key, self.limits.account)], Vec::new()).await
    }

    async fn allow<'a>(
        &self,
        gcra: Vec<(AttemptKey, Gcra)>,
        schedules: Vec<(AttemptKey, &'a BackoffSchedule)>,
    ) -> Result<AllowedAttempt<'a>, ThrottleError> {
        let rows = self.read_rows(&gcra, &schedules).await?;
        Ok(AllowedAttempt {
            gcra,
            schedules,
            rows,
            extra_reset: None,
            device: None,
            keeps_turns: false,
        })
    }

    /// Computes the new counts of every key, or the longest wait.
    async fn read_rows(
        &self,
        gcra: &[(AttemptKey, Gcra)],
        schedules: &[(AttemptKey, &BackoffSchedule)],
    ) -> Result<AttemptRows, ThrottleError> {
        let now = self.clock.now();
        let mut wait = Duration::ZERO;
        let mut turns = Vec::new();
        for (key, gcra) in gcra {
            wait = wait.max(self.wait_at(key, now).await?);
            turns.push(gcra.turn(*key));
        }
        let mut steps = Vec::new();
        for (key, schedule) in schedules {
            let from = self.store.attempts_of(key).await?;
            wait = wait.max(from.wait(now));
            steps.push(BackoffRow { key: *key, from, to: schedule.step(from, now) });
        }
        if wait > Duration::ZERO {
            Err(ThrottleError::RateLimited(wait))
        } else {
            Ok(AttemptRows { now, turns, steps })
        }
    }

    /// Counts the attempt, or says how long to wait if concurrent attempts used up the limit.
    pub(crate) async fn record_attempt(
        &self,
        allowed: AllowedAttempt<'_>,
    ) -> Result<Attempt, ThrottleError> {
        let AllowedAttempt { gcra, schedules, mut rows, extra_reset, device, keeps_turns } =
            allowed;
        for retry in 0..MAX_RETRIES {
            if retry > 0 {
                rows = self.read_rows(&gcra, &schedules).await?;
            }
            let AttemptRows { now, turns, steps } = &rows;
            let is_counted = turns.is_empty() && steps.is_empty()
                || self.store.count_attempt(turns, steps, node_time(*now)).await?;
            if is_counted {
                let AttemptRows { turns, steps, .. } = rows;
                let (turns, kept_turns) =
                    if keeps_turns { (Vec::new(), turns) } else { (turns, Vec::new()) };
                return Ok(Attempt { turns, kept_turns, steps, extra_reset, device });
            }
        }
        Err(ThrottleError::Overloaded)
    }

    /// Distrusts a device. Returns false if it is distrusted already.
    pub(crate) async fn distrust_device(
        &self,
        device: &DeviceClaims,
    ) -> Result<bool, InternalError> {
        let now = self.clock.now();
        let key = ThrottleKey::Device(&device.id).digest(&self.secrets);
        let at_once = BackoffSchedule(vec![(1, DEVICE)]);
        for _ in 0..MAX_RETRIES {
            let from = self.store.attempts_of(&key).await?;
            if from.wait(now) > Duration::ZERO {
                return Ok(false);
            }
            let step = BackoffRow { key, from, to: at_once.step(from, now) };
            if self.store.count_attempt(&[], &[step], node_time(now)).await? {
                return Ok(true);
            }
        }
        Ok(false) // concurrent failures of the device are being counted, which have the same effect
    }

    /// The request to count for a change to an account, with the time of this node; or how long to
    /// wait.
    pub(crate) async fn account_turn(
        &self,
        account: &AccountId,
    ) -> Result<Result<(GcraRow, NodeTime), Duration>, InternalError> {
        self.turn(&ThrottleKey::Account(account.as_str())).await
    }

    /// The same for a change to the profile. It has a limit of its own: it needs neither the
    /// password nor a confirmation, so a stolen cookie could use up the turns with which the owner
    /// sets a new password.
    pub(crate) async fn profile_turn(
        &self,
        account: &AccountId,
    ) -> Result<Result<(GcraRow, NodeTime), Duration>, InternalError> {
        self.turn(&ThrottleKey::Profile(account.as_str())).await
    }

    async fn turn(
        &self,
        key: &ThrottleKey<'_>,
    ) -> Result<Result<(GcraRow, NodeTime), Duration>, InternalError> {
        let now = self.clock.now();
        let key = key.digest(&self.secrets);
        let wait = self.wait_at(&key, now).await?;
        if wait > Duration::ZERO {
            return Ok(Err(wait));
        }
        Ok(Ok((self.limits.account.turn(key), node_time(now))))
    }

    /// How long an account has to wait if concurrent requests used up one of these limits.
    pub(crate) fn account_wait(&self) -> Duration {
        self.limits.account.every
    }

    async fn wait_at(&self, key: &AttemptKey, now: Timestamp) -> Result<Duration, InternalError> {
        Ok(self.store.attempts_of(key).await?.wait(now))
    }

    /// Clears the lockout of an account's user name and of its address. Returns whether there was
    /// one.
    pub(crate) async fn clear_lockout(
        &self,
        username: &Username,
        mailbox: Option<&str>,
    ) -> Result<bool, InternalError> {
        let names = [Some(username.as_str()), mailbox].into_iter().flatten();
        let keys = names.map(|name| ThrottleKey::Name(name).digest(&self.secrets));
        let resets = keys.map(|key| ResetRow { key, up_to: i64::MAX }).collect();
        Ok(self.store.reset_attempts(AttemptReset { resets, turns: Vec::new() }).await? > 0)
    }

    /// Resets the counts after a successful attempt.
    pub(crate) async fn reset_attempts(&self, attempt: &Attempt) -> Result<(), InternalError> {
        self.store.reset_attempts(attempt.reset()).await.map(drop)
    }

    /// Undoes the counts of an attempt that was neither a success nor a failure.
    pub(crate) async fn undo_attempt(&self, attempt: &Attempt) -> Result<(), InternalError> {
        let turns = [&attempt.turns[..], &attempt.kept_turns[..]].concat();
        if !turns.is_empty() {
            self.store.reset_attempts(AttemptReset { resets: Vec::new(), turns }).await?;
        }
        for step in &attempt.steps {
            self.store.undo_step(step).await?;
        }
        Ok(())
    }

    /// Removes a batch of keys that no longer delay any client. Returns 0 if there are none left.
    pub(crate) async fn remove_attempts(&self, limit: i64) -> Result<u64, InternalError> {
        let now = self.clock.now();
        let yesterday = now.minus(FORGOTTEN_AFTER).millis();
        let old = self.store.remove_attempts(yesterday, now.millis(), limit).await?;
        if self.store.count_attempts().await? <= self.limits.keys {
            return Ok(old);
        }
        Ok(old.max(self.store.remove_attempts(now.millis(), now.millis(), limit).await?))
    }
}
