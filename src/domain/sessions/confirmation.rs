//! Confirmation: for some minutes after the user has shown a password, a session may make changes
//! that a stolen cookie must not be enough for.
//!
//! A confirmation replaces the token of the session, and its row stays. Requests that were on their
//! way with the former token still succeed for a few seconds, but the session is not confirmed for
//! them.

use std::time::Duration;

use crate::core::clock::{MAX_CLOCK_DIFFERENCE, Timestamp};
use crate::core::error::InternalError;
use crate::domain::audit::context::RequestContext;
use crate::domain::audit::event::Event;
use crate::domain::keys::claims::Claims;
use crate::domain::sessions::lifecycle::Sessions;
use crate::domain::sessions::{
    AuthenticatedSession, Authentication, CONFIRMED_FOR, IssuedSession, RefusedToken, Session,
};
use crate::store::ConfirmationRow;

/// How long the token that a confirmation replaced still authenticates: as long as a request may
/// take that was on its way.
const GRACE: Duration = Duration::from_secs(10);

impl Session {
    /// Until when the session counts as confirmed, if it does so now.
    pub fn confirmed_until(&self, now: Timestamp) -> Option<Timestamp> {
        // A clock that was set back must not prolong a confirmation.
        let is_plausible = self.authenticated_at <= now.plus(MAX_CLOCK_DIFFERENCE);
        self.confirmation_ends_at.filter(|until| is_plausible && now < *until)
    }

    /// Whether the request presented a token that a confirmation has replaced.
    pub(super) fn is_of_replaced_token(&self) -> bool {
        self.confirmation_ends_at.is_none()
    }

    /// The session for a request that presented a replaced token: it knows nothing of the
    /// confirmation.
    fn for_replaced_token(self) -> Self {
        Self { authenticated_at: self.created_at, confirmation_ends_at: None, ..self }
    }
}

impl Sessions {
    /// Confirms a session whose account has the password version that was verified, and replaces
    /// its token. Returns `None` if the session has ended or has another token by now, or if the
    /// password was changed meanwhile.
    pub(crate) async fn confirm(
        &self,
        who: &AuthenticatedSession,
        version: i64,
        context: &RequestContext,
    ) -> Result<Option<IssuedSession>, InternalError> {
        let now = self.clock.now();
        let (account, session) = (&who.account.id, &who.session);
        let replacement = self.server_secrets.replacement_of(who.presented);
        let row = ConfirmationRow {
            session_id: session.id.as_str().to_owned(),
            account_id: account.as_str().to_owned(),
            version,
            presented: who.presented,
            replacement: replacement.digest(),
            now: now.millis(),
        };
        let is_confirmed = self.store.confirm_session(row).await?;
        self.cache.invalidate_account(account);
        if !is_confirmed {
            return Ok(None);
        }
        let confirmed = Session {
            authenticated_at: now,
            confirmation_ends_at: Some(now.plus(CONFIRMED_FOR)),
            ..session.clone()
        };
        let issued = self.issue_token(confirmed, account.clone(), replacement);
        self.audit.during(context).record_session(
            Event::SessionConfirmed,
            Some(account),
            Some(&issued.session.id),
        );
        Ok(Some(issued))
    }

    /// Authenticates a token that has no session row. If a confirmation replaced it a moment ago,
    /// it still belongs to its session. Otherwise it is refused; if its end is not recorded, the
    /// time at which it was issued decides how.
    pub(super) async fn read_session_of_replaced_token(
        &self,
        claims: &Claims,
        now: Timestamp,
    ) -> Result<Authentication, InternalError> {
        let digest = claims.sid.digest();
        let Some(ended) = self.store.find_ended_token(digest).await? else {
            return Ok(Authentication::Refused(RefusedToken::since(claims.issued_at, now)));
        };
        let ended_at = Timestamp::from_millis(ended.ended_at);
        let refused = Authentication::Refused(RefusedToken::since(ended_at, now));
        let Some(session_id) = ended.session_id else { return Ok(refused) };
        // Nodes whose clocks differ by more than the grace period grant none.
        if now.since(ended_at) >= GRACE || ended_at.since(now) >= GRACE {
            // Permanently, so that the token does not revive if the clock is set back.
            self.store.end_replaced_token(digest).await?;
            return Ok(refused);
        }
        let Some(row) = self.store.find_session_by_id(&session_id).await? else {
            return Ok(refused);
        };
        Ok(match self.check_session(row, claims, now).await? {
            Authentication::SignedIn(who) => {
                let AuthenticatedSession { account, session, presented } = (*who).clone();
                let session = session.for_replaced_token();
                let who = AuthenticatedSession { account, session, presented };
                Authentication::SignedIn(who.into())
            }
            Authentication::Refused(_) | Authentication::NotOurs => refused,
        })
    }
}
