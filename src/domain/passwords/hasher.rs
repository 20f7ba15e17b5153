//! Passwords: the rules for new ones, and hashing that never holds up a request.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use argon2::password_hash::phc::{self, Output, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use serde::Serialize;
use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};
use zeroize::Zeroizing;

use crate::core::error::Fault;
use crate::core::secret::{Password, PasswordHash, Pepper, random_bytes};
use crate::core::usernames::Username;
use crate::domain::keys::peppers::Peppers;
use crate::domain::passwords::blocklist::guessable;
use crate::domain::passwords::imported::ForeignHash;
use crate::domain::passwords::queue::{HashQueue, QueueFull, ReleaseMemory, Share, Slot};
use crate::store::HashRow;

/// The most characters of a password: at four bytes each they make 1,024 bytes.
pub const MOST_CHARS: usize = 256;
/// The most characters that are read of one to compare: some keyboards type a letter and its marks
/// one by one.
pub const MOST_TYPED: usize = 4 * MOST_CHARS;
/// The fewest characters while a password is all there is (NIST SP 800-63B-4, section 3.1.1.2).
pub const FEWEST_CHARS: usize = 15;
/// No setting allows fewer (the same section): eight do only beside something else.
pub const LEAST_CHARS: usize = 8;

/// What a new password must keep to.
#[derive(Debug, Clone)]
pub struct PasswordRules {
    /// The fewest characters.
    pub fewest_chars: usize,
    /// The names of the service: whoever guesses a password here tries them.
    pub names: Vec<String>,
}

/// Why a text may not become a password, and what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadPassword {
    /// Fewer characters than this.
    #[error("The password must have at least {0} characters. A few words work well.")]
    TooShort(usize),
    #[error("The password must have at most {MOST_CHARS} characters.")]
    TooLong,
    /// A control character, or one that Unicode has not assigned.
    #[error(
        "The password contains a character that cannot be typed reliably. Leave out control \
         characters."
    )]
    NotAllowed,
    #[error(
        "The password is mostly the user name or the name of this service, which is easy to guess. \
         Choose a few unrelated words."
    )]
    NameBased,
    #[error("The password repeats the same few characters. Choose a few words.")]
    Repetitive,
    #[error(
        "The password follows the alphabet, the digits or the keys of a keyboard. Choose a few \
         words."
    )]
    Sequential,
    #[error("This password is widely used, so it is easy to guess. Choose a few unrelated words.")]
    Common,
    #[error("The new password is the same as the current one.")]
    Unchanged,
}

/// A password that keeps to the rules, in the form in which it is hashed.
#[derive(Debug)]
pub struct NewPassword(Password);

impl NewPassword {
    /// Is it what somebody typed?
    pub fn is(&self, typed: &Password) -> bool {
        // both were typed by the same person, a moment ago
        prepare(typed).is_some_and(|typed| typed.expose() == self.0.expose())
    }
}

impl PasswordRules {
    /// May this become the password of the account with that name?
    pub fn check(
        &self,
        typed: &Password,
        owner: Option<&Username>,
    ) -> Result<NewPassword, BadPassword> {
        // counted in the form that gets hashed, which is the same from every keyboard
        let prepared = prepare(typed).ok_or(BadPassword::NotAllowed)?;
        let chars = prepared.expose().chars().count();
        if chars < self.fewest_chars {
            return Err(BadPassword::TooShort(self.fewest_chars));
        }
        if chars > MOST_CHARS {
            return Err(BadPassword::TooLong);
        }
        let owner = owner.map(Username::as_str);
        // compared with what guessers try first
        match guessable(prepared.expose(), owner, &self.names, self.fewest_chars) {
            Some(bad) => Err(bad),
            None => Ok(NewPassword(prepared)),
        }
    }
}

/// RFC 8265, `OpaqueString`: the same password from every keyboard. Every space becomes U+0020,
/// and letters are composed (NFC); nothing is cut off and no case is changed.
///
/// The RFC's table of characters is that of Unicode 6.3, which would refuse most emoji. Here the
/// current one decides, and refuses only what nobody can type again reliably.
fn prepare(typed: &Password) -> Option<Password> {
    // what is hashed is this form
    let prepared: Zeroizing<String> =
        Zeroizing::new(typed.expose().nfc().map(plain_space).collect());
    prepared.chars().all(is_typable).then(|| Password::new(prepared.to_string()))
}

