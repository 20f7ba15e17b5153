//! Authenticates API tokens.

use std::sync::Arc;

use futures_util::FutureExt;

use crate::core::api_token_secret::{API_TOKEN_LENGTH, ApiTokenDigest, ApiTokenSecret};
use crate::core::clock::Timestamp;
use crate::core::display_names::DisplayName;
use crate::core::email_address::EmailAddress;
use crate::core::error::InternalError;
use crate::core::ids::AccountId;
use crate::core::secret::TokenHash;
use crate::core::usernames::Username;
use crate::domain::accounts::Account;
use crate::domain::api_tokens::{
    ApiToken, ApiTokens, AuthenticatedToken, FoundToken, TokenAuthentication, TokenLookup,
    USED_EVERY,
};
use crate::domain::audit::context::RequestContext;
use crate::domain::roles::Roles;
use crate::domain::sessions::shared_lookups::LookupPart;
use crate::store::FoundApiTokenRow;

impl ApiTokens {
    /// Authenticates the API token that a request presented: from the cache if it was seen recently,
    /// else by its row. A text with a wrong checksum costs no query. A refusal is recorded.
    pub async fn authenticate(
        self: &Arc<Self>,
        text: &str,
        context: impl FnOnce() -> RequestContext,
    ) -> Result<TokenAuthentication, InternalError> {
        if text.len() == API_TOKEN_LENGTH && self.are_allowed() {
            let hash = self.cache.hash(text);
            let now = self.clock.now();
            if let Some(who) = self.cache.get(&hash).filter(|who| who.token.is_fresh(now)) {
                self.counters.token_hits.inc();
                return Ok(TokenAuthentication::Valid(who));
            }
            if let Some(secret) = ApiTokenSecret::parse(text) {
                // Boxed, so that the common case does not reserve stack space for a query.
                let found = Box::pin(self.look_up(secret.digest(), hash, now)).await?;
                return Ok(match found {
                    FoundToken::Valid(who) => TokenAuthentication::Valid(who),
                    FoundToken::Refused(account) => self.refuse(account.as_ref(), &context()),
                });
            }
        }
        Ok(self.refuse(None, &context()))
    }

    /// Records that a token was refused. The response does not say why.
    pub fn refuse(
        &self,
        account: Option<&AccountId>,
        context: &RequestContext,
    ) -> TokenAuthentication {
        self.counters.token_refusals.inc();
        self.audit.during(context).record_api_token_refused(account);
        TokenAuthentication::Refused
    }

    /// Looks a token up. Concurrent requests with the same token share one look-up.
    async fn look_up(
        self: &Arc<Self>,
        digest: ApiTokenDigest,
        hash: TokenHash,
        now: Timestamp,
    ) -> Result<FoundToken, InternalError> {
        let start = || {
            let tokens = Arc::clone(self);
            async move { tokens.load(digest, hash).await }.boxed()
        };
        let is_current = |lookup: &TokenLookup| match &lookup.outcome {
            Ok(FoundToken::Valid(who)) => who.token.is_fresh(now) && self.is_current(lookup),
            // A token that was unknown a moment ago may have been created since then.
            Ok(FoundToken::Refused(_)) => self.is_current(lookup),
            Err(_) => true, // a repeated query would fail as well
        };
        let (lookup, part) = self.lookups.look_up(hash, start, is_current).await;
        match part {
            LookupPart::Started => {} // the look-up has counted itself
            LookupPart::Joined => {
                self.counters.tokens_shared.inc();
            }
        }
        lookup.outcome.map_err(InternalError::from_shared)
    }

    /// Whether nothing was revoked since the look-up read the database, as far as this node knows.
    fn is_current(&self, lookup: &TokenLookup) -> bool {
        lookup.seen.is_some_and(|seen| self.cache.is_current(seen))
    }

    async fn load(&self, digest: ApiTokenDigest, hash: TokenHash) -> TokenLookup {
        self.counters.token_misses.inc();
        match self.store.account_of_api_token(digest).await {
            Ok(None) => TokenLookup { outcome: Ok(FoundToken::Refused(None)), seen: None },
            Err(fault) => TokenLookup { outcome: Err(Arc::new(fault)), seen: None },
            Ok(Some(account)) => {
                // The counts are read before the row, so that a revocation in between is noticed.
                // They are those of the account, which the first query has found.
                let keys = self.cache.key_generation();
                let seen = self.cache.generation(&account.into(), keys);
                let outcome = self.read_token(digest).await.map_err(Arc::new);
                if let Ok(FoundToken::Valid(who)) = &outcome {
                    self.cache.insert(hash, Arc::clone(who), seen);
                }
                TokenLookup { outcome, seen: Some(seen) }
            }
        }
    }

    async fn read_token(&self, digest: ApiTokenDigest) -> Result<FoundToken, InternalError> {
        let now = self.clock.now();
        let Some(row) = self.store.find_api_token(digest).await? else {
            return Ok(FoundToken::Refused(None));
        };
        let mut who = to_authenticated(row);
        if now >= who.token.expires_at {
            // Remove it, so that it does not revive if the clock is set back.
            self.store.remove_api_token_named(&who.token.id, now.millis()).await?;
            self.sessions.invalidate_account(&who.account.id);
            return Ok(FoundToken::Refused(Some(who.account.id)));
        }
        if who.account.disabled_at.is_some() {
            return Ok(FoundToken::Refused(Some(who.account.id)));
        }
        if !who.token.is_fresh(now) {
            self.record_used(&mut who.token, now);
        }
        Ok(FoundToken::Valid(Arc::new(who)))
    }

    /// Records that the token is in use. No request waits for the write.
    fn record_used(&self, token: &mut ApiToken, now: Timestamp) {
        token.last_used_at = Some(now);
        let (store, shutdown) = (Arc::clone(&self.store), Arc::clone(&self.shutdown));
        let (id, since) = (token.id.clone(), now.minus(USED_EVERY).millis());
        tokio::spawn(async move {
            if let Err(fault) = store.api_token_used(&id, now.millis(), since).await {
                shutdown.warn(&fault); // tried again after a minute
            }
        });
    }
}

/// The account of a row, with the roles that both the account and the token have.
fn to_authenticated(row: FoundApiTokenRow) -> AuthenticatedToken {
    let token = ApiToken::from_row(row.token);
    let roles = Roles::from_row(&row.roles).intersection(&token.roles);
    let account = Account {
        id: row.account_id.into(),
        username: Username::from_row(row.username),
        display_name: row.display_name.map(DisplayName::from_row),
        email: row.email.and_then(EmailAddress::from_row),
        unconfirmed_email: row.unconfirmed_email.and_then(EmailAddress::from_row),
        created_at: Timestamp::from_millis(row.account_created_at),
        disabled_at: row.account_disabled_at.map(Timestamp::from_millis),
        roles,
    };
    AuthenticatedToken { account, token }
}
