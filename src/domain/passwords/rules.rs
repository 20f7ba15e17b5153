//! The rules for new passwords.

use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};
use zeroize::Zeroizing;

use crate::core::secret::Password;
use crate::core::usernames::Username;
use crate::domain::passwords::blocklist::{Guessable, guessable};

/// The maximum length of a password. With four bytes for each character, it has at most 1,024
/// bytes.
pub const MAX_PASSWORD_LENGTH: usize = 256;
/// The maximum length of a password that is read in order to verify it. Some keyboards type a
/// letter and its marks as separate characters.
pub const MAX_PASSWORD_INPUT: usize = 4 * MAX_PASSWORD_LENGTH;
/// The default minimum length, for passwords without a second factor (NIST SP 800-63B-4, section
/// 3.1.1.2).
pub const DEFAULT_MIN_PASSWORD_LENGTH: usize = 15;
/// The lowest minimum length that can be set (same section). Eight characters are enough only with
/// a second factor.
pub const ABSOLUTE_MIN_PASSWORD_LENGTH: usize = 8;

/// The rules for new passwords.
#[derive(Debug, Clone)]
pub struct PasswordRules {
    /// The minimum length in characters.
    pub min_length: usize,
    /// The names of the service, which attackers try here.
    pub names: Vec<String>,
}

/// Why a password is refused, and what to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPassword {
    /// It has fewer characters than this.
    #[error("The password must have at least {0} characters. A few words work well.")]
    TooShort(usize),
    #[error("The password must have at most {MAX_PASSWORD_LENGTH} characters.")]
    TooLong,
    /// It has a control character, or one that Unicode has not assigned.
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

impl From<Guessable> for InvalidPassword {
    fn from(why: Guessable) -> Self {
        match why {
            Guessable::NameBased => Self::NameBased,
            Guessable::Repetitive => Self::Repetitive,
            Guessable::Sequential => Self::Sequential,
            Guessable::Common => Self::Common,
        }
    }
}

/// A password that meets the rules, in the form in which it is hashed.
#[derive(Debug)]
pub struct NewPassword(Password);

impl NewPassword {
    /// Accepts a verified password, in the form in which it is hashed, even if it does not meet the
    /// present rules.
    pub(super) fn from_verified(normalized: Password) -> Self {
        Self(normalized)
    }

    /// For hashing it.
    pub(super) fn password(&self) -> &Password {
        &self.0
    }

    /// Whether it is the typed password.
    pub fn is(&self, typed: &Password) -> bool {
        // The same user typed both, a moment ago, so a timing attack reveals nothing.
        normalize(typed).is_some_and(|typed| typed.expose() == self.0.expose())
    }
}

impl PasswordRules {
    /// Checks a new password for the account with that user name.
    pub fn check(
        &self,
        typed: &Password,
        owner: Option<&Username>,
    ) -> Result<NewPassword, InvalidPassword> {
        // The length counts in the normalized form, which does not depend on the keyboard.
        let normalized = normalize(typed).ok_or(InvalidPassword::NotAllowed)?;
        let chars = normalized.expose().chars().count();
        if chars < self.min_length {
            return Err(InvalidPassword::TooShort(self.min_length));
        }
        if chars > MAX_PASSWORD_LENGTH {
            return Err(InvalidPassword::TooLong);
        }
        let owner = owner.map(Username::as_str);
        // for comparison with what attackers guess first
        match guessable(normalized.expose(), owner, &self.names, self.min_length) {
            Some(why) => Err(why.into()),
            None => Ok(NewPassword(normalized)),
        }
    }
}

/// Normalizes a password by RFC 8265, `OpaqueString`, so that it is the same from every keyboard.
/// Every space becomes U+0020, and letters are composed (NFC). Nothing is cut off, and the case is
/// kept.
///
/// The RFC's table of characters is that of Unicode 6.3, which would refuse most emoji. We use the
/// current table, and refuse only what a user cannot type again reliably.
pub(super) fn normalize(typed: &Password) -> Option<Password> {
    // this form is hashed
    let normalized: Zeroizing<String> =
        Zeroizing::new(typed.expose().nfc().map(plain_space).collect());
    normalized.chars().all(is_typable).then(|| Password::new(normalized.to_string()))
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

    const RULES: PasswordRules =
        PasswordRules { min_length: DEFAULT_MIN_PASSWORD_LENGTH, names: Vec::new() };

    fn password(text: &str) -> Password {
        Password::new(text.to_owned())
    }

    #[test]
    fn length_is_counted_in_characters() {
        let check = |text: &str| RULES.check(&password(text), None).map(drop);
        assert_eq!(check(&"ж".repeat(14)), Err(InvalidPassword::TooShort(15)));
        assert_eq!(check("жили-были дед и"), Ok(()));
        assert_eq!(check(&"🦀 crabs ".repeat(32)), Ok(()));
        assert_eq!(check(&"a".repeat(257)), Err(InvalidPassword::TooLong));
        assert_eq!(check("a control\u{7}character"), Err(InvalidPassword::NotAllowed));
        assert_eq!(check("spaces are just fine"), Ok(()));
        assert_eq!(check("families, too: 👨\u{200d}👩\u{200d}👧"), Ok(()));
        assert_eq!(check("nobody can type \u{f8ff}"), Err(InvalidPassword::NotAllowed));
    }
}
