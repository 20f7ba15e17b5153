//! Passwords: the rules for new ones, and hashing that never holds up a request.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use argon2::password_hash::phc::{self, Output, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use tokio::sync::oneshot;
use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};
use zeroize::Zeroizing;

use super::accounts::Username;
use super::password_rules::guessable;
use crate::fault::Fault;
use crate::secret::{Password, PasswordHash, random_bytes};

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
    #[error("The password must have at least {0} characters; a few words will do.")]
    TooShort(usize),
    #[error("The password must have at most {MOST_CHARS} characters.")]
    TooLong,
    /// A control character, or one that Unicode has not assigned.
    #[error(
        "The password holds a character that cannot be typed again reliably; leave out control \
         characters."
    )]
    NotAllowed,
    #[error(
        "The password is little but the user name or a name of this service, which are guessed \
         first; choose a few words that have nothing to do with them."
    )]
    NameBased,
    #[error("The password says the same few characters again and again; choose a few words.")]
    Repetitive,
    #[error(
        "The password follows the alphabet, the digits or the keys of a keyboard; choose a few \
         words."
    )]
    Sequential,
    #[error(
        "Many people have chosen this password, so it is guessed first; choose a few words that \
         are seldom seen together."
    )]
    Common,
    #[error("The new password is the current one.")]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashCost {
    pub memory_kib: u32,
    pub passes: u32,
    pub lanes: u32,
}

impl HashCost {
    /// OWASP's first choice for Argon2id, about 23 ms of one core.
    pub const PRODUCTION: Self = Self { memory_kib: 19 * 1024, passes: 2, lanes: 1 };
    /// A stored hash may cost up to this; more is refused before memory is taken.
    const MOST: Self = Self { memory_kib: 256 * 1024, passes: 10, lanes: 8 };

    fn argon2(self) -> Result<Argon2<'static>, argon2::Error> {
        let most = Self::MOST;
        if self.memory_kib > most.memory_kib {
            return Err(argon2::Error::MemoryTooMuch);
        }
        if self.passes > most.passes || self.lanes > most.lanes {
            return Err(argon2::Error::AlgorithmInvalid);
        }
        let params = Params::new(self.memory_kib, self.passes, self.lanes, Some(OUTPUT))?;
        Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
    }
}

/// 256 bits of hash and 128 of salt, as RFC 9106 recommends.
const OUTPUT: usize = 32;
const SALT: usize = 16;
/// As many as wait at the door before we say so; at 80 a second the last one waits under a second.
const QUEUE: usize = 64;
/// Who has waited this long is told to come back.
const PATIENCE: Duration = Duration::from_secs(1);

/// Hashes on threads of its own, at the lowest priority, so that readers never wait for it.
#[derive(Debug)]
pub struct Hasher {
    queue: SyncSender<Job>,
    cost: HashCost,
}

/// All hands are full: try again in a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Busy;

/// Why a password could not be compared with a hash.
#[derive(Debug)]
pub enum VerifyError {
    Busy,
    Fault(Fault),
}

struct Job {
    queued: Instant,
    run: Box<dyn FnOnce(&mut Memory) + Send>,
}

impl Hasher {
    /// Starts `threads` threads, which end when the hasher is dropped.
    pub fn start(cost: HashCost, threads: usize) -> Self {
        let (queue, jobs) = sync_channel(QUEUE);
        let jobs = Arc::new(Mutex::new(jobs));
        for n in 0..threads.max(1) {
            let jobs = Arc::clone(&jobs);
            thread::Builder::new()
                .name(format!("hasher-{n}"))
                .spawn(move || work(&jobs))
                .expect("the system starts a thread at start-up");
        }
        Self { queue, cost }
    }

    /// Hashes a new password with a fresh salt.
    pub async fn hash(&self, password: NewPassword) -> Result<PasswordHash, Busy> {
        let cost = self.cost;
        self.queued(move |memory| {
            let salt = random_bytes::<SALT>();
            let argon2 = cost.argon2().expect("our own parameters are within bounds");
            let output = memory.hash(&argon2, &password.0, &salt).expect("and are hashable");
            phc_string(cost, &salt, &output)
        })
        .await
    }

