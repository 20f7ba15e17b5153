//! The secrets that users get by mail, which prove that a mailbox is theirs. Like the types in
//! `secret.rs`, they have no `Serialize` and no `Clone`.

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::secret::random_bytes;

/// The number of characters of a code, without the hyphen: 50 random bits.
const CODE_LENGTH: usize = 10;
/// The digits of Crockford's base 32: no I, L, O and U, which are read as other characters.
const CODE_DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// The code that a user reads in a mail and types, to prove that the mailbox is theirs.
pub struct MailedCode(Zeroizing<String>);

impl MailedCode {
    pub fn random() -> Self {
        let bytes = Zeroizing::new(random_bytes::<CODE_LENGTH>());
        // 32 divides 256, so every digit is equally likely.
        let digits = bytes.iter().map(|byte| char::from(CODE_DIGITS[usize::from(byte % 32)]));
        Self(Zeroizing::new(digits.collect()))
    }

    /// Parses what a user typed. Small letters, spaces and hyphens are as good as what is in the
    /// mail, and so are the letters that look like a digit: O is read as 0, I and L as 1.
    pub fn parse(typed: &str) -> Option<Self> {
        let mut code = Zeroizing::new(String::with_capacity(CODE_LENGTH));
        for character in typed.chars().filter(|character| !matches!(character, ' ' | '-')) {
            let digit = match character.to_ascii_uppercase() {
                'O' => '0',
                'I' | 'L' => '1',
                other => other,
            };
            let is_digit = u8::try_from(digit).is_ok_and(|digit| CODE_DIGITS.contains(&digit));
            // The buffer never grows, because growing would leave a copy of the secret behind.
            if !is_digit || code.len() == CODE_LENGTH {
                return None;
            }
            code.push(digit);
        }
        (code.len() == CODE_LENGTH).then_some(Self(code))
    }

    /// For the digest that is stored.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// For the text of the mail: `7K3M9-QXT4D`.
    pub fn expose_for_reading(&self) -> Zeroizing<String> {
        let (first, second) = self.0.split_at(CODE_LENGTH / 2);
        Zeroizing::new(format!("{first}-{second}"))
    }
}

/// The secret of a link with which a user sets a new password: 256 random bits.
pub struct ResetToken(Zeroizing<[u8; 32]>);

impl ResetToken {
    pub fn random() -> Self {
        Self(Zeroizing::new(random_bytes()))
    }

    /// Parses the token of a link. Only the canonical encoding is valid.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = Zeroizing::new([0; 32]);
        let read = BASE64_URL_SAFE_NO_PAD.decode_slice(text, &mut bytes[..]);
        (read == Ok(32)).then_some(Self(bytes))
    }

    /// The only conversion from the token to the digest that the store sees.
    pub fn digest(&self) -> ProofDigest {
        ProofDigest(Sha256::digest(&self.0[..]).into())
    }

    /// For the link.
    pub fn expose(&self) -> Zeroizing<String> {
        Zeroizing::new(BASE64_URL_SAFE_NO_PAD.encode(&self.0[..]))
    }
}

/// The digest of a [`ResetToken`] or a [`MailedCode`]: finds its row, and reveals nothing about it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ProofDigest([u8; 32]);

impl ProofDigest {
    /// The HMAC of a code: a code has too few bits for a digest without a key.
    pub fn from_mac(mac: [u8; 32]) -> Self {
        Self(mac)
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for MailedCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MailedCode(…)")
    }
}

impl fmt::Debug for ResetToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResetToken(…)")
    }
}

impl fmt::Debug for ProofDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProofDigest(…)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_mailed_secret_does_not_show_in_debug_output() {
        let token = ResetToken::random();
        let shown = format!("{:?} {token:?} {:?}", MailedCode::random(), token.digest());
        assert_eq!(shown, "MailedCode(…) ResetToken(…) ProofDigest(…)");
    }

    #[test]
    fn a_reset_token_is_read_back_only_in_its_canonical_spelling() {
        let token = ResetToken::random();
        let text = token.expose();
        assert_eq!(text.len(), 43);
        assert!(ResetToken::parse(&text).unwrap().digest() == token.digest());
        assert!(ResetToken::random().digest() != token.digest());
        for other in ["", &text[1..], &format!("{}=", &*text), &format!("{} ", &*text)] {
            assert!(ResetToken::parse(other).is_none(), "{other}");
        }
    }

    #[test]
    fn a_mailed_code_is_read_as_it_was_mailed() {
        let code = MailedCode::random();
        let mailed = code.expose_for_reading();
        assert_eq!(mailed.len(), 11);
        assert_eq!(MailedCode::parse(&mailed).unwrap().expose(), code.expose());
        assert_ne!(MailedCode::random().expose(), code.expose());
    }

    #[test]
    fn characters_of_a_mailed_code_that_look_alike_are_the_same() {
        for typed in ["7K3M9-0110D", "7k3m9 oil0d", " 7K3M9OLIOD ", "7-K-3-M-9-0-1-1-0-d"] {
            assert_eq!(MailedCode::parse(typed).unwrap().expose(), "7K3M90110D", "{typed}");
        }
    }

    #[test]
    fn other_texts_are_not_mailed_codes() {
        let long = "7".repeat(100_000);
        for typed in
            ["", "7K3M9-QXT4", "7K3M9-QXT4DD", "7K3M9-QXT4U", "7K3M9-QXT4é", "７K3M9QXT4D", &long]
        {
            assert!(MailedCode::parse(typed).is_none(), "{typed:.20}");
        }
    }

    proptest! {
        #[test]
        fn every_token_is_read_from_its_own_text_and_from_no_other(
            bytes in any::<[u8; 32]>(), at in 0_usize..43, other in any::<char>()
        ) {
            let token = ResetToken(Zeroizing::new(bytes));
            let text = token.expose();
            prop_assert!(text.len() == 43 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
            prop_assert_eq!(ResetToken::parse(&text).unwrap().digest(), token.digest());
            let changed: String = text.char_indices().map(|(n, c)| if n == at { other } else { c }).collect();
            if let Some(read) = ResetToken::parse(&changed) {
                prop_assert_eq!(&*read.expose(), &changed, "two texts are one token");
            }
        }

        #[test]
        fn any_text_is_a_token_in_its_canonical_spelling_or_none(
            text in "\\PC{0,80}|[A-Za-z0-9_+/=-]{42,44}"
        ) {
            if let Some(token) = ResetToken::parse(&text) {
                prop_assert_eq!(&*token.expose(), &text);
            }
        }
    }
}
