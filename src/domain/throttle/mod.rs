//! How often may one try. Who tries too often waits, and is told how long.
//!
//! A try is counted before anything is hashed, so that no number of tries at once gets past a
//! limit, and it is counted in the database, so that a restart and a second node change nothing.
//! What counts is what was typed, not what exists: unknown names are throttled like any other.
//!
//! Three things are counted for a sign-in (OWASP's device cookies):
//! - the name, for clients that nobody knows;
//! - the address, for the same clients: a list of names from one place is held up, too;
//! - the device, for a client that has signed in to this account before. Such a one is not held up
//!   by what others do, so nobody can lock an owner out.

use std::net::IpAddr;
use std::time::Duration;

use crate::core::clock::{MAX_CLOCK_DIFFERENCE, Timestamp, days, hours, mins};
use crate::core::error::Fault;
use crate::core::ids::AccountId;
use crate::core::secret::{DeviceToken, random_id};
use crate::core::usernames::Username;
use crate::domain::Domain;
use crate::domain::audit::event::Event;
use crate::domain::keys::server_secret::ServerSecrets;
use crate::domain::keys::tokens::{DeviceClaims, Keys};
use crate::domain::passwords::hasher::HashSlot;
use crate::domain::passwords::queue::Share;
use crate::domain::sessions::SignedInAs;
use crate::store::{AttemptKey, AttemptRow, Forgiveness, NodeTime, ResetRow, StepRow, TurnRow};

/// Who asks, as far as that is known.
#[derive(Debug, Default)]
pub struct Caller {
    /// `None`: it came by no address, or by one that everybody has.
    pub address: Option<IpAddr>,
    /// As which it says it has signed in before.
    pub devices: Vec<DeviceToken>,
}

impl Caller {
    /// Whose share of the hash queue its request takes: that of its address and of a user name.
    pub(crate) fn share(&self, username: Option<&Username>) -> Share {
        Share::new(self.address, username.map(Username::as_str))
    }
}

/// How often who may try.
#[derive(Debug, Clone)]
pub struct Limits {
    /// A name, for clients that nobody knows.
    pub name: Staircase,
    /// A device that has signed in to this account before.
    pub device: Staircase,
    /// All devices that have signed in to an account before.
    pub devices: Staircase,
    /// The current password, typed in a session.
    pub session: Staircase,
    /// What an account changes that is written down in the audit.
    pub account: Steady,
    /// Failed sign-ins from an address.
    pub address: Steady,
    /// Registrations from an address.
    pub registrations: Steady,
    /// All registrations.
    pub all_registrations: Steady,
    /// As many names, addresses and devices are remembered; the oldest that hold nobody up go first.
    pub keys: i64,
}

/// Waits that grow with the failures in a row: from so many failures on, so long.
#[derive(Debug, Clone)]
pub struct Staircase(pub Vec<(i64, Duration)>);

/// A number of turns at once, and then one at a time.
#[derive(Debug, Clone, Copy)]
pub struct Steady {
    pub burst: i64,
    pub every: Duration,
}

/// What is not used for this long is forgotten, and so are the failures that made a client wait for
/// as long, once it has waited.
const FORGOTTEN_AFTER: Duration = hours(24);
/// Numbers of failures for each millisecond, so that a key that is counted for the first time again
/// has greater ones than before.
const NUMBERS_PER_MILLI: i64 = 1024;
/// A device is known for this long after its last good sign-in; browsers keep no cookie for longer
/// than 400 days.
pub const DEVICE: Duration = days(90);
/// Others counted at the same key at the same moment: look again, this often.
const LOOKS: usize = 64;

