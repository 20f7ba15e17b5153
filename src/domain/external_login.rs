//! Login of a user whom the embedding service has authenticated by its own means, for example with
//! LDAP, OIDC or the token of a partner.

use std::sync::Arc;

use crate::core::error::InternalError;
use crate::core::ids::AccountId;
use crate::domain::accounts::Account;
use crate::domain::audit::event::Event;
use crate::domain::counters::LoginOutcome;
use crate::domain::mail::outbox::Outbox;
use crate::domain::requester::Requester;
use crate::domain::sessions::lifecycle::Sessions;
use crate::domain::sessions::{IssuedSession, LoginContext, MAX_SESSIONS_PER_ACCOUNT};
use crate::domain::throttle::devices::Devices;
use crate::store::{AddSessionOutcome, AttemptReset};

/// How often a login is tried while the password of the account changes. Each try fails only if a
/// change was committed between two of its statements.
const MAX_TRIES: usize = 3;

/// The outcome of a login without a password.
#[derive(Debug)]
pub enum ExternalLogin {
    Done(IssuedSession),
    NoSuchAccount,
    /// The operator has disabled the account.
    Disabled,
}

/// Logins without a password.
#[derive(Debug)]
pub struct ExternalLogins {
    sessions: Arc<Sessions>,
    devices: Arc<Devices>,
    outbox: Arc<Outbox>,
}

impl ExternalLogins {
    pub(crate) fn new(
        sessions: &Arc<Sessions>,
        devices: &Arc<Devices>,
        outbox: &Arc<Outbox>,
    ) -> Self {
        Self {
            sessions: Arc::clone(sessions),
            devices: Arc::clone(devices),
            outbox: Arc::clone(outbox),
        }
    }

    /// Logs in the user of an account, whom the caller has authenticated. The session follows the
    /// same rules as that of a login with a password: the number of sessions, their lifetimes, and
    /// the account's state, which is checked in the statement that adds the session.
    pub async fn log_in(
        &self,
        id: &AccountId,
        login_context: LoginContext,
    ) -> Result<ExternalLogin, InternalError> {
        let outcome = self.open_session(id, login_context).await;
        self.sessions.counters.count_login(match &outcome {
            Ok(ExternalLogin::Done(_)) => LoginOutcome::Succeeded,
            Ok(ExternalLogin::NoSuchAccount | ExternalLogin::Disabled) => LoginOutcome::Refused,
            Err(_) => LoginOutcome::Failed,
        });
        outcome
    }

    async fn open_session(
        &self,
        id: &AccountId,
        login_context: LoginContext,
    ) -> Result<ExternalLogin, InternalError> {
        self.sessions.keys.require_signing_key()?;
        let LoginContext { remember, client, requester } = login_context;
        let audit = self.sessions.audit.during(&requester.context);
        let login_context = LoginContext { remember, client, requester: Requester::default() };
        let new = self.sessions.begin(id, login_context);
        let now = self.sessions.clock.now();
        for _ in 0..MAX_TRIES {
            let Some(row) = self.sessions.store.account(id.as_str()).await? else {
                audit.record(Event::ExternalLoginRefused);
                return Ok(ExternalLogin::NoSuchAccount);
            };
            let (account, stored) = Account::from_row(row);
            if account.disabled_at.is_some() {
                audit.record_session(Event::ExternalLoginRefused, Some(id), None);
                return Ok(ExternalLogin::Disabled);
            }
            let version = stored.version;
            let known = self.devices.trusted_devices(Some((id, version)), &requester, now);
            let known = known.into_iter().next().map(|device| device.id);
            let notice =
                self.outbox.notice_of_sign_in(&account, known.is_some(), &requester).await?;
            let has_notice = notice.is_some();
            let additions = (AttemptReset::default(), notice);
            let (row, most) = (new.row(), MAX_SESSIONS_PER_ACCOUNT);
            match self.sessions.store.add_session(&row, version, most, additions).await? {
                AddSessionOutcome::No => continue, // the account was changed since it was read
                AddSessionOutcome::Yes => {}
                AddSessionOutcome::InPlaceOfOlder => self.sessions.cache.invalidate_account(id),
            }
            if has_notice {
                self.outbox.wake();
            }
            let device = self.devices.issue(id, version, known);
            let issued = self.sessions.issue(new, device);
            let session = Some(&issued.session.id);
            audit.record_session(Event::ExternalLoginSucceeded, Some(id), session);
            return Ok(ExternalLogin::Done(issued));
        }
        Err(InternalError::new("adding a session", "the account is being changed all the time"))
    }
}
