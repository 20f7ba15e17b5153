//! E-mail addresses: which ones the service sends to, and the form in which they are kept.

use std::fmt;

/// The maximum length of an address: the path of RFC 5321 (section 4.5.3.1.3) without its brackets.
pub const MAX_LENGTH: usize = 254;
/// The maximum length of the part before the `@` (RFC 5321, section 4.5.3.1.1).
const MAX_LOCAL_LENGTH: usize = 64;

/// An e-mail address that every SMTP server understands: an ASCII dot-atom, `@`, and a domain name
/// in its ASCII form.
///
/// Mail goes to this value, never to the text that was typed. Two libraries that read the same text
/// differently would send a link to another mailbox than the one that was checked: a wide `＠` that
/// becomes a second `@` later, or a quoted local part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmailAddress {
    text: String,
    /// The position of the `@`.
    at: usize,
}

/// The reason why a text is not an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvalidEmailAddress {
    Empty,
    TooLong,
    NotAllowed,
}

impl EmailAddress {
    /// Parses an address. Spaces around it are ignored. The domain is mapped by UTS 46 to A-labels,
    /// because many servers accept no other form; the local part stays as it is typed.
    pub fn parse(text: &str) -> Result<Self, InvalidEmailAddress> {
        let text = text.trim_matches(' ');
        if text.is_empty() {
            return Err(InvalidEmailAddress::Empty);
        }
        if text.len() > MAX_LENGTH {
            return Err(InvalidEmailAddress::TooLong);
        }
        let (local, domain) = text.split_once('@').ok_or(InvalidEmailAddress::NotAllowed)?;
        if domain.contains('@') || !is_local_part(local) {
            return Err(InvalidEmailAddress::NotAllowed);
        }
        let domain = idna::domain_to_ascii_strict(domain);
        let domain = domain.map_err(|_| InvalidEmailAddress::NotAllowed)?;
        if !is_domain(&domain) {
            return Err(InvalidEmailAddress::NotAllowed);
        }
        let text = format!("{local}@{domain}");
        if text.len() > MAX_LENGTH {
            return Err(InvalidEmailAddress::TooLong);
        }
        Ok(Self { at: local.len(), text })
    }

    /// The address in a row. It was parsed when it was written.
    pub fn from_row(text: String) -> Option<Self> {
        let at = text.find('@')?;
        Some(Self { text, at })
    }

    /// The mailbox: the address in small letters. Two addresses that differ only in this belong to
    /// one account, because no mail server that people use tells them apart.
    pub fn mailbox(&self) -> String {
        self.text.to_ascii_lowercase()
    }

    /// The address that mail is sent to.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The part before the `@`, as its owner typed it.
    pub fn local_part(&self) -> &str {
        &self.text[..self.at]
    }

