//! Sets a new password with a link.

use super::rows::HashRow;
use crate::core::error::InternalError;
use crate::core::mailed_secret::ProofDigest;
use crate::store::Store;
use crate::store::api_tokens::remove_api_tokens_of;
use crate::store::engine::connection::Connection;
use crate::store::errors::context;
use crate::store::mails::{NewMailRow, queue_notice};
use crate::store::proofs::remove_proofs_of;
use crate::store::sessions::revoke_all_sessions;

/// A new password, and the proof that allows it.
#[derive(Debug)]
pub struct RecoveryRow<'a> {
    pub account_id: &'a str,
    /// The version of the password that is replaced.
    pub version: i64,
    pub digest: ProofDigest,
    pub purpose: &'static str,
    pub password: &'a HashRow,
    pub now: i64,
}

impl Store {
    /// Sets a new password by a proof, and ends all sessions, API tokens and proofs of the account.
    /// A notice to the user is queued, all in one transaction. Returns false if the proof is not
    /// valid any more. Of two that use one proof at the same time, one succeeds.
    pub async fn recover_password(
        &self,
        row: RecoveryRow<'_>,
        notice: Option<&NewMailRow>,
    ) -> Result<bool, InternalError> {
        self.transaction(|mut all| async move {
            let RecoveryRow { account_id, version, digest, purpose, password, now } = row;
            // The row of the account is locked first, as by all other changes of a password.
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
            let used = all
                .query(
                    "delete from proofs where digest = $1 and account_id = $2 and purpose = $3
                       and password_version = $4 and expires_at > $5",
                )
                .bind(digest.as_bytes())
                .bind(account_id)
                .bind(purpose)
                .bind(version)
                .bind(now)
                .execute()
                .await?;
            if (set, used) != (1, 1) {
                return Ok(false); // nothing is committed
            }
            remove_proofs_of(&mut all, account_id).await?;
            remove_api_tokens_of(&mut all, account_id).await?;
            revoke_all_sessions(&mut all, account_id, now).await?;
            queue_notice(&mut all, notice).await?;
            all.commit().await?;
            Ok(true)
        })
        .await
        .map_err(context("setting a new password with a link"))
    }
}
