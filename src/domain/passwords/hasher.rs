//! Hashes passwords on dedicated threads, so that hashing never blocks a request.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use prometheus_client::metrics::counter::Counter;

use crate::core::error::InternalError;
use crate::core::secret::{Password, PasswordHash};
use crate::domain::keys::peppers::Peppers;
use crate::domain::passwords::argon2id::Argon2id;
use crate::domain::passwords::cost::Argon2Params;
use crate::domain::passwords::imported::ImportedHash;
use crate::domain::passwords::queue::{HashQueue, QueueFull, Share, Slot};
use crate::domain::passwords::rules::{NewPassword, normalize};
use crate::domain::passwords::scratch::Scratch;
use crate::domain::passwords::stored::Stored;
use crate::store::HashRow;

/// Hashes passwords on dedicated threads with the lowest priority, so that hashing does not delay
/// requests that need no hash.
#[derive(Debug)]
pub struct Hasher {
    queue: Arc<HashQueue<Scratch>>,
    /// The minimum time of a verification, in microseconds.
    min_verify_time: AtomicU64,
    cost: Argon2Params,
    peppers: RwLock<Arc<Peppers>>,
}

/// The result of verifying a password. All results take the same time.
#[derive(Debug)]
pub enum Verification {
    Wrong,
    Right,
    /// The password is correct, but its hash has other parameters or another pepper than a new hash
    /// would have. The variant contains the password, so that the caller can hash it again.
    Outdated(NewPassword),
    /// The stored text is not a valid hash, or exceeds the cost limits.
    Unusable(InternalError),
    /// The hash needs a pepper that is missing.
    Unpeppered(InternalError),
}

/// A slot in the hashing queue.
pub type HashSlot = Slot<Scratch>;

impl Drop for Hasher {
    fn drop(&mut self) {
        self.queue.close();
    }
}

impl Hasher {
    /// Starts `threads` threads, which end when the hasher is dropped.
    pub fn start(cost: Argon2Params, threads: usize) -> Self {
        let threads = threads.max(1);
        let queue = Arc::new(HashQueue::new(threads));
        for n in 0..threads {
            let queue = Arc::clone(&queue);
            thread::Builder::new()
                .name(format!("hasher-{n}"))
                .spawn(move || {
                    lower_priority();
                    queue.run_worker(&mut Scratch::for_params(cost));
                })
                .expect("the system starts a thread at start-up");
        }
        Self { queue, min_verify_time: AtomicU64::new(0), cost, peppers: RwLock::default() }
    }

    /// The current peppers.
    pub fn peppers(&self) -> Arc<Peppers> {
        Arc::clone(&self.peppers.read().expect("nobody panics while writing"))
    }

    /// Replaces the peppers for all further hashes and verifications.
    pub fn set_peppers(&self, peppers: Peppers) {
        *self.peppers.write().expect("nobody panics while writing") = Arc::new(peppers);
    }

    /// Checks that a slot is available, so that a full queue refuses a request before the request
    /// queries the database.
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
    pub fn refusals(&self) -> &Counter {
        self.queue.refusals()
    }

    /// Hashes a new password with a fresh salt, for work that belongs to no client's request.
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

    /// Hashes a password for work that is not urgent: it fails while other passwords wait.
    pub async fn hash_if_idle(&self, password: NewPassword) -> Result<HashRow, QueueFull> {
        if self.waiting() > 0 {
            return Err(QueueFull);
        }
        self.hash(password).await
    }

    /// Verifies a password. If there is no hash, a decoy is verified, which takes the same time.
    pub async fn verify(
        &self,
        password: Password,
        hash: Option<&PasswordHash>,
    ) -> Result<Verification, QueueFull> {
        self.verify_at(self.reserve_slot(&Share::default())?, password, hash).await
    }

