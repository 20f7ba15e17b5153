//! Login: verifies a user name and password, and creates a session.

use std::sync::Arc;
use std::time::Duration;

use crate::core::error::InternalError;
use crate::core::ids::AccountId;
use crate::core::login_name::{LoginName, MAX_LOGIN_NAME_LENGTH};
use crate::core::secret::{DeviceToken, Password};
use crate::domain::AuthService;
use crate::domain::accounts::{Account, find_by_login_name};
use crate::domain::audit::context::RequestContext;
use crate::domain::audit::event::Event;
use crate::domain::counters::LoginOutcome;
use crate::domain::passwords::hasher::{HashSlot, Verification};
use crate::domain::passwords::queue::QueueFull;
use crate::domain::passwords::rules::{MAX_PASSWORD_INPUT, NewPassword};
use crate::domain::sessions::{IssuedSession, LoginContext, MAX_SESSIONS_PER_ACCOUNT};
use crate::domain::throttle::attempts::{Attempt, ThrottleError};
use crate::store::{AccountRow, AddSessionOutcome};

/// A user name or address and a password from a client, within the limits of their lengths.
#[derive(Debug)]
pub struct Credentials {
    name: Option<LoginName>,
    password: Password,
}

/// Which of the two is empty or too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidCredentials {
    pub username: Option<InvalidLength>,
    pub password: Option<InvalidLength>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvalidLength {
    Empty,
    LongerThan(usize),
}

impl InvalidLength {
    pub fn of(text: &str, most: usize) -> Option<Self> {
        match text.chars().count() {
            0 => Some(Self::Empty),
            chars if chars > most => Some(Self::LongerThan(most)),
            _ => None,
        }
    }
}

impl Credentials {
    /// Parses the credentials. A text that is neither a user name nor an address is accepted here,
    /// and fails later like a wrong one.
    pub fn parse(username: &str, password: Password) -> Result<Self, InvalidCredentials> {
        let bad = InvalidCredentials {
            username: InvalidLength::of(username, MAX_LOGIN_NAME_LENGTH),
            password: InvalidLength::of(password.expose(), MAX_PASSWORD_INPUT), // to check its length
        };
        if bad.username.is_some() || bad.password.is_some() {
            return Err(bad);
        }
        // The password is used exactly as typed.
        Ok(Self { name: LoginName::parse(username), password })
    }
}

/// An account whose password was just verified.
#[derive(Debug)]
pub(crate) struct VerifiedPassword {
    pub account: Account,
    /// Later writes require that the account still has this password version.
    pub version: i64,
    /// The password, if its hash should be replaced by one with the current parameters.
    pub outdated: Option<NewPassword>,
}

/// The error of a login.
#[derive(Debug)]
pub enum LogInError {
    /// Wrong password, unknown user or disabled user. The response does not say which.
    WrongCredentials,
    /// The limit is exceeded; nothing was verified.
    TooManyAttempts {
        wait: Duration,
    },
    Overloaded,
    Internal(InternalError),
}

impl LogInError {
    /// The outcome for the metrics.
    pub(crate) fn outcome(&self) -> LoginOutcome {
        match self {
            Self::WrongCredentials => LoginOutcome::Refused,
            Self::TooManyAttempts { .. } => LoginOutcome::Throttled,
            Self::Overloaded => LoginOutcome::Overloaded,
            Self::Internal(_) => LoginOutcome::Failed,
        }
    }
}

impl From<InternalError> for LogInError {
    fn from(fault: InternalError) -> Self {
        Self::Internal(fault)
    }
}

impl From<ThrottleError> for LogInError {
    fn from(error: ThrottleError) -> Self {
        match error {
            ThrottleError::RateLimited(wait) => Self::TooManyAttempts { wait },
            ThrottleError::Overloaded => Self::Overloaded,
            ThrottleError::Internal(fault) => Self::Internal(fault),
        }
    }
}

impl From<QueueFull> for LogInError {
    fn from(_: QueueFull) -> Self {
        Self::Overloaded
    }
}

impl AuthService {
    /// Logs a user in and issues a session. Unknown user names take the same work.
    pub async fn log_in(
        self: &Arc<Self>,
        credentials: Credentials,
        login_context: LoginContext,
    ) -> Result<IssuedSession, LogInError> {
        let outcome = self.log_in_inner(credentials, login_context).await;
        self.counters.count_login(match &outcome {
            Ok(_) => LoginOutcome::Succeeded,
            Err(error) => error.outcome(),
        });
        outcome
    }

    async fn log_in_inner(
        self: &Arc<Self>,
        credentials: Credentials,
        login_context: LoginContext,
    ) -> Result<IssuedSession, LogInError> {
        let context = login_context.requester.context.clone();
        let audit = self.audit.during(&context);
        let name = credentials.name.as_ref().map(LoginName::key);
        let share = login_context.requester.share(name.as_deref());
        self.hasher.check_capacity(&share)?; // a flood causes no query
        self.keys.require_signing_key()?;
        let row = self.account_of(&credentials).await?;
        let known = row.as_ref().map(|row| (AccountId::from(row.id.clone()), row.password_version));
        let known = known.as_ref().map(|(id, version)| (id, *version));
        let id = known.map(|(id, _)| id);
        let note = |error: &LogInError| match error {
            LogInError::WrongCredentials => audit.record_session(Event::LoginFailed, id, None),
            LogInError::TooManyAttempts { .. } => {
                audit.record_session(Event::LoginThrottled, id, None);
            }
            LogInError::Overloaded | LogInError::Internal(_) => {}
        };
        let requester = &login_context.requester;
        let allowed = self.throttle.allow_login(name.as_deref(), known, requester).await;
        let allowed = allowed.map_err(LogInError::from).inspect_err(note)?;
        let slot = self.hasher.reserve_slot(&share)?;
        let attempt = self.throttle.record_attempt(allowed).await;
        let attempt = attempt.map_err(LogInError::from).inspect_err(note)?;
        let verified =
            self.verify_attempt(row, credentials.password, &attempt, slot).await.inspect_err(note);
        if matches!(verified, Err(LogInError::WrongCredentials)) && attempt.device_just_locked() {
            audit.record_session(Event::DeviceDistrusted, id, None);
        }
        let VerifiedPassword { account, version, outdated } = verified?;
        let opened = self.open_session(&account, version, login_context, &attempt).await;
        let issued = opened.inspect_err(note)?;
        audit.record_session(Event::LoginSucceeded, Some(&account.id), Some(&issued.session.id));
        if let Some(password) = outdated {
            self.renew_hash(account.id, version, password);
        }
        Ok(issued)
    }

