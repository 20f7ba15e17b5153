//! The secret of an API token, and its text.
//!
//! The text is `clk_`, 43 random characters of base62, and 6 characters that are the CRC-32 of what is
//! before them. The prefix lets scanners of leaked secrets find it, and the checksum lets them, and
//! this service, tell a token from a mistyped one without a query.

use std::fmt;

use crc::{CRC_32_ISO_HDLC, Crc};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::core::secret::random_bytes;

/// The start of every API token.
pub const API_TOKEN_PREFIX: &str = "clk_";
/// The length of an API token in characters.
pub const API_TOKEN_LENGTH: usize = API_TOKEN_PREFIX.len() + RANDOM_LENGTH + SUM_LENGTH;

/// 62^43 is more than 2^256.
const RANDOM_LENGTH: usize = 43;
/// 62^6 is more than 2^32.
const SUM_LENGTH: usize = 6;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const CRC_32: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// An API token: whoever presents it acts for its account.
pub struct ApiTokenSecret(Zeroizing<String>);

impl ApiTokenSecret {
    pub fn random() -> Self {
        let mut text = Zeroizing::new(String::with_capacity(API_TOKEN_LENGTH));
        text.push_str(API_TOKEN_PREFIX);
        while text.len() < API_TOKEN_PREFIX.len() + RANDOM_LENGTH {
            let [byte] = random_bytes();
            // Six bits choose one of 64 characters. The two that do not exist are drawn again, so
            // that all characters are equally likely.
            if let Some(character) = ALPHABET.get(usize::from(byte & 63)) {
                text.push(char::from(*character));
            }
        }
        let sum = checksum(&text);
        text.push_str(&sum);
        Self(text)
    }

    /// Parses a token that a client presented. `None` if it cannot be one: the alphabet, the length
    /// or the checksum is wrong.
    pub fn parse(text: &str) -> Option<Self> {
        let is_plain = text.len() == API_TOKEN_LENGTH
            && text.starts_with(API_TOKEN_PREFIX)
            && text.bytes().skip(API_TOKEN_PREFIX.len()).all(|byte| byte.is_ascii_alphanumeric());
        if !is_plain {
            return None;
        }
        let (before, sum) = text.split_at(API_TOKEN_LENGTH - SUM_LENGTH);
        (checksum(before) == sum).then(|| Self(Zeroizing::new(text.to_owned())))
    }

    /// The only conversion from the token to the digest that the store sees. The token is as random
    /// as its digest is long, so a slow hash would add nothing.
    pub fn digest(&self) -> ApiTokenDigest {
        ApiTokenDigest(Sha256::digest(self.0.as_bytes()).into())
    }

    /// For the person who creates the token, once.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// The CRC-32 of a text in six characters of base62.
fn checksum(text: &str) -> String {
    let mut rest = CRC_32.checksum(text.as_bytes());
    let mut digits = [b'0'; SUM_LENGTH];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[usize::try_from(rest % 62).expect("less than 62")];
        rest /= 62;
    }
    digits.map(char::from).into_iter().collect()
}

/// The SHA-256 of an [`ApiTokenSecret`]: finds the token's row, and reveals nothing about it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ApiTokenDigest([u8; 32]);

impl ApiTokenDigest {
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for ApiTokenSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiTokenSecret(…)")
    }
}

impl fmt::Debug for ApiTokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiTokenDigest(…)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A token whose random part is the number 1, so that other implementations can be compared.
    const VECTOR: &str = "clk_00000000000000000000000000000000000000000012H4qbl";

    #[test]
    fn a_token_has_its_checksum_at_its_end() {
        assert_eq!(VECTOR.len(), API_TOKEN_LENGTH);
        let token = ApiTokenSecret::parse(VECTOR).unwrap();
        assert_eq!(token.expose(), VECTOR);
        let digest = token.digest();
        assert_eq!(digest.as_bytes()[..4], [0x24, 0xd4, 0x9a, 0xa1]);
        assert_eq!(digest.as_bytes()[28..], [0x17, 0x87, 0x5b, 0x11]);
    }

    #[test]
    fn tok_03_a_token_with_one_wrong_character_is_none() {
        let token = ApiTokenSecret::random();
        let text = token.expose();
        assert!(ApiTokenSecret::parse(text).is_some());
        for at in 0..text.len() {
            for other in ALPHABET.iter().map(|byte| char::from(*byte)) {
                let mut forged: Vec<char> = text.chars().collect();
                if forged[at] == other {
                    continue;
                }
                forged[at] = other;
                let forged: String = forged.into_iter().collect();
                assert!(ApiTokenSecret::parse(&forged).is_none(), "{forged}");
            }
        }
    }

    #[test]
    fn two_tokens_differ_and_neither_shows_in_debug_output() {
        let [one, other] = [ApiTokenSecret::random(), ApiTokenSecret::random()];
        assert!(one.expose() != other.expose() && one.digest() != other.digest());
        let shown = format!("{one:?} {:?}", one.digest());
        assert_eq!(shown, "ApiTokenSecret(…) ApiTokenDigest(…)");
    }

    proptest! {
        #[test]
        fn a_text_that_is_parsed_has_the_form_of_a_token(
            text in prop_oneof![any::<String>(), "clk_[0-9A-Za-z]{49}", "[cC]lk_[0-9A-Za-z_-]{40,60}"]
        ) {
            if let Some(token) = ApiTokenSecret::parse(&text) {
                prop_assert_eq!(token.expose(), text);
            }
        }
    }
}
