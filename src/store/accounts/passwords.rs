//! Changes passwords.

use super::rows::HashRow;
use crate::core::error::InternalError;
use crate::store::Store;
use crate::store::api_tokens::remove_api_tokens_of;
use crate::store::engine::connection::Connection;
use crate::store::errors::context;
use crate::store::mails::{NewMailRow, queue_notice};
use crate::store::session_data::take_over_data;
use crate::store::sessions::{NewSessionRow, insert_session, revoke_all_sessions};

impl Store {
    /// Sets a new password for the operator, ends all sessions and API tokens of the account, and
    /// queues a notice to its user, in one transaction. Returns false if the account does not exist.
    pub async fn set_password(
        &self,
        account_id: &str,
        new: &HashRow,
        notice: Option<&NewMailRow>,
        now: i64,
    ) -> Result<bool, InternalError> {
        self.transaction(|mut all| async move {
            let set = all
                .query(
                    "update accounts set password_hash = $2, hash_cost = $3, pepper = $4,
                            password_version = password_version + 1
                     where id = $1",
                )
                .bind(account_id)
                .bind(new.hash.expose()) // stores the hash in its row
                .bind(new.cost)
                .bind(new.pepper.as_deref())
                .execute()
                .await?;
            if set == 0 {
                return Ok(false);
            }
            remove_api_tokens_of(&mut all, account_id).await?;
            revoke_all_sessions(&mut all, account_id, now).await?;
            queue_notice(&mut all, notice).await?;
            all.commit().await?;
            Ok(true)
        })
        .await
        .map_err(context("changing a password"))
    }

    /// Replaces the hash of the password that was verified with a new hash of the same password.
    /// Nothing changes if the account has another password by now.
    pub async fn renew_hash(
        &self,
        account_id: &str,
        version: i64,
        new: &HashRow,
    ) -> Result<(), InternalError> {
        self.writer()
            .query(
                "update accounts set password_hash = $3, hash_cost = $4, pepper = $5
                 where id = $1 and password_version = $2",
            )
            .bind(account_id)
            .bind(version)
            .bind(new.hash.expose()) // stores the hash in its row
            .bind(new.cost)
            .bind(new.pepper.as_deref())
            .execute()
            .await
            .map(drop)
            .map_err(context("rehashing a password"))
    }

    /// Replaces the password that was verified, ends all sessions, adds a new session, and queues a
    /// notice to the user, in one transaction. API tokens remain, because programs that use them
    /// would fail. Session data of the session `old` moves to the new session. Returns false if the
    /// account has another password by now.
    pub async fn change_password(
        &self,
        version: i64,
        password: &HashRow,
        (old, new): (&str, &NewSessionRow<'_>),
        notice: Option<&NewMailRow>,
    ) -> Result<bool, InternalError> {
        let (account_id, now) = (&new.session.account_id, new.session.created_at);
        self.transaction(|mut all| async move {
            let set = all
                .query(
                    "update accounts set password_hash = $3, hash_cost = $4, pepper = $5,
                            password_version = password_version + 1
                     where id = $1 and password_version = $2 and disabled_at is null",
                )
                .bind(account_id)
                .bind(version)
                .bind(password.hash.expose()) // stores the hash in its row
                .bind(password.cost)
                .bind(password.pepper.as_deref())
                .execute()
                .await?;
            if set == 0 {
                return Ok(false);
            }
            revoke_all_sessions(&mut all, account_id, now).await?;
            insert_session(&mut all, new, version + 1).await?;
            take_over_data(&mut all, old, &new.session.id).await?;
            queue_notice(&mut all, notice).await?;
            all.commit().await?;
            Ok(true)
        })
        .await
        .map_err(context("changing a password"))
    }
}