fn plain_space(c: char) -> char {
    if c.general_category() == GeneralCategory::SpaceSeparator { ' ' } else { c }
}

fn is_typable(c: char) -> bool {
    use GeneralCategory::{Control, LineSeparator, ParagraphSeparator, PrivateUse, Unassigned};
    let category = c.general_category();
    !matches!(category, Control | LineSeparator | ParagraphSeparator | PrivateUse | Unassigned)
}

/// What one hash costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct HashCost {
    pub memory_kib: u32,
    pub passes: u32,
    pub lanes: u32,
}

/// Why a price is none that new hashes may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadCost {
    /// More than this, or nothing.
    AboveMost(HashCost),
    /// Less than this, which is the least for as many passes.
    BelowLeast(HashCost),
}

impl HashCost {
    /// OWASP's first choice for Argon2id, about 23 ms of one core.
    pub const DEFAULT: Self = Self { memory_kib: 19 * 1024, passes: 2, lanes: 1 };
    /// A hash may cost up to this, about 2 seconds; more is refused before memory is taken.
    const MOST: Self = Self { memory_kib: 256 * 1024, passes: 10, lanes: 8 };
    /// OWASP's Password Storage Cheat Sheet calls these equally strong; each is a floor for as many
    /// passes or more. Lanes do not count: they cost whoever guesses nothing.
    const LEAST: [Self; 5] = [
        Self { memory_kib: 46 * 1024, passes: 1, lanes: 1 },
        Self { memory_kib: 19 * 1024, passes: 2, lanes: 1 },
        Self { memory_kib: 12 * 1024, passes: 3, lanes: 1 },
        Self { memory_kib: 9 * 1024, passes: 4, lanes: 1 },
        Self { memory_kib: 7 * 1024, passes: 5, lanes: 1 },
    ];

    /// May new hashes cost this?
    pub fn check(self) -> Result<(), BadCost> {
        if !self.is_bounded() {
            return Err(BadCost::AboveMost(Self::MOST));
        }
        let least = Self::LEAST.into_iter().rfind(|least| least.passes <= self.passes);
        match least.filter(|least| self.memory_kib < least.memory_kib) {
            Some(least) => Err(BadCost::BelowLeast(least)),
            None => Ok(()),
        }
    }

    /// Is it within what a stored hash may cost?
    pub(crate) fn is_bounded(self) -> bool {
        let most = Self::MOST;
        (1..=most.memory_kib).contains(&self.memory_kib)
            && (1..=most.passes).contains(&self.passes)
            && (1..=most.lanes).contains(&self.lanes)
    }

    /// About as many microseconds of one core.
    pub(crate) fn micros(self) -> i64 {
        i64::from(self.memory_kib) * i64::from(self.passes) * 3 / 5
    }

    fn params(self) -> Option<Params> {
        let HashCost { memory_kib, passes, lanes } = self;
        let params = Params::new(memory_kib, passes, lanes, Some(OUTPUT)).ok()?;
        self.is_bounded().then_some(params)
    }
}

/// What the row of an account holds that has no password.
pub(crate) const NO_PASSWORD: &str = "!";

/// The parameter of a PHC string that names the pepper.
const KEY_ID: &str = "keyid";
/// 256 bits of hash and 128 of salt, as RFC 9106 recommends.
const OUTPUT: usize = 32;
const SALT: usize = 16;
/// The most bytes of a salt that a PHC string holds.
const MOST_SALT: usize = 64;
/// Hashes on threads of its own, at the lowest priority, so that readers never wait for it.
#[derive(Debug)]
pub struct Hasher {
    queue: Arc<HashQueue<Memory>>,
    /// The microseconds that a comparison is answered after at the soonest.
    pace: AtomicU64,
    cost: HashCost,
    peppers: RwLock<Arc<Peppers>>,
}

/// What comparing a password with a hash says. Each takes as long.
#[derive(Debug)]
pub enum Verdict {
    Wrong,
    Right,
    /// It is the right one, and new hashes cost something else: here it is again, to be hashed anew.
    Outdated(NewPassword),
    /// What is stored is no hash, or costs more than any may.
    Unusable(Fault),
    /// The hash needs a pepper that is not here.
    Unpeppered(Fault),
}