    /// Is it the password behind this hash? Works as long when there is none.
    pub async fn verify(
        &self,
        password: Password,
        hash: Option<&PasswordHash>,
    ) -> Result<bool, VerifyError> {
        // parsed here for its salt, its parameters and the output to compare with
        let stored = hash.map(|hash| Stored::parse(hash.expose())).transpose();
        let stored = stored.map_err(VerifyError::Fault)?;
        let real = stored.is_some();
        let stored = stored.unwrap_or_else(|| Stored::decoy(self.cost));
        let answer = self
            .queued(move |memory| {
                let prepared = prepare(&password).unwrap_or(password);
                let argon2 = stored.cost.argon2()?;
                let output = memory.hash(&argon2, &prepared, &stored.salt)?;
                // `Output` compares in constant time
                Ok::<_, argon2::Error>(Output::new(&output).is_ok_and(|o| o == stored.output))
            })
            .await;
        match answer {
            Ok(Ok(same)) => Ok(same && real),
            Ok(Err(error)) => Err(VerifyError::Fault(Fault::new("verifying a password", error))),
            Err(Busy) => Err(VerifyError::Busy),
        }
    }

    /// Queues the work and waits for it. Whoever stops waiting does not free the thread early.
    async fn queued<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Memory) -> T + Send + 'static,
    ) -> Result<T, Busy> {
        let (answer, answered) = oneshot::channel();
        let run = Box::new(move |memory: &mut Memory| {
            let _ = answer.send(work(memory)); // nobody waits any more: then nobody is told
        });
        self.queue.try_send(Job { queued: Instant::now(), run }).map_err(|_full| Busy)?;
        answered.await.map_err(|_dropped| Busy)
    }
}

