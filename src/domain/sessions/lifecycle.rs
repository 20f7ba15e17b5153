//! Issues, lists and ends sessions.

use std::sync::Arc;
use std::time::Duration;

use crate::core::clock::{Clock, Timestamp};
use crate::core::display_names::DisplayName;
use crate::core::email_address::EmailAddress;
use crate::core::error::InternalError;
use crate::core::ids::{AccountId, SessionId};
use crate::core::secret::{DeviceToken, Sid, SidDigest, random_id};
use crate::core::usernames::Username;
use crate::domain::accounts::Account;
use crate::domain::audit::context::RequestContext;
use crate::domain::audit::event::Event;
use crate::domain::audit::journal::{AuditLog, Recorder};
use crate::domain::counters::Counters;
use crate::domain::keys::claims::Claims;
use crate::domain::keys::server_secret::ServerSecrets;
use crate::domain::keys::tokens::KeyRing;
use crate::domain::roles::Roles;
use crate::domain::sessions::cache::SessionCache;
use crate::domain::sessions::shared_lookups::{LookupResult, SharedLookups};
use crate::domain::sessions::{
    AuthenticatedSession, CONFIRMED_FOR, ClientInfo, Cursor, IssuedSession, Lifetimes,
    LoginContext, Remember, Session, SessionPage, SessionRules,
};
use crate::domain::shutdown::Shutdown;
use crate::domain::throttle::attempts::Throttle;
use crate::store::{
    Cutoff, Cutoffs, FoundSessionRow, GcraRow, NewSessionRow, NodeTime, RevokeOutcome, SessionRow,
    Store,
};

/// The sessions of all accounts.
#[derive(Debug)]
pub struct Sessions {
    pub(crate) store: Arc<Store>,
    pub(crate) clock: Clock,
    pub(crate) rules: SessionRules,
    pub(crate) keys: Arc<KeyRing>,
    pub(crate) cache: Arc<SessionCache>,
    pub(crate) throttle: Arc<Throttle>,
    pub(crate) audit: Arc<AuditLog>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) server_secrets: Arc<ServerSecrets>,
    pub lookups: Arc<SharedLookups<LookupResult>>,
    pub(crate) shutdown: Arc<Shutdown>,
}

/// A new session that is still to be written, in a transaction with other changes.
#[derive(Debug)]
pub(crate) struct NewSession {
    sid: Sid,
    row: SessionRow,
}

impl NewSession {
    pub(crate) fn row(&self) -> NewSessionRow<'_> {
        NewSessionRow { digest: self.sid.digest(), session: &self.row }
    }
}

/// The error of revoking sessions.
#[derive(Debug)]
pub enum RevokeError {
    /// The account exceeds its rate limit for changes; nothing was done.
    TooManyAttempts {
        wait: Duration,
    },
    Internal(InternalError),
}

impl From<InternalError> for RevokeError {
    fn from(fault: InternalError) -> Self {
        Self::Internal(fault)
    }
}

impl Sessions {
    /// Prepares a new session. It becomes active when its row is written; then it can be issued.
    pub(crate) fn begin(&self, account: &AccountId, login_context: LoginContext) -> NewSession {
        let now = self.clock.now();
        let remember = self.rules.effective(login_context.remember);
        let Lifetimes { idle, absolute } = self.rules.lifetimes(remember);
        let row = SessionRow {
            id: random_id(),
            account_id: account.as_str().to_owned(),
            remember: i64::from(remember == Remember::Yes),
            created_at: now.millis(),
            last_seen_at: now.millis(),
            idle_timeout: Some(to_millis(idle)),
            expires_at: now.plus(absolute).millis(),
            confirmed_at: None,
            address: login_context.client.address,
            browser: login_context.client.browser,
        };
        NewSession { sid: Sid::random(), row }
    }

    /// Issues a session whose row is written: signs its token, and adds the device token.
    pub(crate) fn issue(&self, new: NewSession, device: DeviceToken) -> IssuedSession {
        let account = AccountId::from(new.row.account_id.clone());
        let session = self.session(new.row);
        let issued = self.issue_token(session, account, new.sid);
        IssuedSession { device: Some(device), ..issued }
    }

