//! Writes mail in the format of the Internet, and hands it over by SMTP. No other file names lettre.
//!
//! This uses lettre's connection and its commands, and not its transport, because the transport
//! does not say which step failed: a wrong certificate, a name that does not resolve and a broken
//! connection look alike, and a refused password (535) looks like a refused recipient (550). Its
//! timeout covers only the TCP connection (lettre/lettre#1027), so each step has its own here.

use std::error::Error as StdError;
use std::fs;
use std::time::Duration;

use lettre::Address;
use lettre::message::header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue};
use lettre::message::{Body, Mailbox, Message, SinglePart};
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{
    AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters,
};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt, Rset};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::response::Response;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use crate::domain::mail::failure::{Failure, SendError, Step};
use crate::domain::mail::letter::{Letter, Sender};
use crate::domain::mail::server::{Security, SmtpLogin, SmtpServer};

/// The maximum time of each step but the last.
const MAX_STEP_TIME: Duration = Duration::from_secs(10);
/// The maximum time that a server may take to accept a mail that it has received: filters read it.
const MAX_ACCEPT_TIME: Duration = Duration::from_secs(20);
/// How long the end of a connection may take. The mail is sent by then.
const MAX_QUIT_TIME: Duration = Duration::from_secs(2);

/// Writes a mail with its headers. The library refuses no subject, and encodes what is not ASCII.
pub fn format_letter(sender: &Sender, letter: &Letter) -> Result<Vec<u8>, Failure> {
    let wrong = |error: &dyn StdError| {
        Failure::new(Step::Settings, format!("mail.from cannot be used: {error}"))
    };
    let address: Address = sender.address.parse().map_err(|error| wrong(&error))?;
    let from = Mailbox::new(sender.name.clone(), address);
    let to = Mailbox::new(None, parse_recipient(letter)?);
    let automatic = HeaderName::new_from_ascii_str("Auto-Submitted"); // RFC 3834
    // The library itself would encode a line of more than 76 characters as quoted-printable, which
    // breaks long links for programs that read the raw mail. RFC 5322 allows 998 characters.
    let text = letter.text.replace('\n', "\r\n").into_bytes();
    let text = Body::dangerous_pre_encoded(text, ContentTransferEncoding::SevenBit);
    let message = Message::builder()
        .from(from)
        .to(to)
        .subject(letter.subject.clone())
        .date(letter.date.to_system_time())
        .message_id(Some(format!("<{}@{}>", letter.id, sender.domain)))
        .raw_header(HeaderValue::new(automatic, "auto-generated".to_owned()))
        // `body` instead would leave `MIME-Version` out, without which `charset` means nothing.
        .singlepart(SinglePart::builder().header(ContentType::TEXT_PLAIN).body(text))
        .map_err(|error| wrong(&error))?;
    Ok(message.formatted())
}

fn parse_recipient(letter: &Letter) -> Result<Address, Failure> {
    letter.to.as_str().parse().map_err(|error| {
        Failure::new(
            Step::Recipient,
            format!("the recipient {} cannot be used: {error}", letter.to),
        )
    })
}

/// A connection to the SMTP server, over which mail can be sent.
pub struct SmtpSession {
    connection: AsyncSmtpConnection,
    /// The server in messages.
    server: String,
    /// Whether the server answered everything until now.
    is_usable: bool,
}

impl std::fmt::Debug for SmtpSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SmtpSession").field("server", &self.server).finish_non_exhaustive()
    }
}

impl SmtpSession {
    /// Connects, encrypts the connection and logs in, as the settings say. Sends no mail.
    pub async fn open(server: &SmtpServer, sender: &Sender) -> Result<Self, Failure> {
        let login = server.login.as_ref().map(credentials).transpose()?;
        let mut connection = match server.security {
            Security::Tls => connect_tls(server, sender).await?,
            Security::StartTls => start_tls(server, sender).await?,
            Security::ClearText => connect(server, sender).await?,
        };
        if let Some((user, credentials)) = login {
            log_in(&mut connection, server, (user, &credentials)).await?;
        }
        Ok(Self { connection, server: server.to_string(), is_usable: true })
    }

    /// Whether another mail can be sent over this connection.
    pub fn is_usable(&self) -> bool {
        self.is_usable
    }