/// What a hashing thread does until the hasher is gone.
fn work(jobs: &Mutex<Receiver<Job>>) {
    step_back();
    let mut memory = Memory::default();
    loop {
        let next = jobs.lock().expect("no thread panics while it holds the queue").recv();
        let Ok(job) = next else { return };
        if job.queued.elapsed() < PATIENCE {
            (job.run)(&mut memory);
        }
    }
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

/// The memory a thread hashes in, kept from one password to the next.
#[derive(Default)]
struct Memory(Vec<Block>);

impl Memory {
    fn hash(
        &mut self,
        argon2: &Argon2<'_>,
        password: &Password,
        salt: &[u8],
    ) -> Result<[u8; OUTPUT], argon2::Error> {
        let blocks = argon2.params().block_count();
        if self.0.len() < blocks {
            self.0.resize(blocks, Block::default());
        }
        let mut output = [0; OUTPUT];
        let password = password.expose().as_bytes(); // this is the hashing
        argon2.hash_password_into_with_memory(password, salt, &mut output, &mut self.0[..])?;
        // a rare expensive hash does not keep its memory
        self.0.truncate(HashCost::PRODUCTION.memory_kib as usize);
        self.0.shrink_to_fit();
        Ok(output)
    }
}

/// A stored hash, taken apart.
struct Stored {
    cost: HashCost,
    salt: Vec<u8>,
    output: Output,
}

impl Stored {
    fn parse(text: &str) -> Result<Self, Fault> {
        Self::read(text).ok_or_else(|| {
            Fault::new("reading a stored password hash", "it is not an Argon2id PHC string")
        })
    }

    fn read(text: &str) -> Option<Self> {
        let hash = phc::PasswordHash::new(text).ok()?;
        let is_ours = hash.algorithm.as_str() == "argon2id" && hash.version == Some(0x13);
        let output = hash.hash.filter(|output| is_ours && output.as_bytes().len() == OUTPUT)?;
        let cost = HashCost {
            memory_kib: hash.params.get_decimal("m")?,
            passes: hash.params.get_decimal("t")?,
            lanes: hash.params.get_decimal("p")?,
        };
        Some(Self { cost, salt: hash.salt?.as_ref().to_vec(), output })
    }

    /// What an unknown name is compared with: as much work, and never equal.
    fn decoy(cost: HashCost) -> Self {
        let output = Output::new(&[0; OUTPUT]).expect("32 bytes are an output");
        Self { cost, salt: vec![0; SALT], output }
    }
}

fn phc_string(cost: HashCost, salt: &[u8], output: &[u8]) -> PasswordHash {
    let HashCost { memory_kib, passes, lanes } = cost;
    let salt = Salt::new(salt).expect("16 bytes are a salt");
    let output = Output::new(output).expect("32 bytes are an output");
    format!("$argon2id$v=19$m={memory_kib},t={passes},p={lanes}${salt}${output}").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHEAP: HashCost = HashCost { memory_kib: 64, passes: 1, lanes: 1 };
    const RULES: PasswordRules = PasswordRules { fewest_chars: FEWEST_CHARS, names: Vec::new() };

    fn typed(text: &str) -> Password {
        Password::new(text.to_owned())
    }

    #[tokio::test]
    async fn a_password_is_known_again_and_another_is_not() {
        let hasher = Hasher::start(CHEAP, 1);
        let new = RULES.check(&typed("correct horse battery"), None).unwrap();
        let hash = hasher.hash(new).await.unwrap();
        assert!(hash.expose().starts_with("$argon2id$v=19$m=64,t=1,p=1$"));
        let verify = async |text: &str| hasher.verify(typed(text), Some(&hash)).await.unwrap();
        assert!(verify("correct horse battery").await);
        assert!(!verify("correct horse batterx").await);
        assert!(!verify("").await);
        assert!(!hasher.verify(typed("correct horse battery"), None).await.unwrap());
    }

    #[tokio::test]
    async fn composed_and_decomposed_letters_are_the_same_password() {
        let hasher = Hasher::start(CHEAP, 1);
        let new = RULES.check(&typed("Åströmåströmåström"), None).unwrap();
        let hash = hasher.hash(new).await.unwrap();
        let decomposed = "A\u{30a}stro\u{308}ma\u{30a}stro\u{308}ma\u{30a}stro\u{308}m";
        assert!(hasher.verify(typed(decomposed), Some(&hash)).await.unwrap());

        let new = RULES.check(&typed("wide\u{3000}spaces\u{a0}here"), None).unwrap();
        let hash = hasher.hash(new).await.unwrap();
        assert!(hasher.verify(typed("wide spaces here"), Some(&hash)).await.unwrap());
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
    async fn a_tampered_hash_is_refused_before_it_takes_memory() {
        let hasher = Hasher::start(CHEAP, 1);
        let tail = "AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        for stored in [
            format!("$argon2id$v=19$m=4194304,t=2,p=1${tail}"),
            format!("$argon2id$v=19$m=19456,t=2147483648,p=1${tail}"),
            format!("$argon2d$v=19$m=64,t=1,p=1${tail}"),
            format!("$argon2id$v=19$m=64${tail}"),
            "garbage".to_owned(),
            String::new(),
        ] {
            let answer = hasher.verify(typed("x"), Some(&stored.clone().into())).await;
            assert!(matches!(answer, Err(VerifyError::Fault(_))), "{stored}");
        }
    }

    #[tokio::test]
    async fn a_full_queue_says_so_at_once() {
        let hasher = Hasher::start(HashCost::PRODUCTION, 1);
        let verdicts = (0..QUEUE * 2).map(|_| hasher.verify(typed("x"), None));
        let verdicts = futures_util::future::join_all(verdicts).await;
        let busy = verdicts.iter().filter(|v| matches!(v, Err(VerifyError::Busy))).count();
        assert!(busy >= QUEUE - 1, "{busy} were told to come back");
    }
}