impl Limits {
    pub fn production() -> Self {
        let second = Duration::from_secs;
        // five typing errors are free; ten tries in a quarter of an hour; a hundred failures in a
        // row (NIST SP 800-63B-4, section 3.2.2) close the name to clients that nobody knows
        let name = vec![
            (5, second(1)),
            (6, second(2)),
            (7, second(4)),
            (8, second(8)),
            (9, second(16)),
            (10, mins(15)),
            (100, hours(24)),
        ];
        Self {
            session: Staircase(name.clone()),
            name: Staircase(name),
            device: Staircase(vec![(10, DEVICE)]), // it is like any other client from then on
            devices: Staircase(vec![(20, mins(15)), (100, hours(24))]), // whoever collects them
            account: Steady { burst: 30, every: second(2) },
            // at most twenty failures in any ten minutes
            address: Steady { burst: 10, every: mins(1) },
            registrations: Steady { burst: 10, every: mins(1) },
            all_registrations: Steady { burst: 1000, every: second(1) },
            keys: 1_000_000, // some 100 MB on disk
        }
    }

    /// For a bench that measures something else.
    pub fn none() -> Self {
        let free = Staircase(Vec::new());
        let steady = Steady { burst: 1, every: Duration::ZERO };
        Self {
            name: free.clone(),
            device: free.clone(),
            devices: free.clone(),
            session: free,
            account: steady,
            address: steady,
            registrations: steady,
            all_registrations: steady,
            keys: 1_000_000,
        }
    }
}

impl Steady {
    /// The row of one more turn.
    fn turn(self, key: AttemptKey) -> TurnRow {
        let every = i64::try_from(self.every.as_millis()).unwrap_or(i64::MAX);
        TurnRow { key, burst: every.saturating_mul(self.burst - 1), every }
    }
}

impl Staircase {
    /// One failure more.
    fn step(&self, row: AttemptRow, now: Timestamp) -> AttemptRow {
        let at = row.present(now);
        let (before, forgiven) = if self.is_forgotten(row, now) {
            (0, row.counted)
        } else {
            (row.failures, row.forgiven)
        };
        let numbered = match row.counted {
            0 => at.millis().saturating_mul(NUMBERS_PER_MILLI),
            counted => counted,
        };
        let failures = before + 1;
        let free_at = at.plus(self.wait_after(failures)).millis();
        let counted = numbered + 1;
        AttemptRow { failures, free_at, last_at: at.millis(), counted, forgiven }
    }

    /// Do its failures count no more? After a day without one, and after the longest wait: else one
    /// attempt a day would close a name for good.
    fn is_forgotten(&self, row: AttemptRow, now: Timestamp) -> bool {
        let at = row.present(now);
        let is_unused = row.last_at < at.before(FORGOTTEN_AFTER).millis();
        let has_waited = row.is_trusted(now) && row.free_at <= at.millis();
        is_unused || (has_waited && self.wait_after(row.failures) >= FORGOTTEN_AFTER)
    }

    fn wait_after(&self, failures: i64) -> Duration {
        let step = self.0.iter().rev().find(|(from, _)| failures >= *from);
        step.map_or(Duration::ZERO, |(_, wait)| *wait)
    }
}

