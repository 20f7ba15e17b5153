//! Accounts as rows.

use sqlx::{FromRow, QueryBuilder};

use crate::core::error::Fault;
use crate::core::secret::{HeldUsernameDigest, InviteDigest, PasswordHash};
use crate::store::ended_tokens::RECORD_ENDED_TOKENS;
use crate::store::held_usernames::{COUNT_HELD, HOLD, HeldUsernameRow, RELEASE};
use crate::store::invites::USE_UP;
use crate::store::session_data::TAKE_OVER_DATA;
use crate::store::sessions::insert_session;
use crate::store::{NewSessionRow, Pool, Store, begin, broken, on_engine};

#[derive(Debug, FromRow)]
pub struct AccountRow {
    pub id: String,
    pub username: String,
    #[sqlx(try_from = "String")]
    pub password_hash: PasswordHash,
    /// Counts the passwords that the account has had.
    pub password_version: i64,
    pub created_at: i64,
    pub disabled_at: Option<i64>,
}

/// A hash as it is stored, what verifying it costs in microseconds, by which the dearest one is found,
/// and the pepper that it needs, by which a missing one is.
#[derive(Debug)]
pub struct HashRow {
    pub hash: PasswordHash,
    pub cost: i64,
    pub pepper: Option<String>,
}

#[derive(Debug)]
pub struct NewAccountRow<'a> {
    pub id: &'a str,
    pub username: &'a str,
    pub password: &'a HashRow,
    pub created_at: i64,
}

/// An account from elsewhere.
#[derive(Debug)]
pub struct ImportRow<'a> {
    pub id: &'a str,
    pub username: &'a str,
    pub password_hash: &'a PasswordHash,
    pub hash_cost: i64,
    pub created_at: i64,
    pub disabled_at: Option<i64>,
}

/// As many rows a statement adds: one that is slow is logged, and is to be short then.
const ROWS: usize = 100;

/// What became of an account that somebody asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignedUp {
    Done,
    NameTaken,
    /// Somebody else used the invite, or it has expired.
    InviteGone,
}

/// What became of an account that the operator adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountAdded {
    New,
    /// Its name was held, and no longer is.
    Released,
    NameTaken,
}

/// The insertion of an account, unless somebody has its name.
macro_rules! insert_account {
    ($account:expr) => {
        sqlx::query(
            "insert into accounts (id, username, password_hash, hash_cost, pepper, created_at)
             values ($1, $2, $3, $4, $5, $6) on conflict (username) do nothing",
        )
        .bind($account.id)
        .bind($account.username)
        .bind($account.password.hash.expose()) // this row is where the hash is kept
        .bind($account.password.cost)
        .bind($account.password.pepper.as_deref())
        .bind($account.created_at)
    };
}

impl Store {
    /// The account that has this canonical name.
    pub async fn account_named(&self, username: &str) -> Result<Option<AccountRow>, Fault> {
        on_engine!(self.reader(), |pool| {
            sqlx::query_as(
                "select id, username, password_hash, password_version, created_at, disabled_at
                 from accounts where username = $1",
            )
            .bind(username)
            .fetch_optional(pool)
            .await
        })
        .map_err(broken("looking an account up by its name"))
    }

    /// Every account in the order of the names, at most `limit` of them, after a given name.
    pub async fn accounts_after(&self, name: &str, limit: i64) -> Result<Vec<AccountRow>, Fault> {
        on_engine!(self.reader(), |pool| {
            sqlx::query_as(
                "select id, username, password_hash, password_version, created_at, disabled_at
                 from accounts where username > $1 order by username limit $2",
            )
            .bind(name)
            .bind(limit)
            .fetch_all(pool)
            .await
        })
        .map_err(broken("listing the accounts"))
    }

    /// Is there any account?
    pub async fn has_accounts(&self) -> Result<bool, Fault> {
        on_engine!(self.reader(), |pool| {
            sqlx::query_scalar::<_, i64>("select count(*) from (select 1 from accounts limit 1) a")
                .fetch_one(pool)
                .await
                .map(|found| found > 0)
        })
        .map_err(broken("looking for accounts"))
    }

