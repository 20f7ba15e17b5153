//! The outbox: mail is queued with its cause and sent afterwards, by any node.
//!
//! A node claims a batch of mails for longer than it needs to send them, and removes each mail
//! after the server has accepted it. So no mail is lost, and only a crash between the two makes
//! another node send a mail a second time, with the same `Message-ID`.

use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

use crate::core::clock::{Clock, Timestamp, mins};
use crate::core::email_address::EmailAddress;
use crate::core::error::InternalError;
use crate::core::login_name::LoginName;
use crate::core::secret::random_id;
use crate::domain::audit::event::Event;
use crate::domain::audit::journal::AuditLog;
use crate::domain::counters::{Counters, MailOutcome};
use crate::domain::keys::server_secret::ServerSecrets;
use crate::domain::mail::composer::{Addressee, Composer, Matter};
use crate::domain::mail::failure::{Failure, SendError, Step};
use crate::domain::mail::kind::MailKind;
use crate::domain::mail::letter::{Content, Letter};
use crate::domain::mail::mailer::{MailSession, Mailer};
use crate::domain::mail::new_mail::{NewMail, reset_row};
use crate::domain::mail::retry::wait_at_age;
use crate::domain::requester::ClientInfo;
use crate::domain::shutdown::Shutdown;
use crate::domain::throttle::attempts::Throttle;
use crate::store::{ClaimedMailRow, MailClaim, NewMailRow, Store};

/// The number of mails that a node claims at a time, and sends over one connection.
const BATCH: usize = 10;
/// The maximum time for one mail, with a new connection if it needs one.
const MAX_MAIL_TIME: Duration = Duration::from_secs(30);
/// How long a claim holds: longer than a batch of mails that all take their maximum time.
const CLAIM: Duration = mins(10);
const _: () = assert!(CLAIM.as_secs() > 10 * MAX_MAIL_TIME.as_secs() + 60);
/// How long a shutdown waits for the mail that is being sent. Requests get the same time.
const MAX_SHUTDOWN_TIME: Duration = Duration::from_secs(8);

/// The outcome of a round of the worker.
#[derive(Debug, PartialEq, Eq)]
pub enum Round {
    /// Nothing is due any more.
    Done,
    /// More mails may be due.
    More,
    /// The mail server cannot be used. All mails stay in the outbox.
    ServerFailed(Failure),
}

/// Whether the round goes on after a mail.
enum Next {
    Continue,
    Stop(Failure),
}

/// What became of a mail.
enum Handed {
    Sent,
    /// Nobody gets it.
    Dropped,
}

/// The mails that wait to be sent.
#[derive(Debug)]
pub struct Outbox {
    pub(super) store: Arc<Store>,
    pub(super) clock: Clock,
    audit: Arc<AuditLog>,
    counters: Arc<Counters>,
    shutdown: Arc<Shutdown>,
    mailer: Option<Mailer>,
    pub(in crate::domain) composer: Composer,
    wake: Arc<Notify>,
    /// Held while mails are sent, so that the shutdown can wait for the end.
    sending: tokio::sync::Mutex<()>,
    /// Mails that were sent, but not removed because of an error of the database.
    unrecorded: Mutex<Vec<(String, i64)>>,
}

/// The collaborators of the outbox.
#[derive(Debug)]
pub struct OutboxParts {
    pub store: Arc<Store>,
    pub clock: Clock,
    pub audit: Arc<AuditLog>,
    pub counters: Arc<Counters>,
    pub shutdown: Arc<Shutdown>,
    /// Missing without a mail server in the settings.
    pub mailer: Option<Mailer>,
    pub throttle: Arc<Throttle>,
    pub secrets: Arc<ServerSecrets>,
}

impl Outbox {
    pub fn new(parts: OutboxParts) -> Self {
        let OutboxParts { store, clock, audit, counters, shutdown, mailer, throttle, secrets } =
            parts;
        let composer =
            Composer { store: Arc::clone(&store), clock: clock.clone(), secrets, throttle };
        Self {
            store,
            clock,
            audit,
            counters,
            shutdown,
            mailer,
            composer,
            wake: Arc::default(),
            sending: tokio::sync::Mutex::default(),
            unrecorded: Mutex::default(),
        }
    }

    /// Whether the settings name a mail server.
    pub fn has_server(&self) -> bool {
        self.mailer.is_some()
    }

    /// The row of a mail, for the transaction of its cause. After the commit, [`Outbox::wake`]
    /// makes this node send it at once.
    pub fn prepare(&self, mail: &NewMail) -> NewMailRow {
        mail.row(self.clock.now())
    }

    /// The row of a mail with a link for a new password, for the account that has this user name or
    /// address.
    pub(crate) fn prepare_reset(
        &self,
        name: Option<&LoginName>,
        client: &ClientInfo,
    ) -> NewMailRow {
        reset_row(name, client, self.clock.now())
    }

