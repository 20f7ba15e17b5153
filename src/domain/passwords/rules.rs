//! What a new password must keep to.

use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};
use zeroize::Zeroizing;

use crate::core::secret::Password;
use crate::core::usernames::Username;
use crate::domain::passwords::blocklist::{Guessable, guessable};

/// The most characters of a password: at four bytes each they make 1,024 bytes.
pub const MOST_CHARS: usize = 256;
/// The most characters that are read of one to compare: some keyboards type a letter and its marks
/// one by one.
pub const MOST_TYPED: usize = 4 * MOST_CHARS;
/// The fewest characters while a password is all there is (NIST SP 800-63B-4, section 3.1.1.2).
pub const FEWEST_CHARS: usize = 15;
/// No setting allows fewer (the same section): eight do only with a second factor.
pub const LEAST_CHARS: usize = 8;

/// What a new password must keep to.
#[derive(Debug, Clone)]
pub struct PasswordRules {
    /// The fewest characters.
    pub fewest_chars: usize,
    /// The names of the service: attackers try them here.
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

impl From<Guessable> for BadPassword {
    fn from(why: Guessable) -> Self {
        match why {
            Guessable::NameBased => Self::NameBased,
            Guessable::Repetitive => Self::Repetitive,
            Guessable::Sequential => Self::Sequential,
            Guessable::Common => Self::Common,
        }
    }
}

/// A password that keeps to the rules, in the form in which it is hashed.
#[derive(Debug)]
pub struct NewPassword(Password);

impl NewPassword {
    /// Takes the right password again, in the form in which it is hashed, however old its rules are.
    pub(super) fn from_verified(prepared: Password) -> Self {
        Self(prepared)
    }

    /// For hashing it.
    pub(super) fn password(&self) -> &Password {
        &self.0
    }

    /// Is it the password that was typed?
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
            Some(why) => Err(why.into()),
            None => Ok(NewPassword(prepared)),
        }
    }
}

/// RFC 8265, `OpaqueString`: the same password from every keyboard. Every space becomes U+0020,
/// and letters are composed (NFC); nothing is cut off and no case is changed.
///
/// The RFC's table of characters is that of Unicode 6.3, which would refuse most emoji. Here the
/// current one decides, and refuses only what a user cannot type again reliably.
pub(super) fn prepare(typed: &Password) -> Option<Password> {
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

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: PasswordRules = PasswordRules { fewest_chars: FEWEST_CHARS, names: Vec::new() };

    fn typed(text: &str) -> Password {
        Password::new(text.to_owned())
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
}
