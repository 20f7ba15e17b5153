//! Hashes passwords on dedicated threads, so that hashing never blocks a request.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use crate::core::error::InternalError;
use crate::core::secret::{Password, PasswordHash};
use crate::domain::keys::peppers::Peppers;
use crate::domain::passwords::argon2id::Argon2id;
use crate::domain::passwords::cost::HashCost;
use crate::domain::passwords::imported::ForeignHash;
use crate::domain::passwords::memory::Memory;
use crate::domain::passwords::queue::{HashQueue, QueueFull, Share, Slot};
use crate::domain::passwords::rules::{NewPassword, prepare};
use crate::domain::passwords::stored::Stored;
use crate::store::HashRow;

/// Hashes passwords on dedicated threads with the lowest priority, so that other requests are not
/// delayed.
#[derive(Debug)]
pub struct Hasher {
    queue: Arc<HashQueue<Memory>>,
    /// The minimum time of a verification, in microseconds.
    pace: AtomicU64,
    cost: HashCost,
    peppers: RwLock<Arc<Peppers>>,
}

/// The result of verifying a password. All results take the same time.
#[derive(Debug)]
pub enum Verdict {
    Wrong,
    Right,
    /// The password is correct, but its hash has other parameters than new ones. Contains the
    /// password, which should be hashed again.
    Outdated(NewPassword),
    /// The stored text is not a valid hash, or exceeds the cost limits.
    Unusable(InternalError),
    /// The hash needs a pepper that is missing.
    Unpeppered(InternalError),
}

/// A slot in the hashing queue.
pub type HashSlot = Slot<Memory>;

impl Drop for Hasher {
    fn drop(&mut self) {
        self.queue.close();
    }
}

impl Hasher {
    /// Starts `threads` threads, which end when the hasher is dropped.
    pub fn start(cost: HashCost, threads: usize) -> Self {
        let threads = threads.max(1);
        let queue = Arc::new(HashQueue::new(threads));
        for n in 0..threads {
            let queue = Arc::clone(&queue);
            thread::Builder::new()
                .name(format!("hasher-{n}"))
                .spawn(move || {
                    step_back();
                    queue.work_loop(&mut Memory::kept(cost));
                })
                .expect("the system starts a thread at start-up");
        }
        Self { queue, pace: AtomicU64::new(0), cost, peppers: RwLock::default() }
    }

    /// The current peppers.
    pub fn peppers(&self) -> Arc<Peppers> {
        Arc::clone(&self.peppers.read().expect("nobody panics while writing"))
    }

    /// Replaces the peppers for all further hashes and verifications.
    pub fn set_peppers(&self, peppers: Peppers) {
        *self.peppers.write().expect("nobody panics while writing") = Arc::new(peppers);
    }

    /// Checks that a slot is available, so that a request is refused before it causes a query.
    pub fn check_capacity(&self, share: &Share) -> Result<(), QueueFull> {
        self.queue.check_capacity(share)
    }

    /// Reserves a slot for a request that has other work to do before it hashes.
    pub fn reserve_slot(&self, share: &Share) -> Result<HashSlot, QueueFull> {
        self.queue.reserve_slot(share)
    }

    /// The number of passwords that wait for a thread.
    pub fn waiting(&self) -> usize {
        self.queue.waiting()
    }

    /// The number of refused requests since startup.
    pub fn refused(&self) -> u64 {
        self.queue.refused()
    }

    /// Hashes a new password with a fresh salt, outside of a client's request.
    pub async fn hash(&self, password: NewPassword) -> Result<HashRow, QueueFull> {
        self.hash_at(&self.reserve_slot(&Share::default())?, password).await
    }

    /// [`Self::hash`] for a request that has a slot.
    pub async fn hash_at(
        &self,
        slot: &HashSlot,
        password: NewPassword,
    ) -> Result<HashRow, QueueFull> {
        let new = Argon2id::new(self.cost, self.peppers().current().cloned());
        slot.run(move |memory| new.row(&new.output_of(password.password(), memory))).await
    }

    /// Hashes a password unless requests are waiting, for work without urgency.
    pub async fn hash_if_idle(&self, password: NewPassword) -> Result<HashRow, QueueFull> {
        if self.waiting() > 0 {
            return Err(QueueFull);
        }
        self.hash(password).await
    }

    /// Verifies a password. Without a hash, it takes the same work.
    pub async fn verify(
        &self,
        password: Password,
        hash: Option<&PasswordHash>,
    ) -> Result<Verdict, QueueFull> {
        self.verify_at(self.reserve_slot(&Share::default())?, password, hash).await
    }

