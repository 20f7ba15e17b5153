//! The texts of mail.
//!
//! A text is ASCII, so that it travels as it is: in any other text, the encoding would break links into several lines.
//! A link is on a line of its own. A text contains nothing that strangers choose.

use askama::Template;

use crate::core::clock::Timestamp;
use crate::core::email_address::EmailAddress;
use crate::core::mailed_secret::{MailedCode, ResetToken};
use crate::domain::requester::ClientInfo;

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

/// What a mail says.
#[derive(Debug)]
pub enum Content<'a> {
    Test,
    /// Names no user: whoever requested it may have chosen the user name for its reader.
    ConfirmAddress {
        code: &'a MailedCode,
        client: &'a ClientInfo,
    },
    AddressChanged {
        username: &'a str,
        client: &'a ClientInfo,
    },
    ResetPassword {
        username: &'a str,
        token: &'a ResetToken,
        client: &'a ClientInfo,
    },
    PasswordRecovered {
        username: &'a str,
        client: &'a ClientInfo,
    },
    ResetLinkCreated {
        username: &'a str,
    },
    PasswordChanged {
        username: &'a str,
        client: &'a ClientInfo,
        /// The number of API tokens, which still work.
        api_tokens: usize,
    },
    NewSignIn {
        username: &'a str,
        client: &'a ClientInfo,
        at: Timestamp,
    },
    /// Does not contain the name of the token, which may be in any alphabet.
    ApiTokenCreated {
        username: &'a str,
        client: &'a ClientInfo,
    },
    ApiTokenExpiring {
        username: &'a str,
    },
    /// Names no user: the account is gone.
    AccountClosed {
        client: &'a ClientInfo,
    },
}

#[derive(Template)]
#[template(path = "mail/test.txt")]
struct TestText<'a> {
    origin: &'a str,
}

#[derive(Template)]
#[template(path = "mail/confirm_address.txt")]
struct ConfirmAddressText<'a> {
    origin: &'a str,
    code: &'a str,
    client: &'a ClientInfo,
}

#[derive(Template)]
#[template(path = "mail/address_changed.txt")]
struct AddressChangedText<'a> {
    origin: &'a str,
    username: &'a str,
    client: &'a ClientInfo,
}

#[derive(Template)]
#[template(path = "mail/reset_password.txt")]
struct ResetPasswordText<'a> {
    origin: &'a str,
    username: &'a str,
    token: &'a str,
    client: &'a ClientInfo,
}

#[derive(Template)]
#[template(path = "mail/password_recovered.txt")]
struct PasswordRecoveredText<'a> {
    origin: &'a str,
    username: &'a str,
    client: &'a ClientInfo,
}

#[derive(Template)]
#[template(path = "mail/reset_link_created.txt")]
struct ResetLinkCreatedText<'a> {
    origin: &'a str,
    username: &'a str,
}

#[derive(Template)]
#[template(path = "mail/password_changed.txt")]
struct PasswordChangedText<'a> {
    origin: &'a str,
    username: &'a str,
    client: &'a ClientInfo,
    api_tokens: usize,
}

#[derive(Template)]
#[template(path = "mail/new_sign_in.txt")]
struct NewSignInText<'a> {
    origin: &'a str,
    username: &'a str,
    client: &'a ClientInfo,
    at: &'a str,
}

#[derive(Template)]
#[template(path = "mail/api_token_created.txt")]
struct ApiTokenCreatedText<'a> {
    origin: &'a str,
    username: &'a str,
    client: &'a ClientInfo,
}

#[derive(Template)]
#[template(path = "mail/api_token_expiring.txt")]
struct ApiTokenExpiringText<'a> {
    origin: &'a str,
    username: &'a str,
}

#[derive(Template)]
#[template(path = "mail/account_closed.txt")]
struct AccountClosedText<'a> {
    origin: &'a str,
    client: &'a ClientInfo,
}

