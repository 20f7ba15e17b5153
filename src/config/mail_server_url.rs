//! `mail.server`: the URL of the SMTP server, displayed without its password.

use std::fmt;

use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use url::Host;

use super::error::ConfigError;
use crate::domain::mail::server::Security;

/// The value of `mail.server` for a folder of files.
const FILE: &str = "file";
/// The port for TLS from the first byte (RFC 8314, section 7.3).
const TLS_PORT: u16 = 465;
/// The port for mail that users and programs hand in (RFC 6409).
const SUBMISSION_PORT: u16 = 587;

/// The setting as it was written. It may contain the password.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct MailServerUrl(String);

/// The parts of the setting.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum MailDestination {
    Folder,
    Smtp {
        security: Security,
        host: String,
        port: u16,
        user: Option<String>,
        password: Option<String>,
    },
}

impl MailServerUrl {
    /// Parses `file`, `smtps://[user[:password]@]host[:port]` or the same with `smtp://`.
    ///
    /// Nothing may follow the port: other programs read options such as `?tls=none` there, which
    /// would turn the encryption off. The host begins after the last `@`, so that a user name may
    /// be an address; both parts before it may be percent-encoded.
    pub(super) fn parse(&self) -> Result<MailDestination, ConfigError> {
        let wrong = |why: &str| ConfigError::new(format!("mail.server {why}"));
        if self.0 == FILE {
            return Ok(MailDestination::Folder);
        }
        let (is_tls, rest) = match (self.0.strip_prefix("smtps://"), self.0.strip_prefix("smtp://"))
        {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => {
                return Err(wrong(
                    "must be \"file\", or begin with smtps:// (TLS) or smtp:// (STARTTLS)",
                ));
            }
        };
        let (user_info, place) = match rest.rsplit_once('@') {
            Some((user_info, place)) => (Some(user_info), place),
            None => (None, rest),
        };
        let (host, port) = parse_place(place).ok_or_else(|| {
            wrong("must name a host and nothing after it but a port, such as smtps://user@relay.example.org:465")
        })?;
        let (user, password) =
            match user_info.map(|text| text.split_once(':').unwrap_or((text, ""))) {
                Some((user, password)) => (Some(decode(user)), Some(decode(password))),
                None => (None, None),
            };
        let is_plain = |text: &Option<Option<String>>| {
            text.as_ref().is_none_or(|text| {
                text.as_ref().is_some_and(|text| !text.chars().any(char::is_control))
            })
        };
        let is_named =
            user.as_ref().is_none_or(|user| user.as_ref().is_some_and(|user| !user.is_empty()));
        if !is_plain(&user) || !is_plain(&password) || !is_named {
            return Err(wrong("must have a user name of plain text before the @"));
        }
        let user = user.flatten();
        let security = match (is_tls, is_loopback(&host) && user.is_none()) {
            (true, _) => Security::Tls,
            (false, true) => Security::ClearText,
            (false, false) => Security::StartTls,
        };
        Ok(MailDestination::Smtp {
            security,
            host: host.to_string().trim_matches(['[', ']']).to_owned(),
            port: port.unwrap_or(if is_tls { TLS_PORT } else { SUBMISSION_PORT }),
            user,
            password: password.flatten().filter(|password| !password.is_empty()),
        })
    }
}

/// Parses `host` or `host:port`.
fn parse_place(text: &str) -> Option<(Host, Option<u16>)> {
    let is_address = text.starts_with('[');
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !is_address || host.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let is_plain = |c: char| !c.is_whitespace() && !c.is_control() && !"%/?#".contains(c);
    if host.is_empty() || !host.chars().all(is_plain) {
        return None;
    }
    let port = match port {
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(digits.parse::<u16>().ok().filter(|port| *port > 0)?)
        }
        Some(_) => return None,
        None => None,
    };
    Some((Host::parse(host).ok()?, port))
}

