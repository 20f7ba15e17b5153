//! The outbox: mail is sent once, by whichever node is there, and none is lost.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use cloakroom::app::{self, Environment};
use cloakroom::config::{Config, Settings};
use cloakroom::core::clock::{days, hours, mins};
use cloakroom::core::email_address::EmailAddress;
use cloakroom::domain::AuthService;
use cloakroom::domain::jobs::cleanup::remove_ended;
use cloakroom::domain::mail::failure::Step;
use cloakroom::domain::mail::kind::MailKind;
use cloakroom::domain::mail::new_mail::NewMail;
use cloakroom::domain::mail::outbox::Round;
use cloakroom::domain::throttle::limits::Limits;
use cloakroom::store::MailClaim;
use tokio::net::TcpSocket;

use crate::app::{CHEAP, TestApp};

/// A node with these mail settings, without background jobs: its tests send mail by hand.
pub async fn node(app: &TestApp, mail: &str) -> Arc<AuthService> {
    let settings = Settings::from_toml(mail).unwrap();
    let mail = Config::check(settings).unwrap().mail;
    let config = Config { mail, ..app.config.clone() };
    let clock = app.clock.clone();
    let environment = Environment { clock, hash_cost: CHEAP, limits: Limits::none() };
    Arc::new(app::open(&config, environment).await.unwrap())
}

const FOLDER: &str = "mail.server = 'file'";

/// Queues a test mail for an address. Returns its id.
pub async fn queue(domain: &AuthService, recipient: &str) -> String {
    let recipient = EmailAddress::parse(recipient).unwrap();
    domain.outbox.queue(&NewMail::test(recipient)).await.unwrap()
}

/// The ids of the mails that a node wrote to the folder.
fn written(app: &TestApp) -> BTreeSet<String> {
    let Ok(folder) = fs::read_dir(app.data("mail")) else { return BTreeSet::new() };
    let texts = folder.map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap());
    let id = |text: String| {
        let (_, rest) = text.split_once("Message-ID: <").unwrap();
        rest.split_once('@').unwrap().0.to_owned()
    };
    texts.map(id).collect()
}

/// The value of a sample of the metrics of a node without an endpoint of its own.
fn tries(domain: &AuthService, outcome: &'static str) -> u64 {
    domain.counters.mails.get_or_create_owned(&[("kind", "test"), ("outcome", outcome)]).get()
}

/// An address of this machine that refuses connections as long as the socket is held.
fn closed_port() -> (TcpSocket, String) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let at = socket.local_addr().unwrap().to_string();
    (socket, at)
}

#[tokio::test]
async fn a_queued_mail_becomes_a_file_and_leaves_the_outbox() {
    let app = TestApp::new().await;
    let domain = node(&app, FOLDER).await;
    let id = queue(&domain, "Ann@bücher.example").await;
    let waiting = domain.outbox.list_mails(None).await.unwrap();
    assert_eq!(waiting.len(), 1);
    assert_eq!((&*waiting[0].recipient, waiting[0].tries), ("Ann@xn--bcher-kva.example", 0));
    assert_eq!(domain.outbox.send_due().await.unwrap(), Round::Done);
    assert_eq!(written(&app), BTreeSet::from([id]));
    assert_eq!(app.count("select count(*) from mails").await, 0);
    assert_eq!(tries(&domain, "sent"), 1);
    let file = fs::read_dir(app.data("mail")).unwrap().next().unwrap().unwrap();
    let text = fs::read_to_string(file.path()).unwrap();
    assert!(text.contains("\r\nhttp://127.0.0.1:8000\r\n"), "{text}");
    assert!(file.file_name().to_str().unwrap().starts_with("2026-01-01T00-00-00Z-"));
}

#[tokio::test]
async fn a_mail_that_is_queued_wakes_the_worker_of_the_node() {
    let app = TestApp::with(Settings::from_toml(FOLDER).unwrap()).await;
    let id = queue(&app.domain, "ann@example.org").await;
    assert!(app.eventually(async || written(&app).contains(&id)).await);
    let gone = async || app.count("select count(*) from mails").await == 0;
    assert!(app.eventually(gone).await);
}

