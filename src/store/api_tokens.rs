//! The table `api_tokens`.

use super::Store;
use super::engine::connection::Connection;
use super::engine::from_row::from_row;
use super::engine::query::Statement;
use super::errors::context;
use super::login_attempts::{GcraRow, NodeTime, take_turn};
use super::mails::{NewMailRow, queue_notice};
use super::revocations::record_revocation;
use super::roles::roles_column;
use crate::core::api_token_secret::ApiTokenDigest;
use crate::core::error::InternalError;

/// An API token, without the account that it belongs to.
#[derive(Debug, Clone)]
pub struct ApiTokenRow {
    pub id: String,
    pub name: String,
    /// The names of the roles, separated by spaces.
    pub token_roles: String,
    pub token_created_at: i64,
    pub expires_at: i64,
    pub last_used_at: Option<i64>,
}

from_row!(ApiTokenRow { id, name, token_roles, token_created_at, expires_at, last_used_at });

/// An API token, whether it has expired or not, and its account.
#[derive(Debug)]
pub struct FoundApiTokenRow {
    pub token: ApiTokenRow,
    pub account_id: String,
    pub username: String,
    pub display_name: Option<String>,
    pub email: Option<String>,
    pub unconfirmed_email: Option<String>,
    pub account_created_at: i64,
    pub account_disabled_at: Option<i64>,
    /// The names of the roles of the account, separated by spaces.
    pub roles: String,
}

from_row!(FoundApiTokenRow {
    account_id,
    username,
    display_name,
    email,
    unconfirmed_email,
    account_created_at,
    account_disabled_at,
    roles,
    ..token
});

/// A token to insert.
#[derive(Debug)]
pub struct NewApiTokenRow<'a> {
    pub digest: ApiTokenDigest,
    pub account_id: &'a str,
    /// The session that creates it, which must be active. `None` for the operator.
    pub session_id: Option<&'a str>,
    pub token: &'a ApiTokenRow,
}

/// The outcome of inserting a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddApiTokenOutcome {
    Added,
    /// The account is disabled or gone, or the session has ended. Nothing was written.
    NotSignedIn,
    /// The account has as many tokens as it may have, and nothing was written.
    TooMany,
    /// The account exceeds its rate limit, and nothing was written.
    RateLimited,
}

/// The outcome of deleting a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemoveApiTokenOutcome {
    /// There is no such token, and nothing was written.
    None,
    Removed,
    /// The account exceeds its rate limit, and nothing was written.
    RateLimited,
}

/// The columns of an [`ApiTokenRow`].
macro_rules! token_columns {
    () => {
        "api_tokens.id, name, api_tokens.roles as token_roles,
         api_tokens.created_at as token_created_at, expires_at, last_used_at"
    };
}

macro_rules! find_token_where {
    ($condition:literal) => {
        concat!(
            "select ",
            token_columns!(),
            ", account_id, username, display_name, email, unconfirmed_email,
             accounts.created_at as account_created_at,
             accounts.disabled_at as account_disabled_at, ",
            roles_column!(),
            " from api_tokens join accounts on accounts.id = account_id where ",
            $condition
        )
    };
}

/// On PostgreSQL the row is locked, so that of two tokens that are created at the same time the
/// second one is counted after the first one is committed, and so that a change that ends all tokens
/// of the account sees this one.
const ENABLED_ACCOUNT: Statement = Statement::PerEngine {
    sqlite: "select id from accounts where id = $1 and disabled_at is null",
    postgres: "select id from accounts where id = $1 and disabled_at is null for no key update",
};

impl Store {
    /// The id of the account of the token with this digest.
    pub async fn account_of_api_token(
        &self,
        digest: ApiTokenDigest,
    ) -> Result<Option<String>, InternalError> {
        self.reader()
            .query("select account_id from api_tokens where digest = $1")
            .bind(digest.as_bytes())
            .fetch_optional_value()
            .await
            .map_err(context("finding the account of an API token"))
    }

    /// Finds the token with this digest, and its account.
    pub async fn find_api_token(
        &self,
        digest: ApiTokenDigest,
    ) -> Result<Option<FoundApiTokenRow>, InternalError> {
        self.reader()
            .query(find_token_where!("digest = $1"))
            .bind(digest.as_bytes())
            .fetch_optional()
            .await
            .map_err(context("finding an API token"))
    }

    /// Adds a token to an account that has fewer than `max` active ones. If `turn` is given, it is
    /// counted against the account's rate limit. A notice to the user is queued.
    pub async fn add_api_token(
        &self,
        new: &NewApiTokenRow<'_>,
        max: usize,
        (turn, notice): (Option<(GcraRow, NodeTime)>, Option<&NewMailRow>),
    ) -> Result<AddApiTokenOutcome, InternalError> {
        self.transaction(|mut all| async move {
            let (account_id, token) = (new.account_id, new.token);
            let found = all.query(ENABLED_ACCOUNT).bind(account_id);
            if found.fetch_optional_value::<String>().await?.is_none() {
                return Ok(AddApiTokenOutcome::NotSignedIn);
            }
            if let Some(session_id) = new.session_id {
                let active = "select count(*) from sessions where id = $1 and ended_at is null";
                if all.query(active).bind(session_id).fetch_value::<i64>().await? == 0 {
                    return Ok(AddApiTokenOutcome::NotSignedIn);
                }
            }
            let active = "select count(*) from api_tokens where account_id = $1 and expires_at > $2";
            let active = all.query(active).bind(account_id).bind(token.token_created_at);
            if usize::try_from(active.fetch_value::<i64>().await?).unwrap_or(usize::MAX) >= max {
                return Ok(AddApiTokenOutcome::TooMany);
            }
            if let Some((turn, time)) = turn
                && !take_turn(&mut all, &turn, time).await?
            {
                return Ok(AddApiTokenOutcome::RateLimited);
            }
            all.query(
                "insert into api_tokens (digest, id, account_id, name, roles, created_at, expires_at)
                 values ($1, $2, $3, $4, $5, $6, $7)",
            )
            .bind(new.digest.as_bytes())
            .bind(&token.id)
            .bind(account_id)
            .bind(&token.name)
            .bind(&token.token_roles)
            .bind(token.token_created_at)
            .bind(token.expires_at)
            .execute()
            .await?;
            queue_notice(&mut all, notice).await?;
            all.commit().await?;
            Ok(AddApiTokenOutcome::Added)
        })
        .await
        .map_err(context("adding an API token"))
    }

