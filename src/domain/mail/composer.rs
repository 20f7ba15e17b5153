//! Writes the mails of the outbox when they are sent: finds the mailbox, and makes the secret that
//! the mail contains. The outbox holds neither, so neither a database nor a backup contains a code
//! that can be used.

use std::sync::Arc;
use std::time::Duration;

use crate::core::clock::{Clock, Timestamp, hours, mins};
use crate::core::email_address::EmailAddress;
use crate::core::error::InternalError;
use crate::core::login_name::LoginName;
use crate::core::mailed_secret::{MailedCode, ProofDigest, ResetToken};
use crate::domain::accounts::{Account, find_by_login_name};
use crate::domain::keys::server_secret::ServerSecrets;
use crate::domain::mail::kind::MailKind;
use crate::domain::mail::letter::{Content, Letter, Sender};
use crate::domain::requester::ClientInfo;
use crate::domain::throttle::attempts::Throttle;
use crate::store::{AccountRow, ClaimedMailRow, NewProofRow, Store};

/// How long a code is valid that confirms an address.
const CODE_LIFETIME: Duration = hours(24);
/// How long a link is valid that was mailed to set a new password.
pub const RESET_LINK_LIFETIME: Duration = mins(30);

/// The maximum number of API tokens that are counted: more than an account can have.
const MAX_COUNTED: i64 = 100;

/// Writes mails.
#[derive(Debug)]
pub struct Composer {
    pub(crate) store: Arc<Store>,
    pub(crate) clock: Clock,
    pub(crate) secrets: Arc<ServerSecrets>,
    pub(crate) throttle: Arc<Throttle>,
}

/// Who gets a mail.
#[derive(Debug)]
pub enum Addressee {
    Mailbox(EmailAddress, Matter),
    /// Nobody: the account is gone, or does not wait for this mail any more.
    Nobody,
    /// The row does not contain an address.
    Damaged,
}

/// What a mail is about.
#[derive(Debug)]
pub enum Matter {
    Test,
    ConfirmAddress(Subject),
    AddressChanged(Subject),
    ResetPassword(Subject),
    PasswordRecovered(Subject),
    ResetLinkCreated(Subject),
    PasswordChanged(Subject),
    NewSignIn(Subject),
    ApiTokenCreated(Subject),
    ApiTokenExpiring(Subject),
    AccountClosed,
}

/// The account that a mail is about.
#[derive(Debug)]
pub struct Subject {
    account: Box<Account>,
    password_version: i64,
}

impl Subject {
    fn from_row(row: AccountRow) -> Self {
        let (account, password) = Account::from_row(row);
        Self { account: Box::new(account), password_version: password.version }
    }

    /// Whether its user has requested a code for this mailbox, and has not used it yet.
    fn waits_for_code_to(&self, to: &EmailAddress) -> bool {
        let wanted = self.account.unconfirmed_email.as_ref().map(EmailAddress::mailbox);
        self.account.disabled_at.is_none() && wanted == Some(to.mailbox())
    }
}

impl Composer {
    /// Finds the mailbox of a mail.
    pub async fn find_addressee(
        &self,
        kind: MailKind,
        mail: &ClaimedMailRow,
    ) -> Result<Addressee, InternalError> {
        if kind == MailKind::ResetPassword {
            return self.find_by_name(&mail.recipient).await;
        }
        let Ok(to) = EmailAddress::parse(&mail.recipient) else { return Ok(Addressee::Damaged) };
        match kind {
            MailKind::Test => return Ok(Addressee::Mailbox(to, Matter::Test)),
            MailKind::AccountClosed => return Ok(Addressee::Mailbox(to, Matter::AccountClosed)),
            _ => {}
        }
        let account = match &mail.account_id {
            Some(id) => self.store.account(id).await?,
            None => None,
        };
        let Some(subject) = account.map(Subject::from_row) else { return Ok(Addressee::Nobody) };
        let matter = match kind {
            MailKind::ConfirmAddress if subject.waits_for_code_to(&to) => {
                Matter::ConfirmAddress(subject)
            }
            MailKind::AddressChanged => Matter::AddressChanged(subject),
            MailKind::PasswordRecovered => Matter::PasswordRecovered(subject),
            MailKind::ResetLinkCreated => Matter::ResetLinkCreated(subject),
            MailKind::PasswordChanged => Matter::PasswordChanged(subject),
            MailKind::NewSignIn => Matter::NewSignIn(subject),
            MailKind::ApiTokenCreated => Matter::ApiTokenCreated(subject),
            MailKind::ApiTokenExpiring => Matter::ApiTokenExpiring(subject),
            MailKind::ConfirmAddress
            | MailKind::Test
            | MailKind::ResetPassword
            | MailKind::AccountClosed => return Ok(Addressee::Nobody),
        };
        Ok(Addressee::Mailbox(to, matter))
    }