    /// Adds the account, and releases its name if that is held: both or neither.
    pub async fn add_account(
        &self,
        account: &NewAccountRow<'_>,
        held: &[HeldUsernameDigest],
    ) -> Result<AccountAdded, Fault> {
        on_engine!(self.writer(), |pool| {
            async {
                let mut all = begin(pool).await?;
                let added = insert_account!(account).execute(&mut *all).await?;
                if added.rows_affected() == 0 {
                    return Ok(AccountAdded::NameTaken);
                }
                let mut released = 0;
                for digest in held {
                    let row = sqlx::query(RELEASE).bind(digest.as_bytes()).execute(&mut *all);
                    released += row.await?.rows_affected();
                }
                all.commit().await?;
                Ok(if released > 0 { AccountAdded::Released } else { AccountAdded::New })
            }
            .await
        })
        .map_err(broken("adding an account"))
    }

    /// Gives the writer of this process the memory for an import. SQLite's own 2 MB hold a fraction of
    /// the indexes of many accounts; after each 4 MB written they would go to the file once more; and
    /// what a statement of many rows may have to undo would go to a file, too.
    pub async fn expect_many(&self) -> Result<(), Fault> {
        let Pool::Sqlite(pool, _) = self.writer() else { return Ok(()) };
        for pragma in [
            "pragma cache_size = -65536",        // kibibytes
            "pragma wal_autocheckpoint = 16384", // pages of 4 KiB
            "pragma temp_store = memory",
        ] {
            let set = sqlx::query(pragma).execute(pool).await;
            set.map_err(broken("making ready for an import"))?;
        }
        Ok(())
    }

    /// Adds the accounts whose names nobody has, and releases those names that are held: all of it or
    /// nothing; how many accounts those were, and how many names.
    pub async fn import_accounts(
        &self,
        accounts: &[ImportRow<'_>],
        held: &[HeldUsernameDigest],
    ) -> Result<(u64, u64), Fault> {
        on_engine!(self.writer(), |pool| {
            async {
                let (mut added, mut released) = (0, 0);
                let mut all = begin(pool).await?;
                for rows in accounts.chunks(ROWS) {
                    let mut insert = QueryBuilder::new(
                        "insert into accounts
                             (id, username, password_hash, hash_cost, created_at, disabled_at) ",
                    );
                    insert.push_values(rows, |mut values, row| {
                        values
                            .push_bind(row.id)
                            .push_bind(row.username)
                            .push_bind(row.password_hash.expose()) // this row is where it is kept
                            .push_bind(row.hash_cost)
                            .push_bind(row.created_at)
                            .push_bind(row.disabled_at);
                    });
                    insert.push(" on conflict (username) do nothing");
                    added += insert.build().execute(&mut *all).await?.rows_affected();
                }
                for digests in held.chunks(ROWS) {
                    let mut release =
                        QueryBuilder::new("delete from held_usernames where digest in (");
                    let mut digests_in = release.separated(", ");
                    for digest in digests {
                        digests_in.push_bind(digest.as_bytes());
                    }
                    release.push(")");
                    released += release.build().execute(&mut *all).await?.rows_affected();
                }
                all.commit().await?;
                Ok((added, released))
            }
            .await
        })
        .map_err(broken("importing accounts"))
    }

    /// Adds the account and its first session and uses up the invite, if there is one: all of it or
    /// nothing. A name that is held counts as taken.
    pub async fn sign_up(
        &self,
        account: &NewAccountRow<'_>,
        held: &[HeldUsernameDigest],
        new: &NewSessionRow<'_>,
        invite: Option<InviteDigest>,
    ) -> Result<SignedUp, Fault> {
        on_engine!(self.writer(), |pool| {
            async {
                let mut all = begin(pool).await?;
                if let Some(invite) = invite {
                    let used = sqlx::query(USE_UP)
                        .bind(invite.as_bytes())
                        .bind(account.created_at)
                        .execute(&mut *all)
                        .await?;
                    if used.rows_affected() == 0 {
                        return Ok(SignedUp::InviteGone);
                    }
                }
                let added = insert_account!(account).execute(&mut *all).await?;
                // after the insertion, which waits for a transaction that closes the account of this
                // name: looked up before it, the row that holds the name would be missed; and looked
                // up either way, so that the time does not tell a held name from a taken one
                let mut held_rows = 0;
                for digest in held {
                    held_rows += sqlx::query_scalar::<_, i64>(COUNT_HELD)
                        .bind(digest.as_bytes())
                        .bind(account.created_at)
                        .fetch_one(&mut *all)
                        .await?;
                }
                if added.rows_affected() == 0 || held_rows > 0 {
                    return Ok(SignedUp::NameTaken);
                }
                insert_session!(new, FIRST_PASSWORD).execute(&mut *all).await?;
                all.commit().await?;
                Ok(SignedUp::Done)
            }
            .await
        })
        .map_err(broken("adding an account"))
    }

    /// The dearest hash of those that cost less than this to verify, and what it costs: one step in
    /// the index.
    pub async fn hash_priced_below(&self, cost: i64) -> Result<Option<(i64, PasswordHash)>, Fault> {
        on_engine!(self.reader(), |pool| {
            sqlx::query_as::<_, (i64, String)>(
                "select hash_cost, password_hash from accounts
                 where hash_cost < $1 order by hash_cost desc limit 1",
            )
            .bind(cost)
            .fetch_optional(pool)
            .await
            .map(|found| found.map(|(cost, hash)| (cost, PasswordHash::from(hash))))
        })
        .map_err(broken("looking for the dearest hashes"))
    }

    /// The peppers that some password needs: a step in the index for each.
    pub async fn peppers_in_use(&self) -> Result<Vec<String>, Fault> {
        on_engine!(self.reader(), |pool| {
            sqlx::query_scalar(
                "with recursive used (id) as (
                     select min(pepper) from accounts where pepper is not null
                     union all
                     select (select min(pepper) from accounts where pepper > used.id)
                     from used where used.id is not null
                 )
                 select id from used where id is not null",
            )
            .fetch_all(pool)
            .await
        })
        .map_err(broken("looking for the peppers in use"))
    }