    /// [`Self::verify`] for a request that has a slot. The slot is released when the work is done.
    pub async fn verify_at(
        &self,
        slot: HashSlot,
        password: Password,
        hash: Option<&PasswordHash>,
    ) -> Result<Verdict, QueueFull> {
        // parsed for its salt, its parameters and its output
        let stored = hash.map_or(Ok(Stored::Nothing), |hash| self.stored(hash));
        let decoy = || Argon2id::decoy(self.cost);
        let (begun, verdict) = match stored {
            Ok(Stored::Ours(hash)) => self.compared(&slot, password, hash).await?,
            Ok(Stored::Foreign(hash)) => self.compared_abroad(&slot, password, hash).await?,
            Ok(Stored::Nothing) => {
                (self.compared(&slot, password, decoy()).await?.0, Verdict::Wrong)
            }
            Ok(Stored::Unpeppered(fault)) => {
                (self.compared(&slot, password, decoy()).await?.0, Verdict::Unpeppered(fault))
            }
            Err(fault) => {
                (self.compared(&slot, password, decoy()).await?.0, Verdict::Unusable(fault))
            }
        };
        drop(slot); // the wait below occupies no slot
        self.keep_pace(begun).await;
        Ok(verdict)
    }

    /// Parses a stored hash and finds its pepper.
    fn stored(&self, hash: &PasswordHash) -> Result<Stored, InternalError> {
        Stored::parse(hash.expose(), &self.peppers()) // parsed for its parameters
    }

    /// Verifies a password against one of our hashes. Also returns when a thread started the work.
    async fn compared(
        &self,
        slot: &HashSlot,
        password: Password,
        stored: Argon2id,
    ) -> Result<(Instant, Verdict), QueueFull> {
        let (cost, peppers) = (self.cost, self.peppers());
        slot.run(move |memory| {
            let begun = Instant::now();
            let prepared = prepare(&password).unwrap_or(password);
            let output = stored.output_of(&prepared, memory);
            // `Output` compares in constant time.
            let verdict = match output == stored.output {
                false => Verdict::Wrong,
                true if stored.cost == cost && stored.is_peppered_by(peppers.current()) => {
                    Verdict::Right
                }
                true => Verdict::Outdated(NewPassword::from_verified(prepared)),
            };
            (begun, verdict)
        })
        .await
    }

    /// Verifies a password against an imported hash, in the form in which it was typed. Also
    /// returns when a thread started the work.
    async fn compared_abroad(
        &self,
        slot: &HashSlot,
        password: Password,
        stored: ForeignHash,
    ) -> Result<(Instant, Verdict), QueueFull> {
        slot.run(move |memory| {
            let begun = Instant::now();
            let verdict = if !stored.is_of(&password, memory) {
                Verdict::Wrong
            } else if !stored.reads_all_of(&password) {
                Verdict::Right
            } else {
                let prepared = prepare(&password).unwrap_or(password);
                Verdict::Outdated(NewPassword::from_verified(prepared))
            };
            (begun, verdict)
        })
        .await
    }

    /// Waits until the minimum time has passed since the verification started. This occupies
    /// neither a thread nor a core.
    async fn keep_pace(&self, begun: Instant) {
        let pace = self.pace();
        if !pace.is_zero() {
            tokio::time::sleep_until((begun + pace).into()).await;
        }
    }

    /// The cost of verifying a new hash, in microseconds.
    pub fn cost(&self) -> i64 {
        self.cost.micros()
    }

    /// Sets the minimum time of a verification.
    pub fn set_pace(&self, pace: Duration) {
        let micros = u64::try_from(pace.as_micros()).unwrap_or(u64::MAX);
        self.pace.store(micros, Ordering::Relaxed);
    }

    pub fn pace(&self) -> Duration {
        Duration::from_micros(self.pace.load(Ordering::Relaxed))
    }

