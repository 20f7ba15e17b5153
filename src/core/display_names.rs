//! Display names: the names that pages and apps show for users.

use std::fmt;

use unicode_normalization::UnicodeNormalization;

/// The maximum length of a display name in characters.
pub const MAX_DISPLAY_NAME_LENGTH: usize = 64;

/// A display name: 1 to 64 characters in NFC, without white space around it, and without characters
/// that change how the text around it is shown.
///
/// It is free text that its user has chosen, so it identifies no user: two users can have the same
/// one. Its characters are those of `FreeformClass` (RFC 8264, section 4.3), which excludes control
/// characters, but includes letters of all scripts and emoji.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisplayName(String);

/// The reason why a text is not a valid display name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvalidDisplayName {
    TooLong,
    /// It contains a control character, or nothing that can be seen.
    NotAllowed,
}

impl DisplayName {
    /// Parses a display name. The limit applies to the text as it was sent and to its NFC, which is
    /// longer for a few characters. An empty text, or one of white space, is no name.
    pub fn parse(text: &str) -> Result<Option<Self>, InvalidDisplayName> {
        let is_too_long = |text: &str| text.chars().count() > MAX_DISPLAY_NAME_LENGTH;
        if is_too_long(text) {
            return Err(InvalidDisplayName::TooLong);
        }
        let name: String = text.trim().nfc().collect();
        if is_too_long(&name) {
            return Err(InvalidDisplayName::TooLong);
        }
        if name.is_empty() {
            return Ok(None);
        }
        if name.chars().any(is_control) || name.chars().all(is_unseen) {
            return Err(InvalidDisplayName::NotAllowed);
        }
        Ok(Some(Self(name)))
    }

    /// The display name of a row, which was parsed before it was stored.
    pub fn from_row(name: String) -> Self {
        Self(name)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DisplayName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether the character controls how text is shown instead of being shown.
fn is_control(c: char) -> bool {
    c.is_control()
        || matches!(c,
            // Bidi_Control: these reverse the order of the text that follows (UAX #9).
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            // The separators of lines and paragraphs.
            | '\u{2028}' | '\u{2029}'
            // Format characters that nothing shows, with which two names look the same. The joiners
            // U+200C and U+200D are not among them, because scripts and emoji need them.
            | '\u{ad}' | '\u{180e}' | '\u{200b}' | '\u{2060}'..='\u{2064}' | '\u{206a}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
            // Noncharacters.
            | '\u{fdd0}'..='\u{fdef}')
        || u32::from(c) & 0xfffe == 0xfffe
}

/// Whether the character shows nothing by itself: white space, joiners, variation selectors and
/// fillers.
fn is_unseen(c: char) -> bool {
    c.is_whitespace()
        || matches!(c,
            '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200c}' | '\u{200d}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
            | '\u{ffa0}' | '\u{e0100}'..='\u{e01ef}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use unicode_normalization::is_nfc;

    use super::*;

    fn parse(text: &str) -> Option<String> {
        DisplayName::parse(text).unwrap().map(|name| name.to_string())
    }

    #[test]
    fn names_of_all_scripts_and_emoji_are_kept_as_they_are() {
        for name in [
            "Ann O'Brien-Núñez",
            "Дмитрий",
            "山田 太郎",
            "محمد",
            "نرم\u{200c}افزار",
            "👩\u{200d}💻",
            "❤\u{fe0f}",
            "<b>&amp;\"",
            "x",
        ] {
            assert_eq!(parse(name).as_deref(), Some(name));
        }
    }

    #[test]
    fn white_space_around_a_name_is_removed_and_an_empty_name_is_none() {
        assert_eq!(parse(" \u{a0}Ann  B\u{3000}\n").as_deref(), Some("Ann  B"));
        for none in ["", "   ", "\t\n", "\u{3000}"] {
            assert_eq!(parse(none), None, "{none:?}");
        }
    }

    #[test]
    fn the_two_forms_of_an_accent_are_one_name() {
        assert_eq!(parse("Jose\u{301}"), parse("José"));
    }

    #[test]
    fn a_name_has_at_most_64_characters_before_and_after_it_is_composed() {
        assert_eq!(parse(&"é".repeat(64)), Some("é".repeat(64)));
        for long in ["é".repeat(65), format!("{}{}", "a".repeat(64), ' '), "\u{958}".repeat(33)] {
            assert_eq!(DisplayName::parse(&long), Err(InvalidDisplayName::TooLong), "{long}");
        }
    }

    #[test]
    fn control_characters_and_names_that_cannot_be_seen_are_refused() {
        for name in [
            "a\0b",
            "a\nb",
            "a\u{7f}b",
            "a\u{85}b",
            "a\u{2028}b",
            "a\u{2029}b",
            "\u{202e}nna",
            "a\u{2066}b",
            "a\u{200f}b",
            "a\u{61c}b",
            "an\u{200b}n",
            "\u{feff}ann",
            "ann\u{e0041}",
            "a\u{ffff}",
            "a\u{1fffe}",
            "\u{200d}",
            "\u{3164}",
            "\u{2800} \u{2800}",
            "\u{fe0f}",
        ] {
            assert_eq!(DisplayName::parse(name), Err(InvalidDisplayName::NotAllowed), "{name:?}");
        }
    }

    proptest! {
        #[test]
        fn a_name_is_short_composed_and_harmless_and_parsing_it_again_changes_nothing(
            text in prop_oneof![any::<String>(), "[a-zé \u{301}\u{958}\u{200d}\u{2028}\u{a0}]{0,70}"]
        ) {
            if let Ok(Some(name)) = DisplayName::parse(&text) {
                prop_assert_eq!(DisplayName::parse(name.as_str()), Ok(Some(name.clone())));
                let name = name.as_str();
                prop_assert!((1..=64).contains(&name.chars().count()));
                prop_assert!(is_nfc(name) && name.trim() == name);
                prop_assert!(!name.chars().any(is_control));
            }
        }
    }
}