#[tokio::test]
async fn a_mail_server_that_is_away_for_six_hours_loses_and_doubles_no_mail() {
    let app = TestApp::new().await;
    let (_closed, at) = closed_port();
    let away = node(&app, &format!("mail.server = 'smtp://{at}'")).await;
    let mut queued = BTreeSet::new();
    for hour in 0..6 {
        for n in 0..4 {
            queued.insert(queue(&away, &format!("ann{hour}-{n}@example.org")).await);
        }
        for _ in 0..6 {
            let round = away.outbox.send_due().await.unwrap();
            let Round::ServerFailed(failure) = round else { panic!("{round:?}") };
            assert_eq!(failure.step, Step::Connect);
            assert!(failure.to_string().starts_with(&format!("cannot connect to {at}: ")));
            app.wait(mins(10));
        }
    }
    let waiting = away.outbox.list_mails(None).await.unwrap();
    assert_eq!(waiting.len(), queued.len());
    assert!(waiting.iter().all(|mail| mail.failed_at.is_none() && mail.claimed_at.is_none()));
    let tried = waiting.iter().filter(|mail| mail.reason.is_some());
    assert!(tried.clone().all(|mail| mail.reason.as_deref().unwrap().contains("cannot connect")));
    assert!(tried.count() >= 10, "a batch was tried each time");
    assert_eq!((tries(&away, "failed"), tries(&away, "postponed")), (0, 0));
    // The server is there again, for another node.
    let back = node(&app, FOLDER).await;
    while back.outbox.send_due().await.unwrap() == Round::More {}
    assert_eq!(written(&app), queued);
    assert_eq!(tries(&back, "sent"), 24);
    assert_eq!(app.count("select count(*) from mails").await, 0);
}

#[tokio::test]
async fn a_mail_that_cannot_be_sent_for_two_days_is_given_up_and_can_be_tried_again() {
    let app = TestApp::new().await;
    let (_closed, at) = closed_port();
    let away = node(&app, &format!("mail.server = 'smtp://{at}'")).await;
    let id = queue(&away, "ann@example.org").await;
    away.outbox.send_due().await.unwrap();
    app.wait(hours(48) + mins(1));
    assert_eq!(away.outbox.send_due().await.unwrap(), Round::Done);
    let counts = away.outbox.count_mails().await.unwrap();
    assert_eq!((counts.waiting, counts.failed), (0, 1));
    assert_eq!(tries(&away, "failed"), 1);
    let mails = away.outbox.list_mails(None).await.unwrap();
    let reason = mails[0].reason.as_deref().unwrap();
    assert!(reason.contains("cannot connect"), "the reason is kept: {reason}");
    away.audit.write(&away.store, app.clock.now()).await.unwrap();
    let event = "select count(*) from events where event = 'mail_failed' and refusal = 0";
    assert_eq!(app.count(event).await, 1);
    assert_eq!(app.text("select thing from events where event = 'mail_failed'").await, id);

    // An operator has set another server.
    let back = node(&app, FOLDER).await;
    assert_eq!(back.outbox.send_due().await.unwrap(), Round::Done);
    assert_eq!(written(&app), BTreeSet::new(), "it was given up");
    assert_eq!(back.outbox.retry_mails(Some("another")).await.unwrap(), 0);
    assert_eq!(back.outbox.retry_mails(None).await.unwrap(), 1);
    back.outbox.send_due().await.unwrap();
    assert_eq!(written(&app), BTreeSet::from([id]));
}

#[tokio::test]
async fn a_node_that_crashes_leaves_its_mails_to_others_when_its_claim_ends() {
    let app = TestApp::new().await;
    let [one, two] = [node(&app, FOLDER).await, node(&app, FOLDER).await];
    let id = queue(&one, "ann@example.org").await;
    let now = app.clock.now();
    let claim = MailClaim {
        now: now.millis(),
        until: now.plus(mins(10)).millis(),
        kinds: MailKind::names(),
        limit: 10,
    };
    let claimed = one.store.claim_mails(claim).await.unwrap();
    assert_eq!(claimed.len(), 1);
    assert_eq!(two.outbox.send_due().await.unwrap(), Round::Done);
    assert_eq!(two.outbox.retry_mails(Some(&id)).await.unwrap(), 0, "it is being sent");
    app.wait(mins(9) + Duration::from_secs(59));
    two.outbox.send_due().await.unwrap();
    assert_eq!(written(&app), BTreeSet::new(), "the claim holds");
    app.wait(Duration::from_secs(1));
    let later = app.clock.now();
    let claim = MailClaim { now: later.millis(), until: later.plus(mins(10)).millis(), ..claim };
    assert_eq!(two.store.claim_mails(claim).await.unwrap()[0].tries, 2);
    // The first node was only slow: what it writes now changes nothing.
    let stale = (id.as_str(), claimed[0].tries);
    assert!(!one.store.finish_mail(&id, stale.1).await.unwrap());
    assert!(!one.store.postpone_mail(stale, 0, None).await.unwrap());
    assert!(!one.store.fail_mail(stale, 0, "late").await.unwrap());
    assert_eq!(app.count("select count(*) from mails where tries = 2").await, 1);
    assert!(two.store.finish_mail(&id, 2).await.unwrap());
}

