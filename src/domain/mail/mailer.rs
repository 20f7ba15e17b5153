//! Hands mail over to the mail server, or writes it to a folder.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::domain::mail::failure::{Failure, SendError, Step};
use crate::domain::mail::letter::{Letter, Sender};
use crate::domain::mail::server::MailServer;
use crate::domain::mail::smtp::{SmtpSession, format_letter};

/// The way to the recipients.
#[derive(Debug, Clone)]
pub struct Mailer {
    pub server: MailServer,
    pub sender: Sender,
}

/// A connection for several mails.
#[derive(Debug)]
pub enum MailSession {
    Folder(PathBuf),
    Smtp(Box<SmtpSession>),
}

impl Mailer {
    /// Connects to the server and logs in, or creates the folder.
    pub async fn connect(&self) -> Result<MailSession, Failure> {
        match &self.server {
            MailServer::Folder(folder) => {
                create_folder(folder).map_err(|error| file_failure(folder, &error))?;
                Ok(MailSession::Folder(folder.clone()))
            }
            MailServer::Smtp(server) => {
                let session = SmtpSession::open(server, &self.sender).await?;
                Ok(MailSession::Smtp(Box::new(session)))
            }
        }
    }

    /// Sends a single mail over its own connection. Returns what the server said, or the path of
    /// the file.
    pub async fn send(&self, letter: &Letter) -> Result<String, SendError> {
        let mut session = self.connect().await.map_err(SendError::Server)?;
        let sent = session.send(&self.sender, letter).await;
        session.close().await;
        sent
    }
}

impl MailSession {
    pub async fn send(&mut self, sender: &Sender, letter: &Letter) -> Result<String, SendError> {
        match self {
            Self::Folder(folder) => {
                let bytes = format_letter(sender, letter).map_err(SendError::Server)?;
                let path = folder.join(file_name(letter));
                write_file(&path, &bytes)
                    .map_err(|error| SendError::Server(file_failure(folder, &error)))?;
                Ok(path.display().to_string())
            }
            Self::Smtp(session) => session.send(sender, letter).await,
        }
    }

    /// Whether another mail can be sent over this connection.
    pub fn is_usable(&self) -> bool {
        match self {
            Self::Folder(_) => true,
            Self::Smtp(session) => session.is_usable(),
        }
    }

    pub async fn close(self) {
        match self {
            Self::Folder(_) => {}
            Self::Smtp(session) => session.close().await,
        }
    }
}

/// The name of a mail's file. A mail that is sent again replaces its file.
fn file_name(letter: &Letter) -> String {
    let date = letter.date.to_rfc3339().replace(':', "-");
    format!("{date}-{}.eml", letter.id)
}

fn file_failure(folder: &Path, error: &io::Error) -> Failure {
    Failure::new(Step::File, format!("cannot write mail to {}: {error}", folder.display()))
}

fn create_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Writes a file under another name first, so that no program reads half a mail.
fn write_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let partial = path.with_extension("partial");
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&partial, path)
}
