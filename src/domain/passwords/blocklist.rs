//! Finds passwords that attackers guess first: names of the service, repetitions, keyboard
//! sequences, and common passwords (NIST SP 800-63B-4, section 3.1.1.2; ASVS 6.2.4 and 6.2.11).

use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use crate::domain::passwords::common_passwords;

/// The longest repeated pattern. A pattern of up to five characters adds little however often it is
/// repeated; six can be a word.
const MAX_PATTERN_LENGTH: usize = 5;
/// Shorter names are ignored: "al" is part of too many words.
const MIN_NAME_LENGTH: usize = 3;
/// The minimum average length of runs. In words almost every character starts a new run, in
/// "qwe123asd456" every third.
const CHARS_A_RUN: usize = 3;

/// Cyclic sequences of characters: digits, alphabets, and the rows and columns of keyboards in the
/// United States, Germany, France and Russia.
const TRACKS: [&str; 26] = [
    "0123456789",
    "abcdefghijklmnopqrstuvwxyz",
    "!@#$%^&*()_+",
    "qwertyuiop[]\\",
    "asdfghjkl;'",
    "zxcvbnm,./",
    "1qaz",
    "2wsx",
    "3edc",
    "4rfv",
    "5tgb",
    "6yhn",
    "7ujm",
    "8ik,",
    "9ol.",
    "0p;/",
    "qwertzuiopü",
    "asdfghjklöä",
    "yxcvbnm",
    "azertyuiop",
    "qsdfghjklm",
    "wxcvbn",
    "абвгдеёжзийклмнопрстуфхцчшщъыьэюя",
    "йцукенгшщзхъ",
    "фывапролджэ",
    "ячсмитьбю",
];

/// Why a password is easy to guess.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guessable {
    NameBased,
    Repetitive,
    Sequential,
    Common,
}

/// Whether a password is easy to guess, and why. `own` is the user name of its owner, `place` the
/// names of the service. If the password contains such names, the rest must have at least `fewest`
/// characters.
pub(crate) fn guessable(
    password: &str,
    own: Option<&str>,
    place: &[String],
    fewest: usize,
) -> Option<Guessable> {
    let folded = fold_for_comparison(password);
    let chars = Zeroizing::new(folded.chars().collect::<Vec<char>>());
    let names = own.into_iter().chain(place.iter().map(String::as_str));
    if is_little_but(names, &folded, fewest) {
        Some(Guessable::NameBased)
    } else if (1..=MAX_PATTERN_LENGTH).any(|length| is_repeated(&chars, length)) {
        Some(Guessable::Repetitive)
    } else if is_run(&chars) || is_two_runs(&chars) {
        Some(Guessable::Sequential)
    } else if is_a_common_one(&folded) {
        Some(Guessable::Common)
    } else {
        None
    }
}

/// The form in which passwords are compared with lists: NFKC and lower case, because case and
/// letter variants are easy to guess.
fn fold_for_comparison(text: &str) -> Zeroizing<String> {
    let mut folded = Zeroizing::new(String::with_capacity(2 * text.len()));
    folded.extend(text.nfkc().flat_map(char::to_lowercase));
    folded
}

/// Whether it consists of these names, forwards or backwards, and a rest of digits and signs that
/// is shorter than `fewest`.
fn is_little_but<'a>(names: impl Iterator<Item = &'a str>, folded: &str, fewest: usize) -> bool {
    let mut rest = Zeroizing::new(folded.to_owned());
    let mut words: Vec<String> = names.flat_map(words_of).collect();
    words.sort_by_key(|word| std::cmp::Reverse(word.len())); // a whole name before its parts
    let mut has_name = false;
    for word in words {
        while let Some(start) = rest.find(&word) {
            rest.replace_range(start..start + word.len(), "");
            has_name = true;
        }
    }
    has_name && rest.chars().count() < fewest && !rest.chars().any(char::is_alphabetic)
}

/// A name, the words in it, and the reverse of each.
fn words_of(name: &str) -> Vec<String> {
    let name = fold_for_comparison(name);
    let parts = name.split(|c: char| !c.is_alphanumeric());
    let joined: String = name.chars().filter(|c| c.is_alphanumeric()).collect();
    let forwards = parts.map(str::to_owned).chain([joined, name.to_string()]);
    let words = forwards.filter(|word| word.chars().count() >= MIN_NAME_LENGTH);
    words.flat_map(|word| [word.chars().rev().collect(), word]).collect()
}

/// Whether it repeats the same `length` characters.
fn is_repeated(chars: &[char], length: usize) -> bool {
    chars.len() >= 2 * length && chars[length..] == chars[..chars.len() - length]
}

/// Whether it is an entry of the list, or a repetition of one.
fn is_a_common_one(folded: &str) -> bool {
    let bytes = folded.as_bytes();
    let pieces = common_passwords::MIN_LENGTH..=bytes.len();
    pieces.filter(|length| bytes.len().is_multiple_of(*length)).any(|length| {
        bytes[length..] == bytes[..bytes.len() - length]
            && folded.get(..length).is_some_and(common_passwords::contain)
    })
}

