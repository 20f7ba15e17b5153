//! User names: their canonical form, and the reserved ones.

use std::fmt;

use unicode_normalization::UnicodeNormalization;

/// The minimum and maximum length of a user name.
pub const USERNAME_CHARS: std::ops::RangeInclusive<usize> = 1..=64;

/// User names of the service, its operators and its pages. They are not available for registration,
/// because their owner could impersonate the operator. The mailbox names come from RFC 2142.
pub const RESERVED: [&str; 39] = [
    "abuse",
    "account",
    "accounts",
    "admin",
    "administrator",
    "anonymous",
    "api",
    "assets",
    "auth",
    "cloakroom",
    "docs",
    "everyone",
    "guest",
    "help",
    "hostmaster",
    "info",
    "localhost",
    "login",
    "logout",
    "mailer-daemon",
    "me",
    "moderator",
    "nobody",
    "noc",
    "noreply",
    "no-reply",
    "null",
    "operator",
    "postmaster",
    "private",
    "register",
    "root",
    "security",
    "session",
    "staff",
    "support",
    "sysadmin",
    "system",
    "webmaster",
];

/// A user name in its canonical form: 1 to 64 of `a-z 0-9 . _ -`, the first and the last a letter
/// or digit.
///
/// This is the profile `UsernameCaseMapped` of RFC 8265, with an alphabet in which no two names
/// look alike to a careful reader. Width, case and composition are mapped in the order of the RFC
/// (sections 3.3.2 and 3.3.3); a name with a character outside the alphabet after that is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Username(String);

/// The reason why a text is not a valid user name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvalidUsername {
    Empty,
    TooLong,
    NotAllowed,
    /// It is one of [`RESERVED`], which only the operator can assign.
    Reserved,
}

impl Username {
    pub fn parse(text: &str) -> Result<Self, InvalidUsername> {
        let mapped: String = text.chars().map(narrow).flat_map(char::to_lowercase).nfc().collect();
        let chars = mapped.chars().count();
        if chars < *USERNAME_CHARS.start() {
            return Err(InvalidUsername::Empty);
        }
        if chars > *USERNAME_CHARS.end() {
            return Err(InvalidUsername::TooLong);
        }
        let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        let inside = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let is_name = mapped.chars().all(inside)
            && edge(mapped.chars().next())
            && edge(mapped.chars().last());
        if is_name { Ok(Self(mapped)) } else { Err(InvalidUsername::NotAllowed) }
    }

    /// The user name of a row, which was parsed before it was stored.
    pub fn from_row(name: String) -> Self {
        Self(name)
    }

    /// Refuses a reserved name, which only the operator can assign.
    pub fn require_not_reserved(self) -> Result<Self, InvalidUsername> {
        if RESERVED.contains(&self.as_str()) { Err(InvalidUsername::Reserved) } else { Ok(self) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The width mapping of RFC 8264, section 5.2.1, for the characters that map into the alphabet: the
/// full-width forms of ASCII, which keyboards for Chinese, Japanese and Korean type.
fn narrow(c: char) -> char {
    const FURTHER: u32 = '！' as u32 - '!' as u32;
    match c {
        '！'..='～' => char::from_u32(c as u32 - FURTHER).unwrap_or(c),
        _ => c,
    }
}

impl fmt::Display for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_in_capitals_is_the_same_name() {
        assert_eq!(Username::parse("Alice"), Username::parse("aLICE"));
        assert_eq!(Username::parse("Alice").unwrap().as_str(), "alice");
    }

    #[test]
    fn wide_letters_and_the_kelvin_sign_are_the_letters_they_stand_for() {
        for (typed, name) in [
            ("ａｌｉｃｅ", "alice"),
            ("ＡＬＩＣＥ．９", "alice.9"),
            ("\u{212a}elvin", "kelvin"),
            ("a－b＿c", "a-b_c"),
        ] {
            assert_eq!(Username::parse(typed).unwrap().as_str(), name);
        }
    }

    #[test]
    fn reserved_names_are_names_that_the_operator_may_give() {
        assert!(RESERVED.iter().all(|name| Username::parse(name).unwrap().as_str() == *name));
        assert!(RESERVED.contains(&env!("CARGO_PKG_NAME")));
        let said = |name| Username::parse(name).and_then(Username::require_not_reserved).map(drop);
        assert_eq!(said("ＡＤＭＩＮ"), Err(InvalidUsername::Reserved));
        assert_eq!(said("adminna"), Ok(()));
    }

    #[test]
    fn names_that_look_like_others_or_cannot_be_seen_are_refused() {
        let names = [
            "аlice",
            "ﬁ",
            "ａ　b",
            "ⓐlice",
            "𝐚lice",
            "ªlice",
            "ſam",
            "straße",
            "İ",
            "ı",
            "ﾁ",
            "a\u{301}",
            "al\u{200b}ice",
            "\u{202e}alice",
            "\u{301}",
            "\u{e0041}",
            " alice",
            "alice ",
            "ali ce",
            "alice\t",
            "alice\n",
            "   ",
            "a\0b",
            ".alice",
            "alice-",
            "_",
            "a/b",
            "a@b",
        ];
        for name in names {
            assert_eq!(Username::parse(name), Err(InvalidUsername::NotAllowed), "{name:?}");
        }
        assert_eq!(Username::parse(""), Err(InvalidUsername::Empty));
        assert_eq!(Username::parse(&"a".repeat(65)), Err(InvalidUsername::TooLong));
        assert!(Username::parse(&"a".repeat(64)).is_ok());
    }

    proptest! {
        #[test]
        fn a_name_is_of_the_documented_pattern_and_parsing_it_again_changes_nothing(text in any_text()) {
            if let Ok(name) = Username::parse(&text) {
                prop_assert_eq!(Username::parse(name.as_str()), Ok(name.clone()));
                let (name, is_edge) = (name.as_str(), |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit());
                prop_assert!((1..=64).contains(&name.len()));
                prop_assert!(name.bytes().all(|c| is_edge(c) || b"._-".contains(&c)), "{name}");
                prop_assert!(name.bytes().next().is_some_and(is_edge));
                prop_assert!(name.bytes().last().is_some_and(is_edge));
            }
        }

        #[test]
        fn every_name_of_the_documented_pattern_is_taken(text in "[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9])?") {
            prop_assert_eq!(Username::parse(&text), Ok(Username(text.to_ascii_lowercase())));
        }
    }

    /// Any text, often one that is similar to a user name.
    fn any_text() -> impl Strategy<Value = String> {
        prop_oneof![
            any::<String>(),
            "[a-zA-ZＡ-Ｚａ-ｚ０-９．＿－\u{212a}\u{212b}\u{300}-\u{308}ßİıſﬁ._-]{0,70}",
        ]
    }
}
