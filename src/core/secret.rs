//! Every secret type, and the randomness of the operating system.
//!
//! A secret has no `Serialize` and no `Clone`, its `Debug` prints `…`, and its memory is
//! overwritten when it is dropped. Whoever calls an `expose` has the reason beside it.

use std::fmt;
use std::marker::PhantomData;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use siphasher::sip128::SipHasher24;
use zeroize::Zeroizing;

/// A password as somebody typed it.
pub struct Password(Zeroizing<String>);

impl Password {
    pub fn new(typed: String) -> Self {
        Self(Zeroizing::new(typed))
    }

    /// For hashing it and for checking it against the rules.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// A password's hash in PHC string form, as it stands in its row.
pub struct PasswordHash(Zeroizing<String>);

impl PasswordHash {
    /// For comparing a password with it, and for the row that holds it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for PasswordHash {
    fn from(phc: String) -> Self {
        Self(Zeroizing::new(phc))
    }
}

/// The secret name of a session: 256 random bits. It stands in the token and nowhere else.
pub struct Sid(Zeroizing<[u8; 32]>);

impl Sid {
    pub fn random() -> Self {
        Self(Zeroizing::new(random_bytes()))
    }

    /// The one way from a session's secret name to what the store may know of it.
    pub fn digest(&self) -> SidDigest {
        SidDigest(Sha256::digest(&self.0[..]).into())
    }

    /// For the token's claim `sid`.
    pub fn expose(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(&self.0[..])
    }

    /// Reads a token's claim `sid`; only the canonical spelling counts.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = Zeroizing::new([0; 32]);
        let read = BASE64_URL_SAFE_NO_PAD.decode_slice(text, &mut bytes[..]);
        (read == Ok(32)).then_some(Self(bytes))
    }
}

/// SHA-256 of a [`Sid`]: finds the session's row and tells nothing about the token.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SidDigest([u8; 32]);

impl SidDigest {
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// A one-time invitation to register: 128 random bits, 32 hexadecimal digits, which survive being
/// read aloud, typed, and put into a link.
pub struct InviteCode(Zeroizing<String>);

impl InviteCode {
    pub fn random() -> Self {
        Self(Zeroizing::new(format!("{:032x}", u128::from_be_bytes(random_bytes()))))
    }

    /// What somebody typed; spaces around it and capitals are forgiven.
    pub fn typed(text: &str) -> Self {
        Self(Zeroizing::new(text.trim().to_ascii_lowercase()))
    }

    /// The one way from a code to what the store may know of it.
    pub fn digest(&self) -> InviteDigest {
        InviteDigest(Sha256::digest(&*self.0).into())
    }

    /// For whoever passes the invitation on.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// SHA-256 of an [`InviteCode`]: finds the invite's row and tells nothing about the code.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct InviteDigest([u8; 32]);

impl InviteDigest {
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// A secret of 256 random bits that stands in a file and in no database.
pub struct FileSecret<P>(Zeroizing<[u8; 32]>, PhantomData<P>);

/// What the secrets of a kind are for.
pub trait Purpose {
    const NAME: &'static str;
    /// Goes into the id, so that secrets of two kinds never have the same one.
    const LABEL: &'static str;
}

/// What a password's hash needs in addition to its salt.
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

    /// Reads 64 hexadecimal digits, as its file has them, and ignores white space after them.
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

    /// For its file: a line of 64 hexadecimal digits.
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(2 * self.0.len() + 1));
        for byte in &*self.0 {
            let digits = [byte >> 4, byte & 15];
            text.extend(digits.map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)])));
        }
        text.push('\n');
        text
    }

    /// Names the secret in hashes, rows and messages, and reveals nothing about it: the first 32 bits of
    /// a digest, as eight hexadecimal digits. Another secret has another id.
    pub fn id(&self) -> String {
        let digest = Sha256::new_with_prefix(P::LABEL).chain_update(self.0.as_slice()).finalize();
        let [a, b, c, d, ..]: [u8; 32] = digest.into();
        format!("{:08x}", u32::from_be_bytes([a, b, c, d]))
    }

    /// Can it be guessed? All its bytes are the same then.
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

/// An HMAC of a user name that no registration gets: finds the row, and does not reveal the name to
/// a reader of the database who lacks the server secret.
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

/// A signed session token: what the cookie carries.
pub struct SessionToken(Zeroizing<String>);

impl SessionToken {
    pub fn new(jwt: String) -> Self {
        Self(Zeroizing::new(jwt))
    }

    /// For `Set-Cookie`, and for verifying it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// A signed access token: who is signed in, for another service.
pub struct AccessToken(Zeroizing<String>);

impl AccessToken {
    pub fn new(jwt: String) -> Self {
        Self(Zeroizing::new(jwt))
    }

    /// For the answer to who asked for it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// A signed device token: by it a client is known that has signed in before.
pub struct DeviceToken(Zeroizing<String>);

impl DeviceToken {
    pub fn new(jwt: String) -> Self {
        Self(Zeroizing::new(jwt))
    }

    /// For `Set-Cookie`, and for verifying it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// Names a [`SessionToken`] in the session cache, by a hash that only this process can compute.
// A cached token is not verified again, so the cache must not take one token for another. SipHash-2-4 is a
// pseudorandom function (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012; the 128-bit output is
// that of the authors' reference implementation). Its key is random, made at the start, and in no answer: without
// it, a forged token has the hash of a given cached one with a chance of 2^-128. With the key, two tokens with
// one hash can be made; but the memory that holds it also holds the key that signs tokens. SHA-256 would take ten
// times as many instructions on a CPU without instructions for it.
pub struct TokenHasher(SipHasher24);

impl TokenHasher {
    /// With a new key.
    pub fn random() -> Self {
        Self(SipHasher24::new_with_key(&random_bytes()))
    }

    pub fn hash(&self, token: &str) -> TokenHash {
        TokenHash(self.0.hash(token.as_bytes()).as_u128())
    }
}

/// What memory keeps of a [`SessionToken`], see [`TokenHasher`].
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

/// Bytes from the operating system's generator.
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

/// A name that nobody guesses and that tells nothing: 128 random bits, 22 characters of base64url.
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
        // the first and the last vector of `vectors_sip128` of the reference implementation
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
            "{:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
            Password::new("canary".into()),
            PasswordHash::from("canary".to_owned()),
            SessionToken::new("canary".into()),
            InviteCode::typed("canary"),
            Sid::random(),
            Sid::random().digest(),
            Pepper::random(),
            ServerSecret::random(),
            HeldUsernameDigest::new([0; 32]),
        );
        assert!(!shown.contains("canary"));
        assert_eq!(shown.matches('…').count(), 9);
    }
}