    /// Queues a mail that has no other cause. Returns its id.
    pub async fn queue(&self, mail: &NewMail) -> Result<String, InternalError> {
        let row = self.prepare(mail);
        self.store.add_mail(&row).await?;
        self.wake();
        Ok(row.id)
    }

    /// Makes the worker of this node look for mail now.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// What wakes the worker.
    pub(crate) fn waker(&self) -> Arc<Notify> {
        Arc::clone(&self.wake)
    }

    /// Sends the mails that are due, at most a batch. Other nodes may do the same meanwhile.
    pub async fn send_due(&self) -> Result<Round, InternalError> {
        let Some(mailer) = &self.mailer else { return Ok(Round::Done) };
        let _sending = self.sending.lock().await;
        self.record_sent().await?;
        let now = self.clock.now();
        // A claim needs the writer of an SQLite database, which this leaves to the requests.
        if self.shutdown.is_shutting_down() || !self.store.has_due_mail(now.millis()).await? {
            return Ok(Round::Done);
        }
        self.remove_old_requests(now).await?;
        let kinds = MailKind::names();
        let claim = MailClaim {
            now: now.millis(),
            until: now.plus(CLAIM).millis(),
            kinds,
            limit: i64::try_from(BATCH).expect("a batch is small"),
        };
        let claimed = self.store.claim_mails(claim).await?;
        let is_full = claimed.len() == BATCH;
        let mut session = None;
        let mut mails = claimed.iter();
        let mut failed = None;
        for mail in mails.by_ref() {
            if self.shutdown.is_shutting_down() {
                self.put_back(mail, None).await?;
                break;
            }
            if let Next::Stop(failure) = self.send_one(mailer, &mut session, mail).await? {
                failed = Some(failure);
                break;
            }
        }
        for mail in mails {
            self.put_back(mail, failed.as_ref()).await?;
        }
        if let Some(session) = session {
            session.close().await;
        }
        Ok(match failed {
            Some(failure) => Round::ServerFailed(failure),
            None if is_full => Round::More,
            None => Round::Done,
        })
    }

    /// Removes the requests of links that nobody waits for any more. Anyone can cause them, so they
    /// neither wait behind a mail server that cannot be reached, nor stay in the list.
    async fn remove_old_requests(&self, now: Timestamp) -> Result<(), InternalError> {
        let kind = MailKind::ResetPassword;
        let until = now.minus(kind.max_age()).millis();
        let removed = self.store.remove_old_mails(kind.name(), until, now.millis()).await?;
        self.counters.count_mails(kind, MailOutcome::Dropped, removed);
        Ok(())
    }

    /// Tries to send a mail, and records the outcome.
    async fn send_one(
        &self,
        mailer: &Mailer,
        session: &mut Option<MailSession>,
        mail: &ClaimedMailRow,
    ) -> Result<Next, InternalError> {
        let damaged =
            || Failure::new(Step::Recipient, "the row of the mail was changed by another program");
        let Ok(kind) = mail.kind.parse::<MailKind>() else {
            return self.give_up(mail, &damaged()).await.map(|()| Next::Continue);
        };
        let (to, matter) = match self.composer.find_addressee(kind, mail).await? {
            Addressee::Mailbox(to, matter) => (to, matter),
            Addressee::Nobody => return self.drop_mail(mail, kind).await.map(|()| Next::Continue),
            Addressee::Damaged => {
                return self.give_up(mail, &damaged()).await.map(|()| Next::Continue);
            }
        };
        // Nobody waits for it any more, for example after the service was stopped for a week.
        if self.age(mail) > kind.max_age() {
            let reason = mail.reason.as_deref().unwrap_or("it could not be sent in time");
            let failure = Failure::new(Step::Settings, reason);
            return self.give_up(mail, &failure).await.map(|()| Next::Continue);
        }
        match self.hand_over((mailer, session), mail, (&to, &matter)).await? {
            Ok(Handed::Sent) => {
                self.counters.count_mail(kind, MailOutcome::Sent);
                self.lock_unrecorded().push((mail.id.clone(), mail.tries));
                self.record_sent().await?;
            }
            Ok(Handed::Dropped) => self.drop_mail(mail, kind).await?,
            Err(SendError::Refused(failure)) => self.give_up(mail, &failure).await?,
            Err(SendError::Later(failure)) => self.postpone(mail, kind, &failure).await?,
            Err(SendError::Server(failure)) => {
                self.put_back(mail, Some(&failure)).await?;
                return Ok(Next::Stop(failure));
            }
        }
        Ok(Next::Continue)
    }

