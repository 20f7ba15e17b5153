//! Inserts sessions.

use std::sync::LazyLock;

use super::rows::NewSessionRow;
use crate::core::error::InternalError;
use crate::store::Store;
use crate::store::engine::connection::Connection;
use crate::store::engine::query::Statement;
use crate::store::errors::context;
use crate::store::group_commit::RollbackScope;
use crate::store::login_attempts::{AttemptReset, reset_attempts};
use crate::store::mails::{NewMailRow, queue_notice};
use crate::store::revocations::record_revocation;

/// The outcome of adding a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddSessionOutcome {
    /// The account has another password by now, or is disabled.
    No,
    Yes,
    /// The session was added, and the account's oldest sessions were ended.
    InPlaceOfOlder,
}

impl Store {
    /// Adds the session if the account still has this password version and is not disabled. The
    /// condition is part of the statement, so that no session survives a concurrent change of the
    /// password. If the account has more than `most` sessions, the oldest are ended. The attempts
    /// that led to this session are reset, and a notice to the user is queued, in the same
    /// transaction.
    pub async fn add_session(
        &self,
        new: &NewSessionRow<'_>,
        version: i64,
        most: i64,
        (attempts, notice): (AttemptReset, Option<NewMailRow>),
    ) -> Result<AddSessionOutcome, InternalError> {
        let (digest, session) = (new.digest, new.session.clone());
        self.write(RollbackScope::Group, move |mut all| {
            Box::pin(async move {
                let new = NewSessionRow { digest, session: &session };
                if !insert_session(&mut all, &new, version).await? {
                    return Ok(AddSessionOutcome::No);
                }
                reset_attempts(&mut all, attempts).await?;
                queue_notice(&mut all, notice.as_ref()).await?;
                let over = all
                    .query(
                        "update sessions set ended_at = $2
                         where account_id = $1 and ended_at is null and id not in (
                             select id from sessions where account_id = $1 and ended_at is null
                             order by created_at desc, id = $4 desc limit $3)",
                    )
                    .bind(&session.account_id)
                    .bind(session.created_at)
                    .bind(most)
                    .bind(&session.id)
                    .execute()
                    .await?;
                if over == 0 {
                    return Ok(AddSessionOutcome::Yes);
                }
                record_revocation(&mut all, &session.account_id, session.created_at).await?;
                Ok(AddSessionOutcome::InPlaceOfOlder)
            })
        })
        .await
        .map_err(context("adding a session"))
    }
}

/// Inserts a session, if the account has this password version and is not disabled.
pub async fn insert_session(
    db: &mut impl Connection,
    new: &NewSessionRow<'_>,
    version: i64,
) -> sqlx::Result<bool> {
    db.query(insert_statement())
        .bind(new.digest.as_bytes())
        .bind(&new.session.id)
        .bind(new.session.remember)
        .bind(new.session.created_at)
        .bind(new.session.last_seen_at)
        .bind(new.session.expires_at)
        .bind(&new.session.account_id)
        .bind(version)
        .bind(&new.session.address)
        .bind(&new.session.browser)
        .bind(new.session.idle_timeout)
        .execute()
        .await
        .map(|added| added > 0)
}

/// SQLite has one writer and needs no locks. On PostgreSQL the account's row is locked, so that a
/// change of the password and a new session wait for each other: otherwise a statement that ends
/// all sessions would miss a session that is being added.
fn insert_statement() -> Statement {
    const INSERT: &str = "insert into sessions
             (digest, id, account_id, remember, created_at, last_seen_at, expires_at, address,
              browser, idle_timeout)
         select $1, $2, accounts.id, $3, $4, $5, $6, $9, $10, $11 from accounts
         where accounts.id = $7 and password_version = $8 and disabled_at is null";
    static INSERT_AND_LOCK: LazyLock<String> = LazyLock::new(|| format!("{INSERT} for share"));
    Statement::PerEngine { sqlite: INSERT, postgres: &INSERT_AND_LOCK }
}