    /// Sends a mail. Returns the last line of the server, which often has the id that it gave to
    /// the mail.
    pub async fn send(&mut self, sender: &Sender, letter: &Letter) -> Result<String, SendError> {
        let bytes = format_letter(sender, letter).map_err(SendError::Server)?;
        let to = parse_recipient(letter).map_err(SendError::Refused)?;
        let from: Address = sender.address.parse().expect("it was parsed for the header");
        // Every mail has the same sender, so a server that refuses it refuses all mail.
        let sent = self.command(Step::Sender, Mail::new(Some(from), Vec::new())).await;
        sent.map_err(|error| match error {
            SendError::Refused(failure) => SendError::Server(failure),
            SendError::Server(_) | SendError::Later(_) => error,
        })?;
        self.command(Step::Recipient, Rcpt::new(to, Vec::new())).await?;
        self.command(Step::Content, Data).await?;
        self.is_usable = false; // until the server has answered
        let accepted = timeout(MAX_ACCEPT_TIME, self.connection.message(&bytes)).await;
        let response = self.read_outcome(Step::Content, accepted).await?;
        Ok(last_line(&response))
    }

    /// Ends the connection politely. Errors do not matter any more.
    pub async fn close(mut self) {
        if self.is_usable {
            let _ = timeout(MAX_QUIT_TIME, self.connection.quit()).await;
        }
    }

    async fn command(
        &mut self,
        step: Step,
        command: impl std::fmt::Display,
    ) -> Result<Response, SendError> {
        self.is_usable = false; // until the server has answered
        let answered = timeout(MAX_STEP_TIME, self.connection.command(command)).await;
        self.read_outcome(step, answered).await
    }

    /// Reads the outcome of a command. After a refusal, the server gets ready for the next mail.
    async fn read_outcome(
        &mut self,
        step: Step,
        answered: Result<Result<Response, Error>, tokio::time::error::Elapsed>,
    ) -> Result<Response, SendError> {
        let what = match step {
            Step::Sender => "the sender (mail.from)",
            Step::Recipient => "the recipient",
            _ => "the content",
        };
        let error = match answered {
            Ok(Ok(response)) => {
                self.is_usable = true;
                return Ok(response);
            }
            Ok(Err(error)) => error,
            Err(_) => {
                let text = format!("{} did not answer about {what} in time", self.server);
                return Err(SendError::Later(Failure::new(step, text)));
            }
        };
        let Some(code) = error.status() else {
            let text = format!(
                "the connection to {} broke while it read {what}: {}",
                self.server,
                root_cause(&error)
            );
            return Err(SendError::Later(Failure::new(step, text)));
        };
        let said = root_cause(&error);
        let text = format!("{} refused {what}: {code} {said}", self.server);
        let failure = Failure::new(step, text);
        let code: u16 = code.into();
        // 421 ends the connection (RFC 5321, section 3.8).
        if code != 421 {
            let reset = timeout(MAX_STEP_TIME, self.connection.command(Rset)).await;
            self.is_usable = matches!(reset, Ok(Ok(_)));
        }
        Err(match code {
            // The server wants a login or TLS first (RFC 4954, section 6). It may want this only for
            // some recipients, so other mails do not wait. The operator can still set a login.
            530 | 534 | 535 | 538 => SendError::Later(failure),
            500.. => SendError::Refused(failure),
            _ => SendError::Later(failure),
        })
    }
}

/// The user and the credentials for a login.
fn credentials(login: &SmtpLogin) -> Result<(&str, Credentials), Failure> {
    let user = &login.user;
    let Some(password) = &login.password else {
        let text = format!("mail.server names the user {user}, but mail.password is not set");
        return Err(Failure::new(Step::Settings, text));
    };
    let password = password.expose().to_owned(); // for the server that checks it
    Ok((user, Credentials::new(user.clone(), password)))
}

/// Finds the addresses of the server.
async fn resolve(server: &SmtpServer) -> Result<Vec<std::net::SocketAddr>, Failure> {
    let host = &server.host;
    let failed = |why: &str| {
        Failure::new(Step::Resolve, format!("cannot find the address of {host} (DNS): {why}"))
    };
    match timeout(MAX_STEP_TIME, lookup_host((host.as_str(), server.port))).await {
        Ok(Ok(addresses)) => {
            let addresses: Vec<_> = addresses.collect();
            if addresses.is_empty() { Err(failed("it has none")) } else { Ok(addresses) }
        }
        Ok(Err(error)) => Err(failed(&error.to_string())),
        Err(_) => Err(failed("no answer in time")),
    }
}

fn connect_failure(server: &SmtpServer, why: &str) -> Failure {
    Failure::new(Step::Connect, format!("cannot connect to {server}: {why}"))
}

fn greeting_failure(server: &SmtpServer, error: &Error) -> Failure {
    let why = match error.status() {
        Some(code) => format!("{code} {}", root_cause(error)),
        None => root_cause(error),
    };
    Failure::new(Step::Greeting, format!("{server} did not greet as an SMTP server: {why}"))
}

fn tls_failure(server: &SmtpServer, why: &str) -> Failure {
    Failure::new(Step::Tls, format!("the TLS connection to {server} failed: {why}"))
}