    /// [`Self::verify`] for a request that has a slot. The slot is released when the work is done.
    pub async fn verify_at(
        &self,
        slot: HashSlot,
        password: Password,
        hash: Option<&PasswordHash>,
    ) -> Result<Verification, QueueFull> {
        let stored = hash.map_or(Ok(Stored::Nothing), |hash| self.parse_stored(hash));
        let decoy = || Argon2id::decoy(self.cost);
        let (begun, verification) = match stored {
            Ok(Stored::Ours(hash)) => self.verify_native(&slot, password, hash).await?,
            Ok(Stored::Foreign(hash)) => self.verify_imported(&slot, password, hash).await?,
            Ok(Stored::Nothing) => {
                (self.verify_native(&slot, password, decoy()).await?.0, Verification::Wrong)
            }
            Ok(Stored::Unpeppered(fault)) => (
                self.verify_native(&slot, password, decoy()).await?.0,
                Verification::Unpeppered(fault),
            ),
            Err(fault) => (
                self.verify_native(&slot, password, decoy()).await?.0,
                Verification::Unusable(fault),
            ),
        };
        drop(slot); // so that the wait below occupies no slot
        self.wait_until_min_time(begun).await;
        Ok(verification)
    }

    /// Parses a stored hash and finds its pepper.
    fn parse_stored(&self, hash: &PasswordHash) -> Result<Stored, InternalError> {
        Stored::parse(hash.expose(), &self.peppers()) // exposed for its salt, parameters and output
    }

    /// Verifies a password against one of our hashes. Also returns when a thread started the work.
    async fn verify_native(
        &self,
        slot: &HashSlot,
        password: Password,
        stored: Argon2id,
    ) -> Result<(Instant, Verification), QueueFull> {
        let (cost, peppers) = (self.cost, self.peppers());
        slot.run(move |memory| {
            let begun = Instant::now();
            let normalized = normalize(&password).unwrap_or(password);
            let output = stored.output_of(&normalized, memory);
            // `Output` compares in constant time.
            let verification = match output == stored.output {
                false => Verification::Wrong,
                true if stored.cost == cost && stored.is_peppered_by(peppers.current()) => {
                    Verification::Right
                }
                true => Verification::Outdated(NewPassword::from_verified(normalized)),
            };
            (begun, verification)
        })
        .await
    }

    /// Verifies a password against an imported hash, in the form in which it was typed. Also
    /// returns when a thread started the work.
    async fn verify_imported(
        &self,
        slot: &HashSlot,
        password: Password,
        stored: ImportedHash,
    ) -> Result<(Instant, Verification), QueueFull> {
        slot.run(move |memory| {
            let begun = Instant::now();
            let verification = if !stored.matches(&password, memory) {
                Verification::Wrong
            } else if !stored.covers_whole_password(&password) {
                Verification::Right
            } else {
                let normalized = normalize(&password).unwrap_or(password);
                Verification::Outdated(NewPassword::from_verified(normalized))
            };
            (begun, verification)
        })
        .await
    }

    /// Waits until the minimum time has passed since the verification started. This occupies
    /// neither a thread nor a core.
    async fn wait_until_min_time(&self, begun: Instant) {
        let min_verify_time = self.min_verify_time();
        if !min_verify_time.is_zero() {
            tokio::time::sleep_until((begun + min_verify_time).into()).await;
        }
    }

    /// The cost of verifying a new hash, in microseconds.
    pub fn cost(&self) -> i64 {
        self.cost.micros()
    }

    /// Sets the minimum time of a verification.
    pub fn set_min_verify_time(&self, min_verify_time: Duration) {
        let micros = u64::try_from(min_verify_time.as_micros()).unwrap_or(u64::MAX);
        self.min_verify_time.store(micros, Ordering::Relaxed);
    }

    pub fn min_verify_time(&self) -> Duration {
        Duration::from_micros(self.min_verify_time.load(Ordering::Relaxed))
    }