/// A slot in the queue of what is to be hashed.
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

    /// What hashes are made and compared with.
    pub fn peppers(&self) -> Arc<Peppers> {
        Arc::clone(&self.peppers.read().expect("nobody panics while writing"))
    }

    /// From now on hashes are made and compared with these.
    pub fn set_peppers(&self, peppers: Peppers) {
        *self.peppers.write().expect("nobody panics while writing") = Arc::new(peppers);
    }

    /// Would this request get a slot? One that would not is refused before anything is looked up.
    pub fn check_capacity(&self, share: &Share) -> Result<(), QueueFull> {
        self.queue.check_capacity(share)
    }

    /// A slot for a request that has something to do before it is its turn.
    pub fn reserve_slot(&self, share: &Share) -> Result<HashSlot, QueueFull> {
        self.queue.reserve_slot(share)
    }

    /// How many passwords wait for a thread.
    pub fn waiting(&self) -> usize {
        self.queue.waiting()
    }

    /// How many were refused since the start.
    pub fn refused(&self) -> u64 {
        self.queue.refused()
    }

    /// Hashes a new password with a fresh salt, for no client.
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
        slot.run(move |memory| new.row(&new.output_of(&password.0, memory))).await
    }

    /// Hashes what can wait, unless somebody waits already.
    pub async fn hash_if_idle(&self, password: NewPassword) -> Result<HashRow, QueueFull> {
        if self.waiting() > 0 {
            return Err(QueueFull);
        }
        self.hash(password).await
    }

    /// Is it the password behind this hash? Works as long when there is none.
    pub async fn verify(
        &self,
        password: Password,
        hash: Option<&PasswordHash>,
    ) -> Result<Verdict, QueueFull> {
        self.verify_at(self.reserve_slot(&Share::default())?, password, hash).await
    }

    /// [`Self::verify`] for a request that has a slot, which is given back when the work is done.
    pub async fn verify_at(
        &self,
        slot: HashSlot,
        password: Password,
        hash: Option<&PasswordHash>,
    ) -> Result<Verdict, QueueFull> {
        // parsed here for its salt, its parameters and the output to compare with
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
        drop(slot); // waiting takes nobody's
        self.keep_pace(begun).await;
        Ok(verdict)
    }

    /// What a row holds of a password, and the pepper that it needs.
    fn stored(&self, hash: &PasswordHash) -> Result<Stored, Fault> {
        Stored::parse(hash.expose(), &self.peppers()) // parsed for what it says of itself
    }

    /// Compares with a hash of ours; when a thread began to.
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
            // `Output` compares in constant time
            let verdict = match output == stored.output {
                false => Verdict::Wrong,
                true if stored.cost == cost && stored.is_peppered_by(peppers.current()) => {
                    Verdict::Right
                }
                true => Verdict::Outdated(NewPassword(prepared)),
            };
            (begun, verdict)
        })
        .await
    }

    /// Compares with a hash that another system made of the password as it was typed.
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
                Verdict::Outdated(NewPassword(prepare(&password).unwrap_or(password)))
            };
            (begun, verdict)
        })
        .await
    }

    /// Waits until as much time has passed since a comparison began as the dearest one takes. No
    /// thread waits, and no core works.
    async fn keep_pace(&self, begun: Instant) {
        let pace = self.pace();
        if !pace.is_zero() {
            tokio::time::sleep_until((begun + pace).into()).await;
        }
    }

    /// What verifying a new hash costs.
    pub fn cost(&self) -> i64 {
        self.cost.micros()
    }

    /// From now on no comparison is answered sooner than this.
    pub fn set_pace(&self, pace: Duration) {
        let micros = u64::try_from(pace.as_micros()).unwrap_or(u64::MAX);
        self.pace.store(micros, Ordering::Relaxed);
    }

    pub fn pace(&self) -> Duration {
        Duration::from_micros(self.pace.load(Ordering::Relaxed))
    }

    /// How long comparing with this hash takes here when nothing disturbs it, and half as much again,
    /// since the cores have other work, too; with a new hash, if there is none.
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

/// Half as much again.
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

/// An allocation of more than 32 MiB always has a mapping of its own in glibc's malloc, which goes back to
/// the system when it is freed. A smaller one that was freed once comes from the heap of its thread the next
/// time, which keeps what is freed (`mallopt(3)`, `M_MMAP_THRESHOLD`). Memory that is never written to takes
/// none of the system.
const MIN_MAPPED_KIB: usize = 32 * 1024 + 64;

