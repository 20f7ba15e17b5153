//! The types of secrets, except API tokens, and random bytes from the operating system.
//!
//! A secret has no `Serialize` and no `Clone`, its `Debug` prints `…`, and its memory is
//! overwritten when it is dropped. Every call of an `expose` has its reason next to it.

use std::fmt;
use std::marker::PhantomData;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use siphasher::sip128::SipHasher24;
use zeroize::Zeroizing;

/// A password as a user typed it.
pub struct Password(Zeroizing<String>);

impl Password {
    pub fn new(typed: String) -> Self {
        Self(Zeroizing::new(typed))
    }

    /// For hashing, and for the checks of the password rules.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// The hash of a password in PHC string format, as stored in the database.
pub struct PasswordHash(Zeroizing<String>);

impl PasswordHash {
    /// For the verification of a password, and for writing the hash to the database.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for PasswordHash {
    fn from(phc: String) -> Self {
        Self(Zeroizing::new(phc))
    }
}

/// The password of the account at the SMTP server.
pub struct SmtpPassword(Zeroizing<String>);

impl SmtpPassword {
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// For the authentication at the SMTP server.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// The secret of a session: 256 random bits. Only the session token contains it.
pub struct Sid(Zeroizing<[u8; 32]>);

impl Sid {
    pub fn random() -> Self {
        Self::from_bytes(random_bytes())
    }

    /// Secret bytes that are as good as random.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The only conversion from the secret to the digest that the store sees.
    pub fn digest(&self) -> SidDigest {
        SidDigest(Sha256::digest(&self.0[..]).into())
    }

    /// For the claim `sid` of the session token.
    pub fn expose(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(&self.0[..])
    }

    /// Parses the claim `sid` of a session token. Only the canonical encoding is valid.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = Zeroizing::new([0; 32]);
        let read = BASE64_URL_SAFE_NO_PAD.decode_slice(text, &mut bytes[..]);
        (read == Ok(32)).then_some(Self(bytes))
    }
}

/// The SHA-256 of a [`Sid`]: finds the session's row, and reveals nothing about the token.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SidDigest([u8; 32]);

impl SidDigest {
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// A one-time invite code for a registration: 128 random bits as 32 hexadecimal digits, which are
/// easy to read aloud, to type, and to put into a link.
pub struct InviteCode(Zeroizing<String>);

impl InviteCode {
    pub fn random() -> Self {
        Self(Zeroizing::new(format!("{:032x}", u128::from_be_bytes(random_bytes()))))
    }

    /// Parses a code that a user typed. White space around it and upper case are ignored.
    pub fn from_input(text: &str) -> Self {
        Self(Zeroizing::new(text.trim().to_ascii_lowercase()))
    }

    /// The only conversion from the code to the digest that the store sees.
    pub fn digest(&self) -> InviteDigest {
        InviteDigest(Sha256::digest(&*self.0).into())
    }

    /// For the operator who sends the invite to the invited person.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// The SHA-256 of an [`InviteCode`]: finds the invite's row, and reveals nothing about the code.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct InviteDigest([u8; 32]);

impl InviteDigest {
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// A secret of 256 random bits that is stored in a file and never in the database.
pub struct FileSecret<P>(Zeroizing<[u8; 32]>, PhantomData<P>);

/// The kind of a [`FileSecret`].
pub trait Purpose {
    const NAME: &'static str;
    /// Part of the id, so that secrets of different kinds never have the same id.
    const LABEL: &'static str;
}

/// A secret that is hashed together with a password and its salt.
pub type Pepper = FileSecret<ForPeppering>;

/// The secret from which the service derives a key for each purpose.
pub type ServerSecret = FileSecret<ForDeriving>;

#[derive(Debug)]
pub enum ForPeppering {}

impl Purpose for ForPeppering {
    const NAME: &'static str = "Pepper";
    const LABEL: &'static str = "cloakroom pepper";
}

#[derive(Debug)]
pub enum ForDeriving {}

impl Purpose for ForDeriving {
    const NAME: &'static str = "ServerSecret";
    const LABEL: &'static str = "cloakroom server secret";
}

impl<P: Purpose> FileSecret<P> {
    pub fn random() -> Self {
        Self(Zeroizing::new(random_bytes()), PhantomData)
    }

    /// Parses 64 hexadecimal digits, the content of its file. White space after them is ignored.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let digits = text.trim_ascii_end();
        let mut bytes = Zeroizing::new([0; 32]);
        if digits.len() != 2 * bytes.len() {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let [high, low] = [pair[0], pair[1]].map(|digit| char::from(digit).to_digit(16));
            *byte = u8::try_from(16 * high? + low?).ok()?;
        }
        Some(Self(bytes, PhantomData))
    }

    /// The content of its file: a line of 64 hexadecimal digits.
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(2 * self.0.len() + 1));
        for byte in &*self.0 {
            let digits = [byte >> 4, byte & 15];
            text.extend(digits.map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)])));
        }
        text.push('\n');
        text
    }

    /// The id of the secret in hashes, rows and messages: the first 32 bits of a digest, as eight
    /// hexadecimal digits. It reveals nothing about the secret.
    pub fn id(&self) -> String {
        let digest = Sha256::new_with_prefix(P::LABEL).chain_update(self.0.as_slice()).finalize();
        let [a, b, c, d, ..]: [u8; 32] = digest.into();
        format!("{:08x}", u32::from_be_bytes([a, b, c, d]))
    }

    /// Whether the secret is easy to guess: all its bytes are the same.
    pub fn is_weak(&self) -> bool {
        self.0.iter().all(|byte| *byte == self.0[0])
    }

    /// For hashing with it, or for deriving keys from it.
    pub fn expose(&self) -> &[u8] {
        &self.0[..]
    }
}