    /// How many passwords need this pepper.
    pub async fn count_peppered(&self, pepper: &str) -> Result<i64, Fault> {
        on_engine!(self.reader(), |pool| {
            sqlx::query_scalar("select count(*) from accounts where pepper = $1")
                .bind(pepper)
                .fetch_one(pool)
                .await
        })
        .map_err(broken("counting the passwords of a pepper"))
    }

    /// How many accounts have a password without a pepper, or none.
    pub async fn count_unpeppered(&self) -> Result<i64, Fault> {
        on_engine!(self.reader(), |pool| {
            sqlx::query_scalar("select count(*) from accounts where pepper is null")
                .fetch_one(pool)
                .await
        })
        .map_err(broken("counting the passwords without a pepper"))
    }

    /// Whose passwords need this pepper, by name.
    pub async fn names_peppered(&self, pepper: &str) -> Result<Vec<String>, Fault> {
        on_engine!(self.reader(), |pool| {
            sqlx::query_scalar("select username from accounts where pepper = $1 order by username")
                .bind(pepper)
                .fetch_all(pool)
                .await
        })
        .map_err(broken("looking for the passwords of a pepper"))
    }

    /// Puts something that is no hash in the place of up to `limit` of those that need this pepper; how
    /// many those were.
    pub async fn remove_peppered(
        &self,
        pepper: &str,
        none: &str,
        hash_cost: i64,
        limit: i64,
    ) -> Result<u64, Fault> {
        on_engine!(self.writer(), |pool| {
            sqlx::query(
                "update accounts set password_hash = $2, hash_cost = $3, pepper = null,
                        password_version = password_version + 1
                 where id in (select id from accounts where pepper = $1 limit $4)",
            )
            .bind(pepper)
            .bind(none)
            .bind(hash_cost)
            .bind(limit)
            .execute(pool)
            .await
            .map(|done| done.rows_affected())
        })
        .map_err(broken("taking passwords away"))
    }

    /// The account of this id.
    pub async fn account(&self, id: &str) -> Result<Option<AccountRow>, Fault> {
        on_engine!(self.reader(), |pool| {
            sqlx::query_as(
                "select id, username, password_hash, password_version, created_at, disabled_at
                 from accounts where id = $1",
            )
            .bind(id)
            .fetch_optional(pool)
            .await
        })
        .map_err(broken("looking an account up"))
    }

