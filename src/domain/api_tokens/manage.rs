//! Creates, lists and revokes API tokens.

use std::time::Duration;

use crate::core::api_token_secret::ApiTokenSecret;
use crate::core::clock::{Timestamp, days};
use crate::core::display_names::DisplayName;
use crate::core::error::InternalError;
use crate::core::ids::{AccountId, SessionId};
use crate::core::secret::random_id;
use crate::core::usernames::Username;
use crate::domain::accounts::Account;
use crate::domain::api_tokens::{ApiToken, ApiTokens, MAX_API_TOKENS};
use crate::domain::audit::context::RequestContext;
use crate::domain::audit::event::Event;
use crate::domain::mail::kind::MailKind;
use crate::domain::requester::{ClientInfo, Requester};
use crate::domain::roles::Roles;
use crate::domain::sessions::{AuthenticatedSession, Cursor};
use crate::store::{
    AddApiTokenOutcome, ApiTokenRow, FoundApiTokenRow, GcraRow, NewApiTokenRow, NodeTime,
    RemoveApiTokenOutcome,
};

/// A token that is to be created.
#[derive(Debug)]
pub struct NewApiToken {
    pub name: DisplayName,
    pub roles: Roles,
    /// The number of days after which it expires.
    pub days: u32,
}

/// Why a token cannot be created as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InvalidApiToken {
    /// The account does not have this role.
    RoleNotGiven(String),
    /// The lifetime is zero, or longer than the operator allows.
    Lifetime { max_days: u32 },
}

/// The error of creating a token. Nothing was written.
#[derive(Debug)]
pub enum CreateApiTokenError {
    /// The operator allows no API tokens.
    Off,
    Invalid(InvalidApiToken),
    /// The account has as many tokens as it may have.
    TooMany,
    /// The session has ended, or the account is disabled or gone.
    NotSignedIn,
    /// The account exceeds its rate limit for changes.
    TooManyAttempts {
        wait: Duration,
    },
    Internal(InternalError),
}

impl From<InternalError> for CreateApiTokenError {
    fn from(fault: InternalError) -> Self {
        Self::Internal(fault)
    }
}

/// The error of revoking a token.
#[derive(Debug)]
pub enum RevokeApiTokenError {
    /// The account exceeds its rate limit for changes; nothing was done.
    TooManyAttempts {
        wait: Duration,
    },
    Internal(InternalError),
}

impl From<InternalError> for RevokeApiTokenError {
    fn from(fault: InternalError) -> Self {
        Self::Internal(fault)
    }
}

/// A page of tokens.
#[derive(Debug)]
pub struct ApiTokenPage {
    pub tokens: Vec<ApiToken>,
    /// The last token of the page, if there are more.
    pub next: Option<Cursor>,
}

/// A token, and the user name of its account, for the operator.
#[derive(Debug)]
pub struct OwnedApiToken {
    pub username: Username,
    pub token: ApiToken,
}

impl ApiTokens {
    /// Creates a token for the signed-in user. Its secret is only available here.
    pub async fn create_own(
        &self,
        who: &AuthenticatedSession,
        new: NewApiToken,
        requester: &Requester,
    ) -> Result<(ApiTokenSecret, ApiToken), CreateApiTokenError> {
        self.check(&who.account, &new)?;
        let (account, audit) = (&who.account.id, self.audit.during(&requester.context));
        let turn = self.throttle.account_turn(account).await?;
        let turn = turn.map_err(|wait| {
            audit.record_throttled(account);
            CreateApiTokenError::TooManyAttempts { wait }
        })?;
        let client = &requester.mailed;
        let created =
            self.add((&who.account, client), Some(&who.session.id), new, Some(turn)).await;
        if let Err(CreateApiTokenError::TooManyAttempts { .. }) = &created {
            audit.record_throttled(account); // concurrent requests used up the limit
        }
        let (secret, token) = created?;
        let session = Some(&who.session.id);
        audit.record_api_token(Event::ApiTokenCreated, account, session, &token.id);
        Ok((secret, token))
    }

    /// Creates a token of an account for the operator. Its secret is only available here.
    pub async fn create(
        &self,
        account: &Account,
        new: NewApiToken,
    ) -> Result<(ApiTokenSecret, ApiToken), CreateApiTokenError> {
        self.check(account, &new)?;
        let (secret, token) = self.add((account, &ClientInfo::default()), None, new, None).await?;
        let audit = self.audit.outside_requests();
        audit.record_api_token(Event::ApiTokenCreated, &account.id, None, &token.id);
        Ok((secret, token))
    }

    fn check(&self, account: &Account, new: &NewApiToken) -> Result<(), CreateApiTokenError> {
        if !self.are_allowed() {
            return Err(CreateApiTokenError::Off);
        }
        if let Some(role) = new.roles.iter().find(|role| !account.roles.contains(role)) {
            let invalid = InvalidApiToken::RoleNotGiven(role.to_owned());
            return Err(CreateApiTokenError::Invalid(invalid));
        }
        let max_days = self.max_days();
        if !(1..=max_days).contains(&new.days) {
            return Err(CreateApiTokenError::Invalid(InvalidApiToken::Lifetime { max_days }));
        }
        Ok(())
    }