    /// Measures how long a verification of this hash takes, or that of a decoy if there is no hash.
    /// The result is the fastest of three runs plus 50 percent, because the cores also do other
    /// work.
    pub async fn time(&self, hash: Option<&PasswordHash>) -> Result<Duration, QueueFull> {
        let mut fastest = Duration::MAX;
        let slot = self.reserve_slot(&Share::default())?;
        for _ in 0..3 {
            let password = Password::new("nobody's".to_owned());
            let took = match hash.map(|hash| self.parse_stored(hash)) {
                Some(Ok(Stored::Foreign(hash))) => {
                    self.verify_imported(&slot, password, hash).await?.0.elapsed()
                }
                Some(Ok(Stored::Ours(hash))) => {
                    self.verify_native(&slot, password, hash).await?.0.elapsed()
                }
                Some(Ok(Stored::Nothing | Stored::Unpeppered(_)) | Err(_)) | None => self
                    .verify_native(&slot, password, Argon2id::decoy(self.cost))
                    .await?
                    .0
                    .elapsed(),
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
fn lower_priority() {
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
    use crate::domain::passwords::rules::{DEFAULT_MIN_PASSWORD_LENGTH, PasswordRules};
    use crate::domain::passwords::stored::NO_PASSWORD;

    const CHEAP: Argon2Params = Argon2Params { memory_kib: 64, passes: 1, lanes: 1 };
    const RULES: PasswordRules =
        PasswordRules { min_length: DEFAULT_MIN_PASSWORD_LENGTH, names: Vec::new() };

    fn password(text: &str) -> Password {
        Password::new(text.to_owned())
    }

    #[tokio::test]
    async fn a_password_is_known_again_and_another_is_not() {
        let hasher = Hasher::start(CHEAP, 1);
        let new = RULES.check(&password("correct horse battery"), None).unwrap();
        let hash = hasher.hash(new).await.unwrap().hash;
        assert!(hash.expose().starts_with("$argon2id$v=19$m=64,t=1,p=1$"));
        let verify = async |text: &str| hasher.verify(password(text), Some(&hash)).await.unwrap();
        assert!(matches!(verify("correct horse battery").await, Verification::Right));
        assert!(matches!(verify("correct horse batterx").await, Verification::Wrong));
        assert!(matches!(verify("").await, Verification::Wrong));
        let unknown = hasher.verify(password("correct horse battery"), None).await.unwrap();
        assert!(matches!(unknown, Verification::Wrong));
    }

    #[tokio::test]
    async fn the_right_password_comes_back_when_its_hash_is_not_as_new_ones_are() {
        let new = RULES.check(&password("correct horse battery"), None).unwrap();
        let hash = Hasher::start(CHEAP, 1).hash(new).await.unwrap().hash;
        for cost in [Argon2Params { passes: 2, ..CHEAP }, Argon2Params { memory_kib: 32, ..CHEAP }]
        {
            let hasher = Hasher::start(cost, 1);
            let verify =
                async |text: &str| hasher.verify(password(text), Some(&hash)).await.unwrap();
            assert!(matches!(verify("correct horse batterx").await, Verification::Wrong));
            let Verification::Outdated(again) = verify("correct horse battery").await else {
                panic!("it is not said to be outdated")
            };
            let hash = hasher.hash(again).await.unwrap().hash;
            let verification =
                hasher.verify(password("correct horse battery"), Some(&hash)).await.unwrap();
            assert!(matches!(verification, Verification::Right));
        }
    }

    #[tokio::test]
    async fn a_hash_is_of_no_use_without_its_pepper_and_is_renewed_with_a_newer_one() {
        let folder = tempfile::tempdir().unwrap();
        let peppers = || Peppers::read(folder.path()).unwrap();
        let new = || RULES.check(&password("correct horse battery"), None).unwrap();
        let hasher = Hasher::start(CHEAP, 1);
        let verify = async |hash: &HashRow, text: &str| {
            hasher.verify(password(text), Some(&hash.hash)).await.unwrap()
        };
        let plain = hasher.hash(new()).await.unwrap();
        assert_eq!(plain.pepper, None);

        let (first, _) = Peppers::create(folder.path(), Timestamp::from_millis(1)).unwrap();
        hasher.set_peppers(peppers());
        assert!(matches!(verify(&plain, "correct horse battery").await, Verification::Outdated(_)));
        let hash = hasher.hash(new()).await.unwrap();
        assert_eq!(hash.pepper.as_ref(), Some(&first));
        let names = format!("$argon2id$v=19$m=64,t=1,p=1,keyid={first}$");
        assert!(hash.hash.expose().starts_with(&names), "it names its pepper");
        assert!(matches!(verify(&hash, "correct horse battery").await, Verification::Right));
        assert!(matches!(verify(&hash, "correct horse batterx").await, Verification::Wrong));
        let unnamed = hash.hash.expose().replace(&format!(",keyid={first}"), "");
        let unnamed = HashRow { hash: unnamed.into(), cost: 0, pepper: None };
        let verification = verify(&unnamed, "correct horse battery").await;
        assert!(matches!(verification, Verification::Wrong), "it was hashed in");

        Peppers::create(folder.path(), Timestamp::from_millis(2)).unwrap();
        hasher.set_peppers(peppers());
        let Verification::Outdated(again) = verify(&hash, "correct horse battery").await else {
            panic!("a newer one is there")
        };
        let renewed = hasher.hash(again).await.unwrap();
        assert!(matches!(verify(&renewed, "correct horse battery").await, Verification::Right));
        assert_ne!(renewed.pepper, hash.pepper);

        hasher.set_peppers(Peppers::default());
        for text in ["correct horse battery", "anything"] {
            assert!(matches!(verify(&hash, text).await, Verification::Unpeppered(_)), "{text}");
        }
    }

    #[tokio::test]
    async fn composed_and_decomposed_letters_are_the_same_password() {
        let hasher = Hasher::start(CHEAP, 1);
        let new = RULES.check(&password("Åströmåströmåström"), None).unwrap();
        let hash = hasher.hash(new).await.unwrap().hash;
        let decomposed = "A\u{30a}stro\u{308}ma\u{30a}stro\u{308}ma\u{30a}stro\u{308}m";
        let verification = hasher.verify(password(decomposed), Some(&hash)).await.unwrap();
        assert!(matches!(verification, Verification::Right));

        let new = RULES.check(&password("wide\u{3000}spaces\u{a0}here"), None).unwrap();
        let hash = hasher.hash(new).await.unwrap().hash;
        let verification = hasher.verify(password("wide spaces here"), Some(&hash)).await.unwrap();
        assert!(matches!(verification, Verification::Right));
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
            let verification =
                hasher.verify(password("x"), Some(&stored.clone().into())).await.unwrap();
            assert!(matches!(verification, Verification::Unusable(_)), "{stored}");
        }
    }

    #[tokio::test]
    async fn what_another_system_hashed_is_known_as_it_was_typed_and_comes_back_to_be_hashed_anew()
    {
        let hasher = Hasher::start(CHEAP, 1);
        // The PBKDF2 hash of a decomposed password, which Python's hashlib computed.
        let hash = ImportedHash::add_marker(
            "pbkdf2_sha256$1000$salt$4LULrjzy0wqZhbYuyR+8+WmuI0CE7PeJoN4AzkxD53I=",
        );
        let verify = async |text: &str| hasher.verify(password(text), Some(&hash)).await.unwrap();
        assert!(matches!(verify("caf\u{e9} au lait at noon").await, Verification::Wrong));
        let Verification::Outdated(new) = verify("cafe\u{301} au lait at noon").await else {
            panic!("it is not known")
        };
        let hash = hasher.hash(new).await.unwrap().hash;
        for text in ["caf\u{e9} au lait at noon", "cafe\u{301} au lait at noon"] {
            let verification = hasher.verify(password(text), Some(&hash)).await.unwrap();
            assert!(matches!(verification, Verification::Right));
        }
    }

    #[tokio::test]
    async fn a_password_that_bcrypt_did_not_read_to_its_end_is_not_hashed_anew() {
        let hasher = Hasher::start(CHEAP, 1);
        // The hash of a password of 80 bytes, of which bcrypt reads 72.
        let hash = "$2a$04$h/0Os89rHPg9/UCs7rqNBu6WE8/BX3wU1/zdHRqlqzJpa9Unqbr5u";
        let hash = ImportedHash::add_marker(hash);
        let verify = async |text: &str| hasher.verify(password(text), Some(&hash)).await.unwrap();
        assert!(matches!(verify(&"ö".repeat(36)).await, Verification::Outdated(_)));
        assert!(matches!(verify(&("ö".repeat(36) + "x")).await, Verification::Right));
    }

    #[tokio::test]
    async fn the_formats_of_others_count_only_where_they_were_imported() {
        let hasher = Hasher::start(CHEAP, 1);
        let bcrypt = "$2b$04$lTgx8WiQgMykhI5xmgqi6uFYjB94UzEArIN4EMQ4IDKILJ8VhRXTi".to_owned();
        let password = || password("Pässwörter sind 15+ lang");
        let imported = ImportedHash::add_marker(&bcrypt);
        let verification = hasher.verify(password(), Some(&imported)).await.unwrap();
        assert!(matches!(verification, Verification::Outdated(_)));
        let verification = hasher.verify(password(), Some(&bcrypt.into())).await.unwrap();
        assert!(matches!(verification, Verification::Unusable(_)));
        let verification = hasher.verify(password(), Some(&NO_PASSWORD.to_owned().into())).await;
        assert!(matches!(verification, Ok(Verification::Wrong)));
    }

    #[tokio::test]
    async fn no_comparison_is_answered_before_the_pace() {
        let hasher = Hasher::start(CHEAP, 1);
        hasher.set_min_verify_time(Duration::from_millis(50));
        let start = Instant::now();
        hasher.verify(password("x"), None).await.unwrap();
        assert!(start.elapsed() >= Duration::from_millis(50));
        hasher.set_min_verify_time(Duration::ZERO);
        let time = hasher.time(None).await.unwrap();
        assert!(Duration::ZERO < time, "{time:?}");
        assert_eq!(with_reserve(Duration::from_millis(20)), Duration::from_millis(30));
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn hashing_steps_back_behind_everything_else() {
        let nice = |_: &mut Scratch| {
            rustix::process::getpriority_process(Some(rustix::thread::gettid())).unwrap()
        };
        let hasher = Hasher::start(CHEAP, 1);
        assert_eq!(hasher.reserve_slot(&Share::default()).unwrap().run(nice).await.unwrap(), 19);
    }

    #[tokio::test]
    async fn a_full_queue_says_so_at_once() {
        let hasher = Hasher::start(Argon2Params::DEFAULT, 1);
        let verdicts = (0..MAX_SLOTS * 2).map(|_| hasher.verify(password("x"), None));
        let verdicts = futures_util::future::join_all(verdicts).await;
        let busy = verdicts.iter().filter(|v| matches!(v, Err(QueueFull))).count();
        assert!(busy >= MAX_SLOTS - 1, "{busy} were told to come back");
        assert_eq!(hasher.refusals().get(), busy as u64, "they are counted");
    }

    #[tokio::test]
    async fn what_can_wait_is_not_hashed_while_somebody_waits() {
        let hasher = Hasher::start(Argon2Params::DEFAULT, 1);
        let new = || RULES.check(&password("correct horse battery"), None).unwrap();
        let waiting = (0..8).map(|_| hasher.verify(password("x"), None));
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
        let new = RULES.check(&password("correct horse battery"), None).unwrap();
        assert_eq!(hasher.hash(new).await.unwrap().cost, hasher.cost());
        assert_eq!(hasher.cost(), 38, "microseconds, or so");
        assert_eq!(Argon2Params::DEFAULT.micros(), 23_347);
    }
}
