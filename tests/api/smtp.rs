//! SMTP, against servers that answer as a test wants: `tests/e2e/mail/server.py`. They need Python
//! packages: run these tests with `tests/e2e/mail/run`.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use cloakroom::admin::{DoctorOptions, Installation, Verdict, diagnose};
use cloakroom::app;
use cloakroom::config::{Config, Settings};
use cloakroom::core::clock::mins;
use cloakroom::core::email_address::EmailAddress;
use cloakroom::domain::mail::failure::{SendError, Step};
use cloakroom::domain::mail::outbox::{Outbox, Round};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::Value;

use crate::app::{START, TestApp};
use crate::mail::{node, queue};

/// The running servers.
struct Servers {
    folder: tempfile::TempDir,
    process: Child,
    ports: BTreeMap<String, u16>,
}

impl Drop for Servers {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Servers {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = KeyPair::generate().unwrap();
        let mut about = CertificateParams::default();
        about.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let own = about.self_signed(&authority).unwrap();
        fs::write(folder.path().join("ca.pem"), own.pem()).unwrap();
        let issuer = Issuer::from_params(&about, &authority);
        for (file, name) in [("trusted", "127.0.0.1"), ("wrong-name", "relay.example.org")] {
            let key = KeyPair::generate().unwrap();
            let leaf = CertificateParams::new([name.to_owned()]).unwrap();
            let leaf = leaf.signed_by(&key, &issuer).unwrap();
            fs::write(folder.path().join(format!("{file}.pem")), leaf.pem()).unwrap();
            fs::write(folder.path().join(format!("{file}.key")), key.serialize_pem()).unwrap();
        }
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/mail/server.py");
        let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let mut process = Command::new(python)
            .arg(script)
            .arg(folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ports = serde_json::from_str(&line).expect("the servers start");
        Self { folder, process, ports }
    }

    /// Settings for a server. `login` is empty, or ends in `@`.
    fn settings(&self, scheme: &str, login: &str, server: &str) -> String {
        let ca = self.folder.path().join("ca.pem");
        format!(
            "[mail]\nserver = '{scheme}://{login}127.0.0.1:{}'\nca = '{}'\n\
             from = 'Cloakroom <no-reply@id.example.org>'\n",
            self.ports[server],
            ca.display()
        )
    }

    /// Settings for the server without TLS and without a login.
    fn plain(&self) -> String {
        self.settings("smtp", "", "plain")
    }

    /// What the servers did, of one kind.
    fn log(&self, event: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter(|line| line["event"] == event).collect()
    }

