//! What a user types to say who they are: a user name or an e-mail address.

use super::email_address::EmailAddress;
use super::usernames::Username;

/// The maximum length of what a user types, in characters.
pub const MAX_LOGIN_NAME_LENGTH: usize = 256;

/// A user name or an address. No user name contains an `@`, so no text can be both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoginName {
    Username(Username),
    Email(EmailAddress),
}

impl LoginName {
    /// Parses what a user typed. White space around it is ignored, because the keyboards of phones
    /// append a space.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.contains('@') {
            EmailAddress::parse(text).ok().map(Self::Email)
        } else {
            Username::parse(text).ok().map(Self::Username)
        }
    }

    /// The name without the differences that do not count: the user name, or the mailbox. Attempts
    /// are counted for it.
    pub fn key(&self) -> String {
        match self {
            Self::Username(username) => username.as_str().to_owned(),
            Self::Email(address) => address.mailbox(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_with_an_at_sign_is_an_address_and_any_other_a_user_name() {
        let key = |text: &str| LoginName::parse(text).map(|name| name.key());
        assert_eq!(key(" Ann ").as_deref(), Some("ann"));
        assert_eq!(key(" Ann@Example.org\t").as_deref(), Some("ann@example.org"));
        assert!(matches!(LoginName::parse("ann@example.org"), Some(LoginName::Email(_))));
        for neither in ["", "a b", "ann@", "ann@localhost", "ann＠example.org", "@ann"] {
            assert_eq!(key(neither), None, "{neither}");
        }
    }
}