/// The memory a thread hashes in, kept from one password to the next while they follow each other.
pub struct Memory {
    /// One kibibyte each.
    blocks: Vec<Block>,
    /// As many as a new hash takes.
    keep: usize,
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…") // it may hold what a password left
    }
}

impl Memory {
    /// As much as a hash of this price takes is kept.
    pub(crate) fn kept(cost: HashCost) -> Self {
        Self { blocks: Vec::new(), keep: cost.memory_kib as usize }
    }

    /// Fills `output`, whose length and the salt's are within Argon2's bounds.
    pub(crate) fn hash(&mut self, argon2: &Argon2<'_>, text: &str, salt: &[u8], output: &mut [u8]) {
        let needed = argon2.params().block_count();
        let capacity = needed.max(MIN_MAPPED_KIB);
        self.blocks.reserve_exact(capacity.saturating_sub(self.blocks.len()));
        self.blocks.resize(self.blocks.len().max(needed), Block::default());
        let blocks = &mut self.blocks[..needed];
        argon2
            .hash_password_into_with_memory(text.as_bytes(), salt, output, blocks)
            .expect("sizes were looked at when the hash was read");
        // a rare expensive hash does not keep its memory
        self.blocks.truncate(self.keep);
        self.blocks.shrink_to(MIN_MAPPED_KIB);
    }
}

impl ReleaseMemory for Memory {
    fn release_memory(&mut self) {
        self.blocks = Vec::new();
    }
}

/// What a row holds of a password.
enum Stored {
    Ours(Argon2id),
    Foreign(ForeignHash),
    Nothing,
    /// One of ours with a pepper that is not here.
    Unpeppered(Fault),
}

/// A hash of ours, taken apart.
struct Argon2id {
    cost: HashCost,
    params: Params,
    pepper: Option<Arc<Pepper>>,
    salt: Vec<u8>,
    output: Output,
}

impl Stored {
    fn parse(text: &str, peppers: &Peppers) -> Result<Self, Fault> {
        let doing = "reading a stored password hash";
        let unusable = |why| Fault::new(doing, why);
        // a mounted secret may be on its way
        let missing = |id: &str| Fault::passing(doing, format!("its pepper {id} is not here"));
        if text == NO_PASSWORD {
            return Ok(Self::Nothing);
        }
        if let Some(text) = ForeignHash::text_of(text) {
            let hash = ForeignHash::parse(text);
            return hash.map(Self::Foreign).map_err(|_| unusable("it is no imported one"));
        }
        let (mut hash, pepper) =
            Argon2id::read(text).ok_or_else(|| unusable("it is no Argon2id hash within bounds"))?;
        let Some(id) = pepper else { return Ok(Self::Ours(hash)) };
        hash.pepper = peppers.named(&id).cloned();
        Ok(match hash.pepper {
            Some(_) => Self::Ours(hash),
            None => Self::Unpeppered(missing(&id)),
        })
    }
}

impl Argon2id {
    /// One that is to be made.
    fn new(cost: HashCost, pepper: Option<Arc<Pepper>>) -> Self {
        let output = Output::new(&[0; OUTPUT]).expect("32 bytes are an output");
        let params = cost.params().expect("our own parameters are within bounds");
        Self { cost, params, pepper, salt: random_bytes::<SALT>().to_vec(), output }
    }

    /// What an unknown name is compared with: as much work, and never equal.
    fn decoy(cost: HashCost) -> Self {
        Self::new(cost, None)
    }

    /// Reads a hash, and the name of the pepper that it needs.
    fn read(text: &str) -> Option<(Self, Option<String>)> {
        let hash = phc::PasswordHash::new(text).ok()?;
        let is_ours = hash.algorithm.as_str() == "argon2id" && hash.version == Some(0x13);
        let output = hash.hash.filter(|output| is_ours && output.as_bytes().len() == OUTPUT)?;
        let cost = HashCost {
            memory_kib: hash.params.get_decimal("m")?,
            passes: hash.params.get_decimal("t")?,
            lanes: hash.params.get_decimal("p")?,
        };
        let salt = hash.salt?.as_ref().to_vec();
        let is_salt = (argon2::MIN_SALT_LEN..=MOST_SALT).contains(&salt.len());
        let pepper = hash.params.get_str(KEY_ID).map(str::to_owned);
        let read = Self { cost, params: cost.params()?, pepper: None, salt, output };
        is_salt.then_some((read, pepper))
    }