    /// Gives the account a new password and ends all its sessions, both or neither; false if the
    /// account is gone.
    pub async fn set_password(
        &self,
        account_id: &str,
        new: &HashRow,
        now: i64,
    ) -> Result<bool, Fault> {
        on_engine!(self.writer(), |pool| {
            async {
                let mut all = begin(pool).await?;
                let set = sqlx::query(
                    "update accounts set password_hash = $2, hash_cost = $3, pepper = $4,
                            password_version = password_version + 1
                     where id = $1",
                )
                .bind(account_id)
                .bind(new.hash.expose()) // this row is where the hash is kept
                .bind(new.cost)
                .bind(new.pepper.as_deref())
                .execute(&mut *all)
                .await?;
                sqlx::query(END_ALL).bind(account_id).bind(now).execute(&mut *all).await?;
                sqlx::query(NOTE_ENDING).bind(account_id).bind(now).execute(&mut *all).await?;
                all.commit().await?;
                Ok(set.rows_affected() == 1)
            }
            .await
        })
        .map_err(broken("changing a password"))
    }

    /// Puts another hash of the same password in the place of the one that was verified; nothing
    /// happens if the account has another password by now.
    pub async fn renew_hash(
        &self,
        account_id: &str,
        version: i64,
        new: &HashRow,
    ) -> Result<(), Fault> {
        on_engine!(self.writer(), |pool| {
            sqlx::query(
                "update accounts set password_hash = $3, hash_cost = $4, pepper = $5
                 where id = $1 and password_version = $2",
            )
            .bind(account_id)
            .bind(version)
            .bind(new.hash.expose()) // this row is where the hash is kept
            .bind(new.cost)
            .bind(new.pepper.as_deref())
            .execute(pool)
            .await
            .map(drop)
        })
        .map_err(broken("renewing the hash of a password"))
    }

    /// Puts a new password in the place of the one that was verified, ends all sessions and adds
    /// one, which takes over what was kept for the one called `old`: all of it or nothing. False if
    /// the account has another password by now.
    pub async fn change_password(
        &self,
        version: i64,
        password: &HashRow,
        old: &str,
        new: &NewSessionRow<'_>,
    ) -> Result<bool, Fault> {
        let (account_id, now) = (&new.session.account_id, new.session.created_at);
        on_engine!(self.writer(), |pool| {
            async {
                let mut all = begin(pool).await?;
                let set = sqlx::query(
                    "update accounts set password_hash = $3, hash_cost = $4, pepper = $5,
                            password_version = password_version + 1
                     where id = $1 and password_version = $2 and disabled_at is null",
                )
                .bind(account_id)
                .bind(version)
                .bind(password.hash.expose()) // this row is where the hash is kept
                .bind(password.cost)
                .bind(password.pepper.as_deref())
                .execute(&mut *all)
                .await?;
                if set.rows_affected() == 0 {
                    return Ok(false);
                }
                sqlx::query(END_ALL).bind(account_id).bind(now).execute(&mut *all).await?;
                sqlx::query(NOTE_ENDING).bind(account_id).bind(now).execute(&mut *all).await?;
                insert_session!(new, version + 1).execute(&mut *all).await?;
                sqlx::query(TAKE_OVER_DATA)
                    .bind(old)
                    .bind(&new.session.id)
                    .execute(&mut *all)
                    .await?;
                all.commit().await?;
                Ok(true)
            }
            .await
        })
        .map_err(broken("changing a password"))
    }

    /// Disables the account and ends all its sessions, both or neither. One that is disabled already
    /// stays so since then, and nothing is written.
    pub async fn disable_account(&self, username: &str, now: i64) -> Result<AccountChange, Fault> {
        on_engine!(self.writer(), |pool| {
            async {
                let mut all = begin(pool).await?;
                let account: Option<String> = sqlx::query_scalar(
                    "update accounts set disabled_at = $2
                     where username = $1 and disabled_at is null returning id",
                )
                .bind(username)
                .bind(now)
                .fetch_optional(&mut *all)
                .await?;
                let Some(account) = account else {
                    let account: Option<String> =
                        sqlx::query_scalar(ID_OF).bind(username).fetch_optional(&mut *all).await?;
                    return Ok(AccountChange::unchanged(account));
                };
                sqlx::query(END_ALL).bind(&account).bind(now).execute(&mut *all).await?;
                sqlx::query(NOTE_ENDING).bind(&account).bind(now).execute(&mut *all).await?;
                all.commit().await?;
                Ok(AccountChange::Changed(account))
            }
            .await
        })
        .map_err(broken("disabling an account"))
    }