/// Whether it consists of runs that are long on average.
fn is_run(chars: &[char]) -> bool {
    let (mut rest, mut runs) = (chars, 0);
    while !rest.is_empty() {
        rest = &rest[longest_run(rest)..];
        runs += 1;
    }
    runs * CHARS_A_RUN <= chars.len()
}

/// Whether it interleaves two runs, as in "q1w2e3".
fn is_two_runs(chars: &[char]) -> bool {
    let every_other = |first: usize| -> Zeroizing<Vec<char>> {
        Zeroizing::new(chars.iter().copied().skip(first).step_by(2).collect())
    };
    is_run(&every_other(0)) && is_run(&every_other(1))
}

/// The length of the longest run at the start: forwards or backwards on a track, or the same
/// character.
fn longest_run(chars: &[char]) -> usize {
    let same = chars.iter().take_while(|c| **c == chars[0]).count();
    let on_tracks = TRACKS.iter().filter(|track| track.contains(chars[0])).map(|track| {
        let ahead = track.chars().cycle().skip_while(|c| *c != chars[0]);
        let back = track.chars().rev().cycle().skip_while(|c| *c != chars[0]);
        common_start(chars, ahead).max(common_start(chars, back))
    });
    on_tracks.fold(same, usize::max)
}

fn common_start(chars: &[char], track: impl Iterator<Item = char>) -> usize {
    chars.iter().zip(track).take_while(|(one, other)| **one == *other).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::domain::passwords::blocklist::*;

    fn verification(password: &str) -> Option<Guessable> {
        let place = ["cloakroom".to_owned(), "id.example.org".to_owned()];
        guessable(password, Some("john.smith"), &place, 15)
    }

    #[test]
    fn what_is_guessed_first_is_refused_with_its_reason() {
        for (bad, passwords) in [
            (
                Guessable::NameBased,
                &[
                    "john.smith john.smith",
                    "JohnSmithJohnSmith",
                    "smith-john-12345",
                    "1984!john.smith!",
                    "htims.nhoj.12345",
                    "Cloakroom 123456",
                    "cloakroomcloakroom",
                    "moorkaolc1234567",
                    "id.example.org!",
                    "example.org.2026!",
                    "cloakroom-john-smith",
                    "ｃｌｏａｋｒｏｏｍ123456",
                ][..],
            ),
            (
                Guessable::Repetitive,
                &["aaaaaaaaaaaaaaaa", "abcabcabcabcabc", "aB1!zaB1!zaB1!z", "ж ж ж ж ж ж ж ж "],
            ),
            (
                Guessable::Sequential,
                &[
                    "12345678901234567",
                    "abcdefghijklmnop",
                    "zyxwvutsrqponmlk",
                    "qwertyuiopasdfgh",
                    "qazwsxedcrfvtgb",
                    "1q2w3e4r5t6y7u8i9o",
                    "aabbccddeeffgghh",
                    "QWERTY123456!@#$",
                    "987654321qwertyu",
                    "yxcvbnmasdfghjkl",
                    "йцукенгшщзфывапро",
                    "111222333444555",
                ],
            ),
            (
                Guessable::Common,
                &[
                    "passwordpassword",
                    "Passwordpassword",
                    "ｐａｓｓｗｏｒｄpassword",
                    "sunshinesunshinesunshine",
                    "WillSkateForFood",
                ],
            ),
        ] {
            for password in passwords {
                assert_eq!(verification(password), Some(bad), "{password}");
            }
        }
    }

    #[test]
    fn a_few_words_will_do() {
        for password in [
            "correct horse battery staple",
            "a long walk by the river",
            "john likes green tea",
            "the cloakroom is upstairs",
            "we were here as per our tree",
            "Åströmåströmåström",
            "eine rose ist eine rose",
            "j839201748392017",
            "a3b8d1q7z5t2m9x4",
            "cloakroom839201748372019", // the rest alone has fifteen characters
            "akbxcqdzemfwgjhu",         // only every other character follows the alphabet
        ] {
            assert_eq!(verification(password), None, "{password}");
        }
    }

    #[test]
    fn what_is_said_once_and_a_half_is_no_repetition() {
        assert_eq!(guessable("kxwqzkxw", None, &[], 8), None);
        assert_eq!(guessable("kxwqzkxwqz", None, &[], 8), Some(Guessable::Repetitive));
    }

    #[test]
    fn a_short_name_is_part_of_too_much() {
        assert_eq!(guessable("al is 83 and 1 al", Some("al"), &[], 15), None);
        assert_eq!(guessable("al 83920174837 al", Some("al"), &[], 15), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_the_rules_panic(text in any::<String>(), name in any::<String>()) {
            let _ = guessable(&text, Some(&name), std::slice::from_ref(&name), 15);
        }

        #[test]
        fn a_name_padded_and_repeated_is_refused(
            name in "[a-z]{3,12}", padding in "[0-9!?. -]{0,12}", times in 1..4_usize,
        ) {
            let password = format!("{}{padding}", name.repeat(times));
            prop_assert_eq!(guessable(&password, Some(&name), &[], 15), Some(Guessable::NameBased));
        }
    }
}
