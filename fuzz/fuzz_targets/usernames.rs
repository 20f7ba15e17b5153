//! Fuzzes user names: an accepted name matches the documented pattern, and is the same in every
//! spelling of it.

#![no_main]

use cloakroom::core::login_name::MAX_LOGIN_NAME_LENGTH;
use cloakroom::core::secret::Password;
use cloakroom::core::usernames::Username;
use cloakroom::domain::login::Credentials;
use cloakroom::domain::passwords::rules::{DEFAULT_MIN_PASSWORD_LENGTH, PasswordRules};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    // any text is at worst an unknown user name
    let chars = text.chars().count();
    let credentials = Credentials::parse(text, Password::new("a password".to_owned()));
    assert_eq!(credentials.is_ok(), (1..=MAX_LOGIN_NAME_LENGTH).contains(&chars));

    let Ok(name) = Username::parse(text) else { return };
    let canonical = name.as_str();
    let is_edge = |c: Option<char>| c.is_some_and(|c| matches!(c, 'a'..='z' | '0'..='9'));
    assert!((1..=64).contains(&canonical.len()), "{canonical}");
    assert!(canonical.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9' | '.' | '_' | '-')));
    assert!(is_edge(canonical.chars().next()) && is_edge(canonical.chars().last()), "{canonical}");

    let wide = |c: char| char::from_u32(c as u32 - '!' as u32 + '！' as u32).unwrap_or(c);
    for same in [
        canonical.to_owned(),
        canonical.to_uppercase(),
        text.to_lowercase(),
        canonical.chars().map(wide).collect(),
        canonical.replace('k', "\u{212a}"), // the Kelvin sign
    ] {
        assert_eq!(Username::parse(&same).as_ref(), Ok(&name), "{same}");
    }

    // a repeated user name is not accepted as the password
    let rules = PasswordRules { min_length: DEFAULT_MIN_PASSWORD_LENGTH, names: Vec::new() };
    let doubled = Password::new(canonical.repeat(2));
    let other: Username = Username::parse("somebody-else").expect("it is a name");
    if canonical.len() >= DEFAULT_MIN_PASSWORD_LENGTH && rules.check(&doubled, Some(&other)).is_ok()
    {
        let bears = canonical.chars().filter(char::is_ascii_alphabetic).count() > 0;
        assert!(!bears || rules.check(&doubled, Some(&name)).is_err(), "{canonical}");
    }
});