    /// Enables the account, if it is not.
    pub async fn enable_account(&self, username: &str) -> Result<AccountChange, Fault> {
        on_engine!(self.writer(), |pool| {
            async {
                let account: Option<String> = sqlx::query_scalar(
                    "update accounts set disabled_at = null
                     where username = $1 and disabled_at is not null returning id",
                )
                .bind(username)
                .fetch_optional(pool)
                .await?;
                if let Some(account) = account {
                    return Ok(AccountChange::Changed(account));
                }
                let account: Option<String> =
                    sqlx::query_scalar(ID_OF).bind(username).fetch_optional(pool).await?;
                Ok(AccountChange::unchanged(account))
            }
            .await
        })
        .map_err(broken("enabling an account"))
    }

    /// Removes the account of this name, and its sessions with it, and holds the name: all of it or
    /// nothing. The account's id, if it was there.
    pub async fn delete_account(
        &self,
        username: &str,
        held: Option<&HeldUsernameRow>,
        now: i64,
    ) -> Result<Option<String>, Fault> {
        on_engine!(self.writer(), |pool| {
            async {
                let mut all = begin(pool).await?;
                let account: Option<String> =
                    sqlx::query_scalar("select id from accounts where username = $1")
                        .bind(username)
                        .fetch_optional(&mut *all)
                        .await?;
                let Some(account) = account else { return Ok(None) };
                sqlx::query(RECORD_ENDED_TOKENS)
                    .bind(&account)
                    .bind(now)
                    .execute(&mut *all)
                    .await?;
                let removed = sqlx::query("delete from accounts where id = $1")
                    .bind(&account)
                    .execute(&mut *all)
                    .await?;
                if removed.rows_affected() == 0 {
                    return Ok(None); // another process was faster
                }
                if let Some(held) = held {
                    sqlx::query(HOLD)
                        .bind(held.digest.as_bytes())
                        .bind(&held.secret_id)
                        .bind(held.held_until)
                        .execute(&mut *all)
                        .await?;
                }
                sqlx::query(NOTE_ENDING).bind(&account).bind(now).execute(&mut *all).await?;
                all.commit().await?;
                Ok(Some(account))
            }
            .await
        })
        .map_err(broken("removing an account"))
    }

    /// Removes the account whose password was verified, and its sessions with it, and holds its name:
    /// all of it or nothing; false if it has another password by now or is gone.
    pub async fn remove_account(
        &self,
        (account_id, version): (&str, i64),
        held: Option<&HeldUsernameRow>,
        now: i64,
    ) -> Result<bool, Fault> {
        on_engine!(self.writer(), |pool| {
            async {
                let mut all = begin(pool).await?;
                sqlx::query(RECORD_ENDED_TOKENS)
                    .bind(account_id)
                    .bind(now)
                    .execute(&mut *all)
                    .await?;
                let removed =
                    sqlx::query("delete from accounts where id = $1 and password_version = $2")
                        .bind(account_id)
                        .bind(version)
                        .execute(&mut *all)
                        .await?;
                if removed.rows_affected() == 0 {
                    return Ok(false); // and nothing was recorded
                }
                if let Some(held) = held {
                    sqlx::query(HOLD)
                        .bind(held.digest.as_bytes())
                        .bind(&held.secret_id)
                        .bind(held.held_until)
                        .execute(&mut *all)
                        .await?;
                }
                sqlx::query(NOTE_ENDING).bind(account_id).bind(now).execute(&mut *all).await?;
                all.commit().await?;
                Ok(true)
            }
            .await
        })
        .map_err(broken("closing an account"))
    }
}

/// What came of changing an account, by its id.
#[derive(Debug)]
pub enum AccountChange {
    NoSuchAccount,
    /// It was so already.
    Unchanged(String),
    Changed(String),
}

impl AccountChange {
    fn unchanged(account: Option<String>) -> Self {
        account.map_or(Self::NoSuchAccount, Self::Unchanged)
    }
}

const ID_OF: &str = "select id from accounts where username = $1";

/// The version of the password with which an account is made.
const FIRST_PASSWORD: i64 = 1;

const END_ALL: &str =
    "update sessions set ended_at = $2 where account_id = $1 and ended_at is null";