/// What is counted.
enum Key<'a> {
    Name(&'a str),
    Device(&'a str),
    Devices(&'a str),
    Session(&'a str),
    Account(&'a str),
    Address(IpAddr),
    Registrations(IpAddr),
    AllRegistrations,
}

impl Key<'_> {
    /// A digest under the server secret: what was typed as a name may be anything, and is written down
    /// nowhere. Another current secret makes other digests, so the counters begin again.
    fn digest(&self, secrets: &ServerSecrets) -> AttemptKey {
        let (kind, who) = match self {
            Self::Name(name) => ("name", (*name).to_owned()),
            Self::Device(id) => ("device", (*id).to_owned()),
            Self::Devices(account) => ("devices", (*account).to_owned()),
            Self::Session(id) => ("session", (*id).to_owned()),
            Self::Account(id) => ("account", (*id).to_owned()),
            Self::Address(address) => ("address", network(*address)),
            Self::Registrations(address) => ("registrations", network(*address)),
            Self::AllRegistrations => ("registrations", "all".to_owned()),
        };
        secrets.throttle_digest(&format!("{kind} {who}"))
    }
}

/// Who has one address of a network can have all of them: in IPv6 that is a /64 (RFC 6177).
fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

/// A try that was let in and counted: as a failure, until it turns out well.
#[derive(Debug)]
pub(crate) struct Try {
    /// Turns that a good end gives back.
    turns: Vec<TurnRow>,
    /// Turns that only a try which came to nothing gives back.
    kept_turns: Vec<TurnRow>,
    steps: Vec<StepRow>,
    /// What else a good end makes forgotten.
    beside: Option<ResetRow>,
    device: Option<String>,
    /// In the queue of the hasher.
    slot: Option<HashSlot>,
}

impl Try {
    /// The name of the device that tried, if it is known.
    pub(crate) fn device(&self) -> Option<String> {
        self.device.clone()
    }

    /// Was this a known device's, and is the device like any other client if it fails?
    pub(crate) fn was_the_last_of_a_device(&self) -> bool {
        let holds_up = |step: &StepRow| step.to.free_at > step.to.last_at;
        self.device.is_some() && self.steps.first().is_some_and(holds_up)
    }

    /// What is forgotten and given back if it turns out well.
    pub(crate) fn forgiveness(&self) -> Forgiveness {
        let own = self.steps.iter().map(|step| ResetRow { key: step.key, up_to: step.to.counted });
        Forgiveness { resets: own.chain(self.beside).collect(), turns: self.turns.clone() }
    }

    pub(crate) fn take_slot(&mut self) -> Option<HashSlot> {
        self.slot.take()
    }
}

/// Why nothing may be tried at the moment.
#[derive(Debug)]
pub(crate) enum NotNow {
    /// This was tried too often.
    Wait(Duration),
    /// Too many try at once.
    Busy,
    Fault(Fault),
}

impl From<Fault> for NotNow {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl Domain {
    /// Lets a sign-in to this name be tried, or says how long to wait. A device that has signed in
    /// to the account before has a count of its own, and all devices of an account have one.
    pub(crate) async fn may_log_in(
        &self,
        username: Option<&Username>,
        account: Option<(&AccountId, i64)>,
        caller: &Caller,
    ) -> Result<Try, NotNow> {
        let share = caller.share(username);
        let now = self.clock.now();
        let limits = &self.rules.limits;
        let secrets = &self.server_secrets;
        let name = username.map(|username| Key::Name(username.as_str()).digest(secrets));
        for known in self.devices_of(account, caller, now) {
            let keys = [Key::Device(&known.id), Key::Devices(known.account.as_str())];
            let [device, devices] = keys.map(|key| key.digest(secrets));
            let waits = [self.wait_at(&device, now).await?, self.wait_at(&devices, now).await?];
            if waits == [Duration::ZERO; 2] {
                let steps = [(device, &limits.device), (devices, &limits.devices)];
                let beside = match name {
                    Some(key) => Some(self.store.attempts_of(&key).await?)
                        .filter(|row| row.failures > 0)
                        .map(|row| ResetRow { key, up_to: row.counted }),
                    None => None,
                };
                let tried = self.counted(&share, &[], &steps).await?;
                return Ok(Try { beside, device: Some(known.id), ..tried });
            }
        }
        let address =
            caller.address.map(|address| (Key::Address(address).digest(secrets), limits.address));
        let name = name.map(|key| (key, &limits.name));
        self.counted(&share, address.as_slice(), name.as_slice()).await
    }

    /// The devices that a caller presents and that have signed in to the account before.
    fn devices_of(
        &self,
        account: Option<(&AccountId, i64)>,
        caller: &Caller,
        now: Timestamp,
    ) -> Vec<DeviceClaims> {
        let Some((account, version)) = account else { return Vec::new() };
        let named = caller.devices.iter().filter(|token| Keys::names_account(token, account));
        let claims = named.filter_map(|token| self.keys.verify_device(token, now));
        claims.filter(|device| device.account == *account && device.version == version).collect()
    }

    /// Distrusts devices, as after too many failures: they are like any other client from now on, also
    /// where a copy of the cookie is left. A token that is none of ours does nothing.
    pub async fn distrust_devices(&self, devices: &[DeviceToken]) -> Result<(), Fault> {
        let now = self.clock.now();
        for device in devices.iter().filter_map(|token| self.keys.verify_device(token, now)) {
            if self.distrust_device(&device, now).await? {
                self.note_at(Event::DeviceDistrusted, &device.account);
            }
        }
        Ok(())
    }

    /// False if it is distrusted already.
    async fn distrust_device(&self, device: &DeviceClaims, now: Timestamp) -> Result<bool, Fault> {
        let key = Key::Device(&device.id).digest(&self.server_secrets);
        let at_once = Staircase(vec![(1, DEVICE)]);
        for _ in 0..LOOKS {
            let from = self.store.attempts_of(&key).await?;
            if from.wait(now) > Duration::ZERO {
                return Ok(false);
            }
            let step = StepRow { key, from, to: at_once.step(from, now) };
            if self.store.count_attempt(&[], &[step], node_time(now)).await? {
                return Ok(true);
            }
        }
        Ok(false) // others count failures of it at this moment, in whose number it ends
    }

    /// Lets the current password of a session be tried, to change something of the account, or says
    /// how long to wait.
    pub(crate) async fn may_confirm(
        &self,
        who: &SignedInAs,
        caller: &Caller,
    ) -> Result<Try, NotNow> {
        let limits = &self.rules.limits;
        let account =
            (Key::Account(who.account.id.as_str()).digest(&self.server_secrets), limits.account);
        let session =
            (Key::Session(who.session.id.as_str()).digest(&self.server_secrets), &limits.session);
        let share = caller.share(Some(&who.account.username));
        let tried = self.counted(&share, &[account], &[session]).await?;
        Ok(Try { kept_turns: tried.turns, turns: Vec::new(), ..tried })
    }

    /// The turn that changing something of an account takes, and the time to take it at; or how long
    /// to wait for it, which is noted.
    pub(crate) async fn account_turn(
        &self,
        account: &AccountId,
    ) -> Result<Result<(TurnRow, NodeTime), Duration>, Fault> {
        let now = self.clock.now();
        let key = Key::Account(account.as_str()).digest(&self.server_secrets);
        let wait = self.wait_at(&key, now).await?;
        if wait > Duration::ZERO {
            self.note_throttled(account);
            return Ok(Err(wait));
        }
        Ok(Ok((self.rules.limits.account.turn(key), node_time(now))))
    }

    /// Lets an account be made, or says how long to wait.
    pub(crate) async fn may_register(
        &self,
        username: &Username,
        caller: &Caller,
    ) -> Result<Try, NotNow> {
        let (limits, secrets) = (&self.rules.limits, &self.server_secrets);
        let mut turns = Vec::new();
        if let Some(address) = caller.address {
            turns.push((Key::Registrations(address).digest(secrets), limits.registrations));
        }
        turns.push((Key::AllRegistrations.digest(secrets), limits.all_registrations));
        self.counted(&caller.share(Some(username)), &turns, &[]).await
    }

    /// Counts one try at every key, or says when the last of them is free. Who must wait is told
    /// so before taking a place in the queue.
    async fn counted(
        &self,
        share: &Share,
        steady: &[(AttemptKey, Steady)],
        staircases: &[(AttemptKey, &Staircase)],
    ) -> Result<Try, NotNow> {
        let mut slot = None;
        for _ in 0..LOOKS {
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
                steps.push(StepRow { key: *key, from, to: staircase.step(from, now) });
            }
            if wait > Duration::ZERO {
                return Err(NotNow::Wait(wait));
            }
            if slot.is_none() {
                slot = Some(self.hasher.reserve_slot(share).map_err(|_full| NotNow::Busy)?);
            }
            let is_counted = turns.is_empty() && steps.is_empty()
                || self.store.count_attempt(&turns, &steps, node_time(now)).await?;
            if is_counted {
                let kept_turns = Vec::new();
                return Ok(Try { turns, kept_turns, steps, beside: None, device: None, slot });
            }
        }
        Err(NotNow::Busy)
    }

    async fn wait_at(&self, key: &AttemptKey, now: Timestamp) -> Result<Duration, Fault> {
        Ok(self.store.attempts_of(key).await?.wait(now))
    }

    /// Forgets the failures at a name: the operator's way. Were there any?
    pub(crate) async fn let_try_again(&self, username: &Username) -> Result<bool, Fault> {
        let key = Key::Name(username.as_str()).digest(&self.server_secrets);
        let resets = vec![ResetRow { key, up_to: i64::MAX }];
        Ok(self.store.forgive(Forgiveness { resets, turns: Vec::new() }).await? > 0)
    }

    /// The try turned out well: its failures are forgotten, and the turn is given back.
    pub(crate) async fn forgive(&self, tried: &Try) -> Result<(), Fault> {
        self.store.forgive(tried.forgiveness()).await.map(drop)
    }

    /// The try came to nothing: it does not count.
    pub(crate) async fn never_mind(&self, tried: &Try) -> Result<(), Fault> {
        let turns = [&tried.turns[..], &tried.kept_turns[..]].concat();
        if !turns.is_empty() {
            self.store.forgive(Forgiveness { resets: Vec::new(), turns }).await?;
        }
        for step in &tried.steps {
            self.store.undo_step(step).await?;
        }
        Ok(())
    }

    /// By this the client is known again at its next sign-in to the account, for as long as the
    /// account has this password.
    pub(crate) fn device_token(
        &self,
        account: &AccountId,
        version: i64,
        known: Option<String>,
    ) -> DeviceToken {
        let now = self.clock.now();
        self.keys.sign_device(&DeviceClaims {
            account: account.clone(),
            version,
            id: known.unwrap_or_else(random_id),
            issued_at: now,
            expires_at: now.plus(DEVICE),
        })
    }

    /// Removes a small batch of what holds nobody up any more; nothing, if there is no more of it.
    pub(crate) async fn remove_attempts(&self, limit: i64) -> Result<u64, Fault> {
        let now = self.clock.now();
        let yesterday = now.before(FORGOTTEN_AFTER).millis();
        let old = self.store.remove_attempts(yesterday, now.millis(), limit).await?;
        if self.store.count_attempts().await? <= self.rules.limits.keys {
            return Ok(old);
        }
        Ok(old.max(self.store.remove_attempts(now.millis(), now.millis(), limit).await?))
    }
}

/// The time of this node, for what is counted within a statement.
pub(crate) fn node_time(now: Timestamp) -> NodeTime {
    NodeTime { now: now.millis(), trusted_until: now.plus(MAX_CLOCK_DIFFERENCE).millis() }
}

impl AttemptRow {
    /// Was it written by a clock that this one can agree with?
    fn is_trusted(&self, now: Timestamp) -> bool {
        self.last_at <= now.plus(MAX_CLOCK_DIFFERENCE).millis()
    }

    /// The present as far as the row knows: its time never goes back, whichever node counts.
    fn present(&self, now: Timestamp) -> Timestamp {
        if self.is_trusted(now) { now.max(Timestamp::from_millis(self.last_at)) } else { now }
    }

    /// How long until the next try. A row that a wrong clock has written says how many failures there
    /// were, and not how long to wait.
    fn wait(&self, now: Timestamp) -> Duration {
        let is_free = self.free_at <= self.present(now).millis();
        if is_free || !self.is_trusted(now) {
            return Duration::ZERO;
        }
        Timestamp::from_millis(self.free_at).since(now)
    }
}