    /// Issues a token of a session that was confirmed just now, or that begins.
    pub(super) fn issue_token(
        &self,
        session: Session,
        account: AccountId,
        sid: Sid,
    ) -> IssuedSession {
        let (issued_at, expires_at) = (session.authenticated_at, session.expires_at);
        let token = self.keys.sign(&Claims { account, sid, issued_at, expires_at });
        let keep_for = match session.remember {
            Remember::Yes => Some(expires_at.since(issued_at)),
            Remember::No => None,
        };
        IssuedSession { session, token, keep_for, device: None }
    }

    /// Ends the session of this token. A token that this service has not signed is ignored.
    pub async fn log_out(
        &self,
        token: &str,
        context: &RequestContext,
    ) -> Result<(), InternalError> {
        let now = self.clock.now();
        let Some(claims) = self.keys.verify(token, now).signed_here() else { return Ok(()) };
        if self.revoke_by_digest(claims.sid.digest(), &claims.account, now).await? {
            self.audit.during(context).record_for(Event::Logout, &claims.account);
        }
        Ok(())
    }

    /// Ends a session. Returns false if it has ended already.
    pub(super) async fn revoke_by_digest(
        &self,
        digest: SidDigest,
        account: &AccountId,
        now: Timestamp,
    ) -> Result<bool, InternalError> {
        let ended = self.store.end_session(digest, now.millis()).await?;
        self.cache.invalidate_account(account);
        Ok(ended)
    }

    /// Lists the account's active sessions, newest first.
    pub async fn list_sessions(
        &self,
        account: &AccountId,
        behind: Option<&Cursor>,
        limit: usize,
    ) -> Result<SessionPage, InternalError> {
        let now = self.clock.now();
        let one_more = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
        let cutoffs = self.cutoffs(now);
        let page = (behind.map(|last| (last.created_at, last.id.as_str())), one_more);
        let mut rows = self.store.sessions_of(account.as_str(), cutoffs, page).await?;
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        let last = rows.last().filter(|_| has_more);
        let next = last.map(|row| Cursor { created_at: row.created_at, id: row.id.clone() });
        Ok(SessionPage { sessions: rows.into_iter().map(|row| self.session(row)).collect(), next })
    }

    /// Ends one of the account's sessions for its owner. Returns false if there is no such session.
    pub async fn revoke_own(
        &self,
        account: &AccountId,
        id: &str,
        context: &RequestContext,
    ) -> Result<bool, RevokeError> {
        if !SessionId::is_valid(id) {
            return Ok(false);
        }
        let audit = self.audit.during(context);
        let turn = self.reserve_revocation(account, audit).await?;
        let now = self.clock.now().millis();
        let ended = self.store.end_session_named(account.as_str(), id, now, Some(turn)).await?;
        let ended = self.count_own_revoked(account, ended, audit)?;
        Ok(record_revoked(audit, account, id, ended))
    }

    /// Ends one of the account's sessions for the operator. Returns false if there is no such
    /// session.
    pub async fn revoke(&self, account: &AccountId, id: &str) -> Result<bool, InternalError> {
        if !SessionId::is_valid(id) {
            return Ok(false);
        }
        let now = self.clock.now().millis();
        let ended = self.store.end_session_named(account.as_str(), id, now, None).await?;
        let ended = self.count_revoked(account, ended).unwrap_or_default();
        Ok(record_revoked(self.audit.outside_requests(), account, id, ended))
    }

    /// Ends every session of the account except this one, for its owner. Returns how many ended.
    pub async fn revoke_others(
        &self,
        account: &AccountId,
        keep: &SessionId,
        context: &RequestContext,
    ) -> Result<u64, RevokeError> {
        let audit = self.audit.during(context);
        let turn = self.reserve_revocation(account, audit).await?;
        let now = self.clock.now().millis();
        let (account_id, keep) = (account.as_str(), keep.as_str());
        let ended = self.store.end_sessions_but(account_id, keep, now, Some(turn)).await?;
        let ended = self.count_own_revoked(account, ended, audit)?;
        if ended > 0 {
            audit.record_count(Event::OtherSessionsRevoked, Some(account), ended);
        }
        Ok(ended)
    }

    /// Ends every session of the account for the operator. Returns how many ended.
    pub async fn revoke_all(&self, account: &AccountId) -> Result<u64, InternalError> {
        let now = self.clock.now().millis();
        let keep = ""; // no session has this id
        let ended = self.store.end_sessions_but(account.as_str(), keep, now, None).await?;
        let ended = self.count_revoked(account, ended).unwrap_or_default();
        if ended > 0 {
            self.audit.outside_requests().record_count(
                Event::AllSessionsRevoked,
                Some(account),
                ended,
            );
        }
        Ok(ended)
    }

