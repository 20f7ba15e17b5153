//! Inserts accounts.

use super::email::is_taken;
use super::rows::NewAccountRow;
use crate::core::error::InternalError;
use crate::core::secret::{HeldUsernameDigest, InviteDigest};
use crate::store::Store;
use crate::store::engine::connection::Connection;
use crate::store::errors::context;
use crate::store::held_usernames::{count_held, release_held};
use crate::store::invites::use_up_invite;
use crate::store::mails::{NewMailRow, queue_mail};
use crate::store::roles::insert_roles;
use crate::store::sessions::{NewSessionRow, insert_session};

/// The password version of a new account.
const FIRST_PASSWORD: i64 = 1;

/// The outcome of a registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignUpOutcome {
    Done,
    NameTaken,
    /// Another registration has used the invite, or it has expired.
    InviteGone,
}

/// The outcome of adding an account as the operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddAccountOutcome {
    New,
    /// The account was added, and its name, which was reserved, is released.
    Released,
    NameTaken,
    /// The user of another account has confirmed the address.
    EmailTaken,
}

impl Store {
    /// Adds the account with its roles, and releases its user name if that is reserved, in one
    /// transaction.
    pub async fn add_account(
        &self,
        account: &NewAccountRow<'_>,
        held: &[HeldUsernameDigest],
    ) -> Result<AddAccountOutcome, InternalError> {
        self.transaction(|mut all| async move {
            if let Some(address) = &account.email
                && is_taken(&mut all, account.id, &address.mailbox).await?
            {
                return Ok(AddAccountOutcome::EmailTaken);
            }
            if !insert_account(&mut all, account).await? {
                return Ok(AddAccountOutcome::NameTaken);
            }
            let roles = account.roles.iter().map(|role| (account.id, *role));
            insert_roles(&mut all, &roles.collect::<Vec<_>>(), account.created_at).await?;
            let mut released = 0;
            for digest in held {
                released += release_held(&mut all, digest).await?;
            }
            all.commit().await?;
            Ok(if released > 0 { AddAccountOutcome::Released } else { AddAccountOutcome::New })
        })
        .await
        .map_err(context("adding an account"))
    }

    /// Adds the account and its first session, uses up the invite if there is one, and queues the
    /// mail with the code for its address, in one transaction. A reserved user name counts as taken.
    pub async fn sign_up(
        &self,
        account: &NewAccountRow<'_>,
        held: &[HeldUsernameDigest],
        new: &NewSessionRow<'_>,
        (invite, mail): (Option<InviteDigest>, Option<&NewMailRow>),
    ) -> Result<SignUpOutcome, InternalError> {
        self.transaction(|mut all| async move {
            if let Some(invite) = invite
                && !use_up_invite(&mut all, invite, account.created_at).await?
            {
                return Ok(SignUpOutcome::InviteGone);
            }
            let is_added = insert_account(&mut all, account).await?;
            // This comes after the insert, which waits for a transaction that closes the account of
            // this name; before it, the query would miss the row that reserves the name. The query
            // runs for taken names too, so that the response time does not distinguish reserved
            // names from taken ones.
            let mut held_rows = 0;
            for digest in held {
                held_rows += count_held(&mut all, digest, account.created_at).await?;
            }
            if !is_added || held_rows > 0 {
                return Ok(SignUpOutcome::NameTaken);
            }
            insert_session(&mut all, new, FIRST_PASSWORD).await?;
            if let Some(mail) = mail {
                queue_mail(&mut all, mail).await?;
            }
            all.commit().await?;
            Ok(SignUpOutcome::Done)
        })
        .await
        .map_err(context("adding an account"))
    }
}

/// Inserts an account. Returns false if its user name is taken.
async fn insert_account(
    db: &mut impl Connection,
    account: &NewAccountRow<'_>,
) -> sqlx::Result<bool> {
    db.query(
        "insert into accounts
             (id, username, password_hash, hash_cost, pepper, created_at, display_name, email,
              email_key, unconfirmed_email)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) on conflict (username) do nothing",
    )
    .bind(account.id)
    .bind(account.username)
    .bind(account.password.hash.expose()) // stores the hash in its row
    .bind(account.password.cost)
    .bind(account.password.pepper.as_deref())
    .bind(account.created_at)
    .bind(account.display_name)
    .bind(account.email.as_ref().map(|address| address.email))
    .bind(account.email.as_ref().map(|address| address.mailbox.as_str()))
    .bind(account.unconfirmed_email)
    .execute()
    .await
    .map(|added| added > 0)
}
