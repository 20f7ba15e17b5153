//! The table `roles`.

use super::Store;
use super::accounts::AccountChange;
use super::engine::connection::Connection;
use super::engine::from_row::from_row;
use super::engine::query::Statement;
use super::errors::context;
use super::revocations::record_revocation;
use crate::core::error::InternalError;

/// The roles of the row of `accounts` that a statement reads, as one text: their names, separated
/// by spaces, in any order.
macro_rules! roles_column {
    () => {
        "coalesce((select string_agg(role, ' ') from roles where roles.account_id = accounts.id), '')
         as roles"
    };
}

pub(in crate::store) use roles_column;

/// A role of an account.
#[derive(Debug)]
pub struct GivenRoleRow {
    pub role: String,
    pub given_at: i64,
}

from_row!(GivenRoleRow { role, given_at });

/// A role, and the number of accounts that have it.
#[derive(Debug)]
pub struct RoleCountRow {
    pub role: String,
    pub accounts: i64,
}

from_row!(RoleCountRow { role, accounts });

/// The outcome of giving a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GiveRoleOutcome {
    NoSuchAccount,
    /// The account has the role already, and nothing was written.
    Unchanged,
    /// The account has as many roles as it may have, and nothing was written.
    TooMany,
    Given,
}

/// On PostgreSQL the account's row is locked, so that of two roles that are given at the same time
/// the second one is counted after the first one is committed.
const INSERT: Statement = Statement::PerEngine {
    sqlite: "insert into roles (account_id, role, given_at)
         select id, $2, $3 from accounts where id = $1 on conflict do nothing",
    postgres: "insert into roles (account_id, role, given_at)
         select id, $2, $3 from accounts where id = $1 for no key update on conflict do nothing",
};

impl Store {
    /// Gives a role to an account that has fewer than `max`. The change is recorded in the
    /// revocation feed in the same transaction, so that all nodes read the account's roles again.
    pub async fn give_role(
        &self,
        (account_id, role): (&str, &str),
        max: usize,
        now: i64,
    ) -> Result<GiveRoleOutcome, InternalError> {
        self.transaction(|mut all| async move {
            let insert = all.query(INSERT).bind(account_id).bind(role).bind(now);
            if insert.execute().await? == 0 {
                let exists = account_exists(&mut all, account_id).await?;
                return Ok(if exists {
                    GiveRoleOutcome::Unchanged
                } else {
                    GiveRoleOutcome::NoSuchAccount
                });
            }
            let count = all.query("select count(*) from roles where account_id = $1");
            let count: i64 = count.bind(account_id).fetch_value().await?;
            if usize::try_from(count).unwrap_or(usize::MAX) > max {
                return Ok(GiveRoleOutcome::TooMany);
            }
            record_revocation(&mut all, account_id, now).await?;
            all.commit().await?;
            Ok(GiveRoleOutcome::Given)
        })
        .await
        .map_err(context("giving a role"))
    }

    /// Takes a role from an account. The change is recorded in the revocation feed in the same
    /// transaction, so that all nodes read the account's roles again.
    pub async fn take_role(
        &self,
        (account_id, role): (&str, &str),
        now: i64,
    ) -> Result<AccountChange, InternalError> {
        let id = account_id.to_owned();
        self.transaction(|mut all| async move {
            let delete = all.query("delete from roles where account_id = $1 and role = $2");
            if delete.bind(account_id).bind(role).execute().await? == 0 {
                let exists = account_exists(&mut all, account_id).await?;
                return Ok(if exists {
                    AccountChange::Unchanged(id)
                } else {
                    AccountChange::NoSuchAccount
                });
            }
            record_revocation(&mut all, account_id, now).await?;
            all.commit().await?;
            Ok(AccountChange::Changed(id))
        })
        .await
        .map_err(context("taking a role"))
    }

    /// Lists the roles of an account, in any order.
    pub async fn roles_of(&self, account_id: &str) -> Result<Vec<GivenRoleRow>, InternalError> {
        self.reader()
            .query("select role, given_at from roles where account_id = $1")
            .bind(account_id)
            .fetch_all()
            .await
            .map_err(context("listing the roles of an account"))
    }

    /// Lists all roles that an account has, with the number of their accounts, in any order.
    pub async fn count_by_role(&self) -> Result<Vec<RoleCountRow>, InternalError> {
        self.reader()
            .query("select role, count(*) as accounts from roles group by role")
            .fetch_all()
            .await
            .map_err(context("counting the accounts by role"))
    }
}

/// Inserts roles of new accounts: at most a few hundred pairs of an account and a role. A role whose
/// account was not added, because its user name is taken, is left out.
pub async fn insert_roles(
    db: &mut impl Connection,
    roles: &[(&str, &str)],
    now: i64,
) -> sqlx::Result<()> {
    if roles.is_empty() {
        return Ok(());
    }
    let rows = (0..roles.len()).map(|row| format!("(${}, ${})", 2 * row + 2, 2 * row + 3));
    let rows = rows.collect::<Vec<_>>().join(", ");
    let mut insert = db.query(Statement::Generated(format!(
        "insert into roles (account_id, role, given_at)
         select accounts.id, column2, $1 from (values {rows}) given
         join accounts on accounts.id = column1"
    )));
    insert = insert.bind(now);
    for (account_id, role) in roles {
        insert = insert.bind(*account_id).bind(*role);
    }
    insert.execute().await.map(drop)
}

async fn account_exists(db: &mut impl Connection, account_id: &str) -> sqlx::Result<bool> {
    let found = db.query("select count(*) from accounts where id = $1").bind(account_id);
    Ok(found.fetch_value::<i64>().await? > 0)
}