    /// Verifies the password of an account. A wrong password stays counted as a failed attempt; the
    /// attempt is undone after other errors. After a correct password the caller resets it.
    pub(crate) async fn verify_attempt(
        &self,
        row: Option<AccountRow>,
        password: Password,
        attempt: &Attempt,
        slot: HashSlot,
    ) -> Result<VerifiedPassword, LogInError> {
        match self.verify_password(row, password, Some(slot)).await {
            Ok(Some(verified)) => Ok(verified),
            Ok(None) => Err(LogInError::WrongCredentials),
            Err(error) => {
                self.throttle.undo_attempt(attempt).await?;
                Err(error)
            }
        }
    }

    /// Hashes the verified password with the current parameters, unless requests wait for the
    /// hasher. No request waits for this. The password is unchanged, so no session ends.
    fn renew_hash(self: &Arc<Self>, account: AccountId, version: i64, password: NewPassword) {
        let domain = Arc::clone(self);
        tokio::spawn(async move {
            let Ok(hash) = domain.hasher.hash_if_idle(password).await else { return };
            let renewed = domain.store.renew_hash(account.as_str(), version, &hash).await;
            if let Err(fault) = renewed {
                domain.shutdown.warn(&fault); // the next login tries again
            }
        });
    }

    /// Whether the credentials are valid. Creates no session.
    pub async fn check_credentials(&self, credentials: Credentials) -> Result<bool, LogInError> {
        let row = self.account_of(&credentials).await?;
        Ok(self.verify_password(row, credentials.password, None).await?.is_some())
    }

    async fn account_of(
        &self,
        credentials: &Credentials,
    ) -> Result<Option<AccountRow>, InternalError> {
        match &credentials.name {
            Some(name) => find_by_login_name(&self.store, name).await,
            None => Ok(None),
        }
    }

    /// Verifies the password, and that the account is not disabled.
    pub(crate) async fn verify_password(
        &self,
        row: Option<AccountRow>,
        password: Password,
        slot: Option<HashSlot>,
    ) -> Result<Option<VerifiedPassword>, LogInError> {
        let (account, stored) = row.map(Account::from_row).unzip();
        let hash = stored.as_ref().map(|stored| &stored.hash);
        let verification = match slot {
            Some(slot) => self.hasher.verify_at(slot, password, hash).await?,
            None => self.hasher.verify(password, hash).await?,
        };
        let account = account.filter(|account| account.disabled_at.is_none());
        let (Some(account), Some(stored)) = (account, stored) else { return Ok(None) };
        let outdated = match verification {
            Verification::Wrong => return Ok(None),
            Verification::Unusable(fault) => {
                tracing::error!(account = account.id.as_str(), "{fault}");
                return Ok(None);
            }
            Verification::Unpeppered(fault) => return Err(fault.into()),
            Verification::Right => None,
            Verification::Outdated(password) => Some(password),
        };
        Ok(Some(VerifiedPassword { account, version: stored.version, outdated }))
    }

    /// Creates a session for the account, provided that its password is still the verified one, and
    /// resets the attempts.
    async fn open_session(
        &self,
        account: &Account,
        version: i64,
        login_context: LoginContext,
        attempt: &Attempt,
    ) -> Result<IssuedSession, LogInError> {
        let (device, requester) = (attempt.device(), &login_context.requester);
        let notice = self.outbox.notice_of_sign_in(account, device.is_some(), requester).await?;
        let new = self.sessions.begin(&account.id, login_context);
        let has_notice = notice.is_some();
        let additions = (attempt.reset(), notice);
        let (row, most) = (new.row(), MAX_SESSIONS_PER_ACCOUNT);
        match self.store.add_session(&row, version, most, additions).await? {
            AddSessionOutcome::No => return Err(LogInError::WrongCredentials),
            AddSessionOutcome::Yes => {}
            AddSessionOutcome::InPlaceOfOlder => self.session_cache.invalidate_account(&account.id),
        }
        if has_notice {
            self.outbox.wake();
        }
        let device = self.devices.issue(&account.id, version, device);
        Ok(self.sessions.issue(new, device))
    }

    /// Distrusts devices, for example at a logout: they have to pass the limits of unknown clients
    /// from now on, even with a copy of the cookie. Invalid tokens are ignored.
    pub async fn distrust_devices(
        &self,
        devices: &[DeviceToken],
        context: &RequestContext,
    ) -> Result<(), InternalError> {
        let now = self.clock.now();
        for device in devices.iter().filter_map(|token| self.devices.verify(token, now)) {
            if self.throttle.distrust_device(&device).await? {
                self.audit.during(context).record_for(Event::DeviceDistrusted, &device.account);
            }
        }
        Ok(())
    }
}