    /// Measures the time of a verification against this hash, or against a new hash if there is
    /// none. Adds 50 percent, because the cores have other work, too.
    pub async fn time(&self, hash: Option<&PasswordHash>) -> Result<Duration, QueueFull> {
        let mut fastest = Duration::MAX;
        let slot = self.reserve_slot(&Share::default())?;
        for _ in 0..3 {
            let password = Password::new("nobody's".to_owned());
            let took = match hash.map(|hash| self.stored(hash)) {
                Some(Ok(Stored::Foreign(hash))) => {
                    self.compared_abroad(&slot, password, hash).await?.0.elapsed()
                }
                Some(Ok(Stored::Ours(hash))) => {
                    self.compared(&slot, password, hash).await?.0.elapsed()
                }
                Some(Ok(Stored::Nothing | Stored::Unpeppered(_)) | Err(_)) | None => {
                    self.compared(&slot, password, Argon2id::decoy(self.cost)).await?.0.elapsed()
                }
            };
            fastest = fastest.min(took);
        }
        Ok(with_reserve(fastest))
    }
}

/// Adds 50 percent.
fn with_reserve(time: Duration) -> Duration {
    time + time / 2
}

/// Gives this thread the lowest priority.
fn step_back() {
    #[cfg(target_os = "linux")]
    {
        let me = rustix::thread::gettid();
        if let Err(error) = rustix::process::setpriority_process(Some(me), 19) {
            tracing::warn!(%error, "password hashing runs at normal priority");
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::core::clock::Timestamp;
    use crate::domain::passwords::hasher::*;
    use crate::domain::passwords::queue::MAX_SLOTS;
    use crate::domain::passwords::rules::{FEWEST_CHARS, PasswordRules};
    use crate::domain::passwords::stored::NO_PASSWORD;

    const CHEAP: HashCost = HashCost { memory_kib: 64, passes: 1, lanes: 1 };
    const RULES: PasswordRules = PasswordRules { fewest_chars: FEWEST_CHARS, names: Vec::new() };

    fn typed(text: &str) -> Password {
        Password::new(text.to_owned())
    }

    #[tokio::test]
    async fn a_password_is_known_again_and_another_is_not() {
        let hasher = Hasher::start(CHEAP, 1);
        let new = RULES.check(&typed("correct horse battery"), None).unwrap();
        let hash = hasher.hash(new).await.unwrap().hash;
        assert!(hash.expose().starts_with("$argon2id$v=19$m=64,t=1,p=1$"));
        let verify = async |text: &str| hasher.verify(typed(text), Some(&hash)).await.unwrap();
        assert!(matches!(verify("correct horse battery").await, Verdict::Right));
        assert!(matches!(verify("correct horse batterx").await, Verdict::Wrong));
        assert!(matches!(verify("").await, Verdict::Wrong));
        let unknown = hasher.verify(typed("correct horse battery"), None).await.unwrap();
        assert!(matches!(unknown, Verdict::Wrong));
    }

    #[tokio::test]
    async fn the_right_password_comes_back_when_its_hash_is_not_as_new_ones_are() {
        let new = RULES.check(&typed("correct horse battery"), None).unwrap();
        let hash = Hasher::start(CHEAP, 1).hash(new).await.unwrap().hash;
        for cost in [HashCost { passes: 2, ..CHEAP }, HashCost { memory_kib: 32, ..CHEAP }] {
            let hasher = Hasher::start(cost, 1);
            let verify = async |text: &str| hasher.verify(typed(text), Some(&hash)).await.unwrap();
            assert!(matches!(verify("correct horse batterx").await, Verdict::Wrong));
            let Verdict::Outdated(again) = verify("correct horse battery").await else {
                panic!("it is not said to be outdated")
            };
            let hash = hasher.hash(again).await.unwrap().hash;
            let verdict = hasher.verify(typed("correct horse battery"), Some(&hash)).await.unwrap();
            assert!(matches!(verdict, Verdict::Right));
        }
    }

    #[tokio::test]
    async fn a_hash_is_of_no_use_without_its_pepper_and_is_renewed_with_a_newer_one() {
        let folder = tempfile::tempdir().unwrap();
        let peppers = || Peppers::read(folder.path()).unwrap();
        let new = || RULES.check(&typed("correct horse battery"), None).unwrap();
        let hasher = Hasher::start(CHEAP, 1);
        let verify = async |hash: &HashRow, text: &str| {
            hasher.verify(typed(text), Some(&hash.hash)).await.unwrap()
        };
        let plain = hasher.hash(new()).await.unwrap();
        assert_eq!(plain.pepper, None);

        let (first, _) = Peppers::create(folder.path(), Timestamp::from_millis(1)).unwrap();
        hasher.set_peppers(peppers());
        assert!(matches!(verify(&plain, "correct horse battery").await, Verdict::Outdated(_)));
        let hash = hasher.hash(new()).await.unwrap();
        assert_eq!(hash.pepper.as_ref(), Some(&first));
        let names = format!("$argon2id$v=19$m=64,t=1,p=1,keyid={first}$");
        assert!(hash.hash.expose().starts_with(&names), "it names its pepper");
        assert!(matches!(verify(&hash, "correct horse battery").await, Verdict::Right));
        assert!(matches!(verify(&hash, "correct horse batterx").await, Verdict::Wrong));
        let unnamed = hash.hash.expose().replace(&format!(",keyid={first}"), "");
        let unnamed = HashRow { hash: unnamed.into(), cost: 0, pepper: None };
        let verdict = verify(&unnamed, "correct horse battery").await;
        assert!(matches!(verdict, Verdict::Wrong), "it was hashed in");

        Peppers::create(folder.path(), Timestamp::from_millis(2)).unwrap();
        hasher.set_peppers(peppers());
        let Verdict::Outdated(again) = verify(&hash, "correct horse battery").await else {
            panic!("a newer one is there")
        };
        let renewed = hasher.hash(again).await.unwrap();
        assert!(matches!(verify(&renewed, "correct horse battery").await, Verdict::Right));
        assert_ne!(renewed.pepper, hash.pepper);

        hasher.set_peppers(Peppers::default());
        for text in ["correct horse battery", "anything"] {
            assert!(matches!(verify(&hash, text).await, Verdict::Unpeppered(_)), "{text}");
        }
    }

    #[tokio::test]
    async fn composed_and_decomposed_letters_are_the_same_password() {
        let hasher = Hasher::start(CHEAP, 1);
        let new = RULES.check(&typed("Åströmåströmåström"), None).unwrap();
        let hash = hasher.hash(new).await.unwrap().hash;
        let decomposed = "A\u{30a}stro\u{308}ma\u{30a}stro\u{308}ma\u{30a}stro\u{308}m";
        let verdict = hasher.verify(typed(decomposed), Some(&hash)).await.unwrap();
        assert!(matches!(verdict, Verdict::Right));

        let new = RULES.check(&typed("wide\u{3000}spaces\u{a0}here"), None).unwrap();
        let hash = hasher.hash(new).await.unwrap().hash;
        let verdict = hasher.verify(typed("wide spaces here"), Some(&hash)).await.unwrap();
        assert!(matches!(verdict, Verdict::Right));
    }

    #[tokio::test]
    async fn pwd_12_a_tampered_hash_is_refused_before_it_takes_memory() {
        let hasher = Hasher::start(CHEAP, 1);
        let tail = "AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        for stored in [
            format!("$argon2id$v=19$m=4194304,t=2,p=1${tail}"),
            format!("$argon2id$v=19$m=19456,t=2147483648,p=1${tail}"),
            format!("$argon2d$v=19$m=64,t=1,p=1${tail}"),
            format!("$argon2id$v=19$m=64${tail}"),
            format!("$argon2id$v=19$m=8,t=1,p=8${tail}"),
            format!("$argon2id$v=19$m=64,t=0,p=1${tail}"),
            format!("$argon2id$v=19$m=64,t=1,p=1$AAAAAA{}", &tail[22..]),
            "garbage".to_owned(),
            String::new(),
        ] {
            let verdict = hasher.verify(typed("x"), Some(&stored.clone().into())).await.unwrap();
            assert!(matches!(verdict, Verdict::Unusable(_)), "{stored}");
        }
    }

    #[tokio::test]
    async fn what_another_system_hashed_is_known_as_it_was_typed_and_comes_back_to_be_hashed_anew()
    {
        let hasher = Hasher::start(CHEAP, 1);
        // PBKDF2 of a decomposed password, computed by Python's hashlib.
        let hash = ForeignHash::stored(
            "pbkdf2_sha256$1000$salt$4LULrjzy0wqZhbYuyR+8+WmuI0CE7PeJoN4AzkxD53I=",
        );
        let verify = async |text: &str| hasher.verify(typed(text), Some(&hash)).await.unwrap();
        assert!(matches!(verify("caf\u{e9} au lait at noon").await, Verdict::Wrong));
        let Verdict::Outdated(new) = verify("cafe\u{301} au lait at noon").await else {
            panic!("it is not known")
        };
        let hash = hasher.hash(new).await.unwrap().hash;
        for text in ["caf\u{e9} au lait at noon", "cafe\u{301} au lait at noon"] {
            let verdict = hasher.verify(typed(text), Some(&hash)).await.unwrap();
            assert!(matches!(verdict, Verdict::Right));
        }
    }

    #[tokio::test]
    async fn a_password_that_bcrypt_did_not_read_to_its_end_is_not_hashed_anew() {
        let hasher = Hasher::start(CHEAP, 1);
        // Of eighty bytes, of which bcrypt reads 72.
        let hash = "$2a$04$h/0Os89rHPg9/UCs7rqNBu6WE8/BX3wU1/zdHRqlqzJpa9Unqbr5u";
        let hash = ForeignHash::stored(hash);
        let verify = async |text: &str| hasher.verify(typed(text), Some(&hash)).await.unwrap();
        assert!(matches!(verify(&"ö".repeat(36)).await, Verdict::Outdated(_)));
        assert!(matches!(verify(&("ö".repeat(36) + "x")).await, Verdict::Right));
    }

    #[tokio::test]
    async fn the_formats_of_others_count_only_where_they_were_imported() {
        let hasher = Hasher::start(CHEAP, 1);
        let bcrypt = "$2b$04$lTgx8WiQgMykhI5xmgqi6uFYjB94UzEArIN4EMQ4IDKILJ8VhRXTi".to_owned();
        let password = || typed("Pässwörter sind 15+ lang");
        let imported = ForeignHash::stored(&bcrypt);
        let verdict = hasher.verify(password(), Some(&imported)).await.unwrap();
        assert!(matches!(verdict, Verdict::Outdated(_)));
        let verdict = hasher.verify(password(), Some(&bcrypt.into())).await.unwrap();
        assert!(matches!(verdict, Verdict::Unusable(_)));
        let verdict = hasher.verify(password(), Some(&NO_PASSWORD.to_owned().into())).await;
        assert!(matches!(verdict, Ok(Verdict::Wrong)));
    }

    #[tokio::test]
    async fn no_comparison_is_answered_before_the_pace() {
        let hasher = Hasher::start(CHEAP, 1);
        hasher.set_pace(Duration::from_millis(50));
        let start = Instant::now();
        hasher.verify(typed("x"), None).await.unwrap();
        assert!(start.elapsed() >= Duration::from_millis(50));
        hasher.set_pace(Duration::ZERO);
        let time = hasher.time(None).await.unwrap();
        assert!(Duration::ZERO < time && time < Duration::from_millis(50), "{time:?}");
        assert_eq!(with_reserve(Duration::from_millis(20)), Duration::from_millis(30));
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn hashing_steps_back_behind_everything_else() {
        let nice = |_: &mut Memory| {
            rustix::process::getpriority_process(Some(rustix::thread::gettid())).unwrap()
        };
        let hasher = Hasher::start(CHEAP, 1);
        assert_eq!(hasher.reserve_slot(&Share::default()).unwrap().run(nice).await.unwrap(), 19);
    }

    #[tokio::test]
    async fn a_full_queue_says_so_at_once() {
        let hasher = Hasher::start(HashCost::DEFAULT, 1);
        let verdicts = (0..MAX_SLOTS * 2).map(|_| hasher.verify(typed("x"), None));
        let verdicts = futures_util::future::join_all(verdicts).await;
        let busy = verdicts.iter().filter(|v| matches!(v, Err(QueueFull))).count();
        assert!(busy >= MAX_SLOTS - 1, "{busy} were told to come back");
        assert_eq!(hasher.refused(), busy as u64, "they are counted");
    }

    #[tokio::test]
    async fn what_can_wait_is_not_hashed_while_somebody_waits() {
        let hasher = Hasher::start(HashCost::DEFAULT, 1);
        let new = || RULES.check(&typed("correct horse battery"), None).unwrap();
        let waiting = (0..8).map(|_| hasher.verify(typed("x"), None));
        let idle = async {
            assert!(hasher.waiting() > 0, "the others were asked first");
            hasher.hash_if_idle(new()).await.map(drop)
        };
        let (_, refused) = tokio::join!(futures_util::future::join_all(waiting), idle);
        assert_eq!(refused, Err(QueueFull));
        assert_eq!(hasher.waiting(), 0);
        assert!(hasher.hash_if_idle(new()).await.is_ok());
    }

    #[tokio::test]
    async fn a_hash_stands_beside_what_it_costs() {
        let hasher = Hasher::start(CHEAP, 1);
        let new = RULES.check(&typed("correct horse battery"), None).unwrap();
        assert_eq!(hasher.hash(new).await.unwrap().cost, hasher.cost());
        assert_eq!(hasher.cost(), 38, "microseconds, or so");
        assert_eq!(HashCost::DEFAULT.micros(), 23_347);
    }
}