impl Content<'_> {
    /// The end of the subject, and the text.
    fn render(&self, origin: &str) -> (&'static str, askama::Result<String>) {
        match *self {
            Self::Test => ("this is a test", TestText { origin }.render()),
            Self::ConfirmAddress { code, client } => {
                let code = code.expose_for_reading(); // for its reader
                let text = ConfirmAddressText { origin, code: &code, client };
                ("confirm your address", text.render())
            }
            Self::AddressChanged { username, client } => {
                let text = AddressChangedText { origin, username, client };
                ("your account has another address", text.render())
            }
            Self::ResetPassword { username, token, client } => {
                let token = token.expose(); // for its reader
                let text = ResetPasswordText { origin, username, token: &token, client };
                ("set a new password", text.render())
            }
            Self::PasswordRecovered { username, client } => {
                let text = PasswordRecoveredText { origin, username, client };
                ("your account has a new password", text.render())
            }
            Self::ResetLinkCreated { username } => {
                let text = ResetLinkCreatedText { origin, username };
                ("a link for a new password was created", text.render())
            }
            Self::PasswordChanged { username, client, api_tokens } => {
                let text = PasswordChangedText { origin, username, client, api_tokens };
                ("your password was changed", text.render())
            }
            Self::NewSignIn { username, client, at } => {
                let at = &at.to_rfc3339();
                ("new sign-in", NewSignInText { origin, username, client, at }.render())
            }
            Self::ApiTokenCreated { username, client } => {
                let text = ApiTokenCreatedText { origin, username, client };
                ("an API token was created", text.render())
            }
            Self::ApiTokenExpiring { username } => {
                ("API tokens expire soon", ApiTokenExpiringText { origin, username }.render())
            }
            Self::AccountClosed { client } => {
                ("your account was closed", AccountClosedText { origin, client }.render())
            }
        }
    }
}

impl Letter {
    /// Writes a mail.
    pub fn write(
        sender: &Sender,
        content: &Content<'_>,
        id: String,
        (to, date): (EmailAddress, Timestamp),
    ) -> Self {
        let (about, text) = content.render(&sender.origin);
        let subject = format!("{}: {about}", sender.site_name);
        // Without a line break at its end, which the library that formats it adds.
        let text = text.expect("a template that compiled renders");
        Self { id, to, date, subject, text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sender() -> Sender {
        Sender {
            name: None,
            address: "no-reply@id.example.org".to_owned(),
            site_name: "Büro".to_owned(),
            origin: "https://id.example.org".to_owned(),
            domain: "id.example.org".to_owned(),
        }
    }

    #[test]
    fn every_text_is_short_ascii_lines_with_each_link_on_a_line_of_its_own() {
        let username = "a".repeat(64);
        let code = MailedCode::parse("7K3M9QXT4D").unwrap();
        let token = ResetToken::random();
        let link_to_reset = format!("/password-reset/confirm?token={}", *token.expose());
        let known = ClientInfo {
            address: Some("2001:db8:1234:5678:9abc:def0:1234:5678".to_owned()),
            browser: Some("Internet Explorer on Windows Phone OS".to_owned()),
        };
        for client in [&known, &ClientInfo::default()] {
            for (content, path) in [
                (Content::Test, ""),
                (
                    Content::ConfirmAddress { code: &code, client },
                    "/account/email?code=7K3M9-QXT4D",
                ),
                (Content::AddressChanged { username: &username, client }, "/account"),
                (
                    Content::ResetPassword { username: &username, token: &token, client },
                    &link_to_reset,
                ),
                (Content::PasswordRecovered { username: &username, client }, "/login"),
                (Content::ResetLinkCreated { username: &username }, "/login"),
                (Content::PasswordChanged { username: &username, client, api_tokens: 0 }, "/login"),
                (
                    Content::PasswordChanged { username: &username, client, api_tokens: 50 },
                    "/login",
                ),
                (
                    Content::NewSignIn {
                        username: &username,
                        client,
                        at: Timestamp::from_millis(1_800_000_000_000),
                    },
                    "/account",
                ),
                (Content::ApiTokenCreated { username: &username, client }, "/account/tokens"),
                (Content::ApiTokenExpiring { username: &username }, "/account/tokens"),
                (Content::AccountClosed { client }, ""),
            ] {
                let to = EmailAddress::parse("ann@example.org").unwrap();
                let date = Timestamp::from_millis(0);
                let letter = Letter::write(&sender(), &content, "id".to_owned(), (to, date));
                assert!(letter.text.is_ascii() && letter.subject.starts_with("Büro: "));
                let is_short = |line: &str| line.len() <= 76 || line.starts_with("https://");
                assert!(letter.text.lines().all(is_short), "{}", letter.text);
                let links = letter.text.lines().filter(|line| line.contains("https://"));
                let link = format!("https://id.example.org{path}");
                assert_eq!(links.collect::<Vec<_>>(), [link], "{}", letter.text);
                assert!(!letter.text.contains('&') && !letter.text.ends_with('\n'));
                assert!(!letter.text.contains("\n\n\n"), "{}", letter.text);
            }
        }
    }
}
