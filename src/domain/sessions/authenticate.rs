//! Authenticates session tokens.

use std::sync::Arc;

use futures_util::FutureExt;

use crate::core::clock::Timestamp;
use crate::core::error::InternalError;
use crate::core::secret::{SessionToken, TokenHash};
use crate::domain::keys::claims::{Claims, VerifiedToken};
use crate::domain::sessions::lifecycle::{Sessions, to_millis};
use crate::domain::sessions::shared_lookups::{LookupPart, LookupResult};
use crate::domain::sessions::{Authentication, RefusedToken, SEEN_EVERY, Session};
use crate::store::FoundSessionRow;

impl Sessions {
    /// Authenticates a session token: from the cache if it was seen recently, else by its signature
    /// and its row.
    pub async fn authenticate(
        self: &Arc<Self>,
        token: &str,
    ) -> Result<Authentication, InternalError> {
        let hash = self.cache.hash(token);
        let now = self.clock.now();
        let known = self.cache.get(&hash);
        if let Some(who) = known.filter(|who| who.session.is_fresh(now)) {
            self.counters.hits.inc();
            return Ok(Authentication::SignedIn(who));
        }
        // Boxed, so that the common case does not reserve stack space for a query.
        Box::pin(self.look_up(token, hash, now)).await
    }

    /// Authenticates a session token by its signature and its row, even if it is cached: for
    /// changes that a revocation or a confirmation on another node must prevent at once.
    pub async fn authenticate_uncached(
        &self,
        token: &str,
    ) -> Result<Authentication, InternalError> {
        let now = self.clock.now();
        match self.keys.verify(token, now) {
            VerifiedToken::Valid(claims) => self.read_session(&claims, now).await,
            VerifiedToken::NotYetValid(_) => Ok(Authentication::Refused(RefusedToken::Recent)),
            VerifiedToken::NotOurs => Ok(Authentication::NotOurs),
        }
    }

    /// Authenticates a token by its signature and its row. Concurrent requests with the same token
    /// share one look-up.
    async fn look_up(
        self: &Arc<Self>,
        token: &str,
        hash: TokenHash,
        now: Timestamp,
    ) -> Result<Authentication, InternalError> {
        let start = || {
            let (sessions, token) = (Arc::clone(self), SessionToken::new(token.to_owned()));
            async move { sessions.load(&token, hash).await }.boxed()
        };
        let is_current = |found: &LookupResult| match &found.outcome {
            Ok(Authentication::SignedIn(who)) => {
                who.session.is_fresh(now) && self.is_current(found)
            }
            Ok(Authentication::Refused(_) | Authentication::NotOurs) => self.is_current(found),
            Err(_) => true, // a repeated query would fail as well
        };
        let (found, part) = self.lookups.look_up(hash, start, is_current).await;
        match part {
            LookupPart::Started => {} // the look-up has counted itself
            LookupPart::Joined => {
                self.counters.shared.inc();
            }
        }
        found.outcome.map_err(InternalError::from_shared)
    }

    /// Whether nothing was revoked since the look-up read the database, as far as this node knows.
    fn is_current(&self, found: &LookupResult) -> bool {
        found.seen.is_some_and(|seen| self.cache.is_current(seen))
    }

    async fn load(&self, token: &SessionToken, hash: TokenHash) -> LookupResult {
        // The present time, not the start of the first request, because requests that started later
        // may share this look-up.
        let now = self.clock.now();
        // Another look-up may have finished between this request's miss and the start of this
        // look-up.
        if let Some(who) = self.cache.get(&hash).filter(|who| who.session.is_fresh(now)) {
            self.counters.hits.inc();
            return LookupResult { outcome: Ok(Authentication::SignedIn(who)), seen: None };
        }
        self.counters.misses.inc();
        let keys = self.cache.key_generation();
        let outcome = match self.keys.verify(token.expose(), now) {
            VerifiedToken::Valid(claims) => {
                let seen = self.cache.generation(&claims.account, keys);
                let outcome = self.read_session(&claims, now).await.map_err(Arc::new);
                if let Ok(Authentication::SignedIn(who)) = &outcome
                    && !who.session.is_of_replaced_token()
                {
                    self.cache.insert(hash, Arc::clone(who), seen);
                }
                return LookupResult { outcome, seen: Some(seen) };
            }
            VerifiedToken::NotYetValid(_) => Authentication::Refused(RefusedToken::Recent),
            VerifiedToken::NotOurs => Authentication::NotOurs,
        };
        LookupResult { outcome: Ok(outcome), seen: None }
    }

    /// Authenticates a token with these claims by its row.
    async fn read_session(
        &self,
        claims: &Claims,
        now: Timestamp,
    ) -> Result<Authentication, InternalError> {
        let sid = claims.sid.digest();
        let Some(row) = self.store.find_session(sid).await? else {
            return self.read_session_of_replaced_token(claims, now).await;
        };
        self.check_session(row, claims, now).await
    }

    /// Checks that the session has not ended and that its account is enabled.
    pub(super) async fn check_session(
        &self,
        row: FoundSessionRow,
        claims: &Claims,
        now: Timestamp,
    ) -> Result<Authentication, InternalError> {
        let sid = claims.sid.digest();
        let ended_at = row.ended_at.map(Timestamp::from_millis);
        let mut who = self.to_authenticated(row, sid);
        let ends_by_itself_at = who.session.idle_at.min(claims.expires_at);
        if let Some(ended_at) = ended_at {
            let refused = RefusedToken::since(ended_at.min(ends_by_itself_at), now);
            return Ok(Authentication::Refused(refused));
        }
        if who.account.id != claims.account || who.account.disabled_at.is_some() {
            return Ok(Authentication::Refused(RefusedToken::Recent)); // it has not ended
        }
        if now >= ends_by_itself_at {
            // End it permanently, so that it does not revive if the clock is set back.
            self.revoke_by_digest(sid, &who.account.id, now).await?;
            let refused = RefusedToken::since(ends_by_itself_at, now);
            return Ok(Authentication::Refused(refused));
        }
        if !who.session.is_fresh(now) {
            self.record_seen(&mut who.session, now);
        }
        Ok(Authentication::SignedIn(Arc::new(who)))
    }

    /// Records that the session is in use. No request waits for the write.
    fn record_seen(&self, session: &mut Session, now: Timestamp) {
        let idle = self.rules.lifetimes(session.remember).idle;
        session.last_seen_at = now;
        session.idle_at = session.expires_at.min(now.plus(idle));
        let (store, shutdown) = (Arc::clone(&self.store), Arc::clone(&self.shutdown));
        let (id, since) = (session.id.clone(), now.minus(SEEN_EVERY).millis());
        let seen = (now.millis(), to_millis(idle));
        tokio::spawn(async move {
            if let Err(fault) = store.session_seen(id.as_str(), seen, since).await {
                shutdown.warn(&fault); // tried again after a minute
            }
        });
    }
}