#[tokio::test]
async fn of_two_nodes_that_send_at_once_each_mail_is_sent_by_one() {
    let app = TestApp::new().await;
    let [one, two] = [node(&app, FOLDER).await, node(&app, FOLDER).await];
    let mut queued = BTreeSet::new();
    for n in 0..50 {
        queued.insert(queue(&one, &format!("ann{n}@example.org")).await);
    }
    let send_all = async |domain: &AuthService| {
        while app.count("select count(*) from mails").await > 0 {
            let round = domain.outbox.send_due().await.unwrap();
            assert!(matches!(round, Round::Done | Round::More), "{round:?}");
        }
    };
    tokio::join!(send_all(&one), send_all(&two));
    assert_eq!(written(&app), queued);
    assert_eq!(tries(&one, "sent") + tries(&two, "sent"), 50);
}

#[tokio::test]
async fn a_mail_of_a_newer_node_and_a_node_that_shuts_down_leave_the_outbox_alone() {
    let app = TestApp::new().await;
    let domain = node(&app, FOLDER).await;
    app.sql(
        "insert into mails (id, kind, recipient, created_at, due_at, tries)
         values ('newer', 'from_the_future', 'ann', 0, 0, 0)",
    )
    .await;
    assert_eq!(domain.outbox.send_due().await.unwrap(), Round::Done);
    let untouched = "select count(*) from mails where tries = 0 and claimed_at is null";
    assert_eq!(app.count(untouched).await, 1);
    queue(&domain, "ann@example.org").await;
    domain.begin_shutdown();
    assert_eq!(domain.outbox.send_due().await.unwrap(), Round::Done);
    assert_eq!(app.count(untouched).await, 2);
    domain.close_store().await; // does not wait for a worker that is not there
}

#[tokio::test]
async fn a_mail_that_was_given_up_is_kept_for_a_week() {
    let app = TestApp::new().await;
    let domain = node(&app, FOLDER).await;
    app.sql(
        "insert into mails (id, kind, recipient, created_at, due_at, tries, failed_at, reason)
         values ('old', 'test', 'ann@example.org', 0, 0, 1, 1767225600000, '550 no'),
                ('waiting', 'from_the_future', 'ann@example.org', 0, 0, 0, null, null)",
    )
    .await;
    app.wait(days(6) + hours(24).saturating_sub(mins(1)));
    remove_ended(&domain).await.unwrap();
    assert_eq!(app.count("select count(*) from mails").await, 2);
    app.wait(mins(1));
    remove_ended(&domain).await.unwrap();
    assert_eq!(app.text("select id from mails").await, "waiting");
}

#[tokio::test]
async fn the_mails_of_the_outbox_are_counted() {
    let mut app = TestApp::new().await;
    app.sql(
        "insert into mails (id, kind, recipient, created_at, due_at, tries, failed_at, reason)
         values ('a', 'test', 'ann@example.org', 0, 0, 0, null, null),
                ('b', 'test', 'ann@example.org', 0, 0, 0, null, null),
                ('c', 'test', 'ann@example.org', 0, 0, 1, 5, '550 no')",
    )
    .await;
    app.restarted().await; // counted at startup, and every half minute
    let has = async |line: &str| app.metrics().await.contains(line);
    assert!(app.eventually(async || has("cloakroom_mails_waiting 2\n").await).await);
    assert!(has("cloakroom_mails_failed 1\n").await);
    assert!(has("cloakroom_mails_total{kind=\"test\",outcome=\"sent\"} 0\n").await);
}

#[tokio::test]
async fn the_cleaner_removes_a_proof_when_it_expires_and_no_earlier() {
    let app = TestApp::new().await;
    app.signed_in("ann").await;
    app.sql(
        "insert into proofs
             (digest, account_id, purpose, mailbox, password_version, created_at, expires_at)
         select digest, account_id, 'reset', 'ann@example.org', 1, 1767225600000, 1767225660000
         from sessions",
    )
    .await;
    app.wait(mins(1).saturating_sub(Duration::from_millis(1)));
    remove_ended(&app.domain).await.unwrap();
    assert_eq!(app.count("select count(*) from proofs").await, 1);
    app.wait(Duration::from_millis(1));
    remove_ended(&app.domain).await.unwrap();
    assert_eq!(app.count("select count(*) from proofs").await, 0);
}