impl<P: Purpose> fmt::Debug for FileSecret<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(…)", P::NAME)
    }
}

/// The HMAC of a user name that is reserved after its account was closed. It finds the row, but a
/// reader of the database cannot find the name without the server secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct HeldUsernameDigest([u8; 32]);

impl HeldUsernameDigest {
    pub fn new(mac: [u8; 32]) -> Self {
        Self(mac)
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// A signed session token: the value of the session cookie.
pub struct SessionToken(Zeroizing<String>);

impl SessionToken {
    pub fn new(jwt: String) -> Self {
        Self(Zeroizing::new(jwt))
    }

    /// For `Set-Cookie`, and for the verification of the token.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// A signed access token, which tells another service which user is signed in.
pub struct AccessToken(Zeroizing<String>);

impl AccessToken {
    pub fn new(jwt: String) -> Self {
        Self(Zeroizing::new(jwt))
    }

    /// For the response to the client that requested it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// A signed device token, which identifies a client that has signed in before.
pub struct DeviceToken(Zeroizing<String>);

impl DeviceToken {
    pub fn new(jwt: String) -> Self {
        Self(Zeroizing::new(jwt))
    }

    /// For `Set-Cookie`, and for the verification of the token.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// Hashes a [`SessionToken`] to its key in the session cache, with a hash that only this process
/// can compute.
// A cached token is not verified again, so the cache must not take one token for another.
// SipHash-2-4 is a pseudorandom function (Aumasson and Bernstein, "SipHash: a fast short-input
// PRF", 2012; the 128-bit output is that of the authors' reference implementation). Its key is
// random, generated at startup, and in no response: without the key, a forged token has the hash of
// a given cached token with a probability of 2^-128. An attacker who knows the key can construct
// two tokens with the same hash, but the memory that contains it also contains the key that signs
// tokens. SHA-256 would take ten times as many instructions on a CPU without SHA instructions.
pub struct TokenHasher(SipHasher24);

impl TokenHasher {
    /// A hasher with a new random key.
    pub fn random() -> Self {
        Self(SipHasher24::new_with_key(&random_bytes()))
    }

    pub fn hash(&self, token: &str) -> TokenHash {
        TokenHash(self.0.hash(token.as_bytes()).as_u128())
    }
}

/// The key of a [`SessionToken`] in the session cache, see [`TokenHasher`].
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash(u128);

macro_rules! hides_itself {
    ($($secret:ident),*) => {$(
        impl fmt::Debug for $secret {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($secret), "(…)"))
            }
        }
    )*};
}
hides_itself!(
    Password,
    SmtpPassword,
    PasswordHash,
    Sid,
    SidDigest,
    InviteCode,
    InviteDigest,
    HeldUsernameDigest,
    SessionToken,
    AccessToken,
    DeviceToken,
    TokenHasher,
    TokenHash
);

/// Random bytes from the operating system.
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

/// A random id of 128 bits, as 22 characters of base64url. It cannot be guessed and reveals
/// nothing.
pub fn random_id() -> String {
    BASE64_URL_SAFE_NO_PAD.encode(random_bytes::<16>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sid_is_read_back_only_in_its_canonical_spelling() {
        let sid = Sid::random();
        let text = sid.expose();
        let again = Sid::parse(&text).expect("its own spelling");
        assert!(again.digest() == sid.digest());

        let last = text.chars().last().unwrap();
        let others = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=+/ ";
        for other in others.chars().filter(|c| *c != last) {
            let forged = format!("{}{other}", &text[..text.len() - 1]);
            let read = Sid::parse(&forged).map(|sid| sid.digest());
            assert!(read != Some(sid.digest()), "{forged} was taken for {text}");
        }
        assert!(Sid::parse("").is_none());
        assert!(Sid::parse(&text[1..]).is_none());
    }

    #[test]
    fn a_token_has_one_hash_in_a_process_and_another_in_the_next_one() {
        let [here, there] = [TokenHasher::random(), TokenHasher::random()];
        let token = "eyJhbGciOiJFZERTQSJ9.e30.c2ln";
        assert!(here.hash(token) == here.hash(token));
        assert!(here.hash(token) != here.hash(&token[1..]));
        assert!(here.hash(token) != there.hash(token));
        // The first and the last vector of `vectors_sip128` of the reference implementation.
        let key: [u8; 16] = std::array::from_fn(|n| u8::try_from(n).unwrap());
        let reference = TokenHasher(SipHasher24::new_with_key(&key));
        let text: String = (0..63).map(char::from).collect();
        let hash = |text: &str| reference.hash(text).0.to_le_bytes();
        assert_eq!(hash("")[..4], [0xa3, 0x81, 0x7f, 0x04]);
        assert_eq!(hash(&text)[..4], [0x51, 0x50, 0xd1, 0x77]);
    }

    #[test]
    fn secrets_do_not_show_in_debug_output() {
        let shown = format!(
            "{:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
            Password::new("canary".into()),
            SmtpPassword::new("canary".into()),
            PasswordHash::from("canary".to_owned()),
            SessionToken::new("canary".into()),
            InviteCode::from_input("canary"),
            Sid::random(),
            Sid::random().digest(),
            Pepper::random(),
            ServerSecret::random(),
            HeldUsernameDigest::new([0; 32]),
        );
        assert!(!shown.contains("canary"));
        assert_eq!(shown.matches('…').count(), 10);
    }
}