    /// The domain in A-labels and small letters.
    pub fn domain(&self) -> &str {
        &self.text[self.at + 1..]
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Whether the text is a dot-atom (RFC 5322, section 3.2.3) that common servers accept: Exim and
/// others refuse `% ! / |` and backquotes, which old programs read as a route or a command.
fn is_local_part(text: &str) -> bool {
    let is_atom = |atom: &str| {
        !atom.is_empty()
            && atom.chars().all(|c| c.is_ascii_alphanumeric() || "#$&'*+-=?^_{}~".contains(c))
    };
    text.len() <= MAX_LOCAL_LENGTH && text.split('.').all(is_atom)
}

/// Whether a domain in ASCII form has at least two labels, and is not an IP address.
fn is_domain(domain: &str) -> bool {
    let (rest, last) = domain.rsplit_once('.').unwrap_or_default();
    !rest.is_empty() && !last.is_empty() && !last.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<String, InvalidEmailAddress> {
        EmailAddress::parse(text).map(|address| address.text)
    }

    #[test]
    fn an_address_keeps_its_local_part_and_gets_its_domain_in_ascii() {
        for (typed, kept) in [
            ("ann@example.org", "ann@example.org"),
            (" Ann.Lee+news@Example.ORG ", "Ann.Lee+news@example.org"),
            ("o'neil_1@mail.example.co.uk", "o'neil_1@mail.example.co.uk"),
            ("ann@bücher.example", "ann@xn--bcher-kva.example"),
            ("ann@exаmple.org", "ann@xn--exmple-4nf.org"), // a Cyrillic letter stays another domain
            ("ann@ｅxample。org", "ann@example.org"),
            ("ann@1.example.org", "ann@1.example.org"),
        ] {
            assert_eq!(parse(typed).as_deref(), Ok(kept), "{typed}");
        }
        let address = EmailAddress::parse("Ann@Example.org").unwrap();
        assert_eq!((address.local_part(), address.domain()), ("Ann", "example.org"));
        assert_eq!(address.mailbox(), "ann@example.org");
        assert_eq!(EmailAddress::from_row("Ann@example.org".to_owned()), Some(address));
        assert_eq!(EmailAddress::from_row("ann".to_owned()), None);
    }

    #[test]
    fn mail_08_what_another_program_could_read_differently_is_no_address() {
        let long = format!("{}@{}.org", "a".repeat(64), "b.".repeat(92) + "bb");
        assert_eq!(long.len(), 255);
        assert_eq!(parse(&long), Err(InvalidEmailAddress::TooLong));
        assert!(parse(&long.replacen("bb.org", "b.org", 1)).is_ok(), "254 bytes are accepted");
        assert_eq!(parse("   "), Err(InvalidEmailAddress::Empty));
        for wrong in [
            "ann＠x.org",
            "\"a@evil\"@x.org",
            "\"a b\"@x.org",
            "a@x.org,b@evil.org",
            "a@x.org\r\nBcc: b@evil.org",
            "a\r\nBcc: b@evil.org@x.org",
            "a@x.org\n",
            "a\0@x.org",
            "a@x.org\0",
            "a\u{ad}nn@x.org",
            "ａnn@x.org",
            "änn@x.org",
            "a@[127.0.0.1]",
            "a@[IPv6:::1]",
            "a@127.0.0.1",
            "a@localhost",
            "a@x.org.",
            "a@.org",
            "a@x..org",
            "a@-x.org",
            "a@x_y.org",
            "a@x＠evil.org",
            "a@evil.org@x.org",
            "@x.org",
            "a@",
            "a",
            "a b@x.org",
            "a\t@x.org",
            ".a@x.org",
            "a.@x.org",
            "a..b@x.org",
            "a%b@x.org",
            "a!b@x.org",
            "a/b@x.org",
            "a|b@x.org",
            "a`b@x.org",
            "<a@x.org>",
            "a(comment)@x.org",
            "a@x.org (comment)",
        ] {
            assert_eq!(parse(wrong), Err(InvalidEmailAddress::NotAllowed), "{wrong:?}");
        }
        let long_local = format!("{}@x.org", "a".repeat(65));
        assert_eq!(parse(&long_local), Err(InvalidEmailAddress::NotAllowed));
    }

    proptest! {
        #[test]
        fn a_parsed_address_is_plain_ascii_and_stays_the_same_when_it_is_parsed_again(
            text in "\\PC{0,20}|[a-zA-Z0-9.+＠@\u{ad}-]{1,12}@[a-zé0-9.。@-]{1,12}\\.(org|рф)"
        ) {
            if let Ok(address) = EmailAddress::parse(&text) {
                let kept = address.as_str();
                prop_assert!(kept.is_ascii() && kept.len() <= MAX_LENGTH);
                prop_assert!(!kept.contains(|c: char| c.is_ascii_control() || " \"(),:;<>[\\]".contains(c)));
                prop_assert_eq!(kept.matches('@').count(), 1);
                prop_assert_eq!(EmailAddress::parse(kept), Ok(address.clone()));
                prop_assert_eq!(format!("{}@{}", address.local_part(), address.domain()), kept);
            }
        }
    }
}