    /// The ids of the mails that the servers accepted for an address.
    fn accepted(&self, to: &str) -> Vec<String> {
        let mails = self.log("mail").into_iter().filter(|mail| mail["to"] == to);
        mails.map(|mail| mail["id"].as_str().unwrap().to_owned()).collect()
    }
}

fn config(settings: &str, app: &TestApp) -> Config {
    let mail = Config::check(Settings::from_toml(settings).unwrap()).unwrap().mail;
    Config { mail, ..app.config.clone() }
}

#[tokio::test]
#[ignore = "wants aiosmtpd: tests/e2e/mail/run"]
async fn mail_travels_encrypted_and_with_a_login() {
    let (app, servers) = (TestApp::new().await, Servers::start());
    for settings in [
        servers.settings("smtps", "ann:secret@", "smtps"),
        servers.settings("smtp", "ann:secret@", "starttls"),
        servers.plain(),
    ] {
        let mailer = app::mailer(&config(&settings, &app)).unwrap();
        let to = EmailAddress::parse("ops@example.org").unwrap();
        let said = Outbox::send_test(&mailer, to, START).await.unwrap();
        assert_eq!(said, "250 2.0.0 queued as 7");
    }
    let mails = servers.log("mail");
    let through: Vec<_> = mails.iter().map(|mail| mail["server"].as_str().unwrap()).collect();
    assert_eq!(through, ["smtps", "starttls", "plain"]);
    for mail in &mails {
        assert_eq!(mail["sender"], "no-reply@id.example.org");
        assert_eq!(mail["auto"], "auto-generated");
        assert!(mail["text"].as_str().unwrap().contains("\r\nhttp://127.0.0.1:8000\r\n"));
    }
}

#[tokio::test]
#[ignore = "wants aiosmtpd: tests/e2e/mail/run"]
async fn mail_17_an_insecure_server_gets_no_mail_and_no_password_and_doctor_says_why() {
    let (app, servers) = (TestApp::new().await, Servers::start());
    let smtps = servers.settings("smtps", "ann:secret@", "smtps");
    let public = smtps.lines().filter(|line| !line.starts_with("ca")).collect::<Vec<_>>();
    for (settings, step, sentence) in [
        (
            servers.settings("smtp", "ann:secret@", "stripped"),
            Step::Tls,
            "does not offer STARTTLS, so nothing was sent",
        ),
        (
            servers.settings("smtps", "ann:secret@", "wrong-name"),
            Step::Tls,
            "failed: invalid peer certificate: certificate not valid for name",
        ),
        (public.join("\n"), Step::Tls, "failed: invalid peer certificate: UnknownIssuer"),
        (
            servers.settings("smtps", "ann:secret@", "plain"),
            Step::Tls,
            "the TLS connection to 127.0.0.1:",
        ),
    ] {
        let domain = node(&app, &settings).await;
        queue(&domain, "ann@example.org").await;
        let round = domain.outbox.send_due().await.unwrap();
        let Round::ServerFailed(failure) = round else { panic!("{settings}: {round:?}") };
        assert_eq!(failure.step, step, "{failure}");
        assert!(failure.to_string().contains(sentence), "{failure}");
        let installation = Installation::from(config(&settings, &app));
        let found = diagnose(&installation, DoctorOptions::default()).await;
        let wrong = found.findings.iter().find(|finding| finding.about == "mail").unwrap();
        assert_eq!((wrong.verdict, wrong.says.contains(sentence)), (Verdict::Wrong, true));
    }
    assert!(servers.log("login").is_empty(), "the password was not sent");

    let refused = servers.settings("smtp", "ann:wrong@", "starttls");
    let domain = node(&app, &refused).await;
    let round = domain.outbox.send_due().await.unwrap();
    let Round::ServerFailed(failure) = round else { panic!("{round:?}") };
    assert_eq!(failure.step, Step::Login);
    assert!(failure.to_string().contains("the login (AUTH) as ann at 127.0.0.1:"), "{failure}");
    assert!(failure.to_string().contains("failed: 535 "), "{failure}");
    assert!(!failure.to_string().contains("wrong"), "{failure}");

    // A mail waits for each server, and none is given up.
    let counts = domain.outbox.count_mails().await.unwrap();
    assert_eq!((counts.waiting, counts.failed), (4, 0));
    assert!(servers.log("mail").is_empty() && servers.log("recipient").is_empty());
    let good = node(&app, &smtps).await;
    good.outbox.send_due().await.unwrap();
    assert_eq!(servers.accepted("ann@example.org").len(), 4);
}

#[tokio::test]
#[ignore = "wants aiosmtpd: tests/e2e/mail/run"]
async fn mail_18_each_answer_of_a_server_has_its_consequence() {
    let (app, servers) = (TestApp::new().await, Servers::start());
    let domain = node(&app, &servers.plain()).await;
    let outcome = async |to: &str, tries: usize| {
        let id = queue(&domain, to).await;
        for _ in 0..tries {
            let began = Instant::now();
            assert_eq!(domain.outbox.send_due().await.unwrap(), Round::Done);
            assert!(began.elapsed() <= Duration::from_secs(31), "{to}: {:?}", began.elapsed());
            app.wait(mins(73)); // longer than the longest wait between tries
        }
        let mails = domain.outbox.list_mails(None).await.unwrap();
        let mail = mails.into_iter().find(|mail| mail.id == id);
        let mail = mail.map(|mail| {
            assert_eq!(mail.tries, i64::try_from(tries).unwrap());
            (mail.failed_at.is_some(), mail.reason.unwrap())
        });
        domain.outbox.drop_mails(Some(&id)).await.unwrap();
        mail
    };
    let server = format!("127.0.0.1:{}", servers.ports["plain"]);
    let (is_given_up, reason) = outcome("refused@example.org", 1).await.unwrap();
    assert!(is_given_up);
    assert_eq!(reason, format!("{server} refused the recipient: 550 5.1.1 no such user [31m here"));
    assert_eq!(outcome("later@example.org", 4).await, None, "accepted at the fourth try");
    assert_eq!(servers.accepted("later@example.org").len(), 1);
    let (is_given_up, reason) = outcome("full@example.org", 3).await.unwrap();
    assert!(!is_given_up && reason.ends_with("452 4.2.2 mailbox full"), "{reason}");
    let (is_given_up, reason) = outcome("spam@example.org", 1).await.unwrap();
    assert!(is_given_up && reason.contains("refused the content: 554 5.7.1"), "{reason}");
    let (is_given_up, reason) = outcome("hang@example.org", 1).await.unwrap();
    assert!(!is_given_up && reason.contains("did not answer"), "{reason}");
    assert_eq!(outcome("lost@example.org", 2).await, None);
    let lost = servers.accepted("lost@example.org");
    assert!(lost.len() == 2 && lost[0] == lost[1], "twice, with one Message-ID: {lost:?}");

    let mailer = app::mailer(&config(&servers.plain(), &app)).unwrap();
    let to = EmailAddress::parse("refused@example.org").unwrap();
    let error = Outbox::send_test(&mailer, to, START).await.unwrap_err();
    assert!(matches!(error, SendError::Refused(failure) if failure.step == Step::Recipient));
}

#[tokio::test]
#[ignore = "wants aiosmtpd: tests/e2e/mail/run"]
async fn mail_19_a_refused_mail_delays_none_behind_it() {
    let (app, servers) = (TestApp::new().await, Servers::start());
    let domain = node(&app, &servers.plain()).await;
    for to in ["outside@example.org", "refused@example.org", "full@example.org", "spam@example.org"]
    {
        queue(&domain, to).await;
    }
    app.wait(Duration::from_millis(1)); // so that these four are first
    for _ in 0..100 {
        queue(&domain, "ann@example.org").await;
    }
    let mut rounds = 1;
    while domain.outbox.send_due().await.unwrap() == Round::More {
        rounds += 1;
    }
    assert_eq!(rounds, 11, "104 mails in batches of ten, without a pause");
    let mut accepted = servers.accepted("ann@example.org");
    accepted.sort();
    accepted.dedup();
    assert_eq!(accepted.len(), 100);
    let counts = domain.outbox.count_mails().await.unwrap();
    assert_eq!((counts.waiting, counts.failed), (2, 2));
}

#[tokio::test]
#[ignore = "wants aiosmtpd: tests/e2e/mail/run"]
async fn a_shutdown_waits_eight_seconds_for_a_mail_and_puts_the_others_back() {
    let (app, servers) = (TestApp::new().await, Servers::start());
    let domain = node(&app, &servers.plain()).await;
    queue(&domain, "hang@example.org").await;
    app.wait(Duration::from_millis(1));
    queue(&domain, "ann@example.org").await;
    let round = tokio::spawn({
        let domain = Arc::clone(&domain);
        async move { domain.outbox.send_due().await.unwrap() }
    });
    assert!(app.eventually(async || !servers.log("recipient").is_empty()).await);
    domain.begin_shutdown();
    let began = Instant::now();
    domain.close_store().await;
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!(round.await.unwrap(), Round::Done);
    let waiting = "select count(*) from mails where claimed_at is null and failed_at is null";
    assert_eq!(app.count(waiting).await, 2);
    assert_eq!(app.count("select count(*) from mails where reason is not null").await, 1);
}
