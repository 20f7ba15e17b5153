//! Checks the mail server without sending mail, and the outbox.

use std::path::Path;

use rustix::fs::{Access, AtFlags, CWD, accessat};
use rustix::io::Errno;

use super::findings::{Diagnosis, Verdict};
use crate::app;
use crate::config::Config;
use crate::domain::mail::mailer::Mailer;
use crate::domain::mail::server::{MailServer, SmtpServer};
use crate::store::MailCounts;

const ABOUT: &str = "mail";

/// Checks the mail server, if there is one: connects, encrypts the connection and logs in.
pub(super) async fn check_mail(config: &Config, mails: MailCounts, found: &mut Diagnosis) {
    if let Some(mailer) = app::mailer(config) {
        match &mailer.server {
            MailServer::Folder(folder) => check_folder(folder, found),
            MailServer::Smtp(server) => check_server(&mailer, server, found).await,
        }
    }
    if mails.failed > 0 {
        let says = format!(
            "mails that were given up in the last seven days: {}; `cloakroom mail list` shows why, \
             and `cloakroom mail retry --all` tries again",
            mails.failed
        );
        found.add(ABOUT, Verdict::Note, says);
    }
    if mails.waiting > 0 {
        let says = format!("mails that wait to be sent: {}", mails.waiting);
        found.add(ABOUT, Verdict::Note, says);
    }
}

async fn check_server(mailer: &Mailer, server: &SmtpServer, found: &mut Diagnosis) {
    match mailer.connect().await {
        Ok(session) => {
            session.close().await;
            let login = if server.login.is_some() { ", and the login" } else { "" };
            found.add(ABOUT, Verdict::Ok, format!("{server} accepts the connection{login}"));
        }
        Err(failure) => found.add(ABOUT, Verdict::Wrong, failure.to_string()),
    }
}

/// The service creates the folder with the first mail.
fn check_folder(folder: &Path, found: &mut Diagnosis) {
    let shown = folder.display();
    let access = Access::WRITE_OK | Access::EXEC_OK;
    match accessat(CWD, folder, access, AtFlags::EACCESS) {
        Ok(()) | Err(Errno::NOENT) => {
            found.add(ABOUT, Verdict::Ok, format!("mail is not sent, but written to {shown}"));
        }
        Err(error) => {
            found.add(ABOUT, Verdict::Wrong, format!("mail cannot be written to {shown}: {error}"));
        }
    }
}