    async fn reserve_revocation(
        &self,
        account: &AccountId,
        audit: Recorder<'_>,
    ) -> Result<(GcraRow, NodeTime), RevokeError> {
        let turn = self.throttle.account_turn(account).await?;
        turn.map_err(|wait| {
            audit.record_throttled(account);
            RevokeError::TooManyAttempts { wait }
        })
    }

    fn count_own_revoked(
        &self,
        account: &AccountId,
        ended: RevokeOutcome,
        audit: Recorder<'_>,
    ) -> Result<u64, RevokeError> {
        self.count_revoked(account, ended).ok_or_else(|| {
            audit.record_throttled(account); // concurrent requests used up the limit
            RevokeError::TooManyAttempts { wait: self.throttle.account_wait() }
        })
    }

    /// Invalidates the cache and returns the number of ended sessions, or `None` if the rate limit
    /// is exceeded.
    fn count_revoked(&self, account: &AccountId, ended: RevokeOutcome) -> Option<u64> {
        match ended {
            RevokeOutcome::None => Some(0),
            RevokeOutcome::RateLimited => None,
            RevokeOutcome::Sessions(count) => {
                self.cache.invalidate_account(account);
                Some(count)
            }
        }
    }

    /// The instants at or before which a session that was created or last used then has expired.
    pub fn cutoffs(&self, now: Timestamp) -> Cutoffs {
        let cutoff = |remember| {
            let Lifetimes { idle, absolute } = self.rules.lifetimes(remember);
            Cutoff { last_seen: now.minus(idle).millis(), created: now.minus(absolute).millis() }
        };
        Cutoffs {
            now: now.millis(),
            short: cutoff(Remember::No),
            remembered: cutoff(Remember::Yes),
        }
    }

    /// The session of a row. The lifetimes in the row are those of the settings with which it was
    /// written: shorter ones hold at once, and longer ones do not revive a session.
    fn session(&self, row: SessionRow) -> Session {
        let chosen = if row.remember == 0 { Remember::No } else { Remember::Yes };
        let Lifetimes { idle, absolute } = self.rules.lifetimes(chosen);
        let created_at = Timestamp::from_millis(row.created_at);
        let last_seen_at = Timestamp::from_millis(row.last_seen_at);
        let expires_at = Timestamp::from_millis(row.expires_at).min(created_at.plus(absolute));
        let idle = row.idle_timeout.map_or(idle, |stored| idle.min(from_millis(stored)));
        let authenticated_at = row.confirmed_at.map_or(created_at, Timestamp::from_millis);
        Session {
            id: SessionId::from(row.id),
            remember: self.rules.effective(chosen),
            created_at,
            last_seen_at,
            idle_at: expires_at.min(last_seen_at.plus(idle)),
            expires_at,
            authenticated_at,
            confirmation_ends_at: Some(authenticated_at.plus(CONFIRMED_FOR)),
            client: ClientInfo { address: row.address, browser: row.browser },
        }
    }

    pub(super) fn to_authenticated(
        &self,
        row: FoundSessionRow,
        presented: SidDigest,
    ) -> AuthenticatedSession {
        let account = Account {
            id: AccountId::from(row.session.account_id.clone()),
            username: Username::from_row(row.username),
            display_name: row.display_name.map(DisplayName::from_row),
            email: row.email.and_then(EmailAddress::from_row),
            unconfirmed_email: row.unconfirmed_email.and_then(EmailAddress::from_row),
            created_at: Timestamp::from_millis(row.account_created_at),
            disabled_at: row.account_disabled_at.map(Timestamp::from_millis),
            roles: Roles::from_row(&row.roles),
        };
        AuthenticatedSession { account, session: self.session(row.session), presented }
    }
}

/// A lifetime as it is stored.
pub(super) fn to_millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

fn from_millis(stored: i64) -> Duration {
    Duration::from_millis(u64::try_from(stored).unwrap_or(0))
}

/// Records that a session was revoked, if one has ended. Returns whether one has.
fn record_revoked(audit: Recorder<'_>, account: &AccountId, id: &str, ended: u64) -> bool {
    if ended > 0 {
        let session = SessionId::from(id.to_owned());
        audit.record_session(Event::SessionRevoked, Some(account), Some(&session));
    }
    ended > 0
}
