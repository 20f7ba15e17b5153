//! Changes the e-mail address of accounts.

use super::rows::EmailColumns;
use crate::core::error::InternalError;
use crate::core::mailed_secret::ProofDigest;
use crate::store::Store;
use crate::store::engine::connection::Connection;
use crate::store::errors::context;
use crate::store::login_attempts::{GcraRow, NodeTime, take_turn};
use crate::store::mails::{NewMailRow, queue_mail, queue_notice};
use crate::store::proofs::{remove_proofs_of, use_up_proof};
use crate::store::revocations::record_revocation;

/// The outcome of recording the address that a code is requested for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestEmailOutcome {
    /// The account is disabled or no longer exists, and nothing was written.
    NoSuchAccount,
    /// The account exceeds its rate limit, and nothing was written.
    RateLimited,
    Done,
}

/// The confirmation of the address that a code was requested for.
#[derive(Debug)]
pub struct EmailConfirmationRow<'a> {
    pub account_id: &'a str,
    /// The purpose of the code, and the digests by which it is found.
    pub purpose: &'static str,
    pub digests: &'a [ProofDigest],
    /// The address that becomes the confirmed one, if the account still has it as its unconfirmed
    /// one.
    pub address: EmailColumns<'a>,
    /// The confirmed address that it replaces.
    pub former: Option<&'a str>,
    pub now: i64,
}

/// The outcome of confirming an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfirmEmailOutcome {
    /// There is no such code for this address, or it has expired. Nothing was written.
    Refused,
    /// The user of another account has confirmed the address. Nothing was written.
    Taken,
    Confirmed,
}

/// The outcome of setting an address as the operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetEmailOutcome {
    NoSuchAccount,
    Taken,
    Done,
}

impl Store {
    /// Records the address that a code is requested for, and queues the mail with the code. The
    /// change is counted against the account's rate limit and recorded in the revocation feed in
    /// the same transaction, so that all nodes read the account again.
    pub async fn request_email(
        &self,
        (account_id, address): (&str, &str),
        mail: &NewMailRow,
        (turn, time): (GcraRow, NodeTime),
    ) -> Result<RequestEmailOutcome, InternalError> {
        self.transaction(|mut all| async move {
            if !take_turn(&mut all, &turn, time).await? {
                return Ok(RequestEmailOutcome::RateLimited);
            }
            let set = all
                .query(
                    "update accounts set unconfirmed_email = $2
                     where id = $1 and disabled_at is null",
                )
                .bind(account_id)
                .bind(address)
                .execute()
                .await?;
            if set == 0 {
                return Ok(RequestEmailOutcome::NoSuchAccount);
            }
            queue_mail(&mut all, mail).await?;
            record_revocation(&mut all, account_id, time.now).await?;
            all.commit().await?;
            Ok(RequestEmailOutcome::Done)
        })
        .await
        .map_err(context("changing an address"))
    }

    /// Confirms an address by its code, which is used up together with everything else that was
    /// mailed to the user as proof. A notice to the former address is queued, all in one
    /// transaction. Of two that use one code at the same time, one succeeds.
    pub async fn confirm_email(
        &self,
        row: EmailConfirmationRow<'_>,
        notice: Option<&NewMailRow>,
    ) -> Result<ConfirmEmailOutcome, InternalError> {
        let confirmed = self
            .transaction(|mut all| async move {
                let EmailConfirmationRow { account_id, purpose, digests, address, former, now } =
                    row;
                let mut used = 0;
                for digest in digests {
                    let proof = (*digest, purpose, address.mailbox.as_str());
                    used += use_up_proof(&mut all, account_id, proof, now).await?;
                }
                if used == 0 {
                    return Ok(ConfirmEmailOutcome::Refused);
                }
                if is_taken(&mut all, account_id, &address.mailbox).await? {
                    return Ok(ConfirmEmailOutcome::Taken);
                }
                let confirmed = all
                    .query(
                        "update accounts
                         set email = $2, email_key = $3, unconfirmed_email = null
                         where id = $1 and unconfirmed_email = $2
                           and email is not distinct from $4 and disabled_at is null",
                    )
                    .bind(account_id)
                    .bind(address.email)
                    .bind(&address.mailbox)
                    .bind(former)
                    .execute()
                    .await?;
                if confirmed == 0 {
                    return Ok(ConfirmEmailOutcome::Refused);
                }
                remove_proofs_of(&mut all, account_id).await?;
                queue_notice(&mut all, notice).await?;
                record_revocation(&mut all, account_id, now).await?;
                all.commit().await?;
                Ok(ConfirmEmailOutcome::Confirmed)
            })
            .await;
        match confirmed {
            // Another account has confirmed the address since it was looked for.
            Err(error) if is_unique_violation(&error) => Ok(ConfirmEmailOutcome::Taken),
            other => other.map_err(context("confirming an address")),
        }
    }

    /// Sets the confirmed address of an account for the operator, who answers for it. Everything
    /// that was mailed to the user as proof stops being valid.
    pub async fn set_email(
        &self,
        account_id: &str,
        address: &EmailColumns<'_>,
        now: i64,
    ) -> Result<SetEmailOutcome, InternalError> {
        let set = self
            .transaction(|mut all| async move {
                if is_taken(&mut all, account_id, &address.mailbox).await? {
                    return Ok(SetEmailOutcome::Taken);
                }
                let set = all
                    .query(
                        "update accounts
                         set email = $2, email_key = $3, unconfirmed_email = null where id = $1",
                    )
                    .bind(account_id)
                    .bind(address.email)
                    .bind(&address.mailbox)
                    .execute()
                    .await?;
                if set == 0 {
                    return Ok(SetEmailOutcome::NoSuchAccount);
                }
                remove_proofs_of(&mut all, account_id).await?;
                record_revocation(&mut all, account_id, now).await?;
                all.commit().await?;
                Ok(SetEmailOutcome::Done)
            })
            .await;
        match set {
            Err(error) if is_unique_violation(&error) => Ok(SetEmailOutcome::Taken),
            other => other.map_err(context("setting an address")),
        }
    }
}

/// Whether the user of another account has confirmed the address of this mailbox.
pub async fn is_taken(
    db: &mut impl Connection,
    account_id: &str,
    mailbox: &str,
) -> sqlx::Result<bool> {
    let others = db
        .query("select count(*) from accounts where email_key = $2 and id <> $1")
        .bind(account_id)
        .bind(mailbox);
    Ok(others.fetch_value::<i64>().await? > 0)
}

fn is_unique_violation(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}