    /// Lists the account's active tokens, newest first: at most `limit`, starting after the token
    /// with the given time of creation and id.
    pub async fn api_tokens_of(
        &self,
        account_id: &str,
        now: i64,
        (after, limit): (Option<(i64, &str)>, i64),
    ) -> Result<Vec<ApiTokenRow>, InternalError> {
        let (created_at, id) = after.unwrap_or((i64::MAX, ""));
        self.reader()
            .query(concat!(
                "select ",
                token_columns!(),
                " from api_tokens
                 where account_id = $1 and expires_at > $2
                   and (created_at < $3 or (created_at = $3 and id < $4))
                 order by created_at desc, id desc limit $5"
            ))
            .bind(account_id)
            .bind(now)
            .bind(created_at)
            .bind(id)
            .bind(limit)
            .fetch_all()
            .await
            .map_err(context("listing API tokens"))
    }

    /// Lists the active tokens of all accounts in the order of their ids: at most `limit`, starting
    /// after an id.
    pub async fn api_tokens_after(
        &self,
        now: i64,
        (after, limit): (&str, i64),
    ) -> Result<Vec<FoundApiTokenRow>, InternalError> {
        self.reader()
            .query(concat!(
                find_token_where!("expires_at > $1 and api_tokens.id > $2"),
                " order by api_tokens.id limit $3"
            ))
            .bind(now)
            .bind(after)
            .bind(limit)
            .fetch_all()
            .await
            .map_err(context("listing the API tokens"))
    }

    /// Deletes a token of an account. If there is one and `turn` is given, it is counted against the
    /// account's rate limit. The change is recorded in the revocation feed in the same transaction.
    pub async fn remove_api_token(
        &self,
        (account_id, id): (&str, &str),
        now: i64,
        turn: (GcraRow, NodeTime),
    ) -> Result<RemoveApiTokenOutcome, InternalError> {
        self.transaction(|mut all| async move {
            let delete = all.query("delete from api_tokens where account_id = $1 and id = $2");
            if delete.bind(account_id).bind(id).execute().await? == 0 {
                return Ok(RemoveApiTokenOutcome::None);
            }
            let (turn, time) = turn;
            if !take_turn(&mut all, &turn, time).await? {
                return Ok(RemoveApiTokenOutcome::RateLimited);
            }
            record_revocation(&mut all, account_id, now).await?;
            all.commit().await?;
            Ok(RemoveApiTokenOutcome::Removed)
        })
        .await
        .map_err(context("revoking an API token"))
    }

    /// Deletes the token with this id for the operator, and returns its account, if there is one.
    pub async fn remove_api_token_named(
        &self,
        id: &str,
        now: i64,
    ) -> Result<Option<String>, InternalError> {
        self.transaction(|mut all| async move {
            let delete = all.query("delete from api_tokens where id = $1 returning account_id");
            let account: Option<String> = delete.bind(id).fetch_optional_value().await?;
            if let Some(account) = &account {
                record_revocation(&mut all, account, now).await?;
                all.commit().await?;
            }
            Ok(account)
        })
        .await
        .map_err(context("revoking an API token"))
    }

    /// Records that the token was used at `now`, unless a use after `since` is recorded already.
    pub async fn api_token_used(
        &self,
        id: &str,
        now: i64,
        since: i64,
    ) -> Result<(), InternalError> {
        self.writer()
            .query(
                "update api_tokens set last_used_at = $2
                 where id = $1 and (last_used_at is null or last_used_at <= $3)",
            )
            .bind(id)
            .bind(now)
            .bind(since)
            .execute()
            .await
            .map(drop)
            .map_err(context("recording when an API token was last used"))
    }

    /// Removes up to `limit` expired tokens. Returns how many were removed.
    pub async fn remove_expired_api_tokens(
        &self,
        now: i64,
        limit: i64,
    ) -> Result<u64, InternalError> {
        self.writer()
            .query(
                "delete from api_tokens where digest in (
                     select digest from api_tokens where expires_at <= $1 limit $2)",
            )
            .bind(now)
            .bind(limit)
            .execute()
            .await
            .map_err(context("removing expired API tokens"))
    }

    /// Removes all tokens. Returns how many were removed.
    pub async fn remove_all_api_tokens(&self) -> Result<u64, InternalError> {
        self.writer()
            .query("delete from api_tokens")
            .execute()
            .await
            .map_err(context("removing the API tokens"))
    }
}

/// Deletes all tokens of an account, in the transaction that changes the account and records a
/// revocation.
pub async fn remove_api_tokens_of(db: &mut impl Connection, account_id: &str) -> sqlx::Result<()> {
    let delete = db.query("delete from api_tokens where account_id = $1");
    delete.bind(account_id).execute().await.map(drop)
}
