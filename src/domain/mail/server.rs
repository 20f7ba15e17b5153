//! Where mail is handed over: to an SMTP server, or to a folder.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::core::secret::SmtpPassword;

/// The destination of all mail.
#[derive(Debug, Clone)]
pub enum MailServer {
    /// Each mail becomes a file in this folder.
    Folder(PathBuf),
    Smtp(SmtpServer),
}

/// The SMTP server that relays mail.
#[derive(Debug, Clone)]
pub struct SmtpServer {
    /// A host name in ASCII, or an IP address without brackets.
    pub host: String,
    pub port: u16,
    pub security: Security,
    pub login: Option<SmtpLogin>,
    /// The PEM file of the authorities that are trusted instead of the public ones.
    pub ca: Option<PathBuf>,
}

/// How the connection to an SMTP server is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// TLS from the first byte (RFC 8314).
    Tls,
    /// TLS after `STARTTLS`. A server that does not offer it gets no mail.
    StartTls,
    /// None, which is accepted only within a machine.
    ClearText,
}

/// The account at the SMTP server.
#[derive(Debug, Clone)]
pub struct SmtpLogin {
    pub user: String,
    /// Missing if the settings name a user only: then no mail is sent.
    pub password: Option<Arc<SmtpPassword>>,
}

impl fmt::Display for SmtpServer {
    /// Writes the host and the port, as error messages name the server.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}