/// Connects without encryption.
async fn connect(server: &SmtpServer, sender: &Sender) -> Result<AsyncSmtpConnection, Failure> {
    let addresses = resolve(server).await?;
    let stream = match timeout(MAX_STEP_TIME, TcpStream::connect(&addresses[..])).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(connect_failure(server, &error.to_string())),
        Err(_) => return Err(connect_failure(server, "no answer in time")),
    };
    let hello = hello(sender);
    let greeted = AsyncSmtpConnection::connect_with_transport(Box::new(stream), &hello);
    match timeout(MAX_STEP_TIME, greeted).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(error)) => Err(greeting_failure(server, &error)),
        Err(_) => {
            let text = format!(
                "{server} did not greet in time; a port for TLS from the first byte, such as 465, \
                 needs smtps:// in mail.server"
            );
            Err(Failure::new(Step::Greeting, text))
        }
    }
}

/// Connects, and encrypts the connection before anything else is sent.
async fn start_tls(server: &SmtpServer, sender: &Sender) -> Result<AsyncSmtpConnection, Failure> {
    let parameters = tls_parameters(server)?;
    let mut connection = connect(server, sender).await?;
    if !connection.can_starttls() {
        let text = format!(
            "{server} does not offer STARTTLS, so nothing was sent; if it encrypts from the first \
             byte, write smtps:// in mail.server"
        );
        return Err(Failure::new(Step::Tls, text));
    }
    match timeout(MAX_STEP_TIME, connection.starttls(parameters, &hello(sender))).await {
        Ok(Ok(())) => Ok(connection),
        Ok(Err(error)) => Err(tls_failure(server, &root_cause(&error))),
        Err(_) => Err(tls_failure(server, "no answer in time")),
    }
}

/// Connects with TLS from the first byte.
async fn connect_tls(server: &SmtpServer, sender: &Sender) -> Result<AsyncSmtpConnection, Failure> {
    let parameters = tls_parameters(server)?;
    let addresses = resolve(server).await?;
    let hello = hello(sender);
    // The library's own timeout is that of the TCP connection.
    let connected = AsyncSmtpConnection::connect_tokio1(
        &addresses[..],
        Some(MAX_STEP_TIME),
        &hello,
        Some(parameters),
        None,
    );
    let error = match timeout(2 * MAX_STEP_TIME, connected).await {
        Ok(Ok(connection)) => return Ok(connection),
        Ok(Err(error)) => error,
        Err(_) => return Err(tls_failure(server, "no answer in time")),
    };
    if error.status().is_some() || error.is_response() {
        return Err(greeting_failure(server, &error));
    }
    // The library reports a failed handshake as an error of the connection whose cause is an error
    // of its own; the cause of a refused connection is one of the system.
    let is_handshake = StdError::source(&error).is_some_and(<dyn StdError>::is::<Error>);
    let why = root_cause(&error);
    Err(if is_handshake { tls_failure(server, &why) } else { connect_failure(server, &why) })
}

async fn log_in(
    connection: &mut AsyncSmtpConnection,
    server: &SmtpServer,
    (user, credentials): (&str, &Credentials),
) -> Result<(), Failure> {
    let failed = |why: &str| {
        Failure::new(Step::Login, format!("the login (AUTH) as {user} at {server} failed: {why}"))
    };
    let mechanisms = [Mechanism::Plain, Mechanism::Login];
    if connection.server_info().get_auth_mechanism(&mechanisms).is_none() {
        return Err(failed("the server offers neither AUTH PLAIN nor AUTH LOGIN"));
    }
    match timeout(MAX_STEP_TIME, connection.auth(&mechanisms, credentials)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(failed(&match error.status() {
            Some(code) => format!("{code} {}", root_cause(&error)),
            None => root_cause(&error),
        })),
        Err(_) => Err(failed("no answer in time")),
    }
}

/// Which certificates are trusted: those of the public authorities, or of the relay's own.
fn tls_parameters(server: &SmtpServer) -> Result<TlsParameters, Failure> {
    let mut builder = TlsParameters::builder(server.host.clone());
    if let Some(path) = &server.ca {
        let wrong =
            |why: &str| Failure::new(Step::Settings, format!("mail.ca ({}) {why}", path.display()));
        let pem = fs::read(path).map_err(|error| wrong(&format!("cannot be read: {error}")))?;
        // The library accepts a file without certificates, and then trusts nothing.
        if !pem.windows(27).any(|part| part == b"-----BEGIN CERTIFICATE-----") {
            return Err(wrong("contains no certificate in PEM format"));
        }
        let authorities = Certificate::from_pem(&pem)
            .map_err(|_| wrong("contains a certificate that is damaged"))?;
        builder =
            builder.certificate_store(CertificateStore::None).add_root_certificate(authorities);
    } else {
        builder = builder.certificate_store(CertificateStore::WebpkiRoots);
    }
    builder.build().map_err(|error| tls_failure(server, &root_cause(&error)))
}