    /// Hashes a password as this one was.
    fn output_of(&self, password: &Password, memory: &mut Memory) -> Output {
        let (version, params) = (Version::V0x13, self.params.clone());
        let argon2 = match &self.pepper {
            None => Argon2::new(Algorithm::Argon2id, version, params),
            // this is the hashing with it
            Some(pepper) => {
                Argon2::new_with_secret(pepper.expose(), Algorithm::Argon2id, version, params)
                    .expect("a pepper is short")
            }
        };
        let mut output = [0; OUTPUT];
        memory.hash(&argon2, password.expose(), &self.salt, &mut output); // this is the hashing
        Output::new(&output).expect("32 bytes are an output")
    }

    /// Is it what new hashes are made with?
    fn is_peppered_by(&self, current: Option<&Arc<Pepper>>) -> bool {
        let id = |pepper: Option<&Arc<Pepper>>| pepper.map(|pepper| pepper.id());
        id(self.pepper.as_ref()) == id(current)
    }

    /// The row of this hash, when its output is that.
    fn row(&self, output: &Output) -> HashRow {
        let HashCost { memory_kib, passes, lanes } = self.cost;
        let salt = Salt::new(&self.salt).expect("16 bytes are a salt");
        let pepper = self.pepper.as_ref().map(|pepper| pepper.id());
        let key = pepper.as_ref().map(|id| format!(",{KEY_ID}={id}")).unwrap_or_default();
        let hash =
            format!("$argon2id$v=19$m={memory_kib},t={passes},p={lanes}{key}${salt}${output}");
        HashRow { hash: hash.into(), cost: self.cost.micros(), pepper }
    }
}

#[cfg(test)]
mod tests {
    use crate::core::clock::Timestamp;
    use crate::domain::passwords::hasher::*;
    use crate::domain::passwords::queue::MAX_SLOTS;

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

    #[test]
    fn a_peppered_hash_is_argon2s_own_with_a_secret() {
        // by libargon2's `argon2id_ctx` with `secret` and `secretlen`
        let pepper = Pepper::parse("0123456789abcdef".repeat(4).as_bytes()).unwrap();
        let own = Argon2id {
            cost: CHEAP,
            params: CHEAP.params().unwrap(),
            pepper: Some(Arc::new(pepper)),
            salt: b"sixteen bytes ok".to_vec(),
            output: Output::new(&[0; OUTPUT]).unwrap(),
        };
        let output = own.output_of(&typed("correct horse battery"), &mut Memory::kept(CHEAP));
        assert_eq!(output.to_string(), "obd16okcx48rqUwoQBl/o2/uzWvj4k2bsyyxkbbAVA0");
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

    #[test]
    fn length_is_counted_in_characters() {
        let check = |text: &str| RULES.check(&typed(text), None).map(drop);
        assert_eq!(check(&"ж".repeat(14)), Err(BadPassword::TooShort(15)));
        assert_eq!(check("жили-были дед и"), Ok(()));
        assert_eq!(check(&"🦀 crabs ".repeat(32)), Ok(()));
        assert_eq!(check(&"a".repeat(257)), Err(BadPassword::TooLong));
        assert_eq!(check("a control\u{7}character"), Err(BadPassword::NotAllowed));
        assert_eq!(check("spaces are just fine"), Ok(()));
        assert_eq!(check("families, too: 👨\u{200d}👩\u{200d}👧"), Ok(()));
        assert_eq!(check("nobody can type \u{f8ff}"), Err(BadPassword::NotAllowed));
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

    #[test]
    fn the_migration_knew_what_its_hashes_cost() {
        let migration = include_str!("../../../migrations/sqlite/0003_invites.sql");
        assert!(migration.contains(&format!("default {};", HashCost::DEFAULT.micros())));
    }

    #[tokio::test]
    async fn what_another_system_hashed_is_known_as_it_was_typed_and_comes_back_to_be_hashed_anew()
    {
        let hasher = Hasher::start(CHEAP, 1);
        // PBKDF2 of a decomposed password, by Python's hashlib
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
        // of eighty bytes, of which bcrypt reads 72
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
