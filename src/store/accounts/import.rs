//! Imports many accounts in one transaction.

use std::collections::HashSet;

use super::rows::{EmailColumns, ImportRow};
use crate::core::error::InternalError;
use crate::core::secret::HeldUsernameDigest;
use crate::store::Store;
use crate::store::engine::connection::{Connection, Pool};
use crate::store::engine::query::Statement;
use crate::store::errors::context;
use crate::store::roles::insert_roles;

/// The maximum number of rows in a statement. Slow statements are logged, and the log line should
/// stay short.
const MAX_ROWS: usize = 100;
/// The number of values in a row of an import.
const COLUMNS: usize = 10;

impl Store {
    /// Prepares the writer of this process for a bulk insert. SQLite's default cache of 2 MB holds
    /// only a fraction of the indexes of many accounts; SQLite would write every page again at each
    /// checkpoint after 4 MB; and it would write the rollback data of long statements to a
    /// temporary file.
    pub async fn prepare_bulk_insert(&self) -> Result<(), InternalError> {
        let Pool::Sqlite(pool, _) = self.writer() else { return Ok(()) };
        for pragma in [
            "pragma cache_size = -65536",        // in KiB
            "pragma wal_autocheckpoint = 16384", // pages of 4 KiB
            "pragma temp_store = memory",
        ] {
            let set = sqlx::query(pragma).execute(pool).await;
            set.map_err(context("preparing an import"))?;
        }
        Ok(())
    }

    /// Adds the accounts whose user names are free, with their roles, and releases the given
    /// reserved names, in one transaction. A confirmed address that another account has is added as
    /// an unconfirmed one. Returns the number of new accounts and of released names.
    pub async fn import_accounts(
        &self,
        accounts: &[ImportRow<'_>],
        held: &[HeldUsernameDigest],
        now: i64,
    ) -> Result<(u64, u64), InternalError> {
        let mut roles = Vec::new();
        for account in accounts {
            roles.extend(account.roles.iter().map(|role| (account.id, *role)));
        }
        self.transaction(|mut all| async move {
            let (mut added, mut released) = (0, 0);
            for rows in accounts.chunks(MAX_ROWS) {
                added += insert_rows(&mut all, rows).await?;
            }
            for roles in roles.chunks(MAX_ROWS) {
                insert_roles(&mut all, roles, now).await?;
            }
            for digests in held.chunks(MAX_ROWS) {
                released += release_all(&mut all, digests).await?;
            }
            all.commit().await?;
            Ok((added, released))
        })
        .await
        .map_err(context("importing accounts"))
    }
}

async fn insert_rows(db: &mut impl Connection, rows: &[ImportRow<'_>]) -> sqlx::Result<u64> {
    let taken = taken_mailboxes(db, rows).await?;
    let places = (0..rows.len()).map(|row| format!("({})", places(row * COLUMNS, COLUMNS)));
    let places = places.collect::<Vec<_>>().join(", ");
    let mut insert = db.query(Statement::Generated(format!(
        "insert into accounts
             (id, username, password_hash, hash_cost, created_at, disabled_at, display_name, email,
              email_key, unconfirmed_email)
         values {places} on conflict (username) do nothing"
    )));
    for row in rows {
        let is_free = |address: &&EmailColumns<'_>| !taken.contains(&address.mailbox);
        let confirmed = row.email.as_ref().filter(is_free);
        let unconfirmed = match (&row.email, confirmed) {
            (Some(taken), None) => Some(taken.email),
            (Some(_), Some(_)) | (None, _) => row.unconfirmed_email,
        };
        insert = insert
            .bind(row.id)
            .bind(row.username)
            .bind(row.password_hash.expose()) // stores the hash in its row
            .bind(row.hash_cost)
            .bind(row.created_at)
            .bind(row.disabled_at)
            .bind(row.display_name)
            .bind(confirmed.map(|address| address.email))
            .bind(confirmed.map(|address| address.mailbox.as_str()))
            .bind(unconfirmed);
    }
    insert.execute().await
}

/// The mailboxes of these rows that existing accounts have.
async fn taken_mailboxes(
    db: &mut impl Connection,
    rows: &[ImportRow<'_>],
) -> sqlx::Result<HashSet<String>> {
    let mailboxes: Vec<_> = rows.iter().filter_map(|row| row.email.as_ref()).collect();
    if mailboxes.is_empty() {
        return Ok(HashSet::new());
    }
    let places = places(0, mailboxes.len());
    let mut find = db.query(Statement::Generated(format!(
        "select email_key from accounts where email_key in ({places})"
    )));
    for address in mailboxes {
        find = find.bind(address.mailbox.as_str());
    }
    Ok(find.fetch_values().await?.into_iter().collect())
}

async fn release_all(
    db: &mut impl Connection,
    digests: &[HeldUsernameDigest],
) -> sqlx::Result<u64> {
    let places = places(0, digests.len());
    let mut release = db.query(Statement::Generated(format!(
        "delete from held_usernames where digest in ({places})"
    )));
    for digest in digests {
        release = release.bind(digest.as_bytes());
    }
    release.execute().await
}

/// The placeholders for `count` values, numbered after those that the statement already has.
fn places(before: usize, count: usize) -> String {
    let places = (before + 1..=before + count).map(|place| format!("${place}"));
    places.collect::<Vec<_>>().join(", ")
}