/// The name that the service gives itself. The domain of an address is also the argument of EHLO
/// (RFC 5321, section 4.1.1.1).
fn hello(sender: &Sender) -> ClientId {
    ClientId::Domain(sender.domain.clone())
}

/// The deepest cause of an error: what the server said, or the system.
fn root_cause(error: &Error) -> String {
    let mut cause: &dyn StdError = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

fn last_line(response: &Response) -> String {
    let line = response.message().last().unwrap_or_default();
    Failure::new(Step::Content, format!("{} {line}", response.code())).to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::core::clock::Timestamp;
    use crate::core::email_address::EmailAddress;
    use crate::domain::mail::letter::Content;

    fn sender(name: Option<&str>, address: &str) -> Sender {
        Sender {
            name: name.map(str::to_owned),
            address: address.to_owned(),
            site_name: "Büro\r\nBcc: evil@example.org".to_owned(),
            origin: "https://id.example.org".to_owned(),
            domain: "id.example.org".to_owned(),
        }
    }

    fn letter(sender: &Sender, to: &str) -> Letter {
        let to = EmailAddress::parse(to).unwrap();
        let date = Timestamp::from_millis(1_767_225_600_000);
        Letter::write(sender, &Content::Test, "an-Id_7".to_owned(), (to, date))
    }

    #[test]
    fn a_mail_has_the_headers_of_an_automatic_mail_and_its_text_is_not_encoded() {
        let sender = sender(Some("Büro, Inc."), "no-reply@id.example.org");
        let letter = letter(&sender, "ann@bücher.example");
        let mail = String::from_utf8(format_letter(&sender, &letter).unwrap()).unwrap();
        let (head, text) = mail.split_once("\r\n\r\n").unwrap();
        for line in [
            "From: =?utf-8?b?QsO8cm8sIEluYy4=?= <no-reply@id.example.org>",
            "To: ann@xn--bcher-kva.example",
            "Date: Thu, 01 Jan 2026 00:00:00 +0000",
            "Message-ID: <an-Id_7@id.example.org>",
            "Auto-Submitted: auto-generated",
            "MIME-Version: 1.0",
            "Content-Type: text/plain; charset=utf-8",
            "Content-Transfer-Encoding: 7bit",
        ] {
            assert!(head.lines().any(|found| found == line), "{line}: {head}");
        }
        // A line break in a subject is encoded. Settings with one are refused anyway.
        assert!(head.contains("Subject: =?utf-8?") && !head.contains("Bcc"), "{head}");
        assert_eq!(head.lines().filter(|line| !line.starts_with(' ')).count(), 9, "{head}");
        assert!(mail.is_ascii());
        assert_eq!(text.replace("\r\n", "\n"), letter.text + "\n");
    }

    #[test]
    fn a_long_line_is_sent_as_it_is() {
        let sender = Sender {
            origin: format!("https://{}.example.org", "long.".repeat(40)),
            ..sender(None, "no-reply@id.example.org")
        };
        let mail = format_letter(&sender, &letter(&sender, "ann@example.org")).unwrap();
        let mail = String::from_utf8(mail).unwrap();
        assert!(mail.contains(&format!("\r\n{}\r\n", sender.origin)), "{mail}");
        assert!(mail.contains("Content-Transfer-Encoding: 7bit\r\n"), "{mail}");
    }

    #[test]
    fn the_default_sender_of_a_service_on_an_ip_address_can_be_written() {
        let sender = Sender {
            domain: "[IPv6:::1]".to_owned(),
            ..sender(Some("Cloakroom"), "no-reply@localhost")
        };
        let mail = format_letter(&sender, &letter(&sender, "ann@example.org")).unwrap();
        let mail = String::from_utf8(mail).unwrap();
        assert!(mail.contains("From: Cloakroom <no-reply@localhost>\r\n"), "{mail}");
        assert!(mail.contains("Message-ID: <an-Id_7@[IPv6:::1]>\r\n"), "{mail}");
    }

    proptest! {
        #[test]
        fn the_library_accepts_each_address_that_the_service_accepts(
            text in "[a-zA-Z0-9#$&'*+=?^_{}~.-]{1,64}@[a-zA-Zäß0-9-]{1,30}\\.(org|рф|co\\.uk)"
        ) {
            if let Ok(address) = EmailAddress::parse(&text) {
                let read: Result<Address, _> = address.as_str().parse();
                prop_assert_eq!(read.map(|read| read.to_string()).ok(), Some(address.as_str().to_owned()));
            }
        }
    }
}