fn is_loopback(host: &Host) -> bool {
    match host {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

/// Decodes percent-encoded text. A `%` that begins no code stays as it is.
fn decode(text: &str) -> Option<String> {
    percent_decode_str(text).decode_utf8().ok().map(Into::into)
}

impl fmt::Display for MailDestination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Smtp { security, host, port, user, .. } = self else {
            return f.write_str(FILE);
        };
        f.write_str(match security {
            Security::Tls => "smtps://",
            Security::StartTls | Security::ClearText => "smtp://",
        })?;
        if let Some(user) = user {
            // As it must be written in the setting: a `:` would begin a password.
            write!(f, "{}@", user.replace('%', "%25").replace(':', "%3A"))?;
        }
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

impl fmt::Debug for MailDestination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for MailDestination {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Debug for MailServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MailServerUrl(…)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<MailDestination, String> {
        MailServerUrl(text.to_owned()).parse().map_err(|error| error.to_string())
    }

    #[test]
    fn a_server_is_encrypted_unless_it_is_on_this_machine_and_has_no_user() {
        for (text, security, shown) in [
            ("smtps://relay.example.org", Security::Tls, "smtps://relay.example.org:465"),
            (
                "smtps://ann@relay.example.org:4650",
                Security::Tls,
                "smtps://ann@relay.example.org:4650",
            ),
            ("smtps://127.0.0.1", Security::Tls, "smtps://127.0.0.1:465"),
            ("smtp://relay.example.org", Security::StartTls, "smtp://relay.example.org:587"),
            ("smtp://ann@127.0.0.1:25", Security::StartTls, "smtp://ann@127.0.0.1:25"),
            ("smtp://127.0.0.1:25", Security::ClearText, "smtp://127.0.0.1:25"),
            ("smtp://[::1]:25", Security::ClearText, "smtp://[::1]:25"),
            ("smtp://localhost", Security::ClearText, "smtp://localhost:587"),
            ("smtp://LOCALHOST:25", Security::ClearText, "smtp://localhost:25"),
            (
                "smtp://localhost.example.org",
                Security::StartTls,
                "smtp://localhost.example.org:587",
            ),
            (
                "smtps://ann@example.org@relay.example.org",
                Security::Tls,
                "smtps://ann@example.org@relay.example.org:465",
            ),
            (
                "smtps://ann%40example.org:canary@relay.example.org",
                Security::Tls,
                "smtps://ann@example.org@relay.example.org:465",
            ),
            (
                "smtps://ann:ca@na/r?y#@relay.example.org",
                Security::Tls,
                "smtps://ann@relay.example.org:465",
            ),
            ("smtps://ann:canary@[::1]:25", Security::Tls, "smtps://ann@[::1]:25"),
        ] {
            let parsed = parse(text).unwrap();
            assert_eq!(parsed.to_string(), shown, "{text}");
            assert!(!format!("{parsed:?}").contains("canary"));
            let MailDestination::Smtp { security: found, .. } = parsed else { panic!("{text}") };
            assert_eq!(found, security, "{text}");
        }
        let MailDestination::Smtp { user, password, .. } =
            parse("smtps://a%3Ab:p%40%3a%2fw@relay.example.org").unwrap()
        else {
            panic!()
        };
        assert_eq!((user.as_deref(), password.as_deref()), (Some("a:b"), Some("p@:/w")));
    }

    #[test]
    fn a_server_that_cannot_be_meant_is_refused_without_its_password() {
        for text in [
            "",
            "File",
            "relay.example.org",
            "SMTPS://relay.example.org",
            "https://relay.example.org",
            "smtps:relay.example.org",
            "smtps://",
            "smtps://ann:canary@",
            "smtps://@relay.example.org",
            "smtps://:canary@relay.example.org",
            "smtps://ann:canary@relay.example.org?tls=none",
            "smtps://ann:canary@relay.example.org/",
            "smtps://ann:canary@relay.example.org#x",
            "smtps://ann:canary@relay.example.org:0",
            "smtps://ann:canary@relay.example.org:65536",
            "smtps://ann:canary@relay.example.org:+25",
            "smtps://ann:canary@relay.example.org:",
            "smtps://ann:canary@relay example.org",
            "smtps://ann:canary@relay%2eexample.org",
            "smtps://ann:canary@[::1",
            "smtps://ann:canary@::1",
            "smtps://ann:ca%0d%0anary@relay.example.org",
            "smtps://an\nn:canary@relay.example.org",
            "smtps://ann:canary%ff@relay.example.org",
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.starts_with("mail.server must ") && !error.contains("canary"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_user_and_password_are_read_back(
            user in "[^\\p{Cc}]{1,20}", password in "[^\\p{Cc}]{1,20}"
        ) {
            let encode = |text: &str| {
                percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
            };
            let text = format!("smtps://{}:{}@relay.example.org", encode(&user), encode(&password));
            let parsed = parse(&text).unwrap();
            let MailDestination::Smtp { user: found, password: kept, host, .. } = &parsed else {
                return Err(TestCaseError::fail("no server"));
            };
            prop_assert_eq!(found.as_deref(), Some(&*user));
            prop_assert_eq!(kept.as_deref(), Some(&*password));
            prop_assert_eq!(host, "relay.example.org");
            // What is shown can be written in the settings again.
            prop_assert_eq!(parse(&parsed.to_string()).map(|again| again.to_string()), Ok(parsed.to_string()));
        }

        #[test]
        fn no_text_makes_the_parser_panic_or_sends_mail_in_clear_text_to_another_machine(
            text in "(smtps?://)?\\PC{0,30}"
        ) {
            if let Ok(MailDestination::Smtp { security: Security::ClearText, host, user, .. }) = parse(&text) {
                prop_assert!(user.is_none());
                prop_assert!(host == "localhost" || host.parse::<std::net::IpAddr>().unwrap().is_loopback());
            }
        }
    }
}