    /// Finds the confirmed address of the account that a user named who wants a new password. It is
    /// looked up here, and not when it is requested, so that neither the response nor its time
    /// depends on the account.
    async fn find_by_name(&self, typed: &str) -> Result<Addressee, InternalError> {
        let Some(name) = LoginName::parse(typed) else { return Ok(Addressee::Nobody) };
        let found = find_by_login_name(&self.store, &name).await?;
        let Some(subject) = found.map(Subject::from_row) else { return Ok(Addressee::Nobody) };
        Ok(match &subject.account.email {
            Some(email) if subject.account.disabled_at.is_none() => {
                Addressee::Mailbox(email.clone(), Matter::ResetPassword(subject))
            }
            Some(_) | None => Addressee::Nobody,
        })
    }

    /// Writes a mail, and makes its secret. Returns `None` if the mailbox got too many mails of this
    /// kind lately, or if the account has changed since the mailbox was found.
    pub async fn compose(
        &self,
        sender: &Sender,
        mail: &ClaimedMailRow,
        (to, matter): (&EmailAddress, &Matter),
    ) -> Result<Option<Letter>, InternalError> {
        let client = ClientInfo { address: mail.address.clone(), browser: mail.browser.clone() };
        let write = |content: &Content<'_>| {
            let date = Timestamp::from_millis(mail.created_at);
            Letter::write(sender, content, mail.id.clone(), (to.clone(), date))
        };
        Ok(match matter {
            Matter::Test => Some(write(&Content::Test)),
            Matter::AddressChanged(subject) => {
                let username = subject.account.username.as_str();
                Some(write(&Content::AddressChanged { username, client: &client }))
            }
            Matter::PasswordRecovered(subject) => {
                let username = subject.account.username.as_str();
                Some(write(&Content::PasswordRecovered { username, client: &client }))
            }
            Matter::ResetLinkCreated(subject) => {
                let username = subject.account.username.as_str();
                Some(write(&Content::ResetLinkCreated { username }))
            }
            Matter::PasswordChanged(subject) => {
                let (account, now) = (&subject.account, self.clock.now().millis());
                let tokens =
                    self.store.api_tokens_of(account.id.as_str(), now, (None, MAX_COUNTED));
                let api_tokens = tokens.await?.len();
                let username = account.username.as_str();
                Some(write(&Content::PasswordChanged { username, client: &client, api_tokens }))
            }
            Matter::NewSignIn(subject) => {
                let username = subject.account.username.as_str();
                let at = Timestamp::from_millis(mail.created_at);
                Some(write(&Content::NewSignIn { username, client: &client, at }))
            }
            Matter::ApiTokenCreated(subject) => {
                let username = subject.account.username.as_str();
                Some(write(&Content::ApiTokenCreated { username, client: &client }))
            }
            Matter::ApiTokenExpiring(subject) => {
                let username = subject.account.username.as_str();
                Some(write(&Content::ApiTokenExpiring { username }))
            }
            Matter::AccountClosed => Some(write(&Content::AccountClosed { client: &client })),
            Matter::ResetPassword(subject) => {
                let token = ResetToken::random();
                let proof = (token.digest(), MailKind::ResetPassword, RESET_LINK_LIFETIME);
                let is_added = self.add_proof(mail, subject, &to.mailbox(), proof).await?;
                let username = subject.account.username.as_str();
                let content = Content::ResetPassword { username, token: &token, client: &client };
                is_added.then(|| write(&content))
            }
            Matter::ConfirmAddress(subject) => {
                let (code, mailbox) = (MailedCode::random(), to.mailbox());
                let digest = self.secrets.code_digest(&subject.account.id, &mailbox, &code);
                let proof = (digest, MailKind::ConfirmAddress, CODE_LIFETIME);
                let is_added = self.add_proof(mail, subject, &mailbox, proof).await?;
                let content = Content::ConfirmAddress { code: &code, client: &client };
                is_added.then(|| write(&content))
            }
        })
    }

    /// Records the digest of the secret in a mail. Returns false if the mailbox got too many of
    /// these mails lately. A mail that is sent again counts once, and its earlier secrets stay
    /// valid, because an earlier copy may have arrived.
    async fn add_proof(
        &self,
        mail: &ClaimedMailRow,
        subject: &Subject,
        mailbox: &str,
        (digest, kind, lifetime): (ProofDigest, MailKind, Duration),
    ) -> Result<bool, InternalError> {
        let account_id = subject.account.id.as_str();
        let is_sent_again = self.store.has_proof_of_mail((account_id, &mail.id)).await?;
        if !is_sent_again && !self.throttle.take_mailbox_turn(kind.name(), mailbox).await? {
            return Ok(false);
        }
        let now = self.clock.now();
        let proof = NewProofRow {
            digest,
            account_id,
            purpose: kind.name(),
            mailbox: Some(mailbox),
            mail_id: Some(&mail.id),
            password_version: subject.password_version,
            created_at: now.millis(),
            expires_at: now.plus(lifetime).millis(),
        };
        self.store.add_proof(&proof).await
    }
}