    async fn add(
        &self,
        (account, client): (&Account, &ClientInfo),
        session: Option<&SessionId>,
        new: NewApiToken,
        turn: Option<(GcraRow, NodeTime)>,
    ) -> Result<(ApiTokenSecret, ApiToken), CreateApiTokenError> {
        let secret = ApiTokenSecret::random();
        let now = self.clock.now();
        let row = ApiTokenRow {
            id: random_id(),
            name: new.name.as_str().to_owned(),
            token_roles: new.roles.iter().collect::<Vec<_>>().join(" "),
            token_created_at: now.millis(),
            expires_at: now.plus(days(new.days.into())).millis(),
            last_used_at: None,
        };
        let inserted = NewApiTokenRow {
            digest: secret.digest(),
            account_id: account.id.as_str(),
            session_id: session.map(SessionId::as_str),
            token: &row,
        };
        let notice = self.outbox.notice(MailKind::ApiTokenCreated, account, client);
        let additions = (turn, notice.as_ref());
        match self.store.add_api_token(&inserted, MAX_API_TOKENS, additions).await? {
            AddApiTokenOutcome::Added => {
                self.outbox.wake();
                Ok((secret, ApiToken::from_row(row)))
            }
            AddApiTokenOutcome::NotSignedIn => Err(CreateApiTokenError::NotSignedIn),
            AddApiTokenOutcome::TooMany => Err(CreateApiTokenError::TooMany),
            AddApiTokenOutcome::RateLimited => {
                let wait = self.throttle.account_wait();
                Err(CreateApiTokenError::TooManyAttempts { wait })
            }
        }
    }

    /// Lists the account's active tokens, newest first.
    pub async fn list_own(
        &self,
        account: &AccountId,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<ApiTokenPage, InternalError> {
        let now = self.clock.now().millis();
        let one_more = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
        let page = (after.map(|last| (last.created_at, last.id.as_str())), one_more);
        let mut rows = self.store.api_tokens_of(account.as_str(), now, page).await?;
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        let last = rows.last().filter(|_| has_more);
        let next = last.map(|row| Cursor { created_at: row.token_created_at, id: row.id.clone() });
        Ok(ApiTokenPage { tokens: rows.into_iter().map(ApiToken::from_row).collect(), next })
    }

    /// Lists a page of the active tokens of all accounts in the order of their ids, starting after
    /// an id.
    pub async fn list_all(&self, after: &str) -> Result<Vec<OwnedApiToken>, InternalError> {
        const PAGE: i64 = 500; // a few hundred kilobytes at most
        let now: Timestamp = self.clock.now();
        let rows = self.store.api_tokens_after(now.millis(), (after, PAGE)).await?;
        let owned = |row: FoundApiTokenRow| OwnedApiToken {
            username: Username::from_row(row.username),
            token: ApiToken::from_row(row.token),
        };
        Ok(rows.into_iter().map(owned).collect())
    }

    /// Revokes one of the account's tokens for its owner. Returns false if there is no such token.
    pub async fn revoke_own(
        &self,
        who: &AuthenticatedSession,
        id: &str,
        context: &RequestContext,
    ) -> Result<bool, RevokeApiTokenError> {
        if !is_valid_id(id) {
            return Ok(false);
        }
        let (account, audit) = (&who.account.id, self.audit.during(context));
        let turn = self.throttle.account_turn(account).await?;
        let turn = turn.map_err(|wait| {
            audit.record_throttled(account);
            RevokeApiTokenError::TooManyAttempts { wait }
        })?;
        let now = self.clock.now().millis();
        match self.store.remove_api_token((account.as_str(), id), now, turn).await? {
            RemoveApiTokenOutcome::None => Ok(false),
            RemoveApiTokenOutcome::RateLimited => {
                audit.record_throttled(account); // concurrent requests used up the limit
                let wait = self.throttle.account_wait();
                Err(RevokeApiTokenError::TooManyAttempts { wait })
            }
            RemoveApiTokenOutcome::Removed => {
                self.sessions.invalidate_account(account);
                let session = Some(&who.session.id);
                audit.record_api_token(Event::ApiTokenRevoked, account, session, id);
                Ok(true)
            }
        }
    }

    /// Revokes a token for the operator. Returns false if there is no such token.
    pub async fn revoke(&self, id: &str) -> Result<bool, InternalError> {
        if !is_valid_id(id) {
            return Ok(false);
        }
        let now = self.clock.now().millis();
        let Some(account) = self.store.remove_api_token_named(id, now).await? else {
            return Ok(false);
        };
        let account = AccountId::from(account);
        self.sessions.invalidate_account(&account);
        let audit = self.audit.outside_requests();
        audit.record_api_token(Event::ApiTokenRevoked, &account, None, id);
        Ok(true)
    }
}

/// Whether the text can be the id of a token. It has the form of the id of a session.
fn is_valid_id(text: &str) -> bool {
    SessionId::is_valid(text)
}
