//! How sessions are recognized from their tokens.

use std::sync::Arc;

use futures_util::FutureExt;

use crate::core::clock::Timestamp;
use crate::core::error::InternalError;
use crate::core::secret::{SessionToken, SidDigest, TokenHash};
use crate::domain::keys::claims::{Claims, VerifiedToken};
use crate::domain::sessions::lifecycle::Sessions;
use crate::domain::sessions::shared_lookups::{LookupResult, Role};
use crate::domain::sessions::{Authentication, RefusedToken, SEEN_EVERY, Session};

impl Sessions {
    /// What this token amounts to: from memory if it was seen a moment ago, else by its signature and
    /// its row.
    pub async fn recognise(self: &Arc<Self>, token: &str) -> Result<Authentication, InternalError> {
        let hash = self.cache.hash(token);
        let now = self.clock.now();
        let known = self.cache.get(&hash);
        if let Some(who) = known.filter(|who| who.session.is_fresh(now)) {
            self.counters.count_recognised();
            return Ok(Authentication::SignedIn(who));
        }
        // boxed, so that the common case does not move the room for a query about
        Box::pin(self.look_up(token, hash, now)).await
    }

    /// What this token amounts to, by its signature and its row. Requests that present it at the same time
    /// share one look-up.
    async fn look_up(
        self: &Arc<Self>,
        token: &str,
        hash: TokenHash,
        now: Timestamp,
    ) -> Result<Authentication, InternalError> {
        let start = || {
            let (sessions, token) = (Arc::clone(self), SessionToken::new(token.to_owned()));
            async move { sessions.look_up_now(&token, hash).await }.boxed()
        };
        let is_current = |found: &LookupResult| match &found.outcome {
            Ok(Authentication::SignedIn(who)) => {
                who.session.is_fresh(now) && self.still_counts(found)
            }
            Ok(Authentication::Refused(_) | Authentication::NotOurs) => self.still_counts(found),
            Err(_) => true, // the database would not answer the next one either
        };
        let (found, role) = self.lookups.look_up(hash, start, is_current).await;
        match role {
            Role::Started => {} // the look-up has counted itself
            Role::Joined => self.counters.count_shared(),
        }
        found.outcome.map_err(InternalError::from_shared)
    }

    /// Has nothing ended since the look-up read the database, as far as this node knows?
    fn still_counts(&self, found: &LookupResult) -> bool {
        found.seen.is_some_and(|seen| self.cache.still_counts(seen))
    }

    async fn look_up_now(&self, token: &SessionToken, hash: TokenHash) -> LookupResult {
        // not the time at which the first request began: others that began later may share this
        let now = self.clock.now();
        // the last look-up may have ended between this request's miss and the start of this one
        if let Some(who) = self.cache.get(&hash).filter(|who| who.session.is_fresh(now)) {
            self.counters.count_recognised();
            return LookupResult { outcome: Ok(Authentication::SignedIn(who)), seen: None };
        }
        self.counters.count_looked_up();
        let keys = self.cache.keys();
        let outcome = match self.keys.verify(token.expose(), now) {
            VerifiedToken::Valid(claims) => {
                let seen = self.cache.counts(&claims.account, keys);
                let outcome = self.read_session(&claims, now).await.map_err(Arc::new);
                if let Ok(Authentication::SignedIn(who)) = &outcome {
                    self.cache.file(hash, Arc::clone(who), seen);
                }
                return LookupResult { outcome, seen: Some(seen) };
            }
            VerifiedToken::NotYetValid(_) => Authentication::Refused(RefusedToken::Recent),
            VerifiedToken::NotOurs => Authentication::NotOurs,
        };
        LookupResult { outcome: Ok(outcome), seen: None }
    }

    /// What a token with these claims amounts to, by its row.
    async fn read_session(
        &self,
        claims: &Claims,
        now: Timestamp,
    ) -> Result<Authentication, InternalError> {
        let sid = claims.sid.digest();
        let Some(row) = self.store.find_session(sid).await? else {
            let refused = self.refuse_without_session(sid, claims.issued_at, now).await?;
            return Ok(Authentication::Refused(refused));
        };
        let ended_at = row.ended_at.map(Timestamp::from_millis);
        let mut who = self.signed_in_as(row);
        let ends_by_itself_at = who.session.idle_at.min(claims.expires_at);
        if let Some(ended_at) = ended_at {
            let refused = RefusedToken::since(ended_at.min(ends_by_itself_at), now);
            return Ok(Authentication::Refused(refused));
        }
        if who.account.id != claims.account || who.account.disabled_at.is_some() {
            return Ok(Authentication::Refused(RefusedToken::Recent)); // its session has not ended
        }
        if now >= ends_by_itself_at {
            // ended for good, so that a clock set back does not revive it
            self.end(sid, &who.account.id, now).await?;
            let refused = RefusedToken::since(ends_by_itself_at, now);
            return Ok(Authentication::Refused(refused));
        }
        if !who.session.is_fresh(now) {
            self.note_seen(&mut who.session, now);
        }
        Ok(Authentication::SignedIn(Arc::new(who)))
    }

    /// How a token is refused whose session is not there. Without a record of its end, the time at which
    /// it was issued decides.
    async fn refuse_without_session(
        &self,
        sid: SidDigest,
        issued_at: Timestamp,
        now: Timestamp,
    ) -> Result<RefusedToken, InternalError> {
        if RefusedToken::since(issued_at, now) == RefusedToken::Recent {
            return Ok(RefusedToken::Recent); // and cannot have ended before
        }
        let ended_at = self.store.find_ended_token(sid).await?.map(Timestamp::from_millis);
        Ok(RefusedToken::since(ended_at.unwrap_or(issued_at), now))
    }

    /// Marks the session as seen now, and records that; no request waits for it.
    fn note_seen(&self, session: &mut Session, now: Timestamp) {
        session.last_seen_at = now;
        session.idle_at = session.expires_at.min(now.plus(self.lifetimes(session.remember).idle));
        let (store, shutdown) = (Arc::clone(&self.store), Arc::clone(&self.shutdown));
        let (id, since) = (session.id.clone(), now.before(SEEN_EVERY).millis());
        tokio::spawn(async move {
            if let Err(fault) = store.session_seen(id.as_str(), now.millis(), since).await {
                shutdown.warn(&fault); // the next minute tries again
            }
        });
    }
}
