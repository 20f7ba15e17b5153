//! The texts of mail.
//!
//! A text is ASCII, so that it travels as it is: in any other text, the encoding would break links into several lines.
//! A link is on a line of its own. A text contains nothing that strangers choose.

use askama::Template;

use crate::core::clock::Timestamp;
use crate::core::email_address::EmailAddress;
use crate::domain::mail::kind::MailKind;

/// Who sends mail, and about which service.
#[derive(Debug, Clone)]
pub struct Sender {
    /// The name in front of the address, if there is one.
    pub name: Option<String>,
    pub address: String,
    /// The name of the service, for subjects.
    pub site_name: String,
    /// The URL of the service, with which links begin.
    pub origin: String,
    /// The host of the service as in the domain of an address: a name, or an IP address in brackets.
    pub domain: String,
}

/// A mail that is ready to be sent.
#[derive(Debug)]
pub struct Letter {
    /// The id of its row, from which its `Message-ID` is made: a mail that is sent twice can be
    /// recognized.
    pub id: String,
    pub to: EmailAddress,
    pub date: Timestamp,
    pub subject: String,
    pub text: String,
}

#[derive(Template)]
#[template(path = "mail/test.txt")]
struct TestText<'a> {
    origin: &'a str,
}

impl Letter {
    /// Writes a mail.
    pub fn write(
        sender: &Sender,
        kind: MailKind,
        id: String,
        (to, date): (EmailAddress, Timestamp),
    ) -> Self {
        let (subject, text) = match kind {
            MailKind::Test => {
                let subject = format!("{}: this is a test", sender.site_name);
                (subject, TestText { origin: &sender.origin }.render())
            }
        };
        // Without a line break at its end, which the library that formats it adds.
        let text = text.expect("a template that compiled renders");
        Self { id, to, date, subject, text }
    }
}

#[cfg(test)]
mod tests {
    use strum::VariantNames;

    use super::*;

    #[test]
    fn every_text_is_short_ascii_lines_with_the_link_on_a_line_of_its_own() {
        let sender = Sender {
            name: None,
            address: "no-reply@id.example.org".to_owned(),
            site_name: "Büro".to_owned(),
            origin: "https://id.example.org".to_owned(),
            domain: "id.example.org".to_owned(),
        };
        for kind in MailKind::VARIANTS {
            let to = EmailAddress::parse("ann@example.org").unwrap();
            let date = Timestamp::from_millis(0);
            let letter = Letter::write(&sender, kind.parse().unwrap(), "id".to_owned(), (to, date));
            assert!(letter.text.is_ascii() && letter.subject.starts_with("Büro: "));
            assert!(letter.text.lines().all(|line| line.len() <= 76), "{}", letter.text);
            let links: Vec<_> =
                letter.text.lines().filter(|line| line.contains("https://")).collect();
            assert_eq!(links, ["https://id.example.org"], "{}", letter.text);
            assert!(!letter.text.contains('&') && !letter.text.ends_with('\n'));
        }
    }
}