    /// Sends a mail over the connection of the batch, or a new one, within the maximum time. A
    /// shutdown waits for this mail, but not as long. The mail is written when there is a
    /// connection, so that no secret is made for a mail that is not sent.
    async fn hand_over(
        &self,
        (mailer, session): (&Mailer, &mut Option<MailSession>),
        mail: &ClaimedMailRow,
        (to, matter): (&EmailAddress, &Matter),
    ) -> Result<Result<Handed, SendError>, InternalError> {
        let late = "the mail server did not answer in time";
        let mut ends = pin!(self.wait_for_end_of_mail());
        if session.as_ref().is_some_and(|session| !session.is_usable()) {
            *session = None;
        }
        let open = if let Some(open) = session {
            open
        } else {
            let opened = tokio::select! {
                opened = mailer.connect() => opened,
                () = &mut ends => Err(Failure::new(Step::Connect, late)),
            };
            match opened {
                Ok(opened) => session.insert(opened),
                Err(failure) => return Ok(Err(SendError::Server(failure))),
            }
        };
        let letter = self.composer.compose(&mailer.sender, mail, (to, matter)).await?;
        let Some(letter) = letter else { return Ok(Ok(Handed::Dropped)) };
        let sent = tokio::select! {
            sent = open.send(&mailer.sender, &letter) => Some(sent),
            () = &mut ends => None,
        };
        let Some(sent) = sent else {
            *session = None; // the connection is in the middle of a command
            return Ok(Err(SendError::Later(Failure::new(Step::Content, late))));
        };
        Ok(sent.map(|_| Handed::Sent))
    }

    /// Waits until a mail has taken its maximum time, or less if the shutdown begins.
    async fn wait_for_end_of_mail(&self) {
        tokio::select! {
            () = tokio::time::sleep(MAX_MAIL_TIME) => {}
            () = async {
                self.shutdown.wait_for_begin().await;
                tokio::time::sleep(MAX_SHUTDOWN_TIME).await;
            } => {}
        }
    }

    /// Removes a mail that nobody gets.
    async fn drop_mail(&self, mail: &ClaimedMailRow, kind: MailKind) -> Result<(), InternalError> {
        self.counters.count_mail(kind, MailOutcome::Dropped);
        self.store.finish_mail(&mail.id, mail.tries).await.map(drop)
    }

    fn age(&self, mail: &ClaimedMailRow) -> Duration {
        self.clock.now().since(Timestamp::from_millis(mail.created_at))
    }

    /// Removes the mails that were sent. After an error, the next round tries again.
    async fn record_sent(&self) -> Result<(), InternalError> {
        loop {
            let Some((id, tries)) = self.lock_unrecorded().last().cloned() else { return Ok(()) };
            self.store.finish_mail(&id, tries).await?;
            self.lock_unrecorded().retain(|sent| *sent != (id.clone(), tries));
        }
    }

    /// Ends the claim of a mail that was not tried, or not because of itself. It stays due.
    async fn put_back(
        &self,
        mail: &ClaimedMailRow,
        failure: Option<&Failure>,
    ) -> Result<(), InternalError> {
        let reason = failure.map(ToString::to_string);
        let now = self.clock.now().millis();
        self.store.postpone_mail((&mail.id, mail.tries), now, reason.as_deref()).await.map(drop)
    }

    /// Tries a mail again later, unless it is too old.
    async fn postpone(
        &self,
        mail: &ClaimedMailRow,
        kind: MailKind,
        failure: &Failure,
    ) -> Result<(), InternalError> {
        let age = self.age(mail);
        if age >= kind.max_age() {
            return self.give_up(mail, failure).await;
        }
        self.counters.count_mail(kind, MailOutcome::Postponed);
        let due_at = self.clock.now().plus(wait_at_age(age)).millis();
        let reason = failure.to_string();
        self.store.postpone_mail((&mail.id, mail.tries), due_at, Some(&reason)).await.map(drop)
    }

    /// Gives a mail up. Operators find it in the list for a week.
    async fn give_up(&self, mail: &ClaimedMailRow, failure: &Failure) -> Result<(), InternalError> {
        let now = self.clock.now().millis();
        let reason = failure.to_string();
        if self.store.fail_mail((&mail.id, mail.tries), now, &reason).await? {
            if let Ok(kind) = mail.kind.parse::<MailKind>() {
                self.counters.count_mail(kind, MailOutcome::Failed);
            }
            self.audit.outside_requests().record_for_id(Event::MailFailed, &mail.id);
        }
        Ok(())
    }

    fn lock_unrecorded(&self) -> std::sync::MutexGuard<'_, Vec<(String, i64)>> {
        self.unrecorded.lock().expect("no code panics while it holds the list")
    }

    /// Waits for the mail that is being sent, at the end of the shutdown.
    pub(crate) async fn wait_for_end(&self) {
        let with_record = MAX_SHUTDOWN_TIME + Duration::from_secs(2);
        let _ = timeout(with_record, self.sending.lock()).await;
    }

    /// Sends a test mail directly. Returns what the server said.
    pub async fn send_test(
        mailer: &Mailer,
        to: EmailAddress,
        now: Timestamp,
    ) -> Result<String, SendError> {
        let letter = Letter::write(&mailer.sender, &Content::Test, random_id(), (to, now));
        mailer.send(&letter).await
    }
}
