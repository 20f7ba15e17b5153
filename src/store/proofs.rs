//! The table `proofs`: the digests of codes and links that were mailed.

use super::Store;
use super::engine::connection::Connection;
use super::engine::query::Query;
use super::errors::context;
use super::mails::{NewMailRow, queue_notice};
use crate::core::error::InternalError;
use crate::core::mailed_secret::ProofDigest;

/// A code or a link that a user is about to get.
#[derive(Debug)]
pub struct NewProofRow<'a> {
    pub digest: ProofDigest,
    pub account_id: &'a str,
    pub purpose: &'static str,
    /// The mailbox that it is mailed to. `None` if an operator hands it over.
    pub mailbox: Option<&'a str>,
    /// The mail that contains it.
    pub mail_id: Option<&'a str>,
    /// It is valid while the account has this password.
    pub password_version: i64,
    pub created_at: i64,
    pub expires_at: i64,
}

impl Store {
    /// Adds a proof, unless its account has another password by now, or is disabled. Returns
    /// whether it was added.
    pub async fn add_proof(&self, proof: &NewProofRow<'_>) -> Result<bool, InternalError> {
        let added = bind_proof(self.writer().query(INSERT_PROOF), proof).execute().await;
        added.map(|added| added == 1).map_err(context("adding a proof"))
    }

    /// Adds a proof that an operator hands over, in place of all proofs of its account with the same
    /// purpose, and queues a notice to the user. Returns how many it replaced, or `None` if the
    /// account has another password by now, or is disabled.
    pub async fn replace_proofs(
        &self,
        proof: &NewProofRow<'_>,
        notice: Option<&NewMailRow>,
    ) -> Result<Option<u64>, InternalError> {
        self.transaction(|mut all| async move {
            let replaced = all
                .query(
                    "delete from proofs where account_id = $1 and purpose = $2 and expires_at > $3",
                )
                .bind(proof.account_id)
                .bind(proof.purpose)
                .bind(proof.created_at)
                .execute()
                .await?;
            if bind_proof(all.query(INSERT_PROOF), proof).execute().await? == 0 {
                return Ok(None);
            }
            queue_notice(&mut all, notice).await?;
            all.commit().await?;
            Ok(Some(replaced))
        })
        .await
        .map_err(context("replacing proofs"))
    }

    /// Whether there is a proof in this mail of the account already: the mail is sent again.
    pub async fn has_proof_of_mail(
        &self,
        (account_id, mail_id): (&str, &str),
    ) -> Result<bool, InternalError> {
        self.reader()
            .query("select count(*) from proofs where account_id = $1 and mail_id = $2")
            .bind(account_id)
            .bind(mail_id)
            .fetch_value::<i64>()
            .await
            .map(|found| found > 0)
            .map_err(context("finding a proof"))
    }

    /// Removes up to `limit` expired proofs. Returns how many were removed.
    pub async fn remove_expired_proofs(&self, now: i64, limit: i64) -> Result<u64, InternalError> {
        self.writer()
            .query(
                "delete from proofs where digest in (
                     select digest from proofs where expires_at <= $1 limit $2)",
            )
            .bind(now)
            .bind(limit)
            .execute()
            .await
            .map_err(context("removing expired proofs"))
    }

    /// Removes all proofs. Returns how many were removed.
    pub async fn remove_all_proofs(&self) -> Result<u64, InternalError> {
        self.writer()
            .query("delete from proofs")
            .execute()
            .await
            .map_err(context("removing the proofs"))
    }
}

/// Adds a proof, unless its account has another password by now, or is disabled.
const INSERT_PROOF: &str = "insert into proofs
         (digest, account_id, purpose, mailbox, mail_id, password_version, created_at, expires_at)
     select $1, accounts.id, $3, $4, $5, password_version, $7, $8 from accounts
     where accounts.id = $2 and password_version = $6 and disabled_at is null";

fn bind_proof<'c>(query: Query<'c>, proof: &NewProofRow<'_>) -> Query<'c> {
    query
        .bind(proof.digest.as_bytes())
        .bind(proof.account_id)
        .bind(proof.purpose)
        .bind(proof.mailbox)
        .bind(proof.mail_id)
        .bind(proof.password_version)
        .bind(proof.created_at)
        .bind(proof.expires_at)
}

/// Removes a proof that is valid: it has not expired, and the account still has the password for
/// which it was made. Returns the number of removed rows; the caller undoes the removal if it cannot
/// do what the proof allows.
pub async fn use_up_proof(
    db: &mut impl Connection,
    account_id: &str,
    (digest, purpose, mailbox): (ProofDigest, &str, &str),
    now: i64,
) -> sqlx::Result<u64> {
    db.query(
        "delete from proofs
         where digest = $1 and account_id = $2 and purpose = $3 and mailbox = $4
           and expires_at > $5 and password_version = (
             select password_version from accounts where accounts.id = $2)",
    )
    .bind(digest.as_bytes())
    .bind(account_id)
    .bind(purpose)
    .bind(mailbox)
    .bind(now)
    .execute()
    .await
}

/// Removes all proofs of an account, in the transaction that makes them invalid.
pub async fn remove_proofs_of(db: &mut impl Connection, account_id: &str) -> sqlx::Result<()> {
    let remove = db.query("delete from proofs where account_id = $1").bind(account_id);
    remove.execute().await.map(drop)
}
